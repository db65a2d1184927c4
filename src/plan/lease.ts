import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { ownerInWords, ownerIsGone } from './owner.ts';
import type { Lease, RunStore } from './plan.ts';

/**
 * Keeps a run for this process. Promises: while `signal` is not aborted, nobody else works on the run, as far as
 * a lease can promise it; every write is fenced all the same. If this process dies, the lease runs out by itself.
 */
export interface HeldLease {
  readonly lease: Lease;
  /** Aborted, with the error, when the lease is lost: whoever works under it must stop. */
  readonly signal: AbortSignal;
  /**
   * To be asked right before something is changed outside. A machine that stood still for longer than the lease does not
   * know it: it looks at the clock, and asks the store before it goes on. Throws when somebody else has the run.
   */
  assertHeld(): Promise<void>;
  /** Ends the heartbeat and gives the run back. */
  release(): Promise<void>;
}

export interface LeaseOptions {
  readonly store: RunStore;
  readonly owner: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly leaseMs: number;
  /** Gives up the wait for another process's lease. */
  readonly signal: AbortSignal;
}

const BEATS_PER_LEASE = 4;
const LOOKS_PER_LEASE = 20;

export async function holdLease(runId: string, options: LeaseOptions): Promise<HeldLease> {
  const lease = await claimPatiently(runId, options);
  const lost = new AbortController();
  const stop = new AbortController();
  const pulse = makePulse(lease, options, lost);
  const beating = beat(pulse, options, lost.signal, stop.signal);
  return {
    lease,
    signal: lost.signal,
    async assertHeld() {
      if (!pulse.isFresh()) await pulse.renew();
      lost.signal.throwIfAborted();
    },
    async release() {
      stop.abort();
      await beating;
      try {
        await options.store.release(lease);
      } catch (error) {
        options.log.warn('the lease could not be given back; it runs out by itself', {
          runId,
          why: messageOf(error),
        });
      }
    },
  };
}

/**
 * A lease that nobody renews belongs to a process that died: it is waited for. One that is renewed while we look
 * belongs to a living one: that is the answer.
 */
async function claimPatiently(runId: string, options: LeaseOptions): Promise<Lease> {
  const { store, owner, clock, leaseMs, signal } = options;
  let seen: { owner: string; untilMs: number } | undefined;
  for (;;) {
    const lease = await store.claim(runId, owner, leaseMs);
    if (lease !== undefined) return lease;
    const held = (await store.get(runId))?.held;
    if (held === undefined) continue;
    if (ownerIsGone(held.owner)) {
      options.log.info('the process that worked on the run is gone', { runId, owner: held.owner });
      const taken = await store.claim(runId, owner, leaseMs, held.owner);
      if (taken !== undefined) return taken;
      continue;
    }
    if (seen !== undefined && (seen.owner !== held.owner || seen.untilMs !== held.untilMs)) {
      throw leaseHeld(runId, held.owner);
    }
    seen = held;
    await clock.sleep(leaseMs / LOOKS_PER_LEASE, signal);
  }
}

interface Pulse {
  /** Surely nobody else has it yet. */
  isFresh(): boolean;
  /** Gives the lease up for lost when it is, or when the store could not be reached for as long as it lasts. */
  renew(): Promise<void>;
}

function makePulse(lease: Lease, { store, clock, log, leaseMs }: LeaseOptions, lost: AbortController): Pulse {
  let renewedAtMs = clock.now();
  const isFresh = () => clock.now() - renewedAtMs < leaseMs;
  return {
    isFresh,
    async renew() {
      const beganAtMs = clock.now();
      try {
        await store.renew(lease, leaseMs);
        renewedAtMs = beganAtMs;
      } catch (error) {
        if (isStandbyError(error) && error.code === 'LEASE_LOST') return lost.abort(error);
        log.warn('the lease could not be renewed', { runId: lease.runId, why: messageOf(error) });
        // From here on somebody else may have it: better to stop than to act twice.
        if (!isFresh()) lost.abort(leaseRanOut(lease.runId, error));
      }
    },
  };
}

async function beat(
  pulse: Pulse,
  { clock, leaseMs }: LeaseOptions,
  lost: AbortSignal,
  stop: AbortSignal,
): Promise<void> {
  while (!lost.aborted) {
    try {
      await clock.sleep(leaseMs / BEATS_PER_LEASE, stop);
    } catch (error) {
      if (stop.aborted) return;
      throw error;
    }
    await pulse.renew();
  }
}

function leaseHeld(runId: string, owner: string): StandbyError {
  return new StandbyError({
    code: 'LEASE_HELD',
    what: `Run ${runId} is being worked on by another process.`,
    why: `It is held by ${ownerInWords(owner)}.`,
    next: `Follow it there, or end that process first; then: standby resume ${runId}`,
    retry: 'later',
  });
}

function leaseRanOut(runId: string, cause: unknown): StandbyError {
  return new StandbyError({
    code: 'LEASE_LOST',
    what: `Work on run ${runId} was stopped.`,
    why: `The store could not be reached for too long: ${messageOf(cause)}`,
    next: `When the store is back: standby resume ${runId}`,
    retry: 'later',
    cause,
  });
}
