/**
 * Promises that every replica disk is attached to the appliance, each at a LUN of its own that stays the same. A disk
 * that is attached already keeps its LUN; the others take the first free ones, and which is remembered before Azure
 * is asked. Another scenario may take a LUN in the same moment: Azure then refuses, and it is chosen again at once.
 */
import { isStandbyError, StandbyError } from '../../errors.ts';
import { replicaDiskName } from '../../model/names.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { CloudMachine } from '../../ports/cloud-machines.ts';
import { CLOUD_RETRY } from '../../switchover/durably.ts';
import type { Work } from '../../switchover/work.ts';
import { applianceVmId, FIRST_REPLICA_LUN, type Luns, lunOf } from '../replica.ts';
import { createReplicaDiskId, type ReplicaDisk } from './create-replica-disk.ts';

export const ATTACH_REPLICA_DISKS = 'attach-replica-disks';

export interface AttachedDisks {
  readonly luns: Luns;
}

/** As many data disks as the largest VMs take. */
const TRIES_MAX = 64;

interface Checkpoint {
  readonly luns: Luns;
  readonly operation?: unknown;
}

export function attachReplicaDisksStep(work: Work): Step<AttachedDisks> {
  return {
    id: ATTACH_REPLICA_DISKS,
    title: `Attach the replica disks to ${work.appliance.name}`,
    actions: actionsOf('machines.get', 'machines.attachDisks'),
    retry: CLOUD_RETRY,
    async run(context) {
      const vmId = applianceVmId(work);
      for (let tries = 1; ; tries++) {
        const machine = await work.cloud.machines.get(vmId);
        if (!machine) throw applianceGone(work, vmId);
        const luns = chooseLuns(work, machine, (context.checkpoint as Checkpoint | null | undefined)?.luns);
        try {
          await attach(work, context, vmId, luns);
          return { luns };
        } catch (error) {
          // Of those who wanted the same LUN one has got it: however many they are, each comes to its turn.
          if (!isStandbyError(error) || error.code !== 'LUN_TAKEN' || tries === TRIES_MAX) throw error;
        }
      }
    },
  };
}

/** Pure: what is attached stays; what was remembered holds as long as nobody else took it; the rest goes to free LUNs. */
export function chooseLuns(
  { scenario, inventory }: Pick<Work, 'scenario' | 'inventory'>,
  machine: Pick<CloudMachine, 'dataDisks'>,
  remembered: Luns = {},
): Luns {
  const luns: Record<string, number> = {};
  const taken = new Set(machine.dataDisks.map((disk) => disk.lun));
  const attached = new Map(machine.dataDisks.map((disk) => [nameIn(disk.diskId), disk.lun]));
  for (const { id } of inventory.disks) {
    const lun = attached.get(replicaDiskName(scenario, id).toLowerCase());
    if (lun !== undefined) luns[id] = lun;
  }
  for (const { id } of inventory.disks) {
    if (luns[id] !== undefined) continue;
    const before = remembered[id];
    let lun = before !== undefined && !taken.has(before) ? before : FIRST_REPLICA_LUN;
    while (taken.has(lun)) lun++;
    luns[id] = lun;
    taken.add(lun);
  }
  return Object.fromEntries(inventory.disks.map(({ id }) => [id, lunOf(luns, id)]));
}

function nameIn(armId: string): string {
  return (armId.split('/').at(-1) ?? armId).toLowerCase();
}

async function attach(work: Work, context: StepContext, vmId: string, luns: Luns): Promise<void> {
  const before = context.checkpoint as Checkpoint | null | undefined;
  const sameLuns = JSON.stringify(before?.luns) === JSON.stringify(luns);
  if (!sameLuns) await context.save({ luns } satisfies Checkpoint);
  const disks = work.inventory.disks.map(({ id }) => ({
    diskId: context.output<ReplicaDisk>(createReplicaDiskId(id)).id,
    lun: lunOf(luns, id),
  }));
  await work.cloud.machines.attachDisks(vmId, disks, {
    signal: context.signal,
    saved: sameLuns ? (before?.operation ?? undefined) : undefined,
    save: (operation) => context.save({ luns, operation } satisfies Checkpoint),
  });
}

function applianceGone(work: Work, vmId: string): StandbyError {
  return new StandbyError({
    code: 'APPLIANCE_GONE',
    what: `The VM of appliance "${work.appliance.name}" is gone (${vmId}).`,
    next: 'Deploy it again: standby appliance deploy',
  });
}
