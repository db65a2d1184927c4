import type { Clock } from '../../../src/clock.ts';

interface Sleeper {
  readonly atMs: number;
  wake(): void;
}

/** Time stands while anybody works; when all sleep it is at once the moment at which the first of them wakes. */
export function madeUpClock(): Clock & { readonly slept: readonly number[] } {
  let nowMs = 0;
  const slept: number[] = [];
  const sleepers = new Set<Sleeper>();
  let isDue = false;

  function soon(): void {
    if (!isDue) setImmediate(passOn);
    isDue = true;
  }

  function passOn(): void {
    isDue = false;
    const [first] = [...sleepers].sort((one, other) => one.atMs - other.atMs);
    if (!first) return;
    sleepers.delete(first);
    nowMs = Math.max(nowMs, first.atMs);
    first.wake();
    soon();
  }

  return {
    slept,
    now: () => nowMs,
    sleep(ms, signal) {
      slept.push(ms);
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        soon();
        const sleeper = { atMs: nowMs + ms, wake: resolve };
        sleepers.add(sleeper);
        const onAbort = () => {
          sleepers.delete(sleeper);
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
      });
    },
  };
}
