import { describe, expect, it } from 'vitest';
import { runPathSeeds } from './path-seeds.ts';

const SEEDS = 40;

describe('The path from the guest to the replica', () => {
  it('makes the replica what the master was, never older than acknowledged, in every story', async () => {
    const totals = await runPathSeeds(1, SEEDS, { steps: 25 });
    if (process.env.SEED || process.env.SEEDS) return;
    // A simulation in which nothing happens proves nothing.
    expect(totals.restarts).toBeGreaterThan(SEEDS);
    expect(totals.crashes).toBeGreaterThan(SEEDS / 4);
    expect(totals.rewinds).toBeGreaterThan(SEEDS / 4);
    expect(totals.sets).toBeGreaterThan(SEEDS / 4);
    expect(totals.dials).toBeGreaterThan(5 * SEEDS);
  }, 120_000);
});
