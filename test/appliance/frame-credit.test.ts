import { describe, expect, it } from 'vitest';
import { FrameCredit } from '../../src/appliance/frame-credit.ts';
import { LIMITS } from '../../src/wire/limits.ts';

const forEver = new Promise<void>(() => undefined);

describe('the credit of lanes', () => {
  it('is whole for the first, at least one for each, and bounded for all together', () => {
    const credit = new FrameCredit();
    const given = Array.from({ length: 32 }, () => credit.take(forEver));
    expect(given[0]).toBe(LIMITS.creditFrames);
    expect(Math.min(...given)).toBe(1);
    expect(given).toEqual(given.toSorted((a, b) => b - a));
    // Sixteen masters with two lanes each: 32 blocks, and one for each lane that came after those were given.
    expect(given.reduce((sum, frames) => sum + frames, 0)).toBeLessThanOrEqual(32 + 32);
  });

  it('is there again when a lane has ended', async () => {
    const credit = new FrameCredit();
    const ended = Promise.withResolvers<string>();
    for (let lane = 0; lane < 100; lane++) credit.take(ended.promise);
    expect(credit.take(forEver)).toBe(1);
    ended.resolve('cut');
    await ended.promise;
    expect(credit.take(forEver)).toBe(LIMITS.creditFrames);
  });
});
