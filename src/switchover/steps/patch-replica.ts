/**
 * Promises that the snapshots have what the server needs to start in Azure, and the replica does not: the appliance
 * changes a few values in place on the sealed replica (src/appliance/sealed-patch.ts), each snapshot makes sure of it
 * right before it is made, and after the last one everything is put back. Dies at any line: the same again changes nothing
 * more, and the appliance puts everything back before the replica is written by anybody, whatever becomes of this run.
 * Undo puts it back; a drill has it put back by the end of its hold. What such a change cannot cure is told, and stays as it is: no error, because the standby is needed.
 */
import type { SealedPatch } from '../../model/sealed-patch.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { takenBack, withSession } from '../appliance-session.ts';
import type { Work } from '../work.ts';
import { SEAL_REPLICA, type Sealed } from './seal-replica.ts';

export const PATCH_REPLICA = 'patch-replica';
export const UNPATCH_REPLICA = 'unpatch-replica';

export interface Patched extends SealedPatch {
  /** Why nothing was changed. */
  readonly leftOut?: string;
}

export function patchReplicaStep(work: Work): Step<Patched> {
  return {
    id: PATCH_REPLICA,
    title:
      'Patch the sealed copy so that it starts in Azure, for its snapshots only (--no-patch leaves it out)',
    run: (context) => patched(work, context),
    async undo(context) {
      if (!context.output<Sealed>(SEAL_REPLICA).sealed) return;
      const stays = 'If the replica was patched, it is still';
      await takenBack(work, context, stays, (session) => session.unpatchReplica(work.scenario.id));
    },
  };
}

const LEFT_OUT: Patched = { changes: [], left: [], faults: [], leftOut: '--no-patch was given' };

/** For each snapshot: whatever happened to the appliance meanwhile, the patch is there. */
export async function patched(work: Work, context: StepContext): Promise<Patched> {
  const { sealed } = context.output<Sealed>(SEAL_REPLICA);
  if (!sealed) return { changes: [], left: [], faults: [], leftOut: 'the replica could not be sealed' };
  return await withSession(work, async (session) => {
    const { id } = work.scenario;
    if (!work.leaveOut?.patch) return await session.patchReplica(id, bootDiskOf(work));
    await session.unpatchReplica(id);
    return LEFT_OUT;
  });
}

/** Of a drill: the appliance takes it back itself before the replica goes on. */
export function patchStillReplicaStep(work: Work): Step<Patched> {
  return {
    id: PATCH_REPLICA,
    title: 'Patch the copy so that it starts in Azure, for its snapshots only (--no-patch leaves it out)',
    run: () => patchedStill(work),
  };
}

/** A drill is begun with the patch or without it, and goes on like that: there is none to be taken off. */
export async function patchedStill(work: Work): Promise<Patched> {
  if (work.leaveOut?.patch) return LEFT_OUT;
  return withSession(work, (session) => session.patchReplica(work.scenario.id, bootDiskOf(work)));
}

export function unpatchReplicaStep(work: Work): Step {
  return {
    id: UNPATCH_REPLICA,
    title: 'Take the patch off the replica',
    async run(context) {
      await putBack(work, context);
      return {};
    },
  };
}

/** What nobody could seal was not patched either. */
async function putBack(work: Work, context: StepContext): Promise<void> {
  if (!context.output<Sealed>(SEAL_REPLICA).sealed) return;
  await withSession(work, (session) => session.unpatchReplica(work.scenario.id));
}

function bootDiskOf({ inventory }: Work): string {
  return (inventory.disks.find(({ boot }) => boot) ?? inventory.disks[0])?.id ?? 'disk0';
}
