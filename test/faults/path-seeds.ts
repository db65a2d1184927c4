import { type PathOptions, PathSimulation } from '../path/simulation.ts';

/** Runs stories of the whole path; the first that fails is told with its seed, and `SEED=<n>` runs that one again. */
export async function runPathSeeds(
  first: number,
  count: number,
  options: PathOptions,
): Promise<PathSimulation['counts']> {
  const wanted = process.env.SEED;
  const many = process.env.SEEDS ? Number(process.env.SEEDS) : count;
  const seeds = wanted ? [Number(wanted)] : Array.from({ length: many }, (_, index) => first + index);
  const totals = { restarts: 0, crashes: 0, rewinds: 0, sets: 0, dials: 0 };
  for (const seed of seeds) {
    const story = new PathSimulation(seed, options);
    try {
      await story.run();
    } catch (error) {
      throw new Error(`SEED=${seed} fails after:\n  ${story.trail.slice(-25).join('\n  ')}`, {
        cause: error,
      });
    }
    for (const [name, value] of Object.entries(story.counts)) totals[name as keyof typeof totals] += value;
  }
  return totals;
}

/** How many stories it takes until one fails; undefined when none of them does. */
export async function firstPathFailure(count: number, options: PathOptions): Promise<number | undefined> {
  for (let seed = 1; seed <= count; seed++) {
    try {
      await new PathSimulation(seed, options).run();
    } catch {
      return seed;
    }
  }
  return undefined;
}
