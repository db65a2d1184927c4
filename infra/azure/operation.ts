import { StandbyError } from '../../src/errors.ts';
import type { Operation } from '../../src/ports/cloud.ts';
import type { Answer } from './answers.ts';
import type { Calls } from './calls.ts';
import { isTransient, mapError, reasonOf } from './errors.ts';

/**
 * Azure's long-running operations, made to survive us.
 *
 * Promise: what was submitted is submitted once. The poller's state is saved right after Azure accepted the
 * request, before the first poll. Who comes later with that state polls on, and sends nothing again.
 * If we die before the request is sent: nothing happened. Between the answer and `save`: the caller looks for the
 * resource first and every request is idempotent, so sending it again finds the same thing. While polling: Azure
 * works on, and the saved state finds it. After the end, before the caller wrote it down: polling once more
 * gives the same end. A failed operation's state is taken back (saved as null), so that a later try submits anew.
 *
 * Azure asks for pauses between polls (10 s for disks and networks, 30 s for a VM that takes longer than a few seconds),
 * which are kept. What is being made may be looked at meanwhile, and says itself when it is ready (lookout.ts).
 */
export interface Work<Result> {
  /** What an error begins with. */
  readonly what: string;
  /** Names operation and resource, so that a state saved for something else is not mistaken for it. */
  readonly key: string;
  submit(): Poller<Result>;
  restore(state: string): Poller<Result>;
  /** Has the resource itself come to an end? Undefined at `untilMs`; `failed`: the operation says why. */
  look?(
    times: { readonly sinceMs: number; readonly untilMs: number },
    signal?: AbortSignal,
  ): Promise<{ readonly result: Result } | 'failed' | undefined>;
}

/** What we use of the SDK's poller. */
export interface Poller<Result> {
  readonly isDone: boolean;
  readonly operationState: { readonly status: string } | undefined;
  readonly result: Result | undefined;
  submitted(): Promise<void>;
  serialize(): Promise<string>;
  poll(options?: { abortSignal?: AbortSignal }): Promise<unknown>;
}

interface SavedOperation {
  readonly azureOperation: string;
  readonly endpoint: string;
  readonly poller: string;
}

const FIRST_PAUSE_MS = 250;
const PAUSE_MAX_MS = 10_000;
/** A pause that is no longer is waited out: a VM's first seconds, in which it is never ready. */
const LOOK_FROM_MS = 2000;
const RETRY_AFTER_MAX_MS = 120_000;
/** Poll requests that may fail one after the other, each already tried four times by the SDK. */
const POLL_FAILURES_MAX = 5;
const OPERATION_MAX_MS = 2 * 3_600_000;

/** The state an earlier try saved for this very operation. */
export function savedFor(key: string, endpoint: string, operation?: Operation): string | undefined {
  const saved = operation?.saved as Partial<SavedOperation> | null | undefined;
  if (typeof saved !== 'object' || saved === null) return undefined;
  const fits = saved.azureOperation === key && saved.endpoint === endpoint;
  return fits && typeof saved.poller === 'string' ? saved.poller : undefined;
}

export async function runOperation<Result>(
  calls: Calls,
  endpoint: string,
  work: Work<Result>,
  operation: Operation = {},
): Promise<Result> {
  const saved = savedFor(work.key, endpoint, operation);
  if (saved !== undefined) {
    const end = await follow(calls, work, work.restore(saved), saved, operation);
    if (end !== 'forgotten') return end.result;
    calls.log.info('Azure no longer knows the saved operation; submitting it again', { key: work.key });
  }
  // In an object: the SDK's poller is thenable, and awaiting it would mean polling it to its end.
  const { poller } = await calls.call(
    work.what,
    async () => {
      const fresh = work.submit();
      await fresh.submitted();
      return { poller: fresh };
    },
    operation.signal,
  );
  const state = await poller.serialize();
  if (!poller.isDone) {
    await operation.save?.({ azureOperation: work.key, endpoint, poller: state } satisfies SavedOperation);
  }
  const end = await follow(calls, work, poller, state, operation);
  if (end !== 'forgotten') return end.result;
  throw new StandbyError({
    code: 'OPERATION_FORGOTTEN',
    what: work.what,
    why: 'Azure lost track of the operation it had accepted.',
    next: 'Try again: what it did make will be found.',
    retry: 'later',
  });
}

/** Polls to the end. `forgotten`: Azure does not know the operation any more. */
async function follow<Result>(
  calls: Calls,
  work: Work<Result>,
  first: Poller<Result>,
  firstState: string,
  operation: Operation,
): Promise<{ readonly result: Result } | 'forgotten'> {
  const { clock } = calls;
  const sinceMs = clock.now();
  const untilMs = sinceMs + OPERATION_MAX_MS;
  let poller = first;
  let state = firstState;
  let pauseMs = FIRST_PAUSE_MS;
  let failures = 0;
  let { look } = work;
  while (poller.operationState?.status !== 'succeeded') {
    operation.signal?.throwIfAborted();
    const answer: Answer = {};
    try {
      await calls.answers.listen(answer, () =>
        poller.poll(operation.signal ? { abortSignal: operation.signal } : {}),
      );
      failures = 0;
      state = await poller.serialize();
      if (poller.isDone) continue;
    } catch (error) {
      operation.signal?.throwIfAborted();
      const verdict = judge(error, answer);
      if (verdict === 'forgotten') return 'forgotten';
      if (verdict === 'failed') {
        await operation.save?.(null);
        throw mapError(work.what, error, answer);
      }
      failures += 1;
      if (failures > POLL_FAILURES_MAX) throw mapError(work.what, error, answer);
      // The SDK's poller is dead for good after one failed request; its state is not.
      poller = work.restore(state);
    }
    if (clock.now() > untilMs) throw tooLong(work.what);
    const waitMs = Math.min(answer.retryAfterMs || pauseMs, RETRY_AFTER_MAX_MS);
    const times = { sinceMs, untilMs: clock.now() + waitMs };
    const seen = look && waitMs > LOOK_FROM_MS ? await look(times, operation.signal) : undefined;
    // Said once: the operation tells why, and is not asked more often because of it.
    if (seen === 'failed') look = undefined;
    else if (seen) return seen;
    else if (clock.now() < times.untilMs) await clock.sleep(times.untilMs - clock.now(), operation.signal);
    pauseMs = Math.min(pauseMs * 1.5, PAUSE_MAX_MS);
  }
  return { result: poller.result as Result };
}

/** A poll request may fail though the operation lives; only Azure's own word ends it. */
function judge(error: unknown, answer: Answer): 'failed' | 'forgotten' | 'again' {
  const isRequestError = (error as Error).name === 'RestError';
  if (!isRequestError) return isTransient(error, answer) ? 'again' : 'failed';
  const { status } = reasonOf(error as Error, answer);
  if (status === 404 || status === 410) return 'forgotten';
  return isTransient(error, answer) || status === 401 ? 'again' : 'failed';
}

function tooLong(what: string): StandbyError {
  return new StandbyError({
    code: 'OPERATION_TOO_LONG',
    what,
    why: 'Azure has worked on it for two hours without an end.',
    next: 'Look at the resource in the portal, then try again: the wait goes on from here.',
    retry: 'later',
  });
}
