import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { ChunkSet, chunkCount, PAGES_PER_CHUNK } from './chunks.ts';
import type { FileFolder, StoredFile } from './files.ts';
import { SIGNATURE_BYTES } from './page-signer.ts';

/**
 * The file in which the page signatures of one disk are kept: a header, two bits for each chunk (its signatures are
 * known; it holds zeros only), then 1 KiB for each chunk. Promises: what `open` calls known was so when the file was
 * closed, of the very disk it was closed with; before `open` answers, the file durably says that it is in use, and until
 * `close` it says nothing else. Dies at any line: the next `open` knows nothing, and draws another key.
 * Memory: a few rows, and two bits for each MiB of disk.
 */
export interface SignatureFileOptions {
  readonly folder: FileFolder;
  readonly name: string;
  readonly sizeBytes: number;
  /** Of the disk as it is attached now. */
  readonly identity: string;
  /** That of the replica's other disks, when they have one. */
  readonly key?: string | undefined;
  readonly seams?: SignatureFileSeams | undefined;
}

/** Tests only: to prove that they would notice. */
export interface SignatureFileSeams {
  readonly ignoresIdentity?: boolean;
  readonly opensUnmarked?: boolean;
}

const HEADER_BYTES = 4096;
const MAGIC = 'SBSIGN01';
const KEY_BYTES = 16;
const KEY_AT = 32;
const IDENTITY_AT = 64;
const IDENTITY_BYTES_MAX = 1024;
const CLEAN = 1;
const ROW_BYTES = PAGES_PER_CHUNK * SIGNATURE_BYTES;
/** Rows are read and written so many at a time: a question of a lane is about as many chunks. */
const BLOCK_ROWS = 16;
const BLOCKS_MAX = 8;

interface Block {
  readonly words: Uint32Array;
  isChanged: boolean;
}

export class SignatureFile {
  readonly key: string;
  readonly known: ChunkSet;
  readonly zeros: ChunkSet;
  readonly #options: SignatureFileOptions;
  readonly #file: StoredFile;
  /** The one that was used last is the last. */
  readonly #blocks = new Map<number, Block>();

  private constructor(options: SignatureFileOptions, file: StoredFile, found: Found) {
    this.#options = options;
    this.#file = file;
    this.key = found.key;
    this.known = found.known;
    this.zeros = found.zeros;
  }

  static async open(options: SignatureFileOptions): Promise<SignatureFile> {
    const stored = await options.folder.open(options.name, 'make');
    if (!stored) throw new RangeError(`${options.name} cannot be made`);
    try {
      await options.folder.sync();
      const file = new SignatureFile(options, stored, await load(stored, options));
      if (!options.seams?.opensUnmarked) await file.#writeHeader('');
      return file;
    } catch (error) {
      await stored.close();
      throw error;
    }
  }

  /** What it may grow to. */
  static bytesFor(sizeBytes: number): number {
    return rowsAt(sizeBytes) + chunkCount(sizeBytes) * ROW_BYTES;
  }

  /** One after the other, as `set` and `close`. The answer is the caller's. */
  async row(chunk: number): Promise<Uint32Array> {
    const { words } = await this.#block(chunk);
    const at = (chunk % BLOCK_ROWS) * PAGES_PER_CHUNK;
    return words.slice(at, at + PAGES_PER_CHUNK);
  }

  async set(chunk: number, firstPage: number, signatures: Uint32Array): Promise<void> {
    const block = await this.#block(chunk);
    block.words.set(signatures, (chunk % BLOCK_ROWS) * PAGES_PER_CHUNK + firstPage);
    block.isChanged = true;
  }

  /** With an identity: what is known now is to be believed as long as the disk tells the same. */
  async close(identity: string | undefined): Promise<void> {
    try {
      if (identity !== undefined && Buffer.byteLength(identity) <= IDENTITY_BYTES_MAX) {
        for (const [number, block] of this.#blocks) await this.#write(number, block);
        await this.#file.write([this.known.bytes, this.zeros.bytes], HEADER_BYTES);
        await this.#file.sync();
        await this.#writeHeader(identity);
      }
    } finally {
      await this.#file.close();
    }
  }

  async #block(chunk: number): Promise<Block> {
    const number = Math.floor(chunk / BLOCK_ROWS);
    const block = this.#blocks.get(number) ?? (await this.#read(number));
    this.#blocks.delete(number);
    this.#blocks.set(number, block);
    return block;
  }

  async #read(number: number): Promise<Block> {
    for (const [oldest, block] of this.#blocks) {
      if (this.#blocks.size < BLOCKS_MAX) break;
      await this.#write(oldest, block);
      this.#blocks.delete(oldest);
    }
    const words = new Uint32Array(BLOCK_ROWS * PAGES_PER_CHUNK);
    await this.#file.read(bytesOf(words), this.#offsetOf(number));
    return { words, isChanged: false };
  }

  async #write(number: number, block: Block): Promise<void> {
    if (!block.isChanged) return;
    await this.#file.write([bytesOf(block.words)], this.#offsetOf(number));
    block.isChanged = false;
  }

  #offsetOf(number: number): number {
    return rowsAt(this.#options.sizeBytes) + number * BLOCK_ROWS * ROW_BYTES;
  }

  /** An empty identity: the file is in use. */
  async #writeHeader(identity: string): Promise<void> {
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(MAGIC, 0, 'latin1');
    header.writeUInt8(identity === '' ? 0 : CLEAN, 12);
    header.writeUInt32LE(crcOfSets(this.known, this.zeros), 16);
    header.writeBigUInt64LE(BigInt(this.#options.sizeBytes), 24);
    header.write(this.key, KEY_AT, 'hex');
    header.writeUInt16LE(header.write(identity, IDENTITY_AT), 14);
    header.writeUInt32LE(crc32(header.subarray(12)), 8);
    await this.#file.write([header], 0);
    await this.#file.sync();
  }
}

interface Found {
  readonly key: string;
  readonly known: ChunkSet;
  readonly zeros: ChunkSet;
}

async function load(file: StoredFile, options: SignatureFileOptions): Promise<Found> {
  const chunks = chunkCount(options.sizeBytes);
  const nothing = () => ({
    key: options.key ?? randomBytes(KEY_BYTES).toString('hex'),
    known: new ChunkSet(chunks),
    zeros: new ChunkSet(chunks),
  });
  const header = Buffer.alloc(HEADER_BYTES);
  await file.read(header, 0);
  const isWhole =
    header.toString('latin1', 0, MAGIC.length) === MAGIC &&
    header.readUInt32LE(8) === crc32(header.subarray(12));
  if (!isWhole || header.readUInt8(12) !== CLEAN) return nothing();
  const identity = header.toString('utf8', IDENTITY_AT, IDENTITY_AT + header.readUInt16LE(14));
  const key = header.toString('hex', KEY_AT, KEY_AT + KEY_BYTES);
  const isSame = identity === options.identity || options.seams?.ignoresIdentity;
  const fits = Number(header.readBigUInt64LE(24)) === options.sizeBytes;
  if (!isSame || !fits || (options.key !== undefined && options.key !== key)) return nothing();
  const sets = new Uint8Array(2 * Math.ceil(chunks / 8));
  await file.read(sets, HEADER_BYTES);
  const known = new ChunkSet(chunks, sets.subarray(0, sets.length / 2));
  const zeros = new ChunkSet(chunks, sets.subarray(sets.length / 2));
  return crcOfSets(known, zeros) === header.readUInt32LE(16) ? { key, known, zeros } : nothing();
}

function crcOfSets(known: ChunkSet, zeros: ChunkSet): number {
  return crc32(zeros.bytes, crc32(known.bytes));
}

function rowsAt(sizeBytes: number): number {
  const setsBytes = 2 * Math.ceil(chunkCount(sizeBytes) / 8);
  return HEADER_BYTES + Math.ceil(setsBytes / HEADER_BYTES) * HEADER_BYTES;
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
