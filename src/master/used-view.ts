import type { CaptureSession } from '../capture/capture.ts';
import { mapDisk } from '../guest/disk-map.ts';
import { MAP_BLOCK_BYTES, type UsedMap } from '../guest/used-map.ts';
import type { Log } from '../log.ts';
import type { BlockDevice } from '../ports/block-device.ts';

/**
 * What a copy of disks at rest leaves out: blocks that their file systems call free read as zeros, for the copy and for
 * the proof alike. The map comes from the disks alone, and they do not change while their copy lasts, so an engine that
 * was started again finds the same map; should a newer engine judge otherwise, the proof names the chunks in question.
 *
 * Never for a live disk: a mounted file system writes data before the bitmap that says so, and what we would take for
 * free may be a file a moment later. Nor for `compare`: its later rounds tell what differs from the disk as it lies
 * there, free blocks included, so its first copy must hold just that.
 */
export interface CopyViews {
  view(diskId: string): BlockDevice;
  readonly leftOutBytes: number;
}

export async function usedViews(
  capture: CaptureSession,
  diskIds: readonly string[],
  options: { readonly signal: AbortSignal; readonly log: Log },
): Promise<CopyViews> {
  if (capture.changes) return { view: (diskId) => capture.view(diskId), leftOutBytes: 0 };
  const views = new Map<string, BlockDevice>();
  let leftOutBytes = 0;
  for (const diskId of diskIds) {
    const device = capture.view(diskId);
    const { used, volumes } = await mapDisk(device, diskId, options.signal);
    const freeBytes = device.sizeBytes - used.usedBytes();
    leftOutBytes += freeBytes;
    views.set(diskId, freeBytes > 0 ? withoutFree(device, used) : device);
    const whole = volumes.filter((volume) => volume.countedWhole);
    const why = whole.map(({ id, countedWhole }) => `${id}: ${countedWhole}`);
    options.log.info('free blocks are not copied', {
      diskId,
      freeBytes,
      ...(why.length ? { whole: why } : {}),
    });
  }
  const view = (diskId: string) => views.get(diskId) ?? capture.view(diskId);
  return { view, leftOutBytes };
}

/** What is free from end to end is not even read; between used blocks, one long read is quicker than many short ones. */
export function withoutFree(device: BlockDevice, used: UsedMap): BlockDevice {
  const read = async (target: Uint8Array, offsetBytes: number) => {
    const first = Math.floor(offsetBytes / MAP_BLOCK_BYTES);
    const end = Math.ceil((offsetBytes + target.byteLength) / MAP_BLOCK_BYTES);
    if (isFree(used, first, end)) {
      target.fill(0);
      return;
    }
    await device.read(target, offsetBytes);
    for (let block = first; block < end; block++) {
      if (used.isUsed(block)) continue;
      const start = block * MAP_BLOCK_BYTES - offsetBytes;
      target.fill(0, Math.max(0, start), Math.max(0, start + MAP_BLOCK_BYTES));
    }
  };
  return { ...portOf(device), read };
}

function isFree(used: UsedMap, first: number, end: number): boolean {
  for (let block = first; block < end; block++) if (used.isUsed(block)) return false;
  return true;
}

/** Methods of a class are not copied by a spread. */
function portOf(device: BlockDevice): BlockDevice {
  return {
    path: device.path,
    sizeBytes: device.sizeBytes,
    kind: device.kind,
    read: (target, offsetBytes) => device.read(target, offsetBytes),
    write: (source, offsetBytes) => device.write(source, offsetBytes),
    sync: () => device.sync(),
    identity: () => device.identity(),
    close: () => device.close(),
  };
}
