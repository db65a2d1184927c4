import { crc32 } from 'node:zlib';
import type { BlockDevice } from '../ports/block-device.ts';
import { markAtEnd } from './foreign.ts';
import type { Partition, PartitionTable } from './partition-table.ts';
import { VolumeBytes } from './volume.ts';

/**
 * Why a partition table may not be believed, where a wrong belief would lose data: a table left behind by an earlier
 * life of the disk shows file systems whose free blocks hold something else by now.
 */
export async function tableDoubt(device: BlockDevice, table: PartitionTable): Promise<string | undefined> {
  const disk = new VolumeBytes(device, 0, device.sizeBytes);
  const mark = await markAtEnd(disk);
  if (mark) return `The disk is ${mark}.`;
  if (device.sizeBytes < 8192) return 'The disk is too small to hold anything.';
  if (table.partitions.some(({ sizeBytes }) => sizeBytes <= 0)) return 'A partition ends before it begins.';
  if (table.kind === 'gpt') return gptDoubt(disk, table.sectorBytes);
  for (const sectorBytes of [512, 4096]) {
    const last = await disk.read(device.sizeBytes - sectorBytes, 8);
    if (last.toString('latin1') === 'EFI PART') return 'The disk has the backup of a GPT, but no GPT.';
  }
  if (table.kind === 'mbr') {
    return table.partitions.some(({ type }) => type === 'ee')
      ? 'Its MBR announces a GPT, but it has none.'
      : undefined;
  }
  const first = await disk.read(0, 512);
  const bootable = first.readUInt16LE(510) === 0xaa55 && first.toString('latin1', 3, 7) !== 'NTFS';
  return bootable ? 'The disk begins with boot code and has no partition table that makes sense.' : undefined;
}

/** UEFI believes a GPT only with a protective MBR and the right checksums; so does Linux. A hybrid MBR has two truths. */
async function gptDoubt(disk: VolumeBytes, sectorBytes: number): Promise<string | undefined> {
  const mbr = await disk.read(0, 512);
  const types = [0, 1, 2, 3].map((index) => mbr[446 + index * 16 + 4]).filter((type) => type !== 0);
  if (mbr.readUInt16LE(510) !== 0xaa55 || types.length !== 1 || types[0] !== 0xee) {
    return 'Its MBR does not stand for the GPT.';
  }
  return gptDamage(disk, sectorBytes);
}

/** What of the first GPT has a wrong checksum; the firmware then looks for the backup in the last sector, and there alone. */
export async function gptDamage(disk: VolumeBytes, sectorBytes: number): Promise<string | undefined> {
  const header = await disk.read(sectorBytes, sectorBytes);
  const headerBytes = header.readUInt32LE(12);
  if (headerBytes < 92 || headerBytes > sectorBytes) return 'The header of its GPT has an impossible length.';
  const sum = header.readUInt32LE(16);
  header.writeUInt32LE(0, 16);
  if (crc32(header.subarray(0, headerBytes)) !== sum) return 'The checksum of its GPT is wrong.';
  const entries = await disk.read(
    Number(header.readBigUInt64LE(72)) * sectorBytes,
    header.readUInt32LE(80) * header.readUInt32LE(84),
  );
  if (header.readBigUInt64LE(24) !== 1n || crc32(entries) !== header.readUInt32LE(88)) {
    return 'The checksum of its partitions is wrong.';
  }
  return undefined;
}

/** Types under which file systems lie as such: not as members of a RAID, of LVM or of dynamic disks. */
const PLAIN_TYPES = new Set([
  ...['07', '17', '27', '83', '93'],
  '0fc63daf-8483-4772-8e79-3d69d8477de4', // Linux file system
  '4f68bce3-e8cd-4db1-96e7-fbcaf984b709', // Linux root, x86-64
  '8484680c-9521-48c6-9c11-b0720656f69e', // Linux /usr, x86-64
  'b921b045-1df0-41c3-af44-4c6f280d3fae', // Linux root, ARM 64
  'bc13c2ff-59e6-4262-a352-b275fd6f7172', // Linux extended boot
  '933ac7e1-2eb4-4f13-b844-0e14e2aef915', // Linux home
  '3b8f8425-20e0-4f3b-907f-1a25a76f98e8', // Linux server data
  '4d21b016-b534-45c2-a9fb-5c16e091fd2d', // Linux variable data
  'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7', // Microsoft basic data
  'de94bba4-06d1-4d40-a16a-bfd50179d6ac', // Microsoft recovery
]);

/** Why what lies in one partition may not be believed. */
export function partitionDoubt(
  table: PartitionTable,
  partition: Partition,
  diskBytes: number,
): string | undefined {
  if (partition.offsetBytes + partition.sizeBytes > diskBytes) return 'Its partition ends behind the disk.';
  if (!PLAIN_TYPES.has(partition.type)) return `Partitions of its type (${partition.type}) are not judged.`;
  const others = [...table.partitions.filter((one) => one !== partition), ...table.ownRanges];
  const isShared = others.some(
    (other) =>
      other.offsetBytes < partition.offsetBytes + partition.sizeBytes &&
      partition.offsetBytes < other.offsetBytes + other.sizeBytes,
  );
  return isShared ? 'It overlaps another partition or the partition table.' : undefined;
}
