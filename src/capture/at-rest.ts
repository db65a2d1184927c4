import { openDevice } from '../block/open-device.ts';
import { inputError } from '../errors.ts';
import { isWindowsDevice, type MasterDisk } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import type { CaptureMethod, CaptureOptions, CaptureSession } from './capture.ts';
import { diskChanged, diskProblem, diskResized } from './disk-problems.ts';
import { hideExcluded, type Range, rangesOf } from './excluded.ts';

/**
 * Captures disks that stand still: a server that is shut down, an image file, an unmounted block device.
 * Promises: opens read-only; refuses a device that is mounted; tells when a disk turned out not to stand still.
 * It writes nothing, so dying at any line leaves nothing behind.
 */
export const atRest: CaptureMethod = {
  name: 'at-rest',
  title: 'Copy a server that is shut down, a disk image, or an unmounted disk',
  live: false,
  async open(disks, options) {
    const opened: RestingDisk[] = [];
    try {
      for (const disk of disks) opened.push(await openResting(disk, options));
      return new RestingSession(opened);
    } catch (error) {
      for (const disk of opened) await disk.device.close();
      throw error;
    }
  },
};

interface RestingDisk {
  readonly disk: MasterDisk;
  readonly device: BlockDevice;
  readonly identity: string;
  readonly view: BlockDevice;
}

async function openResting(disk: MasterDisk, options: CaptureOptions): Promise<RestingDisk> {
  if (isWindowsDevice(disk.path)) throw neverAtRest(disk);
  let device: BlockDevice;
  try {
    device = await openDevice(disk.path, { mode: 'read', exclusive: true });
  } catch (error) {
    throw diskProblem(disk, error);
  }
  try {
    if (device.sizeBytes !== disk.sizeBytes) throw diskResized(disk, device.sizeBytes);
    const excluded = rangesOf(options.excluded, disk.id);
    return { disk, device, identity: await device.identity(), view: viewOf(disk, device, excluded) };
  } catch (error) {
    await device.close();
    throw error;
  }
}

/** Windows tells nobody whether a disk of its own was written to. */
function neverAtRest(disk: MasterDisk): Error {
  return inputError(
    'DISK_NOT_AT_REST',
    `Disk ${disk.id} (${disk.path}) is a disk of a Windows that runs, and nothing proves that it stands still.`,
    'Choose capture compare. Or shut the server down and join with its disks on a Linux machine, or with their images.',
  );
}

class RestingSession implements CaptureSession {
  readonly #disks: readonly RestingDisk[];

  constructor(disks: readonly RestingDisk[]) {
    this.#disks = disks;
  }

  view(diskId: string): BlockDevice {
    const found = this.#disks.find((resting) => resting.disk.id === diskId);
    if (!found) throw new RangeError(`disk ${diskId} is not captured`);
    return found.view;
  }

  async assertUnchanged(): Promise<void> {
    for (const { disk, device, identity } of this.#disks) {
      let now: string;
      try {
        now = await device.identity();
      } catch (error) {
        throw diskProblem(disk, error);
      }
      if (now === identity) continue;
      const again = await openDevice(disk.path, { mode: 'read' }).catch((error: unknown) => {
        throw diskProblem(disk, error);
      });
      await again.close();
      throw again.sizeBytes === disk.sizeBytes
        ? diskChanged(disk, identity, now)
        : diskResized(disk, again.sizeBytes);
    }
  }

  async close(): Promise<void> {
    for (const { device } of this.#disks) await device.close();
  }
}

/** Reads of excluded ranges give zeros and never touch the disk's own data there. */
function viewOf(disk: MasterDisk, device: BlockDevice, excluded: readonly Range[]): BlockDevice {
  const refuse = async () => {
    throw new RangeError(`the captured disk ${disk.id} is read-only`);
  };
  return {
    path: device.path,
    sizeBytes: device.sizeBytes,
    kind: device.kind,
    async read(target, offsetBytes) {
      try {
        await device.read(target, offsetBytes);
      } catch (error) {
        throw diskProblem(disk, error);
      }
      hideExcluded(target, offsetBytes, excluded);
    },
    write: refuse,
    sync: refuse,
    identity: () => device.identity(),
    close: async () => {},
  };
}
