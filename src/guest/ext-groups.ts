import { crc16, crc32c } from './checksums.ts';
import type { ExtSuperblock } from './ext-superblock.ts';
import { doubt, type VolumeBytes } from './volume.ts';

/** A range of blocks of the volume. */
export interface Blocks {
  readonly first: number;
  readonly count: number;
}

export interface ExtGroup {
  readonly index: number;
  readonly bitmapBlock: number;
  readonly inodeBitmapBlock: number;
  readonly inodeTable: Blocks;
  readonly freeClusters: number;
  /** Its bitmap was never written: nothing but the file system's own metadata lies in the group. */
  readonly isUninitialised: boolean;
  /** Of the bitmap; undefined where the file system keeps none. */
  readonly bitmapChecksum?: { readonly value: number; readonly mask: number };
}

const FLAG_BLOCK_UNINIT = 0x2;
const CHECKSUM_AT = 0x1e;

/** All groups in order, each with its checksum proven where there is one. One block of descriptors is held at a time. */
export async function* extGroups(volume: VolumeBytes, superblock: ExtSuperblock): AsyncGenerator<ExtGroup> {
  const { descriptorBytes, blockBytes, groups } = superblock;
  const perBlock = blockBytes / descriptorBytes;
  for (let first = 0; first < groups; first += perBlock) {
    const at = descriptorBlock(superblock, first / perBlock);
    const table = await volume.read(at * blockBytes, blockBytes);
    for (let index = first; index < Math.min(groups, first + perBlock); index++) {
      const from = (index - first) * descriptorBytes;
      yield groupOf(superblock, index, table.subarray(from, from + descriptorBytes));
    }
  }
}

/** One group by its number. */
export async function extGroup(
  volume: VolumeBytes,
  superblock: ExtSuperblock,
  index: number,
): Promise<ExtGroup> {
  const { descriptorBytes, blockBytes } = superblock;
  const perBlock = blockBytes / descriptorBytes;
  const at = descriptorBlock(superblock, Math.floor(index / perBlock)) * blockBytes;
  const raw = await volume.read(at + (index % perBlock) * descriptorBytes, descriptorBytes);
  return groupOf(superblock, index, raw);
}

/** Where the descriptors' block number `index` lies: in one row behind the superblock, or with meta_bg in its own group. */
function descriptorBlock(superblock: ExtSuperblock, index: number): number {
  const { firstMetaGroup, descriptorBytes, blockBytes } = superblock;
  if (firstMetaGroup === undefined || index < firstMetaGroup) return superblockBlock(superblock) + 1 + index;
  const group = index * (blockBytes / descriptorBytes);
  return groupStart(superblock, group) + (hasBackup(superblock, group) ? 1 : 0);
}

function groupOf(superblock: ExtSuperblock, index: number, raw: Buffer): ExtGroup {
  assertChecksum(superblock, index, raw);
  const wide = superblock.descriptorBytes >= 64;
  const long = (low: number, high: number) =>
    raw.readUInt32LE(low) + (wide ? raw.readUInt32LE(high) * 2 ** 32 : 0);
  const short = (low: number, high: number) =>
    raw.readUInt16LE(low) + (wide ? raw.readUInt16LE(high) * 2 ** 16 : 0);
  const hasFlags = superblock.checksums !== 'none';
  return {
    index,
    bitmapBlock: long(0x00, 0x20),
    inodeBitmapBlock: long(0x04, 0x24),
    inodeTable: { first: long(0x08, 0x28), count: superblock.inodeTableBlocks },
    freeClusters: short(0x0c, 0x2c),
    isUninitialised: hasFlags && (raw.readUInt16LE(0x12) & FLAG_BLOCK_UNINIT) !== 0,
    ...(superblock.checksums === 'crc32c'
      ? { bitmapChecksum: { value: short(0x18, 0x38), mask: wide ? 0xffffffff : 0xffff } }
      : {}),
  };
}

function assertChecksum(superblock: ExtSuperblock, index: number, raw: Buffer): void {
  if (superblock.checksums === 'none') return;
  const number = Buffer.alloc(4);
  number.writeUInt32LE(index);
  const [before, after] = [raw.subarray(0, CHECKSUM_AT), raw.subarray(CHECKSUM_AT + 2)];
  const sum =
    superblock.checksums === 'crc32c'
      ? [number, before, Buffer.alloc(2), after].reduce(crc32c, superblock.checksumSeed) & 0xffff
      : [superblock.uuid, number, before, after].reduce(crc16, 0xffff);
  if (sum !== raw.readUInt16LE(CHECKSUM_AT)) throw doubt(`The checksum of its group ${index} is wrong.`);
}

/** The superblock, its descriptors and their backups that lie at the beginning of a group. */
export function ownBlocks(superblock: ExtSuperblock, group: number): Blocks {
  const { firstMetaGroup, groups, descriptorBytes, blockBytes, reservedDescriptorBlocks } = superblock;
  const perBlock = blockBytes / descriptorBytes;
  const metaGroup = Math.floor(group / perBlock);
  const backup = hasBackup(superblock, group);
  const first = groupStart(superblock, group);
  const tableBlocks = Math.ceil(groups / perBlock);
  if (firstMetaGroup !== undefined && metaGroup >= firstMetaGroup) {
    const inMeta = group % perBlock;
    const holdsTable = inMeta < 2 || inMeta === perBlock - 1;
    return blocksFrom(superblock, group, first + (backup ? 1 : 0) + (holdsTable ? 1 : 0));
  }
  if (!backup) return { first, count: 0 };
  const old = firstMetaGroup === undefined ? tableBlocks + reservedDescriptorBlocks : firstMetaGroup;
  return blocksFrom(superblock, group, first + 1 + old);
}

/** With blocks of 1 KiB and clusters the superblock is block 1, and block 0 before it belongs to the group too. */
function blocksFrom(superblock: ExtSuperblock, group: number, end: number): Blocks {
  const first = superblock.firstBlock + group * superblock.blocksPerGroup;
  return { first, count: Math.min(end, superblock.blocks) - first };
}

function groupStart(superblock: ExtSuperblock, group: number): number {
  return group === 0
    ? superblockBlock(superblock)
    : superblock.firstBlock + group * superblock.blocksPerGroup;
}

function superblockBlock({ blockBytes, firstBlock }: ExtSuperblock): number {
  return blockBytes === 1024 ? 1 : firstBlock;
}

function hasBackup({ backups }: ExtSuperblock, group: number): boolean {
  if (group === 0 || backups === 'all') return true;
  if (backups !== 'sparse') return backups.includes(group);
  return group === 1 || [3, 5, 7].some((base) => isPowerOf(base, group));
}

function isPowerOf(base: number, number: number): boolean {
  let power = base;
  while (power < number) power *= base;
  return power === number;
}
