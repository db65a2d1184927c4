import type { Journal } from '../../src/journal/journal.ts';
import type { JournalLimits } from '../../src/journal/limits.ts';
import type { Target } from '../../src/journal/position.ts';
import { DISKS, type Entry, type Moment } from './master-model.ts';
import type { Random } from './random.ts';

/** Room for everything: the rewind window must then reach back to the beginning, always. */
export const AMPLE: Partial<JournalLimits> = {
  segmentBytes: 8192,
  changeBytes: 1024,
  groupBytes: 2048,
  queuedBytes: 6000,
  pieceBytes: 1536,
  spaceBytes: 400 * 8192,
};
/** Refusals that are right while there is no room or a write failed. */
export const NO_ROOM = new Set(['JOURNAL_FULL', 'JOURNAL_DISK_FULL', 'JOURNAL_WRITE_FAILED']);
/** Refusals that are right once a bit was flipped. */
export const DAMAGED = new Set([
  'JOURNAL_DAMAGED',
  'REWIND_DAMAGED',
  'REWIND_OUTSIDE_WINDOW',
  'REPLICA_INCONSISTENT',
  'JOURNAL_LOST',
]);

export function tightLimits(random: Random): Partial<JournalLimits> {
  const rewindMs = random.pick([0, 100, 60_000]);
  return { ...AMPLE, spaceBytes: (6 + random.below(4)) * 8192, rewindMs, rewindBytes: 6000 };
}

/** Entries as they come in calls: some changes together, everything else alone. */
export function partsOf(batch: readonly Entry[], random: Random): Entry[][] {
  const parts: Entry[][] = [];
  for (let at = 0; at < batch.length; at += parts.at(-1)?.length ?? 1) {
    const run = batch.slice(at, at + 1 + random.below(4));
    const first = run.findIndex(({ kind }) => kind !== 'change');
    parts.push(first < 0 ? run : run.slice(0, Math.max(first, 1)));
  }
  return parts;
}

/** Disks that are not as they should be. */
export function differing(
  expected: readonly Buffer[] | undefined,
  found: (diskId: string) => Buffer,
): string[] {
  const ids = DISKS.map(({ diskId }) => diskId);
  return ids.filter((diskId, index) => !expected?.[index]?.equals(found(diskId)));
}

/** Ways to ask for a moment, or for one near it, each with the position that must be reached. */
export function targetsOf(
  journal: Journal,
  moment: Moment,
  moments: readonly Moment[],
): (readonly [Target, bigint])[] {
  const { sequence: applied } = journal.appliedPosition;
  const named = journal
    .bookmarks()
    .filter(({ position }) => position.sequence <= applied)
    .map(({ name, position }) => [{ bookmark: name }, position.sequence] as const);
  const { timeMs } = moment;
  const before = moments.findLast((one) => one.timeMs <= timeMs);
  const byTime = before && before.sequence <= applied ? [[{ timeMs }, before.sequence] as const] : [];
  return [[{ sequence: moment.sequence }, moment.sequence], ...named.slice(-1), ...byTime];
}

export function asText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
