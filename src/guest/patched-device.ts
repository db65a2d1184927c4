import type { BlockDevice } from '../ports/block-device.ts';
import type { BytePatch } from './hive-change.ts';
import { readOnly } from './limited-device.ts';

/** A disk as it would read with some bytes changed. Nothing is written to it. */
export function patchedDevice(device: BlockDevice, patches: readonly BytePatch[]): BlockDevice {
  return {
    path: device.path,
    sizeBytes: device.sizeBytes,
    kind: device.kind,
    async read(target, offsetBytes) {
      await device.read(target, offsetBytes);
      for (const { atBytes, bytes } of patches) {
        const from = Math.max(atBytes, offsetBytes);
        const to = Math.min(atBytes + bytes.length, offsetBytes + target.length);
        if (from < to) target.set(bytes.subarray(from - atBytes, to - atBytes), from - offsetBytes);
      }
    },
    write: () => Promise.reject(readOnly(device.path)),
    sync: () => Promise.reject(readOnly(device.path)),
    identity: () => device.identity(),
    close: () => device.close(),
  };
}
