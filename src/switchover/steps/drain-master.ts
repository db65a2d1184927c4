/**
 * A planned switchover loses nothing: with its master off the network, and so without clients, everything that it has
 * written is waited for, and then both ends read their disks at one position and compare digests. Only waits and looks,
 * so dying at any line is repaired by doing it again. What a server writes by itself after the proof comes too, up to the
 * seal; the output says how much that was. Nothing to undo: the fence's own step lets the master on again.
 */
import { StandbyError } from '../../errors.ts';
import type { DiskDigest } from '../../model/scenario.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import type { ControlSession, CopyProgress, ReplicaProof } from '../../wire/control-session.ts';
import { withSession } from '../appliance-session.ts';
import { patienceOf, type Work } from '../work.ts';

export const DRAIN_MASTER = 'drain-master';
const POLL_MS = 500;
/** So many looks in a row find nothing under way: one alone may fall between a write and its report. */
const STILL_LOOKS = 3;

export interface Drained {
  /** Both ends were equal here. */
  readonly sequence: string;
  readonly provenAtMs: number;
  readonly digests: readonly DiskDigest[];
  /** Changes of the server itself that were seen after the proof. */
  readonly changesAfter: number;
}

export function drainMasterStep(work: Work): Step<Drained> {
  const { hostName } = work.inventory;
  return {
    id: DRAIN_MASTER,
    title: `Wait for all that ${hostName} has written, and compare both ends`,
    run: (context) =>
      withSession(work, async (session) => {
        await untilStill(work, context, session);
        const proof = await prove(work, context, session);
        const { replication } = await look(work, session);
        const last = BigInt(replication?.stream?.lastSequence ?? proof.sequence);
        const after = last - BigInt(proof.sequence);
        return {
          sequence: proof.sequence,
          provenAtMs: proof.atMs,
          digests: proof.digests,
          changesAfter: after > 0n ? Number(after) : 0,
        };
      }),
  };
}

async function untilStill(work: Work, context: StepContext, session: ControlSession): Promise<void> {
  const untilMs = work.clock.now() + patienceOf(work).drainMs;
  for (let still = 0; still < STILL_LOOKS; ) {
    const { replication } = await look(work, session);
    const left = leftOf(replication);
    still = left === 0 ? still + 1 : 0;
    if (left !== 0) {
      const text =
        left === undefined ? 'The master has not said yet what it holds' : `${left} bytes are not here yet`;
      context.progress(text, { passing: true });
      if (work.clock.now() >= untilMs) throw neverStill(work, text);
    }
    await work.clock.sleep(POLL_MS, context.signal);
  }
}

/**
 * Bytes on the master and not here, at most; 0 when nothing is under way. Its spool keeps what is durable here until a
 * whole file of it can go, so how full it is says nothing by itself.
 */
function leftOf(replication: CopyProgress['replication']): number | undefined {
  const { stream } = replication ?? {};
  if (!stream) return undefined;
  // Marks have numbers too, so what is received is compared as the master hears it, not by the journal's changes.
  const isBehind = BigInt(stream.lastSequence) > BigInt(stream.durableSequence);
  return stream.dirtyBytes + (isBehind ? Math.max(1, stream.spooledBytes) : 0);
}

async function prove(work: Work, context: StepContext, session: ControlSession): Promise<ReplicaProof> {
  const last = (await look(work, session)).replication?.proof;
  context.progress('Both ends read their disks at one position and compare');
  await session.scrub(work.scenario.id);
  for (;;) {
    context.signal.throwIfAborted();
    const progress = await session.progress(work.scenario.id, POLL_MS);
    const proof = progress.replication?.proof;
    if (proof && (proof.atMs !== last?.atMs || proof.sequence !== last.sequence)) {
      if (proof.equal) return proof;
      throw differs(work, proof);
    }
    assertHere(work, progress);
    await work.clock.sleep(POLL_MS, context.signal);
  }
}

async function look(work: Work, session: ControlSession): Promise<CopyProgress> {
  const progress = await session.progress(work.scenario.id);
  assertHere(work, progress);
  return progress;
}

function assertHere({ scenario, inventory }: Work, { state }: CopyProgress): void {
  if (state === 'replicating') return;
  const next = `Take it back (standby switchover ${scenario.name} --undo) and switch over without --planned, with what is here.`;
  throw new StandbyError({
    code: 'PLANNED_BROKEN_OFF',
    what: `Nobody can prove that everything of ${inventory.hostName} is here.`,
    why:
      state === 'master-away'
        ? 'Its engine is not connected any more: perhaps its --fence command cuts the engine off too.'
        : `The replica is ${state}.`,
    next: `When it is connected again: standby resume. ${next}`,
  });
}

function neverStill({ scenario, inventory }: Work, left: string): StandbyError {
  return new StandbyError({
    code: 'MASTER_NOT_STILL',
    what: `${inventory.hostName} has not come to rest: ${left}.`,
    why: 'It goes on writing although it is off the network, or its link is too slow.',
    next: `Stop what writes there, then resume; or take it back: standby switchover ${scenario.name} --undo`,
  });
}

function differs({ scenario }: Work, { sequence, differing = [] }: ReplicaProof): StandbyError {
  const disks = differing.map((one) => `${one.diskId} (${one.bytes} bytes)`).join(', ');
  return new StandbyError({
    code: 'ENDS_DIFFER',
    what: `Both ends of "${scenario.name}" differ at position ${sequence}.`,
    why: `Different: ${disks || 'not said'}.`,
    next: `Take it back (standby switchover ${scenario.name} --undo), then synchronise anew: standby run ${scenario.name}`,
  });
}
