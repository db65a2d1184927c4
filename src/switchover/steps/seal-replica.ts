/**
 * Promises that from here on nothing changes the replica: the appliance flushes it and refuses writes, and says
 * what it holds. The status says `switching-over` before the seal, so it is never less than the truth.
 * Sealing twice gives the same answer; dying at any line is repaired by sealing again. Undo takes the seal back and
 * gives the scenario its former state.
 *
 * A lenient seal (`vm start`) goes on without the appliance: the disks are then taken as they are, and it says so.
 */
import { messageOf, StandbyError } from '../../errors.ts';
import type { DiskDigest, ScenarioStatus } from '../../model/scenario.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import type { SealedReplica } from '../../wire/control-session.ts';
import { isPassing, withSession } from '../appliance-session.ts';
import type { Work } from '../work.ts';
import { VERIFY_SCENARIO, type Verified } from './verify-scenario.ts';

export const SEAL_REPLICA = 'seal-replica';

export interface Sealed {
  readonly sealed: boolean;
  /** Why not, when it could not be. */
  readonly why?: string;
  readonly epoch: number;
  readonly synchronisedAtMs?: number;
  readonly digests: readonly DiskDigest[];
}

export function sealReplicaStep(work: Work, options: { readonly lenient: boolean }): Step<Sealed> {
  return {
    id: SEAL_REPLICA,
    title: options.lenient ? 'Seal the replica, if its appliance answers' : 'Seal the replica',
    async run(context) {
      const status = await work.setStatus({ state: 'switching-over', activeRunId: work.runId });
      try {
        const held = await withSession(work, (session) => session.seal(work.scenario.id));
        assertSameCopy(work, status, held);
        return { sealed: true, ...held };
      } catch (error) {
        if (!options.lenient || !isPassing(error)) throw whenUnreachable(work, error);
        return unsealed(status, error, context);
      }
    },
    async undo(context, out) {
      if (out?.sealed ?? !options.lenient)
        await withSession(work, (session) => session.unseal(work.scenario.id));
      const { stateBefore } = context.output<Verified>(VERIFY_SCENARIO);
      await work.setStatus({ state: stateBefore, activeRunId: undefined });
    },
  };
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

function whenUnreachable(work: Work, error: unknown): unknown {
  if (!isPassing(error)) return error;
  const { name } = work.scenario;
  return new StandbyError({
    code: error.code,
    what: `The replica of "${name}" could not be sealed.`,
    why: messageOf(error),
    next: `Start the appliance's VM and resume (standby resume ${work.runId}). Without an appliance: standby switchover ${name} --undo, standby stop ${name}, then standby vm start ${name}, which takes the replica disks as they are.`,
    retry: 'later',
    cause: error,
  });
}
