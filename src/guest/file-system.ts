import type { Volume } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';

/**
 * Recognises the file system of a volume from its superblock and, where that tells, how much of it is used.
 * Read-only. What is not recognised is `unknown`: it is copied whole, never guessed at.
 */
export type FileSystemFacts = Pick<Volume, 'fileSystem' | 'label' | 'usedBytes'>;

const PROBE_BYTES = 8192;
const EXT_SUPERBLOCK_AT = 1024;
const EXT_MAGIC = 0xef53;
const EXT3_HAS_JOURNAL = 0x4;
/** extents, 64bit, flex_bg: only ext4 has them. */
const EXT4_INCOMPAT = 0x40 | 0x80 | 0x200;
const EXT_INCOMPAT_64BIT = 0x80;

export async function readFileSystem(
  device: BlockDevice,
  offsetBytes: number,
  sizeBytes: number,
): Promise<FileSystemFacts> {
  if (sizeBytes < PROBE_BYTES) return { fileSystem: 'unknown' };
  const start = Buffer.alloc(PROBE_BYTES);
  await device.read(start, offsetBytes);
  if (start.readUInt16LE(EXT_SUPERBLOCK_AT + 56) === EXT_MAGIC) {
    return sound(ext(start.subarray(EXT_SUPERBLOCK_AT)), sizeBytes);
  }
  if (start.toString('latin1', 3, 11) === 'NTFS    ') return { fileSystem: 'ntfs' };
  if (start.toString('latin1', 0, 4) === 'XFSB') return sound(xfs(start), sizeBytes);
  if (start.toString('latin1', 4086, 4096) === 'SWAPSPACE2') return { fileSystem: 'swap' };
  const fat32 = start.toString('latin1', 82, 90) === 'FAT32   ';
  const fat16 = start.toString('latin1', 54, 59) === 'FAT16' || start.toString('latin1', 54, 59) === 'FAT12';
  if (fat32 || fat16) return labelled('vfat', start.toString('latin1', fat32 ? 71 : 43, fat32 ? 82 : 54));
  return { fileSystem: 'unknown' };
}

/** A superblock that claims more than its volume holds is not quoted. */
function sound(facts: FileSystemFacts, sizeBytes: number): FileSystemFacts {
  const { usedBytes, ...others } = facts;
  const possible = usedBytes !== undefined && usedBytes >= 0 && usedBytes <= sizeBytes;
  return possible ? facts : others;
}

/** Layout: Linux kernel documentation, "ext4 Data Structures: the super block". */
function ext(superblock: Buffer): FileSystemFacts {
  const incompat = superblock.readUInt32LE(0x60);
  const wide = (incompat & EXT_INCOMPAT_64BIT) !== 0;
  const blockBytes = 1024 << superblock.readUInt32LE(0x18);
  const count = (low: number, high: number) =>
    superblock.readUInt32LE(low) + (wide ? superblock.readUInt32LE(high) * 2 ** 32 : 0);
  const usedBlocks = count(0x04, 0x150) - count(0x0c, 0x158);
  const journal = (superblock.readUInt32LE(0x5c) & EXT3_HAS_JOURNAL) !== 0;
  const fileSystem = (incompat & EXT4_INCOMPAT) !== 0 ? 'ext4' : journal ? 'ext3' : 'ext2';
  return {
    ...labelled(fileSystem, superblock.toString('latin1', 0x78, 0x88)),
    usedBytes: usedBlocks * blockBytes,
  };
}

/** Layout: XFS Algorithms and Data Structures, "Superblocks"; numbers are big-endian. */
function xfs(start: Buffer): FileSystemFacts {
  const blockBytes = start.readUInt32BE(4);
  const used = start.readBigUInt64BE(8) - start.readBigUInt64BE(144);
  return { ...labelled('xfs', start.toString('latin1', 108, 120)), usedBytes: Number(used) * blockBytes };
}

function labelled(fileSystem: Volume['fileSystem'], raw: string): FileSystemFacts {
  const label = raw.replace(/\0.*$/s, '').trim();
  return label && label !== 'NO NAME' ? { fileSystem, label } : { fileSystem };
}
