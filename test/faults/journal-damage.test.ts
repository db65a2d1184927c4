import { describe, expect, it } from 'vitest';
import { runSeeds } from './journal-seeds.ts';

const SEEDS = 400;

describe('A journal on a disk that turns a bit', () => {
  it('applies nothing of it, cuts nothing without a word, and leaves the replica consistent', async () => {
    const { restarts } = await runSeeds(100_001, SEEDS, { steps: 12, flips: true });
    if (process.env.SEED) return;
    expect(restarts).toBeGreaterThan(SEEDS);
  }, 300_000);
});
