import { CHUNK_BYTES, PAGE_BYTES, PAGES_PER_CHUNK } from './chunks.ts';

/** Zeros are found by memcmp against a block of them: several times faster than any loop over bytes. */
const ZEROS: Buffer<ArrayBufferLike> = Buffer.alloc(CHUNK_BYTES);

export const PAGE_MAP_BYTES = PAGES_PER_CHUNK / 8;

/** `bytes` is at most one chunk long. */
export function isZero(bytes: Buffer): boolean {
  return bytes.equals(bytes.length === CHUNK_BYTES ? ZEROS : ZEROS.subarray(0, bytes.length));
}

export function isZeroRange(bytes: Buffer, start: number, end: number): boolean {
  return bytes.compare(ZEROS, 0, end - start, start, end) === 0;
}

/**
 * Moves the pages of a chunk that hold data to its front, in place, and sets their bits in `map`.
 * Returns how many bytes of data there are. Makes no object for a page: this runs for every page of every disk.
 */
export function gatherPages(chunk: Buffer, length: number, map: Uint8Array): number {
  map.fill(0);
  let packed = 0;
  let runStart = 0;
  let runEnd = 0;
  for (let start = 0, page = 0; start < length; start += PAGE_BYTES, page++) {
    const end = Math.min(start + PAGE_BYTES, length);
    // Most data pages show it in their first byte; the compare decides about the rest.
    if (chunk[start] === 0 && isZeroRange(chunk, start, end)) continue;
    map[page >>> 3] = (map[page >>> 3] ?? 0) | (1 << (page & 7));
    if (start !== runEnd) {
      packed = moveRun(chunk, packed, runStart, runEnd);
      runStart = start;
    }
    runEnd = end;
  }
  return moveRun(chunk, packed, runStart, runEnd);
}

/** The same for the pages that `map` names already, whatever they hold. */
export function gatherNamed(chunk: Buffer, length: number, map: Uint8Array): number {
  let packed = 0;
  for (let start = 0, page = 0; start < length; start += PAGE_BYTES, page++) {
    if (!hasPage(map, page)) continue;
    packed = moveRun(chunk, packed, start, Math.min(start + PAGE_BYTES, length));
  }
  return packed;
}

function moveRun(chunk: Buffer, packed: number, start: number, end: number): number {
  if (start !== packed && end > start) chunk.copyWithin(packed, start, end);
  return packed + end - start;
}

/** Calls back for each run of equal bits, in order: `[start, end)` in bytes of the chunk. */
export async function eachRun(
  map: Uint8Array,
  length: number,
  act: (isData: boolean, start: number, end: number) => Promise<void>,
): Promise<void> {
  const pages = Math.ceil(length / PAGE_BYTES);
  for (let first = 0; first < pages; ) {
    const isData = hasPage(map, first);
    let next = first + 1;
    while (next < pages && hasPage(map, next) === isData) next++;
    await act(isData, first * PAGE_BYTES, Math.min(next * PAGE_BYTES, length));
    first = next;
  }
}

/** Bytes of data the map announces, or -1 when it names pages beyond the chunk's end. */
export function mappedBytes(map: Uint8Array, length: number): number {
  const pages = Math.ceil(length / PAGE_BYTES);
  let bytes = 0;
  for (let page = 0; page < PAGES_PER_CHUNK; page++) {
    if (!hasPage(map, page)) continue;
    if (page >= pages) return -1;
    bytes += Math.min(PAGE_BYTES, length - page * PAGE_BYTES);
  }
  return bytes;
}

export function hasPage(map: Uint8Array, page: number): boolean {
  return ((map[page >>> 3] ?? 0) & (1 << (page & 7))) !== 0;
}

export function addPage(map: Uint8Array, page: number): void {
  map[page >>> 3] = (map[page >>> 3] ?? 0) | (1 << (page & 7));
}

export function zeros(length: number): Buffer {
  return ZEROS.subarray(0, length);
}
