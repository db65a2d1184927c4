import { describe, expect, it } from 'vitest';
import type { SimulationOptions } from '../journal/simulation.ts';
import { firstFailure } from './journal-seeds.ts';

/** Each takes away one promise; a simulation that does not notice is worth nothing. */
const isRedo = (path: string) => path.includes('/redo-');
const isUndo = (path: string) => path.includes('/undo-');
const isDisk = (path: string) => path.startsWith('disk');

const MUTATIONS: Readonly<Record<string, Omit<SimulationOptions, 'steps'>>> = {
  'the redo log is not synced': { sabotage: { skipsSync: isRedo } },
  'the undo log is not synced': { sabotage: { skipsSync: isUndo } },
  'the replica disks are not synced': { sabotage: { skipsSync: isDisk } },
  'the folder is not synced': { sabotage: { skipsSync: (path) => path === '/journal' } },
  'changes are acknowledged before they are durable': { sabotage: { answersEarly: isRedo } },
  'old contents count as kept before they are durable': { sabotage: { answersEarly: isUndo } },
  'changes are applied out of order': { seams: { changes: (changes) => changes.toReversed() } },
  'an old content is forgotten': { seams: { oldContents: (old) => old.slice(1) } },
  'checksums are ignored': { seams: { checksum: () => 0 }, flips: true },
  'a sequence is used twice': { seams: { acceptsAnySequence: true } },
};

describe('The simulation notices when', () => {
  it.each(Object.entries(MUTATIONS))(
    '%s',
    async (_name, mutation) => {
      expect(await firstFailure(300, { steps: 22, ...mutation })).toBeDefined();
    },
    60_000,
  );

  it('nothing is wrong, and is content', async () => {
    expect(await firstFailure(20, { steps: 22 })).toBeUndefined();
  });
});
