import type { FileFolder, StoredFile } from '../block/files.ts';

/**
 * What the appliance has of one disk, as a digest of each 64 KiB. Promises: a digest stands here only after `commit`,
 * and that is called when the appliance has the block; so a crash at any line costs a block sent twice, never one
 * missed. New digests wait in a file of their own, so memory does not grow with the disk.
 */
export const DIGEST_BYTES = 16;
const ENTRY_BYTES = 4 + DIGEST_BYTES;
/** Digests read ahead, and entries written at once. */
const WINDOW = 4096;

export class BlockDigests {
  readonly #folder: FileFolder;
  readonly #name: string;
  #file: StoredFile;
  readonly #waiting: StoredFile;
  readonly #window = Buffer.alloc(WINDOW * DIGEST_BYTES);
  #windowAt = -1;
  #buffer = Buffer.alloc(WINDOW * ENTRY_BYTES);
  #buffered = 0;
  #entries = 0;

  private constructor(folder: FileFolder, name: string, file: StoredFile, waiting: StoredFile) {
    this.#folder = folder;
    this.#name = name;
    this.#file = file;
    this.#waiting = waiting;
  }

  static async open(folder: FileFolder, diskId: string): Promise<BlockDigests> {
    const name = `${diskId}.digests`;
    const file = await folder.open(name, 'make');
    const waiting = await folder.open(`${diskId}.digests-waiting`, 'make');
    if (!file || !waiting) throw new RangeError(`the digests of ${diskId} cannot be made`);
    await folder.sync();
    return new BlockDigests(folder, name, file, waiting);
  }

  /** Whether the appliance has this block. A digest that was never written is zero, and equals none. */
  async has(block: number, digest: Uint8Array): Promise<boolean> {
    const windowAt = Math.floor(block / WINDOW);
    if (windowAt !== this.#windowAt) {
      const count = await this.#file.read(this.#window, windowAt * WINDOW * DIGEST_BYTES);
      this.#window.fill(0, count);
      this.#windowAt = windowAt;
    }
    const at = (block % WINDOW) * DIGEST_BYTES;
    return this.#window.compare(digest, 0, DIGEST_BYTES, at, at + DIGEST_BYTES) === 0;
  }

  /** Will be the block's digest once this round is committed. */
  async propose(block: number, digest: Uint8Array): Promise<void> {
    const at = this.#buffered * ENTRY_BYTES;
    this.#buffer.writeUInt32LE(block, at);
    this.#buffer.set(digest, at + 4);
    if (++this.#buffered === WINDOW) await this.#spill();
  }

  async #spill(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#buffered * ENTRY_BYTES);
    await this.#waiting.write([bytes], this.#entries * ENTRY_BYTES);
    this.#entries += this.#buffered;
    this.#buffered = 0;
  }

  async commit(): Promise<void> {
    await this.#spill();
    const bytes = Buffer.alloc(WINDOW * ENTRY_BYTES);
    for (let first = 0; first < this.#entries; first += WINDOW) {
      const count = Math.min(WINDOW, this.#entries - first);
      await this.#waiting.read(bytes.subarray(0, count * ENTRY_BYTES), first * ENTRY_BYTES);
      await this.#apply(bytes, count);
    }
    await this.#file.sync();
    this.discard();
  }

  /** Entries come in the order of the disk, so neighbours are written together. */
  async #apply(bytes: Buffer, count: number): Promise<void> {
    for (let first = 0; first < count; ) {
      const block = bytes.readUInt32LE(first * ENTRY_BYTES);
      const pieces: Buffer[] = [];
      let next = first;
      while (next < count && bytes.readUInt32LE(next * ENTRY_BYTES) === block + next - first) {
        pieces.push(bytes.subarray(next * ENTRY_BYTES + 4, (next + 1) * ENTRY_BYTES));
        next++;
      }
      await this.#file.write(pieces, block * DIGEST_BYTES);
      first = next;
    }
  }

  /** The appliance has nothing, durably. */
  async forget(): Promise<void> {
    await this.#file.close();
    await this.#folder.remove(this.#name);
    const file = await this.#folder.open(this.#name, 'make');
    if (!file) throw new RangeError(`${this.#name} cannot be made`);
    this.#file = file;
    await this.#folder.sync();
    this.discard();
  }

  discard(): void {
    this.#entries = 0;
    this.#buffered = 0;
    this.#windowAt = -1;
  }

  async close(): Promise<void> {
    await this.#file.close();
    await this.#waiting.close();
  }
}
