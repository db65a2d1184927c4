import { Simulation, type SimulationOptions } from '../journal/simulation.ts';

/** Runs stories; the first that fails is told with its seed: `SEED=<n> npx vitest run <file>` runs that one again. */
export async function runSeeds(
  first: number,
  count: number,
  options: SimulationOptions,
): Promise<SeedTotals> {
  const wanted = process.env.SEED;
  const seeds = wanted ? [Number(wanted)] : Array.from({ length: count }, (_, index) => first + index);
  const totals: SeedTotals = { restarts: 0, rewinds: 0, shrunk: 0 };
  for (const seed of seeds) {
    const story = new Simulation(seed, options);
    try {
      await story.run();
    } catch (error) {
      throw new Error(`SEED=${seed} fails after:\n  ${story.trail.slice(-20).join('\n  ')}`, {
        cause: error,
      });
    }
    totals.restarts += story.restarts;
    totals.rewinds += story.rewinds;
    totals.shrunk += story.notices.filter((code) => code === 'REWIND_WINDOW_SHRUNK').length;
  }
  return totals;
}

interface SeedTotals {
  restarts: number;
  rewinds: number;
  shrunk: number;
}

/** How many stories it takes until one fails; undefined when none of them does. */
export async function firstFailure(count: number, options: SimulationOptions): Promise<number | undefined> {
  for (let seed = 1; seed <= count; seed++) {
    try {
      await new Simulation(seed, options).run();
    } catch {
      return seed;
    }
  }
  return undefined;
}
