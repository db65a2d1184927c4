/**
 * Promises the standby VM, with its disks and NICs attached. It carries the scenario's VM name, so its tags say
 * whether it is this run's.
 *
 * Where Azure has no room it steps down: the scenario's other sizes, then its other zones. The refusal is in the
 * checkpoint before anything is done about it, so a crash never makes it start over; the VM that Azure then leaves
 * behind as `Failed` is removed (ours only), and what fits the next rung stays: snapshots, addresses and NICs always,
 * the disks as long as the zone is the same. When no rung is left it fails with Azure's word; a later try begins at
 * the top.
 *
 * After a crash the VM is found, or its saved operation is waited for, or it is asked for again. Undo deletes the VM
 * and leaves disks and NICs to their own steps.
 */
import { StandbyError } from '../../errors.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { CloudMachine } from '../../ports/cloud-machines.ts';
import { type Blueprint, idInGroup, RESOURCE_TYPES, scenarioTag, tagsFor } from '../blueprint.ts';
import { assertOurs, CLOUD_RETRY } from '../durably.ts';
import { isNoRoom, nextRung, type Refusal, type Rung, refusalsText, rungsOf, rungText } from '../ladder.ts';
import { settled } from '../settled.ts';
import type { Work } from '../work.ts';
import { createNetworkInterfaceId, type MadeNic } from './create-network-interface.ts';
import { createStandbyDiskId, type MadeDisk, moveStandbyDisks } from './create-standby-disk.ts';

export const CREATE_VIRTUAL_MACHINE = 'create-virtual-machine';

export interface MadeMachine {
  readonly vmId: string;
  /** Where it stands; absent in runs of before. */
  readonly size?: string;
  readonly zone?: string;
  /** Where Azure had no room for it. */
  readonly refused?: readonly Refusal[];
}

/** The step's checkpoint. */
interface Ladder {
  readonly refused: readonly Refusal[];
  /** Refusals before this one belong to earlier tries of the whole ladder. */
  readonly from: number;
  /** The poller of the VM that is being made. */
  readonly operation?: unknown;
}

export function createVirtualMachineStep(work: Work, blueprint: Blueprint): Step<MadeMachine> {
  const { name, size } = work.scenario.vm;
  return {
    id: CREATE_VIRTUAL_MACHINE,
    title: `Virtual machine ${name} (${size})`,
    actions: actionsOf(
      'groups.get',
      'machines.get',
      'machines.createFromDisks',
      'machines.delete',
      'disks.get',
      'disks.createFromSnapshot',
      'disks.delete',
    ),
    makes: [{ type: RESOURCE_TYPES.machine, name }],
    retry: CLOUD_RETRY,
    async find(context) {
      const machine = await lookForOurs(work);
      return machine?.provisioning === 'Succeeded' ? made(machine, ladderOf(context)) : undefined;
    },
    run: (context) => climbDown(work, blueprint, context),
    async undo(context) {
      const machine = await settled(work.clock, context.signal, () => look(work));
      if (!machine || !isOfThisRun(work, machine)) return;
      await work.cloud.machines.delete(machine.id, scenarioTag(work), { signal: context.signal });
    },
  };
}

async function climbDown(work: Work, blueprint: Blueprint, context: StepContext): Promise<MadeMachine> {
  const rungs = rungsOf(work.scenario.vm);
  let ladder = ladderOf(context);
  const keep = async (next: Ladder): Promise<void> => {
    ladder = next;
    await context.save(next);
  };
  for (;;) {
    const rung = nextRung(rungs, ladder.refused.slice(ladder.from)) ?? rungs[0];
    if (!rung) throw new Error('a ladder has at least one rung');
    try {
      // What a saved operation came to is Azure's to say first: it may be a refusal.
      if (!ladder.operation) await removeFailed(work, context);
      const machine = await placeOn(work, blueprint, context, rung, ladder, keep);
      return made(machine, ladder);
    } catch (error) {
      if (!isNoRoom(error)) throw error;
      const refused = [...ladder.refused, { ...rung, code: error.code, why: error.why ?? error.what }];
      const tried = refused.slice(ladder.from);
      const next = nextRung(rungs, tried);
      await keep({ refused, from: next ? ladder.from : refused.length });
      if (!next) throw rungs.length === 1 ? error : noRoomAnywhere(work, tried, error);
      context.progress(`Azure has no room for ${rungText(rung)} (${error.code}); trying ${rungText(next)}`);
    }
  }
}

async function placeOn(
  work: Work,
  blueprint: Blueprint,
  context: StepContext,
  rung: Rung,
  ladder: Ladder,
  keep: (next: Ladder) => Promise<void>,
): Promise<CloudMachine> {
  const { fallbackZones = [] } = work.scenario.vm;
  const isOneZone = rung.zone === undefined || fallbackZones.length === 0;
  // With a saved operation the disks hang on a VM already, and stand where it stands.
  if (!isOneZone && !ladder.operation) await moveStandbyDisks(work, blueprint, context, rung.zone);
  return work.cloud.machines.createFromDisks(machineSpec(work, blueprint, context, rung), {
    signal: context.signal,
    saved: ladder.operation ?? undefined,
    save: (operation) => keep({ ...ladder, operation }),
  });
}

/** A run of before kept the poller alone. */
function ladderOf({ checkpoint }: StepContext): Ladder {
  const kept = (checkpoint ?? {}) as Partial<Ladder>;
  if (Array.isArray(kept.refused)) return { from: 0, ...kept, refused: kept.refused };
  return { refused: [], from: 0, ...(checkpoint ? { operation: checkpoint } : {}) };
}

function made({ id, size, zone }: CloudMachine, { refused }: Ladder): MadeMachine {
  return { vmId: id, size, ...(zone ? { zone } : {}), ...(refused.length > 0 ? { refused } : {}) };
}

async function look(work: Work): Promise<CloudMachine | undefined> {
  const id = await idInGroup(work, RESOURCE_TYPES.machine, work.scenario.vm.name);
  return id === undefined ? undefined : work.cloud.machines.get(id);
}

async function lookForOurs(work: Work): Promise<CloudMachine | undefined> {
  const machine = await look(work);
  if (!machine) return undefined;
  assertOurs(work, machine);
  if (isOfThisRun(work, machine)) return machine;
  throw new StandbyError({
    code: 'STANDBY_EXISTS',
    what: `The standby VM "${machine.name}" of an earlier run exists already (${machine.id}).`,
    next: `Use it, or remove it (standby vm stop ${work.scenario.name} --remove), then resume.`,
  });
}

function isOfThisRun(work: Work, machine: CloudMachine): boolean {
  return machine.tags['standby-run'] === work.runId && machine.tags['standby-scenario'] === scenarioTag(work);
}

/** Also one that an interrupted try was deleting already: deleting it again waits for its end. */
async function removeFailed(work: Work, context: StepContext): Promise<void> {
  const machine = await lookForOurs(work);
  if (!machine || !['failed', 'deleting'].includes(machine.provisioning.toLowerCase())) return;
  context.progress(`Azure left "${machine.name}" behind as failed; removing it first`);
  await work.cloud.machines.delete(machine.id, scenarioTag(work), { signal: context.signal });
}

function noRoomAnywhere(work: Work, tried: readonly Refusal[], last: StandbyError): StandbyError {
  return new StandbyError({
    code: last.code,
    what: `Azure has no room for the standby VM "${work.scenario.vm.name}" in any of its sizes and zones.`,
    why: `Tried: ${refusalsText(tried)}. The last answer: ${last.why ?? last.what}`,
    next: 'Try again later, or take it back and give the scenario other sizes (standby scenario edit).',
    retry: last.retry,
    cause: last,
  });
}

function machineSpec(work: Work, blueprint: Blueprint, context: StepContext, rung: Rung) {
  const { name, resourceGroup } = work.scenario.vm;
  const diskIdOf = (diskId: string) => context.output<MadeDisk>(createStandbyDiskId(diskId)).diskId;
  const [osDisk, ...dataDisks] = blueprint.disks;
  if (!osDisk)
    throw new StandbyError({ code: 'NO_BOOT_DISK', what: `Scenario "${work.scenario.name}" has no disk.` });
  return {
    resourceGroup,
    name,
    location: work.scenario.region,
    size: rung.size,
    ...(rung.zone ? { zone: rung.zone } : {}),
    osDiskId: diskIdOf(osDisk.diskId),
    osType: blueprint.os.osType,
    dataDisks: dataDisks.map((part, index) => ({ diskId: diskIdOf(part.diskId), lun: part.lun ?? index })),
    nicIds: blueprint.nics.map(
      (part) => context.output<MadeNic>(createNetworkInterfaceId(part.nic.masterNicId)).nicId,
    ),
    tags: tagsFor(work, 'standby-vm'),
  };
}
