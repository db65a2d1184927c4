import { StandbyError } from '../errors.ts';
import type { BlockDevice } from '../ports/block-device.ts';

/**
 * A disk that answers only so many reads: whatever a damaged structure leads its reader to, the work has an end.
 * A healthy server's readiness takes some ten thousand reads and some hundred megabytes.
 */
export interface WorkLimit {
  readonly reads: number;
  readonly bytes: number;
}

const USUAL: WorkLimit = { reads: 1_000_000, bytes: 4 * 1024 ** 3 };

export function limitedDevice(device: BlockDevice, limit: WorkLimit = USUAL): BlockDevice {
  let [reads, bytes] = [0, 0];
  return {
    path: device.path,
    sizeBytes: device.sizeBytes,
    kind: device.kind,
    async read(target, offsetBytes) {
      reads += 1;
      bytes += target.length;
      if (reads > limit.reads || bytes > limit.bytes) throw tooMuch(device.path, limit);
      await device.read(target, offsetBytes);
    },
    write: () => Promise.reject(readOnly(device.path)),
    sync: () => Promise.reject(readOnly(device.path)),
    identity: () => device.identity(),
    close: () => device.close(),
  };
}

function tooMuch(path: string, { reads, bytes }: WorkLimit): StandbyError {
  return new StandbyError({
    code: 'GUEST_TOO_MUCH_WORK',
    what: `Looking into ${path} was given up.`,
    why: `It took more than ${reads} reads or ${bytes} bytes; only damaged data asks for that.`,
    next: 'Check the file systems on the master.',
  });
}

export function readOnly(path: string): StandbyError {
  return new StandbyError({
    code: 'GUEST_READ_ONLY',
    what: `${path} was opened for looking only.`,
    next: 'This is a defect of Standby; please report it.',
  });
}
