import type { Volume } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import { type DiskLayout, readDiskLayout } from './disk-layout.ts';
import { mapExt } from './ext-map.ts';
import { readFileSystem } from './file-system.ts';
import { foreignMark } from './foreign.ts';
import { mapNtfs } from './ntfs-map.ts';
import { type PartitionTable, readPartitionTable } from './partition-table.ts';
import { partitionDoubt, tableDoubt } from './table-doubt.ts';
import { UsedMap } from './used-map.ts';
import { isDoubt, VolumeBytes } from './volume.ts';

/**
 * Which blocks of a disk are used. Everything is, except what a known file system that was left clean calls free:
 * partition tables, gaps, boot loaders between them, and volumes that nobody here can judge stay used. The disk must
 * stand still meanwhile. Read-only; besides the map (1 bit for 4 KiB) it holds some megabytes at most.
 */
export interface DiskMap {
  readonly layout: DiskLayout;
  readonly used: UsedMap;
  readonly volumes: readonly MappedVolume[];
}

export interface MappedVolume extends Omit<Volume, 'usedBytes'> {
  /** By the map: of a volume that is not mapped, all of it. */
  readonly usedBytes: number;
  /** Why all of it counts as used; absent where its free blocks are known. */
  readonly countedWhole?: string;
}

const MAPPERS: Partial<Record<Volume['fileSystem'], (volume: VolumeBytes, map: UsedMap) => Promise<void>>> = {
  ext2: mapExt,
  ext3: mapExt,
  ext4: mapExt,
  ntfs: mapNtfs,
};

export async function mapDisk(device: BlockDevice, diskId: string, signal?: AbortSignal): Promise<DiskMap> {
  const used = new UsedMap(device.sizeBytes);
  const [layout, table] = [await readDiskLayout(device, diskId), await readPartitionTable(device)];
  const wholeDisk = table.kind === 'none' ? await wholeDiskVolume(device, diskId) : [];
  const noBelief = await tableDoubt(device, table);
  const volumes: MappedVolume[] = [];
  for (const volume of [...layout.volumes, ...wholeDisk]) {
    const { usedBytes: _ownFigure, ...facts } = volume;
    const bytes = new VolumeBytes(device, volume.offsetBytes, volume.sizeBytes, signal);
    const countedWhole =
      noBelief ?? doubtOfPlace(table, volume, device.sizeBytes) ?? (await mapVolume(bytes, volume, used));
    volumes.push({
      ...facts,
      usedBytes: used.usedBytes(volume.offsetBytes, volume.offsetBytes + volume.sizeBytes),
      ...(countedWhole ? { countedWhole } : {}),
    });
  }
  return { layout, used, volumes };
}

/** A file system that was put on a disk without partitions. */
async function wholeDiskVolume(device: BlockDevice, diskId: string): Promise<Volume[]> {
  const facts = await readFileSystem(device, 0, device.sizeBytes);
  if (facts.fileSystem === 'unknown') return [];
  return [{ id: `${diskId}/0`, offsetBytes: 0, sizeBytes: device.sizeBytes, ...facts, system: false }];
}

function doubtOfPlace(table: PartitionTable, volume: Volume, diskBytes: number): string | undefined {
  if (table.kind === 'none') return undefined;
  const partition = table.partitions.find(
    ({ number, offsetBytes }) => volume.id.endsWith(`/${number}`) && volume.offsetBytes === offsetBytes,
  );
  return partition ? partitionDoubt(table, partition, diskBytes) : 'Its partition cannot be found.';
}

const UNJUDGED: Partial<Record<Volume['fileSystem'], string>> = {
  swap: 'Swap may hold the memory of a hibernated server.',
  unknown: 'No known file system was found on it.',
};

/** Answers why the whole volume counts as used, or nothing when its free blocks are out of the map. */
async function mapVolume(bytes: VolumeBytes, volume: Volume, used: UsedMap): Promise<string | undefined> {
  const mapper = MAPPERS[volume.fileSystem];
  if (!mapper) return UNJUDGED[volume.fileSystem] ?? `Free blocks of ${volume.fileSystem} are not read.`;
  try {
    const mark = await foreignMark(bytes, volume.fileSystem);
    if (mark) return `It carries the mark of ${mark} as well.`;
    await mapper(bytes, used);
    return undefined;
  } catch (error) {
    used.use(volume.offsetBytes, volume.offsetBytes + volume.sizeBytes);
    if (isDoubt(error)) return error.why;
    throw error;
  }
}
