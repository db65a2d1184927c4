import { describe, expect, it } from 'vitest';
import { tellSideBySide, tellStories } from './path-seeds.ts';

/** `SEEDS=<n>` tells any number of stories; `SEED=<n>` tells one again. */
const SEEDS = Number(process.env.SEEDS ?? 2_000);
const ONE = process.env.SEED ? Number(process.env.SEED) : undefined;

/** How often each must occur in a hundred stories: a simulation in which nothing happens proves nothing. */
const LEAST: Readonly<Record<string, number>> = {
  'appliance stopped at some await': 50,
  'appliance lost power': 30,
  'appliance: torn sectors': 10,
  'appliance: unsynced writes lost': 30,
  'appliance: reordered between syncs': 1,
  'appliance: short reads': 20,
  'appliance: no space': 1,
  'appliance: failed writes': 1,
  'appliance: turned bits': 2,
  'appliance: clock steps': 20,
  'master crashed at some await': 20,
  'master: torn writes': 5,
  'master: unsynced writes lost': 10,
  'master: reordered between syncs': 5,
  'master: turned bits': 2,
  'master: clock steps': 10,
  'link: dropped': 10,
  'link: duplicated': 10,
  'link: turned bits': 5,
  'link: delayed': 100,
  'link: very late': 10,
  'link: cut': 50,
  sets: 10,
  bookmarks: 20,
  rewinds: 20,
};

describe('The path from the guest to the replica', () => {
  it(`makes the replica what the master was, never older than acknowledged (${ONE ? `seed ${ONE}` : `${SEEDS} seeds`})`, {
    timeout: Math.max(300_000, SEEDS * 500),
  }, async () => {
    if (ONE !== undefined) return void (await tellStories({ first: ONE, end: ONE + 1, stride: 1 }));
    const totals = await tellSideBySide(1, SEEDS);
    for (const [name, least] of Object.entries(LEAST)) {
      expect([name, totals[name]]).toEqual([name, expect.any(Number)]);
      expect(totals[name], name).toBeGreaterThanOrEqual(Math.floor((least * SEEDS) / 100));
    }
  });
});
