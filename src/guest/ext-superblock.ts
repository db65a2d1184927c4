import { crc32c } from './checksums.ts';
import { doubt, type VolumeBytes } from './volume.ts';

/**
 * The superblock of an ext2, ext3 or ext4 volume, read only as far as free blocks depend on it, and only when the
 * file system was left clean. Layout: Linux kernel documentation, "ext4 Data Structures".
 */
export interface ExtSuperblock {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly firstBlock: number;
  /** Bigalloc: a bit of a bitmap stands for this many blocks; otherwise 1. */
  readonly clusterBlocks: number;
  readonly clustersPerGroup: number;
  readonly blocksPerGroup: number;
  readonly groups: number;
  readonly inodeTableBlocks: number;
  readonly descriptorBytes: number;
  readonly reservedDescriptorBlocks: number;
  /** The first meta group; absent without meta_bg. */
  readonly firstMetaGroup?: number;
  readonly backups: 'all' | 'sparse' | readonly number[];
  readonly checksums: 'none' | 'crc16' | 'crc32c';
  readonly checksumSeed: number;
  readonly uuid: Buffer;
  /** The 15 words of the journal inode, kept in the superblock as a copy; absent without a journal. */
  readonly journalInode?: Buffer;
}

const SUPERBLOCK_AT = 1024;
const SUPERBLOCK_BYTES = 1024;
const MAGIC = 0xef53;

const COMPAT = { journal: 0x4, sparseSuper2: 0x200 };
/** Compressed files, a journal of its own, and whatever is newer than this code are not judged. */
const INCOMPAT = { needsRecovery: 0x4, metaBg: 0x10, wide: 0x80, checksumSeed: 0x2000 };
const INCOMPAT_KNOWN =
  0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000;
const RO_COMPAT = { sparseSuper: 0x1, gdtChecksum: 0x10, bigalloc: 0x200, metadataChecksum: 0x400 };
/** Left out on purpose: snapshots, replicas, shared blocks, and orphans that the next mount removes. */
const RO_COMPAT_KNOWN =
  0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x8000;
const STATE_CLEAN = 1;
/** 2 Mi groups are 256 TiB with blocks of 4 KiB: more is nonsense that would only cost time. */
const GROUPS_MAX = 2 * 1024 ** 2;

interface Features {
  readonly compat: number;
  readonly incompat: number;
  readonly roCompat: number;
  readonly has: {
    readonly wide: boolean;
    readonly metaBg: boolean;
    readonly bigalloc: boolean;
    readonly metadataChecksum: boolean;
  };
}

/** What the reader of files needs besides. */
export interface ExtShape extends ExtSuperblock {
  readonly inodesPerGroup: number;
  readonly inodeBytes: number;
  /** The journal holds changes that a mount would apply first. */
  readonly needsRecovery: boolean;
}

/** Only of a volume that was left clean; anything else is a doubt. */
export async function readExtSuperblock(volume: VolumeBytes): Promise<ExtSuperblock> {
  const raw = await readRaw(volume);
  const features = featuresOf(raw, RO_COMPAT_KNOWN);
  assertClean(raw, features);
  const superblock = superblockOf(raw, features, volume);
  await assertJournalEmpty(volume, superblock);
  return superblock;
}

/** Also of a volume in use: features that only matter to whoever writes are not asked about. */
export async function readExtShape(volume: VolumeBytes): Promise<ExtShape> {
  const raw = await readRaw(volume);
  const features = featuresOf(raw, 0xffffffff);
  return {
    ...superblockOf(raw, features, volume),
    inodesPerGroup: raw.readUInt32LE(0x28),
    inodeBytes: inodeBytesOf(raw),
    needsRecovery: (features.incompat & INCOMPAT.needsRecovery) !== 0,
  };
}

async function readRaw(volume: VolumeBytes): Promise<Buffer> {
  const raw = await volume.read(SUPERBLOCK_AT, SUPERBLOCK_BYTES);
  if (raw.readUInt16LE(0x38) !== MAGIC) throw doubt('It has no ext superblock.');
  return raw;
}

function superblockOf(raw: Buffer, features: Features, volume: VolumeBytes): ExtSuperblock {
  if (
    features.has.metadataChecksum &&
    crc32c(0xffffffff, raw.subarray(0, 0x3fc)) !== raw.readUInt32LE(0x3fc)
  ) {
    throw doubt('The checksum of its superblock is wrong.');
  }
  const uuid = raw.subarray(0x68, 0x78);
  const seeded = (features.incompat & INCOMPAT.checksumSeed) !== 0;
  return {
    ...geometryOf(raw, features, volume),
    reservedDescriptorBlocks: features.has.metaBg ? 0 : raw.readUInt16LE(0xce),
    ...(features.has.metaBg ? { firstMetaGroup: raw.readUInt32LE(0x104) } : {}),
    backups: backupsOf(raw, features),
    checksums: features.has.metadataChecksum
      ? 'crc32c'
      : (features.roCompat & RO_COMPAT.gdtChecksum) !== 0
        ? 'crc16'
        : 'none',
    checksumSeed: seeded ? raw.readUInt32LE(0x270) : crc32c(0xffffffff, uuid),
    uuid,
    ...(features.compat & COMPAT.journal ? { journalInode: journalInodeOf(raw) } : {}),
  };
}

function featuresOf(raw: Buffer, roCompatKnown: number): Features {
  const [compat, incompat, roCompat] = [
    raw.readUInt32LE(0x5c),
    raw.readUInt32LE(0x60),
    raw.readUInt32LE(0x64),
  ];
  if (raw.readUInt32LE(0x4c) > 1) throw doubt('Its superblock has an unknown revision.');
  if ((incompat & ~INCOMPAT_KNOWN) !== 0 || (roCompat & ~roCompatKnown) !== 0) {
    throw doubt(`It has features that are not judged (${incompat.toString(16)}, ${roCompat.toString(16)}).`);
  }
  return {
    compat,
    incompat,
    roCompat,
    has: {
      wide: (incompat & INCOMPAT.wide) !== 0,
      metaBg: (incompat & INCOMPAT.metaBg) !== 0,
      bigalloc: (roCompat & RO_COMPAT.bigalloc) !== 0,
      metadataChecksum: (roCompat & RO_COMPAT.metadataChecksum) !== 0,
    },
  };
}

/** A journal that is still to be replayed may hand out blocks that the bitmaps on the disk call free. */
function assertClean(raw: Buffer, { incompat }: Features): void {
  if ((incompat & INCOMPAT.needsRecovery) !== 0) {
    throw doubt('Its journal has not been replayed: it was mounted or not shut down cleanly.');
  }
  if (raw.readUInt16LE(0x3a) !== STATE_CLEAN) throw doubt('It is not marked clean.');
  if (raw.readUInt32LE(0xe8) !== 0) throw doubt('It has orphaned files that the next mount removes.');
  if (raw.readUInt16LE(0x5a) !== 0) throw doubt('Its first superblock calls itself a backup.');
}

function geometryOf(raw: Buffer, { has }: Features, volume: VolumeBytes) {
  const [logBlock, logCluster] = [raw.readUInt32LE(0x18), raw.readUInt32LE(0x1c)];
  if (logBlock > 6) throw doubt('Its block size is impossible.');
  if (has.bigalloc ? logCluster < logBlock || logCluster > 20 : logCluster !== logBlock) {
    throw doubt('Its cluster size is impossible.');
  }
  const blockBytes = 1024 << logBlock;
  const clusterBlocks = 2 ** (logCluster - logBlock);
  const count = (low: number, high: number) =>
    raw.readUInt32LE(low) + (has.wide ? raw.readUInt32LE(high) * 2 ** 32 : 0);
  const blocks = count(0x04, 0x150);
  volume.assertInside(0, blocks * blockBytes);
  const firstBlock = raw.readUInt32LE(0x14);
  if (firstBlock !== (blockBytes === 1024 && !has.bigalloc ? 1 : 0)) throw doubt('Its first block is odd.');
  const [blocksPerGroup, clustersPerGroup] = [raw.readUInt32LE(0x20), raw.readUInt32LE(0x24)];
  const sound =
    clustersPerGroup >= 8 &&
    clustersPerGroup % 8 === 0 &&
    clustersPerGroup <= 8 * blockBytes &&
    blocksPerGroup === clustersPerGroup * clusterBlocks &&
    blocks > firstBlock;
  const groups = Math.ceil((blocks - firstBlock) / blocksPerGroup);
  if (!sound || groups > GROUPS_MAX) throw doubt('Its block groups have an impossible size.');
  const descriptorBytes = has.wide ? raw.readUInt16LE(0xfe) : 32;
  if (has.wide && ![64, 128, 256, 512, 1024].includes(descriptorBytes)) {
    throw doubt('Its group descriptors have an impossible size.');
  }
  const freeBlocks = count(0x0c, 0x158);
  const inodeTableBlocks = inodeTableBlocksOf(raw, blockBytes, groups);
  const geometry = { blockBytes, blocks, freeBlocks, firstBlock, clusterBlocks, clustersPerGroup };
  return { ...geometry, blocksPerGroup, groups, inodeTableBlocks, descriptorBytes };
}

function inodeTableBlocksOf(raw: Buffer, blockBytes: number, groups: number): number {
  const perGroup = raw.readUInt32LE(0x28);
  const inodeBytes = inodeBytesOf(raw);
  if (perGroup === 0 || perGroup > 8 * blockBytes || raw.readUInt32LE(0) !== perGroup * groups) {
    throw doubt('Its numbers of inodes and of groups do not fit.');
  }
  if (inodeBytes < 128 || inodeBytes > blockBytes || (inodeBytes & (inodeBytes - 1)) !== 0) {
    throw doubt('Its inodes have an impossible size.');
  }
  return Math.ceil((perGroup * inodeBytes) / blockBytes);
}

function inodeBytesOf(raw: Buffer): number {
  return raw.readUInt32LE(0x4c) === 0 ? 128 : raw.readUInt16LE(0x58);
}

function backupsOf(raw: Buffer, { compat, roCompat }: Features): ExtSuperblock['backups'] {
  if (compat & COMPAT.sparseSuper2) return [raw.readUInt32LE(0x24c), raw.readUInt32LE(0x250)];
  return roCompat & RO_COMPAT.sparseSuper ? 'sparse' : 'all';
}

function journalInodeOf(raw: Buffer): Buffer {
  if (raw.readUInt32LE(0xe4) !== 0 || raw.readUInt32LE(0xe0) === 0 || raw[0xfd] !== 1) {
    throw doubt('Its journal lies elsewhere and cannot be looked at.');
  }
  return raw.subarray(0x10c, 0x10c + 60);
}

const EXTENT_MAGIC = 0xf30a;
const JOURNAL_MAGIC = 0xc03b3998;

/** The superblock may say `clean` while the journal still holds something; then neither is believed. */
async function assertJournalEmpty(volume: VolumeBytes, superblock: ExtSuperblock): Promise<void> {
  if (!superblock.journalInode) return;
  const { blockBytes } = superblock;
  const block = await firstBlockOf(volume, superblock.journalInode, blockBytes);
  const journal = await volume.read(block * blockBytes, 1024);
  const kind = journal.readUInt32BE(4);
  if (journal.readUInt32BE(0) !== JOURNAL_MAGIC || (kind !== 3 && kind !== 4)) {
    throw doubt('Its journal has no superblock.');
  }
  if (journal.readUInt32BE(0x1c) !== 0) throw doubt('Its journal is not empty.');
  if (journal.readUInt32BE(0x20) !== 0) throw doubt('Its journal was stopped by an error.');
}

async function firstBlockOf(volume: VolumeBytes, words: Buffer, blockBytes: number): Promise<number> {
  if (words.readUInt16LE(0) !== EXTENT_MAGIC) return words.readUInt32LE(0);
  let node = words;
  // A tree of extents is at most five levels deep.
  for (let level = 0; level < 6; level++) {
    if (node.readUInt16LE(0) !== EXTENT_MAGIC || node.readUInt16LE(2) === 0) break;
    const isLeaf = node.readUInt16LE(6) === 0;
    if (isLeaf) return node.readUInt32LE(20) + node.readUInt16LE(18) * 2 ** 32;
    node = await volume.read(
      (node.readUInt32LE(16) + node.readUInt16LE(20) * 2 ** 32) * blockBytes,
      blockBytes,
    );
  }
  throw doubt('The place of its journal cannot be read.');
}
