/** The two ways to synchronise that a person chooses between (X1, G-65). */
export const SYNC_MODES = ['volume', 'block'] as const;
export type SyncMode = (typeof SYNC_MODES)[number];

/** How a run makes the replica equal to the master, and why so: people are told both. */
export interface SyncChoice {
  /** `stream`: nothing is copied; the changes since the stop follow. */
  readonly mode: SyncMode | 'stream';
  readonly reason: string;
}

export interface SyncHistory {
  /** What a person asked for. */
  readonly wanted?: SyncMode;
  /** Synchronisations of this scenario that came to their end (G-67). */
  readonly completed: number;
  /** The stopped live replica can go on with its stream. */
  readonly canGoOn: boolean;
  /** Why a stopped live replica cannot, when it is worth a word. */
  readonly cannotGoOnBecause?: string;
  /** The replica disks hold a seed, in words (M-11). */
  readonly seed?: string;
}

/** Pure: history decides, unless a person does. */
export function chooseSync(history: SyncHistory): SyncChoice {
  const { wanted, completed } = history;
  if (wanted !== undefined) return { mode: wanted, reason: 'it was asked for' };
  if (history.canGoOn) {
    return {
      mode: 'stream',
      reason:
        'it was replicating when it was stopped and its journal is intact, so only the changes since then follow',
    };
  }
  if (completed === 0 && history.seed !== undefined) {
    const reason = `its replica disks hold a seed (${history.seed}), so only blocks that differ are sent`;
    return { mode: 'block', reason };
  }
  if (completed === 0) {
    return {
      mode: 'volume',
      reason: 'it is the first one: all used data is sent, and nothing need be compared',
    };
  }
  const before = `${completed} synchronisation${completed === 1 ? ' was' : 's were'} completed before, so only blocks that differ are sent`;
  const why = history.cannotGoOnBecause;
  return { mode: 'block', reason: why ? `${before} (it cannot go on without a comparison: ${why})` : before };
}

export const SYNC_WORDS: Readonly<Record<SyncChoice['mode'], string>> = {
  volume: 'volume-level',
  block: 'block-level',
  stream: 'by its stream alone, without a copy',
};

/** One sentence for people and logs. */
export function syncSentence({ mode, reason }: SyncChoice): string {
  return `Synchronisation ${SYNC_WORDS[mode]}: ${reason}.`;
}
