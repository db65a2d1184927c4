/**
 * Promises that the appliance sees the disks and knows which disk of which scenario they are, under a new epoch.
 * The epoch is remembered before it is used, so a resumed step opens the same one; the status stops claiming a
 * finished copy before the appliance may overwrite it. Opening the same replica again changes nothing.
 *
 * A live replica that only goes on with its stream keeps its epoch, and what is known of it: nothing is overwritten
 * out of order.
 */
import { StandbyError } from '../../errors.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { persistently } from '../../switchover/appliance-session.ts';
import { patienceOf, type Work } from '../../switchover/work.ts';
import type { ApplianceDisk, ControlSession, ReplicaSpec } from '../../wire/control-session.ts';
import { replicaSpec } from '../replica.ts';
import { ATTACH_REPLICA_DISKS, type AttachedDisks } from './attach-replica-disks.ts';
import { createReplicaDiskId, type ReplicaDisk } from './create-replica-disk.ts';

export const OPEN_REPLICA = 'open-replica';
const LOOK_MS = 1000;

export interface OpenedReplica {
  readonly epoch: number;
}

export function openReplicaStep(work: Work, options: { readonly goesOn: boolean }): Step<OpenedReplica> {
  return {
    id: OPEN_REPLICA,
    title: `Open the replica on ${work.appliance.name}`,
    async run(context) {
      const epoch = await chooseEpoch(work, context, options.goesOn);
      const { luns } = context.output<AttachedDisks>(ATTACH_REPLICA_DISKS);
      const isBlank = (diskId: string) => context.output<ReplicaDisk>(createReplicaDiskId(diskId)).blank;
      const spec = replicaSpec(work, { epoch, luns, isBlank });
      const activeRunId = work.runId;
      await work.setStatus(
        options.goesOn
          ? {
              state: 'draining',
              reason: 'what changed since it was stopped is on its way',
              epoch,
              activeRunId,
            }
          : { state: 'synchronising', epoch, activeRunId, ...NOTHING_CLAIMED },
      );
      const untilMs = work.clock.now() + patienceOf(work).lunMs;
      await persistently(
        work,
        context,
        async (session) => {
          await untilSeen(work, context, session, spec, untilMs);
          await session.openReplica(spec);
        },
        untilMs,
      );
      return { epoch };
    },
  };
}

const NOTHING_CLAIMED = { synchronisedAtMs: undefined, digests: undefined, seen: undefined } as const;

async function chooseEpoch(work: Work, context: StepContext, goesOn: boolean): Promise<number> {
  const remembered = context.checkpoint as { readonly epoch: number } | undefined;
  if (remembered) return remembered.epoch;
  const { epoch: last } = await work.status();
  const epoch = goesOn ? last : last + 1;
  await context.save({ epoch });
  return epoch;
}

/** Attached is not yet visible: the guest needs a moment to find its new disks. */
async function untilSeen(
  work: Work,
  context: StepContext,
  session: ControlSession,
  spec: ReplicaSpec,
  untilMs: number,
): Promise<void> {
  for (;;) {
    const seen = await session.disks();
    const missing = spec.disks.filter((disk) => !isSeen(disk, seen));
    if (missing.length === 0) return;
    const names = missing.map((disk) => `${disk.diskId} (LUN ${disk.lun})`).join(', ');
    if (work.clock.now() >= untilMs) throw notSeen(work, names);
    context.progress(`Waiting until the appliance sees ${names}`);
    await work.clock.sleep(LOOK_MS, context.signal);
  }
}

function isSeen(disk: ReplicaSpec['disks'][number], seen: readonly ApplianceDisk[]): boolean {
  return seen.some((one) => one.lun === disk.lun && one.sizeBytes >= disk.sizeBytes);
}

function notSeen(work: Work, names: string): StandbyError {
  return new StandbyError({
    code: 'LUN_NOT_SEEN',
    what: `The appliance "${work.appliance.name}" does not see ${names}, although Azure has attached it.`,
    next: `Restart the appliance's VM, then: standby resume ${work.runId}`,
  });
}
