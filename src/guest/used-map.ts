import { StandbyError } from '../errors.ts';

/** The map's unit: one bit stands for 4 KiB of the disk. */
export const MAP_BLOCK_BYTES = 4096;

/** Azure's largest disk has 64 TiB; the map of one is 2 GiB. */
const DISK_BYTES_MAX = 64 * 1024 ** 4;

/**
 * Which 4 KiB blocks of a disk hold anything, least significant bit first. It begins with every block used, and
 * only what is proven free is taken out of it: rounding goes inwards for free ranges and outwards for used ones, so
 * a block that is free in part stays used. The last block counts as used when the disk ends within it.
 */
export class UsedMap {
  readonly sizeBytes: number;
  readonly blocks: number;
  readonly bits: Uint8Array;

  constructor(sizeBytes: number) {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > DISK_BYTES_MAX) {
      throw new StandbyError({
        code: 'DISK_TOO_LARGE',
        what: `A disk of ${sizeBytes} bytes has no map of used blocks.`,
        why: 'The largest disk that can be mapped has 64 TiB.',
        kind: 'input',
      });
    }
    this.sizeBytes = sizeBytes;
    this.blocks = Math.ceil(sizeBytes / MAP_BLOCK_BYTES);
    this.bits = new Uint8Array(Math.ceil(this.blocks / 8));
    setBits(this.bits, 0, this.blocks, true);
  }

  isUsed(block: number): boolean {
    return ((this.bits[Math.floor(block / 8)] ?? 0) & (1 << (block % 8))) !== 0;
  }

  /** Only the blocks that lie wholly in `[start, end)`. */
  free(startBytes: number, endBytes: number): void {
    const first = Math.ceil(startBytes / MAP_BLOCK_BYTES);
    const end = Math.floor(Math.min(endBytes, this.sizeBytes) / MAP_BLOCK_BYTES);
    setBits(this.bits, first, end, false);
  }

  /** Every block that `[start, end)` touches. */
  use(startBytes: number, endBytes: number): void {
    const first = Math.floor(startBytes / MAP_BLOCK_BYTES);
    const end = Math.ceil(Math.min(endBytes, this.sizeBytes) / MAP_BLOCK_BYTES);
    setBits(this.bits, first, end, true);
  }

  /** Bytes of used blocks in a range; blocks that lie only partly in it count with that part. */
  usedBytes(startBytes = 0, endBytes = this.sizeBytes): number {
    let bytes = 0;
    let block = Math.floor(startBytes / MAP_BLOCK_BYTES);
    const end = Math.ceil(endBytes / MAP_BLOCK_BYTES);
    while (block < end) {
      if (block % 8 === 0 && block * MAP_BLOCK_BYTES >= startBytes && inside(block + 8, endBytes)) {
        bytes += (ONES[this.bits[block / 8] ?? 0] ?? 0) * MAP_BLOCK_BYTES;
        block += 8;
        continue;
      }
      if (this.isUsed(block)) {
        const from = Math.max(startBytes, block * MAP_BLOCK_BYTES);
        bytes += Math.min(endBytes, (block + 1) * MAP_BLOCK_BYTES) - from;
      }
      block++;
    }
    return bytes;
  }
}

/**
 * Takes free ranges in ascending order and joins neighbours before they reach the map: four free blocks of 1 KiB
 * make one free block of the map, although none of them does by itself.
 */
export class FreeRanges {
  readonly #map: UsedMap;
  readonly #offsetBytes: number;
  #start = 0;
  #end = 0;

  /** Ranges are relative to the volume that begins at `offsetBytes` of the disk. */
  constructor(map: UsedMap, offsetBytes: number) {
    this.#map = map;
    this.#offsetBytes = offsetBytes;
  }

  add(startBytes: number, endBytes: number): void {
    if (startBytes !== this.#end) {
      this.finish();
      this.#start = startBytes;
    }
    this.#end = endBytes;
  }

  finish(): void {
    if (this.#end > this.#start) {
      this.#map.free(this.#offsetBytes + this.#start, this.#offsetBytes + this.#end);
    }
    this.#start = this.#end;
  }
}

const ONES = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll('0', '').length);

function inside(endBlock: number, endBytes: number): boolean {
  return endBlock * MAP_BLOCK_BYTES <= endBytes;
}

function setBits(bits: Uint8Array, first: number, end: number, value: boolean): void {
  let at = first;
  while (at < end) {
    if (at % 8 === 0 && at + 8 <= end) {
      const wholeEnd = end - (end % 8);
      bits.fill(value ? 0xff : 0, at / 8, wholeEnd / 8);
      at = wholeEnd;
      continue;
    }
    const index = Math.floor(at / 8);
    const byte = bits[index] ?? 0;
    const mask = 1 << (at % 8);
    bits[index] = value ? byte | mask : byte & ~mask;
    at++;
  }
}
