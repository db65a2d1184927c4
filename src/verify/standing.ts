import type { Scenario } from '../model/scenario.ts';
import type { CheckFacts } from './check.ts';
import { sameName } from './region.ts';

/**
 * The standby that exists already. Looked at in between, what it holds is in order: its name, its address, its share of
 * the quota. Before another one is built (`run`, `switchover`) the same things are in the way.
 */
export function standingVmId({ status, moment }: Pick<CheckFacts, 'status' | 'moment'>): string | undefined {
  return moment === 'watch' ? status?.standbyVmId : undefined;
}

/** The other scenarios that would need more if all started at once. */
export function othersToStart({
  otherScenarios,
  standingScenarioIds: standing,
  scenario,
}: Pick<CheckFacts, 'otherScenarios' | 'standingScenarioIds' | 'scenario'>): readonly Scenario[] {
  return otherScenarios.filter((one) => one.accountId === scenario.accountId && !standing?.has(one.id));
}

/** The private addresses of the standby that exists already. */
export async function standingAddresses(facts: CheckFacts): Promise<readonly string[]> {
  const vmId = standingVmId(facts);
  if (vmId === undefined) return [];
  const machine = (await facts.region.machines()).find((one) => sameName(one.id, vmId));
  const nics = await Promise.all((machine?.nicIds ?? []).map((id) => facts.region.networkInterface(id)));
  return nics.flatMap((nic) => nic?.privateIp ?? []);
}
