/**
 * The remaining-requests headers of Azure Resource Manager: token buckets as Azure documents them since 2024
 * (reads 250, 25 a second back; writes and deletes 200, 10 a second back). They count and never refuse:
 * throttling on purpose is a fault.
 */
export interface RateLimits {
  headersFor(method: string): Record<string, string>;
}

const BUCKETS = {
  reads: { size: 250, perSecond: 25, all: 3750 },
  writes: { size: 200, perSecond: 10, all: 3000 },
  deletes: { size: 200, perSecond: 10, all: 3000 },
} as const;

export function makeRateLimits(nowMs: () => number): RateLimits {
  const levels = new Map<string, { level: number; atMs: number }>();
  return {
    headersFor(method) {
      const kind =
        method === 'GET' || method === 'HEAD' ? 'reads' : method === 'DELETE' ? 'deletes' : 'writes';
      const bucket = BUCKETS[kind];
      const before = levels.get(kind) ?? { level: bucket.size, atMs: nowMs() };
      const back = ((nowMs() - before.atMs) / 1000) * bucket.perSecond;
      const level = Math.max(0, Math.min(bucket.size, before.level + back) - 1);
      levels.set(kind, { level, atMs: nowMs() });
      return {
        [`x-ms-ratelimit-remaining-subscription-${kind}`]: String(Math.floor(level)),
        [`x-ms-ratelimit-remaining-subscription-global-${kind}`]: String(bucket.all - 1),
      };
    },
  };
}
