import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { openDevice } from '../block/open-device.ts';
import type { Clock } from '../clock.ts';
import { inputError, isStandbyError } from '../errors.ts';
import { type DiskLayout, readDiskLayout } from '../guest/disk-layout.ts';
import { isWindowsDevice, type MasterDisk, type MasterInventory, type MasterNic } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import { isRawPartition, pathOf, tableIdOf } from './windows/disk-choice.ts';
import {
  parseWindowsDocument,
  type WindowsDisk,
  type WindowsDocument,
} from './windows/inventory-document.ts';
import { INVENTORY_SCRIPT } from './windows/inventory-script.ts';
import type { WindowsTools } from './windows/powershell.ts';
import { pathsToday, windowsFacts } from './windows/windows-inventory.ts';

/** What this server is: read from its disks, which are opened read-only. The disks may be another server's images. */
export interface InventoryOptions {
  /** None: every disk of a Windows server that is its own. */
  readonly diskPaths: readonly string[];
  /** Disks that have joined: Windows may call them by other numbers today. */
  readonly known?: readonly MasterDisk[];
  /** Where the engine runs on Windows. */
  readonly windows?: WindowsTools;
  readonly hostName?: string;
  readonly nics?: readonly MasterNic[];
  readonly clock: Clock;
}

const SECTOR_BYTES = 512;

export async function takeInventory(options: InventoryOptions): Promise<MasterInventory> {
  const { diskPaths, clock, windows } = options;
  if (windows && (diskPaths.length === 0 || diskPaths.some(isWindowsDevice))) {
    return await windowsInventory(options, windows);
  }
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

async function windowsInventory(options: InventoryOptions, tools: WindowsTools): Promise<MasterInventory> {
  const document = parseWindowsDocument(await tools.powershell(INVENTORY_SCRIPT));
  const named = options.known ? pathsToday(document, options.known) : options.diskPaths;
  const { choice, facts, hostName: ownName } = windowsFacts(document, named);
  const disks: MasterDisk[] = [];
  for (const [index, told] of choice.taken.entries())
    disks.push(await lookAtWindowsDisk(told, index, document));
  return {
    hostName: options.hostName ?? ownName,
    ...facts,
    ...(options.nics ? { nics: options.nics } : {}),
    disks,
    takenAtMs: options.clock.now(),
  };
}

/** Its volumes are read from the disk, as on Linux; which of them hold the system, Windows knows better. */
async function lookAtWindowsDisk(
  told: WindowsDisk,
  index: number,
  { partitions }: WindowsDocument,
): Promise<MasterDisk> {
  const { disk } = await lookAt(pathOf(told), index, told.Size);
  const isSystem = (offsetBytes: number) =>
    partitions.some(
      (one) =>
        one.DiskNumber === told.Number &&
        one.Offset === offsetBytes &&
        (one.IsBoot || one.IsSystem || isRawPartition(one)),
    );
  const volumes = disk.volumes.map((volume) => ({ ...volume, system: isSystem(volume.offsetBytes) }));
  const tableId = tableIdOf(told);
  return { ...disk, boot: told.IsBoot, volumes, ...(tableId ? { tableId } : {}) };
}

async function lookAt(
  path: string,
  index: number,
  toldBytes?: number,
): Promise<{ disk: MasterDisk; layout: DiskLayout }> {
  const device = await openNamed(path, toldBytes);
  try {
    const { sizeBytes } = device;
    if (toldBytes !== undefined && sizeBytes !== toldBytes) {
      throw inputError(
        'DISK_SIZE_WRONG',
        `${path} can be read up to byte ${sizeBytes}; Windows says that it has ${toldBytes}.`,
        'Rescan the disks (Update-HostStorageCache), and join again.',
      );
    }
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
async function openNamed(path: string, sizeBytes?: number): Promise<BlockDevice> {
  try {
    return await openDevice(path, { mode: 'read', ...(sizeBytes === undefined ? {} : { sizeBytes }) });
  } catch (error) {
    throw isStandbyError(error) ? inputError(error.code, error.message, error.next) : error;
  }
}
