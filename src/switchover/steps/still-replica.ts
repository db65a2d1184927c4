/**
 * Promises that the replica's disks stand still at one position while the drill's snapshots are taken, and that
 * replication goes on meanwhile: the appliance receives and acknowledges, and only applies later. A snapshot counts only
 * if the same hold still lasted when it was complete. Dying at any line lets the hold run out by itself; a resumed drill
 * takes it up again, or learns that it is over. Releasing says whether it had lasted; an appliance that does not answer
 * ends it without us.
 */
import { messageOf, StandbyError } from '../../errors.ts';
import { isLiveCapture } from '../../model/capture.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import type { HeldReplica, ReleasedHold } from '../../wire/hold-messages.ts';
import { isPassing, persistently, withSession } from '../appliance-session.ts';
import type { Work } from '../work.ts';

export const STILL_REPLICA = 'still-replica';
export const RELEASE_REPLICA = 'release-replica';

const HOLD_MS = 10 * 60_000;
const RENEW_MS = 60_000;
/** A comparison of both ends, or another drill, may have to end first. */
const WAIT_MS = 10 * 60_000;

export interface Held extends HeldReplica {
  /** By control's clock. */
  readonly atMs: number;
}

export function stillReplicaStep(work: Work): Step<Held> {
  return {
    id: STILL_REPLICA,
    title: 'Have the replica stand still while it goes on receiving',
    async run(context) {
      const untilMs = work.clock.now() + WAIT_MS;
      const held = await persistently(work, context, (session) => hold(work, session, false), untilMs);
      const status = await work.status();
      const without = work.inventory.disks.find(
        (disk) => !held.digests.some((one) => one.diskId === disk.id),
      );
      const isPlaced = held.position !== undefined || !isLiveCapture(work.scenario.capture);
      if (held.epoch !== status.epoch || without || !isPlaced) throw notTheSame(work, held, status.epoch);
      return { ...held, atMs: work.clock.now() };
    },
  };
}

/** A step that counts only while the disks stand still. */
export function whileStill<Out>(work: Work, step: Step<Out>): Step<Out> {
  return {
    ...step,
    async run(context) {
      const over = new AbortController();
      const keeping = keepHold(work, context, over.signal);
      let out: Out;
      try {
        out = await step.run(context);
      } finally {
        over.abort();
        await keeping;
      }
      await assertStillHeld(work, context);
      return out;
    },
  };
}

export function releaseReplicaStep(work: Work): Step<ReleasedHold> {
  return {
    id: RELEASE_REPLICA,
    title: 'Let the replica follow again',
    async run() {
      try {
        return await withSession(work, (session) => session.release(work.scenario.id, work.runId));
      } catch (error) {
        if (!isPassing(error)) throw error;
        return {
          held: false,
          why: `the appliance did not answer, and ends it by itself: ${messageOf(error)}`,
        };
      }
    },
  };
}

type Session = Parameters<Parameters<typeof withSession>[1]>[0];

function hold({ scenario, runId }: Work, session: Session, renew: boolean): Promise<HeldReplica> {
  return session.hold(scenario.id, { holdId: runId, ms: HOLD_MS, ...(renew ? { renew } : {}) });
}

/** Trouble while it is renewed is no finding: whether it lasted is asked at the end. */
async function keepHold(work: Work, context: StepContext, over: AbortSignal): Promise<void> {
  const signal = AbortSignal.any([context.signal, over]);
  while (!signal.aborted) {
    await work.clock.sleep(RENEW_MS, signal).catch(() => undefined); // Over: the loop ends.
    if (signal.aborted) return;
    try {
      await withSession(work, (session) => hold(work, session, true));
    } catch (error) {
      context.progress(`The hold could not be renewed: ${messageOf(error)}`);
    }
  }
}

async function assertStillHeld(work: Work, context: StepContext): Promise<void> {
  const before = context.output<Held>(STILL_REPLICA);
  const untilMs = work.clock.now() + RENEW_MS;
  const now = await persistently(work, context, (session) => hold(work, session, true), untilMs);
  const isSame = now.epoch === before.epoch && now.position?.sequence === before.position?.sequence;
  if (!isSame) throw notTheSame(work, now, before.epoch);
}

function notTheSame({ scenario }: Work, held: HeldReplica, epoch: number): StandbyError {
  return new StandbyError({
    code: 'REPLICA_NOT_THE_SAME',
    what: `The appliance does not hold the replica of "${scenario.name}" that the drill is about.`,
    why: `It holds epoch ${held.epoch} at position ${held.position?.sequence ?? 'none'}; epoch ${epoch} was expected.`,
    next: `Look: standby status ${scenario.name}`,
  });
}
