import type { LogFrame } from './log.ts';

/**
 * Lays the changes of a piece over each other: of changes that overlap the later one wins, and what is left are
 * disjoint writes in the order of the disk. Pure.
 */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface DiskWrite extends Range {
  /** Absent: zeros. */
  readonly data?: Buffer;
}

export interface DiskOverlay {
  readonly disk: number;
  /** Everything that will be overwritten, without overlaps, in order. */
  readonly covered: readonly Range[];
  readonly writes: readonly DiskWrite[];
}

export function overlay(changes: readonly LogFrame[]): DiskOverlay[] {
  const disks = new Map<number, { covered: Range[]; writes: DiskWrite[] }>();
  for (const change of changes.toReversed()) {
    let disk = disks.get(change.disk);
    if (!disk) {
      disk = { covered: [], writes: [] };
      disks.set(change.disk, disk);
    }
    const start = change.offsetBytes;
    const end = start + change.lengthBytes;
    for (const free of cover(disk.covered, start, end)) {
      const data =
        change.payload.length > 0 ? change.payload.subarray(free.start - start, free.end - start) : undefined;
      disk.writes.push(data ? { ...free, data } : free);
    }
  }
  return [...disks].map(([disk, { covered, writes }]) => ({
    disk,
    covered,
    writes: writes.sort((a, b) => a.start - b.start),
  }));
}

/** Adds a range to sorted, disjoint ones, in place; returns the parts that were free. */
function cover(covered: Range[], start: number, end: number): Range[] {
  let first = firstEndingAt(covered, start);
  const free: Range[] = [];
  let at = start;
  let next = first;
  while (next < covered.length) {
    const range = covered[next];
    if (!range || range.start > end) break;
    if (range.start > at) free.push({ start: at, end: Math.min(range.start, end) });
    at = Math.max(at, range.end);
    next++;
  }
  if (at < end) free.push({ start: at, end });
  const touched = covered.slice(first, next);
  const merged = {
    start: Math.min(start, touched[0]?.start ?? start),
    end: Math.max(end, touched.at(-1)?.end ?? end),
  };
  first = Math.min(first, covered.length);
  covered.splice(first, touched.length, merged);
  return free;
}

/** The first range that ends at or behind `start`. */
function firstEndingAt(covered: readonly Range[], start: number): number {
  let low = 0;
  let high = covered.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((covered[middle]?.end ?? 0) < start) low = middle + 1;
    else high = middle;
  }
  return low;
}
