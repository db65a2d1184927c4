import type { Firmware, Volume } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import { readFileSystem } from './file-system.ts';
import { type Partition, type PartitionTable, readPartitionTable } from './partition-table.ts';

/** What lies on a disk, read without mounting it. */
export interface DiskLayout {
  readonly partitionTable: PartitionTable['kind'];
  readonly firmware: Firmware;
  readonly logicalSectorBytes: number;
  readonly volumes: readonly Volume[];
}

const ESP_GUID = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
/** Without these a server does not start: ESP, BIOS boot, Microsoft reserved, Linux root and /usr for x86-64. */
const SYSTEM_TYPES = new Set([
  ESP_GUID,
  '21686148-6449-6e6f-744e-656564454649',
  'e3c9e316-0b5c-4db8-817d-f92df00215ae',
  '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
  '8484680c-9521-48c6-9c11-b0720656f69e',
  'ef',
]);

export async function readDiskLayout(device: BlockDevice, diskId: string): Promise<DiskLayout> {
  const table = await readPartitionTable(device);
  const volumes: Volume[] = [];
  for (const partition of table.partitions) {
    const sizeBytes = Math.min(partition.sizeBytes, device.sizeBytes - partition.offsetBytes);
    if (sizeBytes <= 0) continue;
    const facts = await readFileSystem(device, partition.offsetBytes, sizeBytes);
    const label = facts.label ?? partition.label;
    volumes.push({
      id: `${diskId}/${partition.number}`,
      offsetBytes: partition.offsetBytes,
      sizeBytes,
      ...facts,
      ...(label ? { label } : {}),
      system: isSystemType(partition),
    });
  }
  return {
    partitionTable: table.kind,
    firmware: table.partitions.some((partition) => isEsp(partition, table.kind)) ? 'uefi' : 'bios',
    logicalSectorBytes: table.sectorBytes,
    volumes: withSystemVolume(volumes),
  };
}

function isEsp(partition: Partition, kind: PartitionTable['kind']): boolean {
  return kind === 'gpt' ? partition.type === ESP_GUID : partition.type === 'ef';
}

function isSystemType(partition: Partition): boolean {
  return partition.active || SYSTEM_TYPES.has(partition.type);
}

/**
 * The table rarely says where the operating system lies. When no volume large enough to hold one is marked,
 * the largest volume with a server's file system is taken for it: it is safer to refuse an exclusion than to lose the system.
 */
function withSystemVolume(volumes: Volume[]): Volume[] {
  const holdsSystem = (volume: Volume) => ['ext4', 'ext3', 'ext2', 'xfs', 'ntfs'].includes(volume.fileSystem);
  if (volumes.some((volume) => volume.system && holdsSystem(volume))) return volumes;
  const largest = volumes.filter(holdsSystem).sort((a, b) => b.sizeBytes - a.sizeBytes)[0];
  return volumes.map((volume) => (volume === largest ? { ...volume, system: true } : volume));
}
