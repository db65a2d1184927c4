import { describe, expect, it } from 'vitest';
import type { KeptSignaturesSeams } from '../../src/appliance/kept-signatures.ts';
import { KeptStory, type StoryTotals } from './kept-signatures-story.ts';

/** `SEED=<n> npx vitest run test/faults/kept-signatures` runs that one again; `SEEDS=<n>` so many. */
const STEPS = 60;
const SEEDS = Number(process.env.SEEDS ?? 40);

async function runStories(first: number, count: number): Promise<StoryTotals> {
  const wanted = process.env.SEED;
  const seeds = wanted ? [Number(wanted)] : Array.from({ length: count }, (_, index) => first + index);
  const totals: StoryTotals = { known: 0, learnt: 0, crashes: 0, believed: 0 };
  for (const seed of seeds) {
    const story = new KeptStory(seed);
    await story.run(STEPS).catch((error: unknown) => {
      throw new Error(`SEED=${seed} fails after:\n  ${story.trail.slice(-20).join('\n  ')}`, {
        cause: error,
      });
    });
    for (const name of Object.keys(totals) as (keyof StoryTotals)[]) totals[name] += story.totals[name];
  }
  return totals;
}

async function firstFailure(count: number, seams: KeptSignaturesSeams): Promise<number | undefined> {
  for (let seed = 1; seed <= count; seed++) {
    try {
      await new KeptStory(seed, seams).run(STEPS);
    } catch {
      return seed;
    }
  }
  return undefined;
}

/** Each takes away one promise; stories that do not notice are worth nothing. */
const MUTATIONS: Readonly<Record<string, KeptSignaturesSeams>> = {
  'a write forgets to mark its chunk': { forgetsToMark: true },
  'a write that ends leaves the signatures of what was there before': { forgetsToSign: true },
  'what was read while somebody wrote is believed': { ignoresWatches: true },
  'two writes at once are taken for one after the other': { ignoresOverlaps: true },
  'a crash leaves the file as it was closed before: in use is not written down first': {
    opensUnmarked: true,
  },
  'a file is believed although the disk is another, or was written meanwhile': { ignoresIdentity: true },
};

describe('kept signatures', () => {
  it('are those of what the disk holds, or nothing: through writes of all kinds, crashes and lost files', async () => {
    const totals = await runStories(1, SEEDS);
    if (process.env.SEED) return;
    expect(totals.known).toBeGreaterThan(SEEDS * STEPS * 0.3);
    expect(totals.believed).toBeGreaterThan(SEEDS);
    expect(totals.crashes).toBeGreaterThan(SEEDS);
  }, 120_000);

  it.each(Object.entries(MUTATIONS))(
    'would be found wrong if %s',
    async (_name, seams) => {
      expect(await firstFailure(200, seams)).toBeDefined();
    },
    120_000,
  );
});
