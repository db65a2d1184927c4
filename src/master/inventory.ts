import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { openDevice } from '../block/open-device.ts';
import type { Clock } from '../clock.ts';
import { inputError, isStandbyError } from '../errors.ts';
import { type DiskLayout, readDiskLayout } from '../guest/disk-layout.ts';
import type { MasterDisk, MasterInventory, MasterNic } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';

/** What this server is: read from its disks, which are opened read-only. The disks may be another server's images. */
export interface InventoryOptions {
  readonly diskPaths: readonly string[];
  readonly hostName?: string;
  readonly nics?: readonly MasterNic[];
  readonly clock: Clock;
}

const SECTOR_BYTES = 512;

export async function takeInventory(options: InventoryOptions): Promise<MasterInventory> {
  const { diskPaths, clock } = options;
  if (diskPaths.length === 0) {
    throw inputError(
      'DISKS_MISSING',
      'No disk was named.',
      'Name at least one: `--disk /dev/sda`, or a raw disk image.',
    );
  }
  if (new Set(diskPaths).size !== diskPaths.length) {
    throw inputError('DISKS_REPEATED', 'The same disk was named twice.', 'Name each disk once.');
  }
  const looked: { disk: MasterDisk; layout: DiskLayout }[] = [];
  for (const [index, path] of diskPaths.entries()) looked.push(await lookAt(path, index));
  const isWindows = looked.some(({ disk }) => disk.volumes.some((v) => v.system && v.fileSystem === 'ntfs'));
  return {
    hostName: options.hostName ?? hostname(),
    os: isWindows ? { family: 'windows', name: 'Windows' } : { family: 'linux', name: 'Linux' },
    firmware: looked[0]?.layout.firmware ?? 'bios',
    disks: looked.map(({ disk }) => disk),
    nics: options.nics ?? [{ id: 'nic0', name: 'nic0', addresses: [] }],
    ...(await bootOfThisMachine()),
    takenAtMs: clock.now(),
  };
}

/** Linux tells; elsewhere a reboot goes unnoticed, and a scenario goes on by itself after it. */
async function bootOfThisMachine(): Promise<Pick<MasterInventory, 'bootId'>> {
  try {
    return { bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim() };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

async function lookAt(path: string, index: number): Promise<{ disk: MasterDisk; layout: DiskLayout }> {
  const device = await openNamed(path);
  try {
    const { sizeBytes } = device;
    if (sizeBytes === 0 || sizeBytes % SECTOR_BYTES !== 0) {
      throw inputError(
        'DISK_SIZE_WRONG',
        `${path} has ${sizeBytes} bytes: a disk has a multiple of ${SECTOR_BYTES}, and more than none.`,
        'Name a whole raw disk image or a block device.',
      );
    }
    const id = `disk${index}`;
    const layout = await readDiskLayout(device, id);
    const { partitionTable, logicalSectorBytes, volumes } = layout;
    return {
      layout,
      disk: { id, path, sizeBytes, logicalSectorBytes, partitionTable, boot: index === 0, volumes },
    };
  } finally {
    await device.close();
  }
}

/** A disk that cannot be opened here was named wrongly, or by somebody who may not read it: nothing was changed. */
async function openNamed(path: string): Promise<BlockDevice> {
  try {
    return await openDevice(path, { mode: 'read' });
  } catch (error) {
    throw isStandbyError(error) ? inputError(error.code, error.message, error.next) : error;
  }
}
