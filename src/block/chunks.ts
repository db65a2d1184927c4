/** The copy's unit: a disk is a row of 1 MiB chunks, the last one may be short; a chunk is a row of 4 KiB pages. */
export const CHUNK_BYTES = 1024 * 1024;
export const PAGE_BYTES = 4096;
export const PAGES_PER_CHUNK = CHUNK_BYTES / PAGE_BYTES;

export function chunkCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / CHUNK_BYTES);
}

export function chunkLength(sizeBytes: number, index: number): number {
  return Math.min(CHUNK_BYTES, sizeBytes - index * CHUNK_BYTES);
}

/** One bit for each chunk of a disk. */
export class ChunkSet {
  readonly length: number;
  readonly bytes: Uint8Array;
  #count = 0;

  constructor(length: number, bytes?: Uint8Array) {
    this.length = length;
    this.bytes = new Uint8Array(Math.ceil(length / 8));
    if (bytes) this.addBytes(bytes, 0);
  }

  get count(): number {
    return this.#count;
  }

  has(index: number): boolean {
    return ((this.bytes[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }

  add(index: number): void {
    if (index < 0 || index >= this.length) throw new RangeError(`chunk ${index} of ${this.length}`);
    if (this.has(index)) return;
    this.bytes[index >>> 3] = (this.bytes[index >>> 3] ?? 0) | (1 << (index & 7));
    this.#count++;
  }

  remove(index: number): void {
    if (!this.has(index)) return;
    this.bytes[index >>> 3] = (this.bytes[index >>> 3] ?? 0) & ~(1 << (index & 7));
    this.#count--;
  }

  /** Adds the bits of a slice that starts at byte `byteOffset`; bits beyond the end are ignored. */
  addBytes(slice: Uint8Array, byteOffset: number): void {
    const last = Math.min(this.length, (byteOffset + slice.length) * 8);
    for (let index = byteOffset * 8; index < last; index++) {
      if (((slice[(index >>> 3) - byteOffset] ?? 0) & (1 << (index & 7))) !== 0) this.add(index);
    }
  }

  copy(): ChunkSet {
    return new ChunkSet(this.length, this.bytes);
  }
}
