import { GIB, type MasterInventory } from '../model/disk.ts';
import type { Scenario } from '../model/scenario.ts';
import type { RunRecord } from '../plan/plan.ts';
import { HOURS_IN_MONTH, type PriceTable } from '../verify/prices.ts';
import { blueprintOf } from './blueprint.ts';
import { outcomeOf } from './drill-attempt.ts';
import { createPublicIpId } from './steps/create-public-ip.ts';
import { createStandbyDiskId } from './steps/create-standby-disk.ts';
import { CREATE_VIRTUAL_MACHINE, type MadeMachine } from './steps/create-virtual-machine.ts';
import { REMOVE_DRILL } from './steps/remove-drill.ts';

/** What the drill's resources cost while they were there, as far as the price table knows. */
export interface DrillCost {
  readonly currency: string;
  /** Of the price table. */
  readonly pricesOf: string;
  readonly lines: readonly {
    readonly what: string;
    readonly hours: number;
    /** Absent: there is no price for it. */
    readonly amount?: number;
  }[];
  /** Of the lines that have a price. */
  readonly knownTotal: number;
  /** Not in the total. */
  readonly unknown: readonly string[];
}

const HOUR_MS = 3_600_000;

export function drillCost(
  facts: { readonly scenario: Scenario; readonly inventory: MasterInventory; readonly runId: string },
  run: RunRecord,
  prices: PriceTable,
): DrillCost {
  const { scenario, inventory } = facts;
  const stepOf = (id: string) => run.steps.find((step) => step.stepId === id);
  const lastMs = Math.max(...run.steps.flatMap((step) => step.endedAtMs ?? step.startedAtMs ?? []));
  const goneMs = stepOf(REMOVE_DRILL)?.endedAtMs ?? lastMs;
  const hoursSince = (stepId: string) => (goneMs - (stepOf(stepId)?.startedAtMs ?? goneMs)) / HOUR_MS;
  const made = outcomeOf<MadeMachine>(stepOf(CREATE_VIRTUAL_MACHINE)?.output);
  const size = made?.size ?? scenario.vm.size;
  const price = prices.machineHour[size];
  const gibMonth = prices.diskGibMonth[scenario.vm.diskType];
  const lines: { what: string; hours: number; amount?: number }[] = [];
  const unknown: string[] = [];
  const add = (what: string, hours: number, perHour: number | undefined) => {
    lines.push({ what, hours, ...(perHour === undefined ? {} : { amount: perHour * hours }) });
    if (perHour === undefined) unknown.push(`${what}: no price in the table`);
  };
  if (made) {
    add(`VM ${size}`, hoursSince(CREATE_VIRTUAL_MACHINE), price);
    if (inventory.os.family === 'windows') unknown.push('the licence of Windows');
  }
  const blueprint = blueprintOf(facts);
  const disks = blueprint.disks.filter((part) => outcomeOf(stepOf(createStandbyDiskId(part.diskId))?.output));
  for (const { nic, publicIpName } of blueprint.nics) {
    const stepId = createPublicIpId(nic.masterNicId);
    if (publicIpName && outcomeOf(stepOf(stepId)?.output))
      add('public address', hoursSince(stepId), prices.publicIpHour);
  }
  for (const { diskId, disk } of disks) {
    const gib = Math.ceil(disk.sizeBytes / GIB);
    const perHour = gibMonth === undefined ? undefined : (gibMonth * gib) / HOURS_IN_MONTH;
    add(`${scenario.vm.diskType} disk of ${gib} GiB`, hoursSince(createStandbyDiskId(diskId)), perHour);
  }
  unknown.push('snapshots, which Azure counts by what they hold');
  const knownTotal = lines.reduce((sum, line) => sum + (line.amount ?? 0), 0);
  return { currency: prices.currency, pricesOf: prices.date, lines, knownTotal, unknown };
}
