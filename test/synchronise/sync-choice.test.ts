import { expect, it } from 'vitest';
import { chooseSync, type SyncHistory } from '../../src/synchronise/sync-choice.ts';

it('is volume-level first and block-level after, by stream alone where that is enough, and as wanted when told', () => {
  const chosen = (history: Partial<SyncHistory>) => {
    const { mode, reason } = chooseSync({ completed: 0, canGoOn: false, ...history });
    return `${mode}: ${reason}`;
  };
  expect([
    chosen({}),
    chosen({ completed: 1 }),
    chosen({ completed: 3 }),
    chosen({ completed: 2, cannotGoOnBecause: 'its journal is damaged' }),
    chosen({ completed: 1, canGoOn: true }),
    chosen({ seed: 'imported 2030-01-15 22:30:00 UTC' }),
    chosen({ completed: 1, seed: 'imported 2030-01-15 22:30:00 UTC' }),
    chosen({ wanted: 'block' }),
    chosen({ wanted: 'volume', completed: 4, canGoOn: true }),
  ]).toEqual([
    'volume: it is the first one: all used data is sent, and nothing need be compared',
    'block: 1 synchronisation was completed before, so only blocks that differ are sent',
    'block: 3 synchronisations were completed before, so only blocks that differ are sent',
    'block: 2 synchronisations were completed before, so only blocks that differ are sent (it cannot go on without a comparison: its journal is damaged)',
    'stream: it was replicating when it was stopped and its journal is intact, so only the changes since then follow',
    'block: its replica disks hold a seed (imported 2030-01-15 22:30:00 UTC), so only blocks that differ are sent',
    'block: 1 synchronisation was completed before, so only blocks that differ are sent',
    'block: it was asked for',
    'volume: it was asked for',
  ]);
});
