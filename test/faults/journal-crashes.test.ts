import { describe, expect, it } from 'vitest';
import { runSeeds } from './journal-seeds.ts';

const SEEDS = 600;

describe('A journal on a machine that stops anywhere', () => {
  it('keeps what it acknowledged, and the replica at a consistent position, in every story', async () => {
    const { restarts, rewinds, shrunk } = await runSeeds(1, SEEDS, { steps: 16 });
    if (process.env.SEED) return;
    // A simulation in which nothing happens proves nothing.
    expect(restarts).toBeGreaterThan(SEEDS);
    expect(rewinds).toBeGreaterThan(SEEDS);
    expect(shrunk).toBeGreaterThan(SEEDS / 20);
  }, 300_000);
});
