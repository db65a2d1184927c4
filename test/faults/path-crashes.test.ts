import { describe, expect, it } from 'vitest';
import { tellSideBySide, tellStories } from './path-seeds.ts';

/** `SEEDS=<n>` tells any number of stories; `SEED=<n>` tells one again. */
const SEEDS = Number(process.env.SEEDS ?? 2_000);
const ONE = process.env.SEED ? Number(process.env.SEED) : undefined;

/** How often each must occur in a hundred stories: a simulation in which nothing happens proves nothing. */
const LEAST: Readonly<Record<string, number>> = {
  'appliance stopped at some await': 40,
  'appliance lost power': 30,
  'appliance: torn sectors': 4,
  'appliance: unsynced writes lost': 10,
  'appliance: reordered between syncs': 4,
  'appliance: short reads': 300,
  'appliance: no space': 4,
  'appliance: failed writes': 3,
  'appliance: turned bits': 5,
  'appliance: clock steps': 50,
  'master crashed at some await': 20,
  'master: torn writes': 10,
  'master: unsynced writes lost': 15,
  'master: reordered between syncs': 10,
  'master: turned bits': 3,
  'master: clock steps': 20,
  'link: dropped': 40,
  'link: duplicated': 30,
  'link: turned bits': 15,
  'link: delayed': 1000,
  'link: very late': 40,
  'link: cut': 100,
  sets: 20,
  bookmarks: 10,
  rewinds: 10,
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
