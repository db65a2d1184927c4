import { describe, expect, it } from 'vitest';
import { Squeezer } from '../../src/wire/squeezer.ts';
import { noiseOf } from '../fixtures/engines.ts';

const words = Buffer.alloc(512 * 1024, 'the same words again and again. ');
const noise = noiseOf(1)(512 * 1024);

async function tried(squeezer: Squeezer, data: Buffer, blocks: number): Promise<number> {
  let squeezed = 0;
  for (let block = 0; block < blocks; block++) if (await squeezer.squeeze(data)) squeezed++;
  return squeezed;
}

describe('whether compressing pays', () => {
  it('is not asked when nobody wants it', async () => {
    expect(await tried(new Squeezer({ wanted: false, carriers: 3 }), words, 5)).toBe(0);
  });

  it('ends with data that do not shrink, is tried again now and then, and comes back with data that do', async () => {
    const squeezer = new Squeezer({ wanted: true, carriers: 3, nowMs: () => 0 });
    expect(await tried(squeezer, words, 3)).toBe(3);
    expect(await tried(squeezer, noise, 4)).toBe(0);
    // Not tried for a while, although these would shrink; then they are.
    expect(await tried(squeezer, words, 16)).toBe(0);
    expect(await tried(squeezer, words, 10)).toBe(10);
  });

  it('ends on a lane that waits for nothing, and goes on where the lane is what we wait for', async () => {
    for (const [sendMs, goesOn] of [
      [1, false],
      [60, true],
    ] as const) {
      let nowMs = 0;
      const squeezer = new Squeezer({ wanted: true, carriers: 1, nowMs: () => nowMs });
      for (let block = 0; block < 32; block++) {
        nowMs += 20;
        await squeezer.timed(async () => {
          nowMs += sendMs;
        });
      }
      expect([sendMs, await tried(squeezer, words, 1)]).toEqual([sendMs, goesOn ? 1 : 0]);
      // What is short is always tried: a patch of a few pages costs nothing.
      expect(await squeezer.squeeze(words.subarray(0, 20_000))).toBeDefined();
    }
  });
});
