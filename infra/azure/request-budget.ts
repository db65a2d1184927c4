import type { Clock } from '../../src/clock.ts';

/**
 * What Azure Resource Manager lets one principal ask in one region: a bucket of requests that fills again by itself. It tells
 * with each answer how many are left; in between, what has come back since and what is on its way count too.
 *
 * Promise: a request that Azure would refuse waits until it would not, which is a fraction of a second, and not the seconds
 * that a refusal (429) asks for. Many scenarios of one process share it. What others take is learnt from the next answer.
 */
export interface RequestBudget {
  /** Waits for its turn. Each turn ends with `answered`. */
  turn(signal?: AbortSignal): Promise<void>;
  /** `told`: how many are left, as Azure said; undefined when it said nothing. */
  answered(told: number | undefined): void;
  left(): number;
}

export interface BucketSize {
  readonly size: number;
  readonly perSecond: number;
}

/** As Azure documents them since 2024. */
export const BUCKETS = {
  reads: { size: 250, perSecond: 25 },
  writes: { size: 200, perSecond: 10 },
  deletes: { size: 200, perSecond: 10 },
} as const;

/** Left alone: what is left is known only as of the last answer. */
const RESERVE = 10;

export function makeRequestBudget(size: BucketSize, clock: Clock): RequestBudget {
  const bucket = makeBucket(size, clock);
  let onTheWay = 0;
  return {
    async turn(signal) {
      bucket.take(1);
      onTheWay += 1;
      const shortMs = ((RESERVE - bucket.left()) / size.perSecond) * 1000;
      if (shortMs <= 0) return;
      try {
        await clock.sleep(shortMs, signal);
      } catch (error) {
        bucket.take(-1);
        onTheWay -= 1;
        throw error;
      }
    },
    answered(told) {
      onTheWay -= 1;
      if (told !== undefined) bucket.set(told - onTheWay);
    },
    left: () => bucket.left(),
  };
}

export interface LeakyBucket {
  left(): number;
  take(count: number): void;
  set(count: number): void;
}

export function makeBucket({ size, perSecond }: BucketSize, clock: Clock): LeakyBucket {
  let level: number = size;
  let atMs = clock.now();

  /** A clock that is put back gives nothing and takes nothing. */
  function refill(): void {
    const now = clock.now();
    // Azure may allow somebody more than it documents.
    if (level < size) level = Math.min(size, level + (Math.max(0, now - atMs) / 1000) * perSecond);
    atMs = now;
  }

  return {
    left() {
      refill();
      return level;
    },
    take(count) {
      refill();
      level -= count;
    },
    set(count) {
      refill();
      level = count;
    },
  };
}
