import type { ExtSuperblock } from './ext-superblock.ts';
import { doubt, type VolumeBytes } from './volume.ts';

/**
 * One inode of an ext volume and where its bytes lie. Read-only. Holes and blocks that were never written read as
 * zeros. Layout: Linux kernel documentation, "ext4 Data Structures".
 */
export interface ExtInode {
  readonly number: number;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly sizeBytes: number;
  readonly flags: number;
  /** The 60 bytes that hold block numbers, a tree of extents, or the data itself. */
  readonly block: Buffer;
}

interface Extent {
  readonly logical: number;
  readonly count: number;
  /** Undefined: allocated and never written. */
  readonly first: number | undefined;
}

const FLAG = { compressed: 0x4, encrypted: 0x800, extents: 0x80000, inline: 0x10000000 } as const;
const EXTENT_MAGIC = 0xf30a;
const EXTENTS_MAX = 500_000;
const INLINE_BYTES = 60;
const KINDS: Record<number, ExtInode['kind']> = { 4: 'folder', 8: 'file', 10: 'link' };

export function inodeOf(raw: Buffer, number: number): ExtInode {
  const kind = KINDS[raw.readUInt16LE(0) >>> 12] ?? 'other';
  if (raw.readUInt16LE(0x1a) === 0) throw doubt(`Its inode ${number} is not in use.`);
  const sizeBytes = raw.readUInt32LE(4) + (kind === 'file' ? raw.readUInt32LE(0x6c) * 2 ** 32 : 0);
  if (sizeBytes > 2 ** 48) throw doubt(`Its inode ${number} has an impossible length.`);
  return {
    number,
    kind,
    sizeBytes,
    flags: raw.readUInt32LE(0x20),
    block: Buffer.from(raw.subarray(0x28, 0x64)),
  };
}

export class ExtStream {
  readonly #volume: VolumeBytes;
  readonly #superblock: ExtSuperblock;
  readonly #inode: ExtInode;
  #extents: Promise<readonly Extent[]> | undefined;

  constructor(volume: VolumeBytes, superblock: ExtSuperblock, inode: ExtInode) {
    this.#volume = volume;
    this.#superblock = superblock;
    this.#inode = inode;
  }

  async read(atBytes: number, lengthBytes: number): Promise<Buffer> {
    const { sizeBytes, flags, block, kind } = this.#inode;
    const end = Math.min(sizeBytes, atBytes + lengthBytes);
    if (flags & FLAG.encrypted) throw doubt('It is encrypted by the file system.');
    if (flags & FLAG.compressed) throw doubt('It is compressed by the file system.');
    const isShortLink = kind === 'link' && sizeBytes < INLINE_BYTES && (flags & FLAG.extents) === 0;
    if (isShortLink || flags & FLAG.inline) {
      if (sizeBytes > INLINE_BYTES) throw doubt('Its data lies in its inode and in attributes of it.');
      return block.subarray(atBytes, end);
    }
    const bytes = Buffer.alloc(Math.max(0, end - atBytes));
    await this.#fill(bytes, atBytes, end);
    return bytes;
  }

  async #fill(bytes: Buffer, atBytes: number, end: number): Promise<void> {
    const { blockBytes, blocks } = this.#superblock;
    this.#extents ??= this.#inode.flags & FLAG.extents ? this.#tree() : this.#blockMap();
    for (const { logical, count, first } of await this.#extents) {
      const [start, next] = [logical * blockBytes, (logical + count) * blockBytes];
      const [from, to] = [Math.max(start, atBytes), Math.min(next, end)];
      if (from >= to || first === undefined) continue;
      if (first + count > blocks) throw doubt('A file of it lies outside of it.');
      const at = first * blockBytes + (from - start);
      (await this.#volume.read(at, to - from)).copy(bytes, from - atBytes);
    }
  }

  async #tree(): Promise<Extent[]> {
    const extents: Extent[] = [];
    const { blockBytes, blocks } = this.#superblock;
    const walk = async (node: Buffer, depthMax: number): Promise<void> => {
      const [magic, entries, depth] = [node.readUInt16LE(0), node.readUInt16LE(2), node.readUInt16LE(6)];
      if (magic !== EXTENT_MAGIC || depth > depthMax || 12 + entries * 12 > node.length) {
        throw doubt('A tree of extents cannot be read.');
      }
      for (let at = 12; at < 12 + entries * 12; at += 12) {
        if (depth === 0) {
          extents.push(extentOf(node, at));
          if (extents.length > EXTENTS_MAX) throw doubt('A file of it is in too many pieces.');
          continue;
        }
        const child = node.readUInt32LE(at + 4) + node.readUInt16LE(at + 8) * 2 ** 32;
        if (child >= blocks) throw doubt('A tree of extents leads outside.');
        await walk(await this.#volume.read(child * blockBytes, blockBytes), depth - 1);
      }
    };
    await walk(this.#inode.block, 5);
    return extents;
  }

  /** Twelve blocks, then a block of block numbers, then a block of those, and one more level. */
  async #blockMap(): Promise<Extent[]> {
    const { blockBytes } = this.#superblock;
    const extents: Extent[] = [];
    const needed = Math.ceil(this.#inode.sizeBytes / blockBytes);
    let logical = 0;
    const add = (block: number) => {
      const last = extents.at(-1);
      if (block !== 0) {
        const follows =
          last?.first !== undefined &&
          last.logical + last.count === logical &&
          last.first + last.count === block;
        if (last && follows) extents[extents.length - 1] = { ...last, count: last.count + 1 };
        else extents.push({ logical, count: 1, first: block });
        if (extents.length > EXTENTS_MAX) throw doubt('A file of it is in too many pieces.');
      }
      logical += 1;
    };
    const walk = async (block: number, level: number): Promise<void> => {
      if (logical >= needed) return;
      if (level === 0) {
        add(block);
      } else if (block === 0) {
        logical += (blockBytes / 4) ** level;
      } else {
        if (block >= this.#superblock.blocks) throw doubt('A file of it lies outside of it.');
        const numbers = await this.#volume.read(block * blockBytes, blockBytes);
        for (let at = 0; at < blockBytes && logical < needed; at += 4) {
          await walk(numbers.readUInt32LE(at), level - 1);
        }
      }
    };
    for (let word = 0; word < 15; word++) {
      await walk(this.#inode.block.readUInt32LE(word * 4), Math.max(0, word - 11));
    }
    return extents;
  }
}

function extentOf(node: Buffer, at: number): Extent {
  const length = node.readUInt16LE(at + 4);
  const isUnwritten = length > 0x8000;
  const first = node.readUInt32LE(at + 8) + node.readUInt16LE(at + 6) * 2 ** 32;
  return {
    logical: node.readUInt32LE(at),
    count: isUnwritten ? length - 0x8000 : length,
    first: isUnwritten ? undefined : first,
  };
}
