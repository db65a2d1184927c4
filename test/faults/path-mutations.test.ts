import { describe, expect, it } from 'vitest';
import type { PathOptions } from '../path/options.ts';
import { firstPathFailure } from './path-seeds.ts';

/**
 * Each takes away one promise somewhere on the way, in the same stories that are all well without it; a simulation that
 * does not notice is worth nothing. Most are noticed in every third story.
 */
const isRedo = (path: string) => path.includes('/redo-');
const isUndo = (path: string) => path.includes('/undo-');
const isDisk = (path: string) => path.startsWith('disk');

const MUTATIONS: Readonly<Record<string, Omit<PathOptions, 'steps'>>> = {
  'the journal is not synced': { appliance: { machine: { skipsSync: isRedo } } },
  'the undo log is not synced': { appliance: { machine: { skipsSync: isUndo } } },
  'the replica disks are not synced': { appliance: { machine: { skipsSync: isDisk } } },
  'the spool is not synced': { master: { skipsSpoolSync: true } },
  'changes are acknowledged before they are durable': { appliance: { machine: { answersEarly: isRedo } } },
  'old contents count as kept before they are': { appliance: { machine: { answersEarly: isUndo } } },
  'the master forgets what was only sent': { master: { forgetsEarly: true } },
  'changes are applied out of order': { appliance: { seams: { changes: (all) => all.toReversed() } } },
  'an old content is forgotten': { appliance: { seams: { oldContents: (old) => old.slice(1) } } },
  'the checksum of what arrives is ignored': { trustsWire: true },
  'a sequence is used again after a restart': { master: { reusesSequences: true } },
};

const SEEDS = 200;

describe('The simulation of the path notices when', () => {
  it.each(Object.entries(MUTATIONS))(
    '%s',
    async (_name, mutation) => {
      expect(await firstPathFailure(SEEDS, mutation)).toBeDefined();
    },
    60_000,
  );
});
