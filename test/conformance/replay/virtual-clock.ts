import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../../../src/clock.ts';

/** Time that stands still until it is told to go on: an operation of Local Azure ends when the recording says so. */
export interface VirtualClock extends Clock {
  advance(ms: number): void;
}

export function makeVirtualClock(startMs: number): VirtualClock {
  let nowMs = startMs;
  const sleepers = new Set<{ readonly dueMs: number; wake(): void }>();
  return {
    now: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const sleeper = {
          dueMs: nowMs + ms,
          wake() {
            signal?.removeEventListener('abort', onAbort);
            resolve();
          },
        };
        const onAbort = () => {
          sleepers.delete(sleeper);
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        sleepers.add(sleeper);
      }),
    advance(ms) {
      nowMs += ms;
      for (const sleeper of [...sleepers]) {
        if (sleeper.dueMs > nowMs) continue;
        sleepers.delete(sleeper);
        sleeper.wake();
      }
    },
  };
}

/** What Local Azure does within one answer, or while it starts, needs time to pass while it is waited for. */
export async function whileTimePasses<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  const pump = async () => {
    for (let round = 0; !isDone; round += 1) {
      await wait(1);
      if (round > 20) clock.advance(500);
    }
  };
  const [answer] = await Promise.all([done, pump()]);
  return answer;
}
