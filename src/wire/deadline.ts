import type { Clock } from '../clock.ts';

/** The promise, or `late()`'s error once `ms` are over. The promise itself is not stopped: pass it a signal for that. */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  promise: Promise<T>,
  late: () => Error,
  signal?: AbortSignal,
): Promise<T> {
  const over = new AbortController();
  const stop = signal ? AbortSignal.any([over.signal, signal]) : over.signal;
  const timer = clock.sleep(ms, stop).then(
    () => {
      throw late();
    },
    (reason: unknown) => {
      if (over.signal.aborted) return undefined as never;
      throw reason;
    },
  );
  try {
    return await Promise.race([promise, timer]);
  } finally {
    over.abort();
  }
}
