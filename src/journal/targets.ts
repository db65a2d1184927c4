import { placeBehind } from './applier.ts';
import { isChange } from './change.ts';
import { isAfter, type Place, type Target } from './position.ts';
import { outsideWindow } from './problems.ts';
import type { RedoLog } from './redo-log.ts';
import type { UndoLog } from './undo-log.ts';

/**
 * Finds the consistent position that somebody means, and the place from which it is reached: the replica's own, when it
 * lies ahead; the start of a piece at or before it, when it lies behind. Reads only; refuses what is not exact.
 */
export type FoundTarget = Place & { readonly boundary: Place };

export async function findTarget(
  redo: RedoLog,
  undo: UndoLog,
  target: Exclude<Target, { readonly bookmark: string }>,
): Promise<FoundTarget> {
  const isWithin = (place: Place) => {
    if ('sequence' in target) return place.sequence <= target.sequence;
    return 'notAfter' in target ? place.sequence <= target.notAfter : place.timeMs <= target.timeMs;
  };
  const starts = [...undo.stack.map(({ from }) => from), undo.position].filter(
    ({ consistent }) => consistent,
  );
  const boundary = starts.findLast(isWithin);
  const words = 'timeMs' in target ? `time ${target.timeMs}` : `position ${numberOf(target)}`;
  if (!boundary) {
    const first = starts[0] ?? undo.position;
    throw outsideWindow(
      `The replica cannot be brought to ${words}: what came before it is not kept that long.`,
      `The earliest possible is position ${first.sequence}, time ${first.timeMs} by the master’s clock.`,
    );
  }
  const found = await lastMark(redo, boundary, isWithin);
  if ('sequence' in target && found.sequence !== target.sequence) {
    throw outsideWindow(
      `Position ${target.sequence} is not a consistent one.`,
      `The last consistent one before it is ${found.sequence}.`,
    );
  }
  return { ...found, boundary };
}

function numberOf(target: { readonly sequence: bigint } | { readonly notAfter: bigint }): bigint {
  return 'sequence' in target ? target.sequence : target.notAfter;
}

/** How much lies between a place and the end. */
export interface Amount {
  readonly changes: number;
  /** Of the disks, as long as they are on them. */
  readonly bytes: number;
}

/** Counted by reading: sequences skip, so they cannot be subtracted. */
export async function amountBehind(redo: RedoLog, from: Place): Promise<Amount> {
  let changes = 0;
  let bytes = 0;
  for await (const frame of redo.log.read(from, () => false)) {
    if (!isChange(frame)) continue;
    changes += 1;
    bytes += frame.lengthBytes;
  }
  return { changes, bytes };
}

async function lastMark(redo: RedoLog, from: Place, isWithin: (place: Place) => boolean): Promise<Place> {
  let found = from;
  let at = from;
  const last = redo.lastMark;
  if (!last || !isAfter(last, from)) return found;
  for await (const frame of redo.log.read(from, () => false)) {
    at = placeBehind(frame, at);
    if (!isWithin(at)) break;
    if (at.consistent) found = at;
    if (!isAfter(last, at)) break;
  }
  return found;
}
