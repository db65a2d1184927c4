import { inputError } from '../errors.ts';
import type { Scenario, ScenarioState, ScenarioStatus } from '../model/scenario.ts';
import type { StatusChange } from '../switchover/work.ts';
import type { Context } from './context.ts';

/** States in which something works on the scenario, or its standby runs: its definition must stand still. */
export const BUSY_STATES: readonly ScenarioState[] = [
  'preparing-disks',
  'synchronising',
  'draining',
  'replicating',
  'switching-over',
  'switched-over',
  'failing-back',
];

/** A scenario whose maker died before it wrote the status is simply stopped. */
export async function statusOf(context: Pick<Context, 'store'>, scenario: Scenario): Promise<ScenarioStatus> {
  return (await context.store.statuses.get(scenario.id)) ?? firstStatus(scenario);
}

export function firstStatus(scenario: Scenario): ScenarioStatus {
  return { id: scenario.id, name: scenario.name, state: 'stopped', sinceMs: scenario.createdAtMs, epoch: 0 };
}

/**
 * Merges; a field given as undefined is taken away, and a new state takes the old reason away. `guard` looks at the
 * status in the same transaction that changes it: of two processes that begin at once, the second is refused.
 */
export async function changeStatus(
  context: Pick<Context, 'store' | 'clock'>,
  scenario: Scenario,
  change: StatusChange,
  guard: (status: ScenarioStatus) => void = () => undefined,
): Promise<ScenarioStatus> {
  if (!(await context.store.statuses.get(scenario.id))) {
    await context.store.statuses.insert(firstStatus(scenario));
  }
  return context.store.statuses.update(scenario.id, (status) => {
    guard(status);
    return merged(status, change, context.clock.now());
  });
}

/** States in which the replica is being written. */
export const COPYING_STATES: readonly ScenarioState[] = ['preparing-disks', 'synchronising', 'draining'];
/** States in which the replica is, or was, what a standby is made of: a copy would overwrite it. */
export const STANDBY_STATES: readonly ScenarioState[] = ['switching-over', 'switched-over', 'failing-back'];

/**
 * A copy and a switchover never work on one replica together, also not when an old run is resumed late. A run may
 * always go on in a state that it set itself.
 */
export function refuseForeignState(
  scenario: Pick<Scenario, 'name'>,
  states: readonly ScenarioState[],
  runId?: string,
): (status: ScenarioStatus) => void {
  return (status) => {
    if (!states.includes(status.state) || (runId !== undefined && status.activeRunId === runId)) return;
    throw inputError(
      'SCENARIO_BUSY',
      `Scenario ${scenario.name} is ${status.state} by now${status.activeRunId ? ` (run ${status.activeRunId})` : ''}; this may not touch its replica.`,
      `Look: standby status ${scenario.name}`,
    );
  };
}

function merged(status: ScenarioStatus, change: StatusChange, nowMs: number): ScenarioStatus {
  const fields: Record<string, unknown> = { ...status, ...change };
  if (change.state !== undefined && change.state !== status.state) {
    fields.sinceMs = nowMs;
    if (change.reason === undefined) delete fields.reason;
  }
  for (const [name, value] of Object.entries(fields)) if (value === undefined) delete fields[name];
  return fields as unknown as ScenarioStatus;
}
