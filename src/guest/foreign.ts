import type { VolumeBytes } from './volume.ts';

/**
 * Marks of what may use a volume although the superblock of an older file system still stands in it: RAID members,
 * LVM, encryption, other file systems. Whoever formats anew does not always wipe what was there.
 */
interface Mark {
  readonly what: string;
  readonly bytes: Buffer;
  readonly at: (sizeBytes: number) => readonly number[];
}

const text = (value: string) => Buffer.from(value, 'latin1');
const hex = (value: string) => Buffer.from(value, 'hex');
const always =
  (...offsets: number[]) =>
  () =>
    offsets;

const KIB = 1024;
const MD_MAGIC = hex('fc4e2ba9');
/** Linux RAID keeps its superblock at the end in versions 0.90 and 1.0; controllers of mainboards use the last sectors. */
const END_MARKS: readonly Mark[] = [
  {
    what: 'a Linux RAID member',
    bytes: MD_MAGIC,
    at: (size) => [Math.floor(size / (64 * KIB)) * 64 * KIB - 64 * KIB],
  },
  {
    what: 'a Linux RAID member',
    bytes: hex('a92b4efc'),
    at: (size) => [Math.floor(size / (64 * KIB)) * 64 * KIB - 64 * KIB],
  },
  {
    what: 'a Linux RAID member',
    bytes: MD_MAGIC,
    at: (size) => [Math.floor((Math.floor(size / 512) - 16) / 8) * 8 * 512],
  },
  { what: 'an Intel RAID member', bytes: text('Intel Raid ISM Cfg Sig. '), at: (size) => [size - 1024] },
  { what: 'a DDF RAID member', bytes: hex('de11de11'), at: (size) => [size - 512] },
];

const START_MARKS: readonly Mark[] = [
  { what: 'a Linux RAID member', bytes: MD_MAGIC, at: always(0, 4 * KIB) },
  { what: 'LVM', bytes: text('LABELONE'), at: always(0, 512, 1024, 1536) },
  { what: 'LUKS', bytes: hex('4c554b53babe'), at: always(0) },
  {
    what: 'LUKS',
    bytes: hex('534b554cbabe'),
    at: () => [16, 32, 64, 128, 256, 512, 1024, 2048, 4096].map((kib) => kib * KIB),
  },
  { what: 'BitLocker', bytes: text('-FVE-FS-'), at: always(3) },
  { what: 'ReFS', bytes: text('ReFS'), at: always(3) },
  { what: 'exFAT', bytes: text('EXFAT   '), at: always(3) },
  { what: 'FAT', bytes: text('FAT'), at: always(54, 82) },
  { what: 'XFS', bytes: text('XFSB'), at: always(0) },
  { what: 'Btrfs', bytes: text('_BHRfS_M'), at: always(64 * KIB + 64) },
  { what: 'JFS', bytes: text('JFS1'), at: always(32 * KIB) },
  { what: 'ReiserFS', bytes: text('ReIsEr'), at: always(8 * KIB + 52, 64 * KIB + 52) },
  { what: 'bcache', bytes: hex('c68573f64e1a45ca8265f57f48ba6d81'), at: always(4 * KIB + 24) },
  { what: 'Ceph', bytes: text('bluestore block device'), at: always(0) },
  { what: 'VMFS', bytes: hex('0dd001c0'), at: always(1024 * KIB) },
  { what: 'swap', bytes: text('SWAPSPACE2'), at: () => [4, 8, 16, 32, 64].map((kib) => kib * KIB - 10) },
  { what: 'swap', bytes: text('SWAP-SPACE'), at: () => [4, 8, 16, 32, 64].map((kib) => kib * KIB - 10) },
];

const NTFS_MARK: Mark = { what: 'NTFS', bytes: text('NTFS    '), at: always(3) };

/** Whose mark lies on a volume besides that of its file system, or undefined. */
export async function foreignMark(volume: VolumeBytes, fileSystem: string): Promise<string | undefined> {
  const marks = fileSystem === 'ntfs' ? START_MARKS : [NTFS_MARK, ...START_MARKS];
  return (await firstFound(volume, [...marks, ...END_MARKS])) ?? (await zfsMark(volume));
}

/** Whose mark lies at the end of a whole disk: then its partitions are not what they seem. */
export function markAtEnd(disk: VolumeBytes): Promise<string | undefined> {
  return firstFound(disk, END_MARKS);
}

async function firstFound(volume: VolumeBytes, marks: readonly Mark[]): Promise<string | undefined> {
  for (const { what, bytes, at } of marks) {
    for (const offset of at(volume.sizeBytes)) {
      if (offset < 0 || offset + bytes.length > volume.sizeBytes) continue;
      if ((await volume.read(offset, bytes.length)).equals(bytes)) return what;
    }
  }
  return undefined;
}

/** The uberblocks of ZFS: any of them in the first label. */
async function zfsMark(volume: VolumeBytes): Promise<string | undefined> {
  if (volume.sizeBytes < 256 * KIB) return undefined;
  const ring = await volume.read(128 * KIB, 128 * KIB);
  for (let at = 0; at < ring.length; at += KIB) {
    const magic = ring.subarray(at, at + 8);
    if (magic.equals(hex('0cb1ba0000000000')) || magic.equals(hex('0000000000bab10c'))) return 'ZFS';
  }
  return undefined;
}
