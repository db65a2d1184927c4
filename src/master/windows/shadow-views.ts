import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openDevice } from '../../block/open-device.ts';
import type { DiskViews, ExcludedRange, TakenViews } from '../../capture/capture.ts';
import { inputError, isStandbyError, StandbyError } from '../../errors.ts';
import { makeInTurn } from '../../in-turn.ts';
import type { MasterDisk } from '../../model/disk.ts';
import type { BlockDevice } from '../../ports/block-device.ts';
import { ComposedDisk, type Extent } from './composed-disk.ts';
import { isRawPartition, isShadowed, pathOf, tableIdOf } from './disk-choice.ts';
import { guestSpoils } from './guest-spoils.ts';
import {
  letterOf,
  parseWindowsDocument,
  volumeNameOf,
  type WindowsDocument,
  type WindowsPartition,
} from './inventory-document.ts';
import { INVENTORY_SCRIPT } from './inventory-script.ts';
import { ShadowCopies, type ShadowCopiesOptions } from './shadow-copies.ts';
import type { Shadow } from './shadow-words.ts';
import { pathsToday } from './windows-inventory.ts';

/**
 * A Windows server's disks as they were at one moment: each volume from its shadow copy, what lies around them (tables,
 * ESP, reserved and recovery partitions) from the disk itself, what is excluded as zeros, and so what is worth nothing
 * elsewhere (page file, hibernation file, storage of shadow copies). Promises: no volume is read while it changes, or the
 * view is refused; a disk is found by its table's identifier, so a new number does not make it another one. Its shadow
 * copies are let go of in any case (shadow-copies.ts).
 */
interface ShadowViewsOptions extends ShadowCopiesOptions {
  /** Opens a disk or a shadow copy; tests put files in their place. */
  readonly open?: (path: string, sizeBytes?: number) => Promise<BlockDevice>;
}

export class ShadowViews implements DiskViews {
  readonly #options: ShadowViewsOptions;
  readonly #open: (path: string, sizeBytes?: number) => Promise<BlockDevice>;

  /** Windows makes one set at a time; several may stand. Each has a place of its own for its record. */
  readonly #inTurn = makeInTurn();
  readonly #standing = new Set<number>();

  constructor(options: ShadowViewsOptions) {
    this.#options = options;
    this.#open = options.open ?? openToRead;
  }

  /** What an engine left behind that was killed is deleted: at the next start, and when its service is removed. */
  async clean(): Promise<void> {
    for (const name of await foldersIn(this.#options.folder)) {
      await this.#letGo(new ShadowCopies({ ...this.#options, folder: join(this.#options.folder, name) }));
    }
  }

  async take(disks: readonly MasterDisk[], excluded: readonly ExcludedRange[]): Promise<TakenViews> {
    const document = parseWindowsDocument(await this.#options.tools.powershell(INVENTORY_SCRIPT));
    const paths = pathsToday(document, disks);
    const parts = disks.flatMap((disk, index) => partsOf(disk, paths[index] ?? '', document, excluded));
    const place = this.#freePlace();
    const copies = new ShadowCopies({ ...this.#options, folder: join(this.#options.folder, `view${place}`) });
    const devices = new Map<string, BlockDevice>();
    const release = async () => {
      try {
        for (const device of devices.values()) await device.close();
      } finally {
        await this.#letGo(copies);
        this.#standing.delete(place);
      }
    };
    try {
      const names = parts.map(({ volume }) => volume);
      const { shadows, consistency } = await this.#inTurn(() => copies.make(names, document.diskshadow));
      for (const [index, disk] of disks.entries()) {
        const own = parts.filter((part) => part.diskId === disk.id);
        devices.set(disk.id, await this.#compose(disk, paths[index] ?? '', own, shadows, excluded));
      }
      return { devices, consistency, assertStands: () => copies.assertStand(shadows), release };
    } catch (error) {
      await release();
      throw error;
    }
  }

  #freePlace(): number {
    let place = 0;
    while (this.#standing.has(place)) place++;
    this.#standing.add(place);
    return place;
  }

  /** What cannot be deleted now is known, and no other is made in its place before it is gone. */
  async #letGo(copies: ShadowCopies): Promise<void> {
    try {
      await this.#inTurn(() => copies.remove());
    } catch (error) {
      if (!isStandbyError(error)) throw error;
      this.#options.log.error('shadow copies cannot be deleted; it is tried again before the next are made', {
        reason: error.message,
      });
    }
  }

  async #compose(
    disk: MasterDisk,
    path: string,
    parts: readonly Part[],
    shadows: readonly Shadow[],
    excluded: readonly ExcludedRange[],
  ): Promise<BlockDevice> {
    const opened = [await this.#open(path, disk.sizeBytes)];
    const [base] = opened;
    try {
      const extents: Extent[] = [];
      for (const part of parts) {
        const shadow = shadows.find(({ volume }) => volume.toLowerCase() === part.volume.toLowerCase());
        if (!shadow) throw new RangeError(`no shadow copy of ${part.volume}`);
        const device = await this.#open(shadow.device);
        opened.push(device);
        const sizeBytes = Math.min(part.sizeBytes, await fileSystemBytes(device, part.name));
        const { offsetBytes } = part;
        extents.push({ offsetBytes, sizeBytes, device });
      }
      if (!base) throw new RangeError(`${path} is not open`);
      const identity = `shadow copies ${shadows.map(({ id }) => id).join(' ')} size=${base.sizeBytes}`;
      const whole = new ComposedDisk(base, extents, identity);
      for (const part of parts) extents.push(...(await guestSpoils(whole, part, this.#options.log)));
      const hidden = excluded.filter(({ diskId }) => diskId === disk.id);
      extents.push(...hidden.map(({ offsetBytes, sizeBytes }) => ({ offsetBytes, sizeBytes })));
      return new ComposedDisk(base, extents, identity);
    } catch (error) {
      for (const device of opened) await device.close();
      throw error;
    }
  }
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Those of a master's engine. */
export function shadowViewsOf(stateFolder: string, options: Omit<ShadowViewsOptions, 'folder'>): ShadowViews {
  return new ShadowViews({ ...options, folder: join(stateFolder, 'shadows') });
}

interface Part {
  readonly diskId: string;
  readonly volume: string;
  readonly name: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** The volumes of a disk that need a shadow copy. */
function partsOf(
  disk: MasterDisk,
  path: string,
  document: WindowsDocument,
  excluded: readonly ExcludedRange[],
): Part[] {
  const found = document.disks.find((one) => pathOf(one) === path);
  if (!found || tableIdOf(found) !== disk.tableId || !disk.tableId) throw notWindowsDisk(disk);
  const own = document.partitions.filter(({ DiskNumber }) => DiskNumber === found.Number);
  return own.flatMap((partition) => {
    const volume = volumeNameOf(partition);
    if (!volume || isRawPartition(partition) || isExcluded(partition, disk.id, excluded)) return [];
    const name = letterOf(partition.DriveLetter) ?? volume;
    if (!isShadowed(volume, document)) throw notShadowed(disk, name);
    const { Offset: offsetBytes, Size: sizeBytes } = partition;
    return [{ diskId: disk.id, volume, name, offsetBytes, sizeBytes }];
  });
}

function isExcluded(
  { Offset, Size }: WindowsPartition,
  diskId: string,
  excluded: readonly ExcludedRange[],
): boolean {
  return excluded.some(
    (range) =>
      range.diskId === diskId &&
      range.offsetBytes <= Offset &&
      range.offsetBytes + range.sizeBytes >= Offset + Size,
  );
}

/** Windows reads a volume up to the end of its file system only; what lies behind it (a spare boot sector) stands still. */
async function fileSystemBytes(device: BlockDevice, name: string): Promise<number> {
  const boot = Buffer.alloc(512);
  await device.read(boot, 0);
  const kind = boot.toString('latin1', 3, 11);
  if (kind === 'NTFS    ') return Number(boot.readBigUInt64LE(0x28)) * boot.readUInt16LE(0x0b);
  if (kind.startsWith('ReFS')) return Number(boot.readBigUInt64LE(0x18)) * boot.readUInt32LE(0x20);
  throw new StandbyError({
    code: 'SHADOW_UNREADABLE',
    what: `The shadow copy of volume ${name} does not begin as a volume of NTFS or ReFS does.`,
    next: 'Check the volume (chkdsk), or leave it out of the scenario.',
    retry: 'later',
  });
}

function openToRead(path: string, sizeBytes?: number): Promise<BlockDevice> {
  return openDevice(path, { mode: 'read', ...(sizeBytes === undefined ? {} : { sizeBytes }) });
}

function notShadowed(disk: MasterDisk, name: string): StandbyError {
  return inputError(
    'VOLUME_NOT_SHADOWED',
    `Windows makes no shadow copy of volume ${name} on disk ${disk.id}, so it cannot be read at one moment.`,
    'Leave it out: standby scenario edit, excluded volumes. Or make it NTFS.',
  );
}

function notWindowsDisk(disk: MasterDisk): StandbyError {
  return inputError(
    'DISK_NOT_OF_WINDOWS',
    `Disk ${disk.id} (${disk.path}) is not a disk that this Windows knows.`,
    'Disks and image files cannot be mixed in one master: join them as two.',
  );
}
