import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { isStandbyError } from '../../errors.ts';
import { PIECE_BYTES, type TreeFile } from '../file-tree.ts';

/**
 * The names in an initial RAM disk: cpio archives one behind the other, the last of them often compressed. It is read
 * as a stream, one piece at a time; nothing but names is kept, and there is an end to how much it may unpack to.
 */
export interface InitrdNames {
  readonly names: readonly string[];
  /** Why nothing, or not all of it, is known. */
  readonly unreadable?: string;
}

const HEAD_BYTES = 110;
const NAME_BYTES_MAX = 4096;
const NAMES_MAX = 500_000;
const UNPACKED_BYTES_MAX = 2 * 1024 ** 3;

const COMPRESSIONS = [
  { name: 'gzip', magic: '1f8b' },
  { name: 'zstd', magic: '28b52ffd' },
  { name: 'xz', magic: 'fd377a58' },
  { name: 'lz4', magic: '02214c18' },
  { name: 'lz4', magic: '04224d18' },
  { name: 'lzo', magic: '894c5a4f' },
  { name: 'bzip2', magic: '425a68' },
  { name: 'lzma', magic: '5d0000' },
] as const;

export async function initrdNames(file: TreeFile): Promise<InitrdNames> {
  const plain = new CpioNames();
  let at = 0;
  for await (const piece of piecesOf(file, 0)) {
    at += plain.take(piece);
    if (plain.stopped) break;
  }
  if (!plain.stopped || at >= file.sizeBytes) return { names: plain.names };
  const magic = (await file.read(at, 6)).toString('hex');
  const compression = COMPRESSIONS.find((one) => magic.startsWith(one.magic))?.name;
  if (compression !== 'gzip' && compression !== 'zstd') {
    const why = compression ? `it is compressed with ${compression}` : 'it is not a cpio archive';
    return { names: plain.names, unreadable: why };
  }
  const packed = await unpackedNames(file, at, compression);
  return { ...packed, names: [...plain.names, ...packed.names] };
}

async function* piecesOf(file: TreeFile, from: number): AsyncGenerator<Buffer> {
  for (let at = from; at < file.sizeBytes; at += PIECE_BYTES) {
    yield await file.read(at, Math.min(PIECE_BYTES, file.sizeBytes - at));
  }
}

async function unpackedNames(file: TreeFile, at: number, compression: 'gzip' | 'zstd'): Promise<InitrdNames> {
  const unpacker = compression === 'gzip' ? createGunzip() : createZstdDecompress();
  const source = Readable.from(piecesOf(file, at));
  source.on('error', (error) => unpacker.destroy(error));
  source.pipe(unpacker);
  const names = new CpioNames();
  let bytes = 0;
  try {
    for await (const piece of unpacker) {
      bytes += (piece as Buffer).length;
      if (bytes > UNPACKED_BYTES_MAX) return { names: names.names, unreadable: 'it unpacks to too much' };
      names.take(piece as Buffer);
      if (names.stopped)
        return { names: names.names, unreadable: 'what it unpacks to is not a cpio archive' };
    }
  } catch (error) {
    if (isStandbyError(error) || !isDamage(error)) throw error;
    return { names: names.names, unreadable: `it cannot be unpacked (${compression})` };
  } finally {
    source.destroy();
    unpacker.destroy();
  }
  return { names: names.names };
}

function isDamage(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' && /^(Z_|ZSTD_|ERR_ZSTD|ERR_ZLIB)/.test(code);
}

/** Follows cpio archives of the new format through pieces of any length. */
class CpioNames {
  readonly names: string[] = [];
  /** What comes is no cpio archive any more. */
  stopped = false;
  #held = Buffer.alloc(0);
  #skip = 0;

  /** Answers how many bytes of the piece belong to archives; fewer than it has only when it stopped. */
  take(piece: Buffer): number {
    const before = this.#held.length;
    let rest = before > 0 ? Buffer.concat([this.#held, piece]) : piece;
    let used = -before;
    const drop = (bytes: number) => {
      rest = rest.subarray(bytes);
      used += bytes;
    };
    for (;;) {
      const skipped = Math.min(this.#skip, rest.length);
      this.#skip -= skipped;
      drop(skipped);
      if (this.#skip > 0) break;
      drop(zerosIn(rest));
      if (rest.length < 6) break;
      if (!/^07070[12]$/.test(rest.toString('latin1', 0, 6)) || this.names.length > NAMES_MAX) {
        this.stopped = true;
        return used;
      }
      if (rest.length < HEAD_BYTES) break;
      const nameBytes = hexAt(rest, 94);
      const dataBytes = hexAt(rest, 54);
      if (!(nameBytes > 0 && nameBytes <= NAME_BYTES_MAX) || !(dataBytes >= 0)) {
        this.stopped = true;
        return used;
      }
      if (rest.length < HEAD_BYTES + nameBytes) break;
      const name = rest.toString('utf8', HEAD_BYTES, HEAD_BYTES + nameBytes - 1);
      if (name !== 'TRAILER!!!') this.names.push(name);
      this.#skip = padded(HEAD_BYTES + nameBytes) + padded(dataBytes);
    }
    this.#held = Buffer.from(rest);
    return used + rest.length;
  }
}

function hexAt(head: Buffer, at: number): number {
  const text = head.toString('latin1', at, at + 8);
  return /^[0-9a-fA-F]{8}$/.test(text) ? Number.parseInt(text, 16) : Number.NaN;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

function zerosIn(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length && bytes[at] === 0) at += 1;
  return at;
}
