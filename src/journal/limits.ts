import { CHUNK_BYTES } from '../block/chunks.ts';
import { inputError } from '../errors.ts';
import { SEGMENT_HEADER_BYTES } from './frame.ts';

/** What a journal may take. Bytes of memory are bounded by queue, group and piece; bytes of disk by `spaceBytes`. */
export interface JournalLimits {
  /** Segment files of both logs together. */
  readonly spaceBytes: number;
  readonly segmentBytes: number;
  /** The longest change, of any kind: the caller cuts longer ones. */
  readonly changeBytes: number;
  /** The longest group commit. */
  readonly groupBytes: number;
  /** Changes that wait for their commit; above it `append` waits before it accepts. */
  readonly queuedBytes: number;
  /** Changes that are applied together, with one sync of the disks. */
  readonly pieceBytes: number;
  readonly rewindMs: number;
  readonly rewindBytes: number;
}

/** How far back the replica can be brought: whichever is reached first. 0 ms: nothing is kept. */
export type RewindLimits = Pick<JournalLimits, 'rewindMs' | 'rewindBytes'>;

const MIB = 1024 * 1024;

export const DEFAULT_LIMITS: JournalLimits = {
  spaceBytes: 16 * 1024 * MIB,
  segmentBytes: 64 * MIB,
  changeBytes: MIB,
  groupBytes: 4 * MIB,
  queuedBytes: 16 * MIB,
  pieceBytes: 8 * MIB,
  rewindMs: 24 * 3_600_000,
  rewindBytes: 8 * 1024 * MIB,
};

/** The redo log leaves so many segments to the undo log, so that applying can always go on and free the redo log. */
export const UNDO_SEGMENTS_MIN = 3;

/** Headers of the changes of a piece count as well, so a piece of the smallest changes is bounded too. */
export function undoGroupBytes(limits: JournalLimits): number {
  return 2 * (limits.pieceBytes + limits.changeBytes);
}

export function redoGroupBytes(limits: JournalLimits): number {
  return limits.groupBytes + 2 * limits.changeBytes + SEGMENT_HEADER_BYTES;
}

/** Making a segment writes it twice; a journal that is used to so many changes keeps what it needs for them. */
export function sparesMax({ spaceBytes, segmentBytes }: JournalLimits): number {
  return Math.max(1, Math.floor(spaceBytes / segmentBytes / 16));
}

export function checkLimits(limits: JournalLimits): void {
  if (limits.changeBytes > CHUNK_BYTES) {
    throw inputError(
      'JOURNAL_LIMITS',
      `A change may have ${CHUNK_BYTES} bytes at most, not ${limits.changeBytes}.`,
    );
  }
  const longest = Math.max(undoGroupBytes(limits), redoGroupBytes(limits)) + SEGMENT_HEADER_BYTES;
  if (limits.segmentBytes < longest) {
    throw inputError(
      'JOURNAL_LIMITS',
      `A journal segment of ${limits.segmentBytes} bytes cannot hold one group of ${longest}.`,
      'Choose larger segments, or smaller groups, pieces and changes.',
    );
  }
  if (limits.spaceBytes < (UNDO_SEGMENTS_MIN + 3) * limits.segmentBytes) {
    throw inputError(
      'JOURNAL_LIMITS',
      `The journal needs space for ${UNDO_SEGMENTS_MIN + 3} segments of ${limits.segmentBytes} bytes at least.`,
      'Allow the journal more space, or choose smaller segments.',
    );
  }
}
