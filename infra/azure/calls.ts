import type { Clock } from '../../src/clock.ts';
import type { Log } from '../../src/log.ts';
import { type Answer, type Answers, makeAnswers } from './answers.ts';
import { isTransient, mapError, reasonOf } from './errors.ts';
import { type Lookout, makeLookout } from './lookout.ts';

/**
 * Every call to Azure goes through here: it is listened to (answers.ts), waited for with patience when Azure asks
 * for it, and fails with one StandbyError (errors.ts). It keeps no state: a process that dies in a call loses nothing.
 */
export interface Calls {
  readonly answers: Answers;
  readonly lookout: Lookout;
  readonly clock: Clock;
  readonly log: Log;
  /** `what` is the sentence an error will begin with. */
  call<Result>(what: string, work: () => Promise<Result>, signal?: AbortSignal): Promise<Result>;
  /** Undefined when the thing, or the group it would be in, is not there. */
  find<Result>(what: string, work: () => Promise<Result>, signal?: AbortSignal): Promise<Result | undefined>;
  collect<Item>(what: string, list: () => AsyncIterable<Item>): Promise<Item[]>;
}

/** The SDK has already tried four times; this is for a service that asks for a longer pause. */
const PATIENCE_MAX = 3;
const PAUSE_MS = 2_000;
const PAUSE_MAX_MS = 60_000;

/** Azure takes these back by itself within seconds. */
const SETTLES_SOON =
  /^(AttachDiskWhileBeingDetached|RetryableErrorDueToAnotherOperation|RetryableError|AnotherOperationInProgress|ConcurrentOperation|StorageAccountOperationInProgress|TooManyRequests)$/;

const NOT_THERE =
  /^(ResourceNotFound|ResourceGroupNotFound|NotFound|ParentResourceNotFound|BlobNotFound|ContainerNotFound)$/;

export function makeCalls({ clock, log }: { clock: Clock; log: Log }): Calls {
  const answers = makeAnswers(clock);

  async function attempt<Result>(
    what: string,
    work: () => Promise<Result>,
    signal: AbortSignal | undefined,
    absent: ((error: unknown, answer: Answer) => boolean) | undefined,
  ): Promise<Result | undefined> {
    for (let tries = 0; ; tries += 1) {
      signal?.throwIfAborted();
      const answer: Answer = {};
      try {
        return await answers.listen(answer, work);
      } catch (error) {
        signal?.throwIfAborted();
        if (absent?.(error, answer)) return undefined;
        const pauseMs = pauseBefore(error, answer, tries);
        if (pauseMs === undefined) throw mapError(what, error, answer);
        log.debug('Azure asks for patience', { what, code: answer.code, status: answer.status, pauseMs });
        await clock.sleep(pauseMs, signal);
      }
    }
  }

  return {
    answers,
    lookout: makeLookout({ clock, log, reads: answers.reads }),
    clock,
    log,
    call: async (what, work, signal) => (await attempt(what, work, signal, undefined)) as never,
    find: (what, work, signal) => attempt(what, work, signal, isAbsent),
    collect: async (what, list) => (await attempt(what, () => toArray(list()), undefined, undefined)) ?? [],
  };
}

async function toArray<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

function isAbsent(error: unknown, answer: Answer): boolean {
  const reason = reasonOf(error as Error, answer);
  return reason.status === 404 && (NOT_THERE.test(reason.code) || reason.code === 'HTTP_404');
}

function pauseBefore(error: unknown, answer: Answer, tries: number): number | undefined {
  if (tries >= PATIENCE_MAX) return undefined;
  const { code } = reasonOf(error as Error, answer);
  if (answer.status === 429 || SETTLES_SOON.test(code)) {
    return Math.min(answer.retryAfterMs ?? PAUSE_MS * 2 ** tries, PAUSE_MAX_MS);
  }
  // An outage outlasts the SDK's own four tries only rarely, and the plan runner tries again anyway.
  return isTransient(error, answer) && answer.retryAfterMs !== undefined && tries === 0
    ? Math.min(answer.retryAfterMs, PAUSE_MAX_MS)
    : undefined;
}
