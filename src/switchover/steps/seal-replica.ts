/**
 * Promises that from here on nothing changes the replica: the appliance flushes it and refuses writes, and says
 * what it holds. The status says `switching-over` before the seal, so it is never less than the truth.
 * Sealing twice gives the same answer; dying at any line is repaired by sealing again. Undo takes the seal back and
 * gives the scenario its former state.
 *
 * A live replica is brought to a position before: the last one received, or the one that was asked for; the same one
 * again when the step is resumed. Undo goes on from where the replica was, also after a rewind.
 *
 * A lenient seal (`vm start`) goes on without the appliance: the disks are then taken as they are, and it says so.
 */
import { messageOf, StandbyError } from '../../errors.ts';
import { isLiveCapture } from '../../model/capture.ts';
import type { DiskDigest, ScenarioStatus } from '../../model/scenario.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import type { ReplicaPoint, SealedReplica, SealOptions } from '../../wire/control-session.ts';
import { isPassing, takenBack, withSession } from '../appliance-session.ts';
import type { Work } from '../work.ts';
import { VERIFY_SCENARIO, type Verified } from './verify-scenario.ts';

export const SEAL_REPLICA = 'seal-replica';

export interface Sealed {
  readonly sealed: boolean;
  /** Why not, when it could not be. */
  readonly why?: string;
  readonly epoch: number;
  readonly synchronisedAtMs?: number;
  /** Of a live replica: of the last proof, before the position. */
  readonly digests: readonly DiskDigest[];
  /** Live: where it was brought to. */
  readonly position?: SealedReplica['position'];
  readonly point?: ReplicaPoint;
}

export interface SealChoice extends SealOptions {
  readonly lenient: boolean;
}

export function sealReplicaStep(work: Work, choice: SealChoice): Step<Sealed> {
  const { lenient, ...options } = choice;
  const isLive = isLiveCapture(work.scenario.capture);
  return {
    id: SEAL_REPLICA,
    title: lenient ? 'Seal the replica, if its appliance answers' : 'Seal the replica',
    async run(context) {
      const status = await work.setStatus({ state: 'switching-over', activeRunId: work.runId });
      await context.assertHeld();
      try {
        const held = await withSession(work, (session) =>
          isLive ? session.seal(work.scenario.id, options) : session.seal(work.scenario.id),
        );
        if (isLive) assertSameReplica(work, status, held, options);
        else assertSameCopy(work, status, held);
        return {
          sealed: true,
          ...atItsTime(held),
          ...(isLive && options.point ? { point: options.point } : {}),
        };
      } catch (error) {
        if (!lenient || !isPassing(error)) throw whenUnreachable(work, error);
        return unsealed(status, error, context);
      }
    },
    async undo(context, out) {
      const isBack = out?.sealed === false || (await unseal(work, context, lenient && out === undefined));
      const { stateBefore } = context.output<Verified>(VERIFY_SCENARIO);
      // Perhaps it is sealed still, and follows nobody: nothing more is claimed of it.
      await work.setStatus({ state: isBack ? stateBefore : 'stopped', activeRunId: undefined });
    },
  };
}

/** Until its first change a live replica is what both ends agreed on, and its journal knows no time of the master yet. */
function atItsTime(held: SealedReplica): SealedReplica {
  const { position, synchronisedAtMs } = held;
  if (!position || position.timeMs > 0) return held;
  return { ...held, position: { ...position, timeMs: synchronisedAtMs } };
}

/** `perhaps`: nobody knows whether it was sealed, and it may have been left as it was because its appliance is away. */
async function unseal(work: Work, context: StepContext, perhaps: boolean): Promise<boolean> {
  const stays = 'If the replica was sealed, it is still';
  const facts = perhaps ? { ...work, withoutAppliance: true } : work;
  const isBack = await takenBack(facts, context, stays, (session) => session.unseal(work.scenario.id));
  return isBack || perhaps;
}

function unsealed(status: ScenarioStatus, error: StandbyError, context: StepContext): Sealed {
  const why = messageOf(error);
  context.progress(`The seal could not be done, so the disks are taken as they are. ${why}`);
  return {
    sealed: false,
    why,
    epoch: status.epoch,
    ...(status.synchronisedAtMs === undefined ? {} : { synchronisedAtMs: status.synchronisedAtMs }),
    digests: status.digests ?? [],
  };
}

/** The appliance must hold the very copy that was agreed on. */
function assertSameCopy(work: Work, status: ScenarioStatus, held: SealedReplica): void {
  const differs = (status.digests ?? []).find(
    ({ diskId, digest }) => held.digests.find((one) => one.diskId === diskId)?.digest !== digest,
  );
  if (held.epoch === status.epoch && !differs) return;
  throw new StandbyError({
    code: 'REPLICA_NOT_THE_SAME',
    what: `The appliance holds another copy of "${work.scenario.name}" than the one that was agreed on.`,
    why: differs
      ? `The digest of ${differs.diskId} is not the one of ${new Date(status.synchronisedAtMs ?? 0).toISOString()}.`
      : `It holds epoch ${held.epoch}; epoch ${status.epoch} was finished.`,
    next: `Take the switchover back (standby switchover ${work.scenario.name} --undo), then copy again: standby run ${work.scenario.name}`,
  });
}

/**
 * A live replica has moved on since its digests were taken, so they prove nothing of now. It must be of the epoch that
 * replicates, whole (a digest of every disk: both ends were equal once), at a position, and its newest one must not lie
 * before what was seen of it already.
 */
function assertSameReplica(
  work: Work,
  status: ScenarioStatus,
  held: SealedReplica,
  options: SealOptions,
): void {
  const why = faultOf(work, status, held, options);
  if (why === undefined) return;
  throw new StandbyError({
    code: 'REPLICA_NOT_THE_SAME',
    what: `The appliance holds another replica of "${work.scenario.name}" than the one that was replicating.`,
    why,
    next: `Take the switchover back (standby switchover ${work.scenario.name} --undo), then synchronise anew: standby run ${work.scenario.name}`,
  });
}

function faultOf(
  work: Work,
  status: ScenarioStatus,
  held: SealedReplica,
  options: SealOptions,
): string | undefined {
  if (held.epoch !== status.epoch)
    return `It holds epoch ${held.epoch}; epoch ${status.epoch} was replicating.`;
  const without = work.inventory.disks.find((disk) => !held.digests.some((one) => one.diskId === disk.id));
  if (without) return `${without.id} was never proven equal there.`;
  if (!held.position) return 'It does not say at which position it is.';
  const isNewest = options.point === undefined || 'latest' in options.point;
  const { seen } = status;
  if (isNewest && seen && BigInt(held.position.sequence) < BigInt(seen.appliedSequence)) {
    return `It is at position ${held.position.sequence}; position ${seen.appliedSequence} was there already.`;
  }
  return undefined;
}

function whenUnreachable(work: Work, error: unknown): unknown {
  if (!isPassing(error)) return error;
  const { name } = work.scenario;
  return new StandbyError({
    code: error.code,
    what: `The replica of "${name}" could not be sealed.`,
    why: messageOf(error),
    next: `Start the appliance's VM and resume (standby resume ${work.runId}). If the appliance is lost: standby switchover ${name} --undo --without-appliance, then standby vm start ${name}, which takes the replica disks as they are.`,
    retry: 'later',
    cause: error,
  });
}
