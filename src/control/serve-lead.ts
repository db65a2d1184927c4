import { isStandbyError, messageOf } from '../errors.ts';
import { type HeldLease, holdLease } from '../plan/lease.ts';
import type { RunRecord } from '../plan/plan.ts';
import type { Context } from './context.ts';

/**
 * One `standby serve` leads for each store: it holds the lease of a run that never ends. Promises: while `signal` of the
 * lease is not aborted nobody else watches; a leader that dies is followed by one that waits, at the latest when its
 * lease has run out.
 */
export const SERVE = 'serve';

/** It stands among the runs, but it is none: nothing to list, to resume or to undo. */
export function isServe(run: Pick<RunRecord, 'kind'>): boolean {
  return run.kind === SERVE;
}

const LEASE_MS = 15_000;
const LOOKS_PER_LEASE = 5;

/** Resolves when this process leads; rejects when the signal is aborted. `onWaiting` is called once, with who leads. */
export async function lead(
  context: Context,
  signal: AbortSignal,
  onWaiting: (why: string) => void,
  leaseMs: number = LEASE_MS,
): Promise<HeldLease> {
  const { store, owner, clock, log } = context;
  await makeRecord(context);
  let isTold = false;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await holdLease(SERVE, { store: store.runs, owner, clock, log, leaseMs, signal });
    } catch (error) {
      if (!isStandbyError(error) || error.code !== 'LEASE_HELD') throw error;
      if (!isTold) onWaiting(error.why ?? messageOf(error));
      isTold = true;
    }
    await clock.sleep(leaseMs / LOOKS_PER_LEASE, signal);
  }
}

async function makeRecord({ store }: Context): Promise<void> {
  if (await store.runs.get(SERVE)) return;
  try {
    const title = 'Watch all scenarios';
    await store.runs.create({ id: SERVE, kind: SERVE, subject: SERVE, title, input: null });
  } catch (error) {
    // Another one came first.
    if (!isStandbyError(error) || error.code !== 'RUN_IN_PROGRESS') throw error;
  }
}
