import type { Volume } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import { ExtTree } from './ext-tree.ts';
import { FatTree } from './fat-tree.ts';
import { readFileSystem } from './file-system.ts';
import { type FileTree, namedTree } from './file-tree.ts';
import { foreignMark } from './foreign.ts';
import { readLvm } from './lvm.ts';
import { NtfsTree } from './ntfs-tree.ts';
import { type Partition, type PartitionTable, readPartitionTable } from './partition-table.ts';
import { isDoubt, VolumeBytes } from './volume.ts';

/** What lies on a disk, as far as its files can be looked at without mounting anything. Read-only. */
export interface GuestDisk {
  readonly device: BlockDevice;
  readonly table: PartitionTable;
  readonly volumes: readonly GuestVolume[];
}

export interface GuestVolume {
  /** `partition 2`, or `group/volume` of LVM. */
  readonly name: string;
  readonly partition?: Partition;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly fileSystem: Volume['fileSystem'] | 'lvm';
  /** As fstab and boot loaders write it; absent where it is not known. */
  readonly uuid?: string;
  readonly label?: string;
  /** Whose mark it carries besides: BitLocker, LUKS, RAID. */
  readonly mark?: string;
  readonly tree?: FileTree;
  /** Of ext3 and ext4: a mount would replay the journal first. */
  readonly needsRecovery?: boolean;
  /** Why there is no tree. */
  readonly unreadable?: string;
}

export async function readGuestDisk(device: BlockDevice, signal?: AbortSignal): Promise<GuestDisk> {
  const table = await readPartitionTable(device);
  const volumes: GuestVolume[] = [];
  const places =
    table.kind === 'none'
      ? [{ name: 'the whole disk', offsetBytes: 0, sizeBytes: device.sizeBytes }]
      : table.partitions.map((partition) => ({
          name: `partition ${partition.number}`,
          partition,
          offsetBytes: partition.offsetBytes,
          sizeBytes: Math.min(partition.sizeBytes, device.sizeBytes - partition.offsetBytes),
        }));
  for (const place of places) {
    if (place.sizeBytes <= 0) continue;
    const volume = await readVolume(device, place, signal);
    volumes.push(
      ...(volume.fileSystem === 'lvm' ? await withLogicalVolumes(volume, device, signal) : [volume]),
    );
  }
  return { device, table, volumes };
}

/** Less than this holds no file system. */
const PROBE_BYTES = 8192;

interface PlaceOnDisk {
  readonly name: string;
  readonly partition?: Partition;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

async function readVolume(
  device: BlockDevice,
  place: PlaceOnDisk,
  signal?: AbortSignal,
): Promise<GuestVolume> {
  const bytes = new VolumeBytes(device, place.offsetBytes, place.sizeBytes, signal);
  if (place.sizeBytes < PROBE_BYTES)
    return { ...place, fileSystem: 'unknown', unreadable: 'It is too small.' };
  const facts = await readFileSystem(device, place.offsetBytes, place.sizeBytes);
  const { fileSystem, label } = facts;
  const found = { ...place, ...(label ? { label } : {}) };
  const mark = fileSystem === 'vfat' ? undefined : await foreignMark(bytes, fileSystem);
  if (mark === 'LVM') return { ...found, fileSystem: 'lvm' };
  const marked = { ...found, fileSystem, ...(mark ? { mark } : {}) };
  // The mark of another user of the volume means that what looks like a file system may be what is left of one.
  if (mark) return { ...marked, unreadable: `It carries the mark of ${mark}.` };
  try {
    const uuid = await uuidOf(bytes, fileSystem);
    return { ...marked, ...(uuid ? { uuid } : {}), ...(await treeOf(bytes, fileSystem, place.name)) };
  } catch (error) {
    if (!isDoubt(error)) throw error;
    return { ...marked, unreadable: error.why ?? error.what };
  }
}

async function treeOf(bytes: VolumeBytes, fileSystem: string, name: string) {
  switch (fileSystem) {
    case 'vfat':
      return { tree: namedTree(await FatTree.open(bytes), name) };
    case 'ntfs':
      return { tree: namedTree(await NtfsTree.open(bytes), name) };
    case 'ext2':
    case 'ext3':
    case 'ext4': {
      const tree = await ExtTree.open(bytes);
      return { tree: namedTree(tree, name), needsRecovery: tree.needsRecovery };
    }
    case 'xfs':
      return { unreadable: 'Files of XFS are not read.' };
    default:
      return { unreadable: 'No file system that is read here was found on it.' };
  }
}

async function uuidOf(bytes: VolumeBytes, fileSystem: string): Promise<string | undefined> {
  if (fileSystem.startsWith('ext')) return dashed(await bytes.read(1024 + 0x68, 16));
  if (fileSystem === 'xfs') return dashed(await bytes.read(32, 16));
  if (fileSystem === 'swap') return dashed(await bytes.read(1024 + 12, 16));
  if (fileSystem === 'ntfs')
    return Buffer.from(await bytes.read(0x48, 8))
      .reverse()
      .toString('hex')
      .toUpperCase();
  if (fileSystem !== 'vfat') return undefined;
  const boot = await bytes.read(0, 96);
  const at = boot.toString('latin1', 82, 90) === 'FAT32   ' ? 67 : 39;
  const serial = Buffer.from(boot.subarray(at, at + 4))
    .reverse()
    .toString('hex')
    .toUpperCase();
  return `${serial.slice(0, 4)}-${serial.slice(4)}`;
}

function dashed(raw: Buffer): string {
  return raw.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The physical volume itself, which tells when its logical ones cannot be found, and those. */
async function withLogicalVolumes(
  physical: GuestVolume,
  device: BlockDevice,
  signal?: AbortSignal,
): Promise<GuestVolume[]> {
  const { offsetBytes, sizeBytes } = physical;
  try {
    const volumes = [physical];
    for (const one of await readLvm(new VolumeBytes(device, offsetBytes, sizeBytes, signal), device)) {
      const place = { name: one.name, offsetBytes: 0, sizeBytes: one.sizeBytes };
      const { unreadable } = one;
      if (one.device) volumes.push(await readVolume(one.device, place, signal));
      else volumes.push({ ...place, fileSystem: 'unknown', unreadable: unreadable ?? 'It has no place.' });
    }
    return volumes;
  } catch (error) {
    if (!isDoubt(error)) throw error;
    return [{ ...physical, unreadable: error.why ?? error.what }];
  }
}
