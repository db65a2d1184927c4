import { Worker } from 'node:worker_threads';
import type { PathOptions } from '../path/options.ts';
import { PathSimulation } from '../path/simulation.ts';

/** What happened in many stories together, by kind. */
export type PathTotals = Readonly<Record<string, number>>;

/** A few long stories among many short ones: what needs time to happen does, and there is time for many. */
export function stepsOf(seed: number): number {
  return seed % 16 === 0 ? 25 : 2 + (seed % 4);
}

/** Stories of the seeds `first`, `first + stride`, ... below `end`; the first that fails is told with its seed. */
export async function tellStories(
  range: { readonly first: number; readonly end: number; readonly stride: number },
  options: Omit<PathOptions, 'steps'> = {},
): Promise<PathTotals> {
  const totals: Record<string, number> = {};
  for (let seed = range.first; seed < range.end; seed += range.stride) {
    const story = new PathSimulation(seed, { ...options, steps: stepsOf(seed) });
    try {
      await story.run();
    } catch (error) {
      throw new Error(`SEED=${seed} fails after:\n  ${story.trail.slice(-25).join('\n  ')}`, {
        cause: error,
      });
    }
    for (const [name, count] of Object.entries(story.counts())) totals[name] = (totals[name] ?? 0) + count;
  }
  return totals;
}

/** The same, two threads side by side. */
export async function tellSideBySide(first: number, count: number, threads = 2): Promise<PathTotals> {
  const end = first + count;
  const parts = await Promise.all(
    Array.from({ length: threads }, (_, index) => inThread({ first: first + index, end, stride: threads })),
  );
  const totals: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, found] of Object.entries(part)) totals[name] = (totals[name] ?? 0) + found;
  }
  return totals;
}

function inThread(range: { readonly first: number; readonly end: number; readonly stride: number }) {
  return new Promise<PathTotals>((resolve, reject) => {
    const worker = new Worker(new URL('path-worker.ts', import.meta.url), {
      workerData: range,
      // Its garbage is young: a story leaves nothing behind.
      resourceLimits: { maxYoungGenerationSizeMb: 64 },
    });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`a thread ended with ${code}`)));
  });
}

/** How many of the same stories it takes until one fails; undefined when none of them does. */
export async function firstPathFailure(
  count: number,
  options: Omit<PathOptions, 'steps'>,
): Promise<number | undefined> {
  for (let seed = 1; seed <= count; seed++) {
    try {
      await new PathSimulation(seed, { ...options, steps: stepsOf(seed) }).run();
    } catch {
      return seed;
    }
  }
  return undefined;
}
