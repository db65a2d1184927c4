import { openFolder } from '../block/files.ts';
import { openDevice, type QuickDevice } from '../block/open-device.ts';
import { inputError } from '../errors.ts';
import type { MasterDisk } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import type { CaptureMethod, CaptureSession } from './capture.ts';
import { diskProblem, diskResized } from './disk-problems.ts';
import { hideExcluded } from './excluded.ts';
import { type NbdServer, startNbdServer } from './nbd/server.ts';
import type { RecordedDisk } from './recorded-disk.ts';
import { Recorder } from './recorder.ts';

/**
 * Captures a live guest in write order: its disks are served over NBD by this engine, and every write passes through.
 * Promises: what the guest was told is durable is durable on the master's disk, and on the master's spool or in its
 * map; the guest never waits for the link. Dies at any line: the guest sees its disk go away, as it would with any
 * server; the next `open` goes on from spool and map, and reads again only what may have been lost from the order.
 * While a disk is served here, nobody else may write to it.
 */
export const nbd: CaptureMethod = {
  name: 'nbd',
  title: 'Follow a running QEMU/KVM guest, write by write (its disks are served over NBD)',
  live: true,
  async open(disks, options) {
    const { live } = options;
    if (!live?.nbd) throw inputError('CAPTURE_INCOMPLETE', 'Capture nbd needs a socket or port to serve at.');
    const devices: { disk: MasterDisk; id: string; device: QuickDevice }[] = [];
    let recorder: Recorder | undefined;
    try {
      for (const disk of disks) {
        const device = await openDevice(disk.path, { mode: 'write', exclusive: true }).catch(
          (error: unknown) => {
            throw diskProblem(disk, error);
          },
        );
        devices.push({ disk, id: disk.id, device });
        if (device.sizeBytes !== disk.sizeBytes) throw diskResized(disk, device.sizeBytes);
      }
      recorder = await Recorder.open({
        folder: await openFolder(live.folder),
        disks: devices,
        excluded: options.excluded,
        clock: live.clock,
        log: live.log,
        ...(live.nbd.spoolBytes === undefined ? {} : { spoolBytes: live.nbd.spoolBytes }),
      });
      const { clock, log } = live;
      const served = recorder.disks.map((disk) => servedDisk(disk, recorder as Recorder));
      const server = await startNbdServer({ listen: live.nbd.listen, disks: served, clock, log });
      return new NbdSession(recorder, server);
    } catch (error) {
      await recorder?.close();
      for (const { device } of devices) await device.close();
      throw error;
    }
  },
};

function servedDisk(disk: RecordedDisk, recorder: Recorder) {
  return {
    name: disk.id,
    sizeBytes: disk.device.sizeBytes,
    read: disk.read.bind(disk),
    submit: disk.submit.bind(disk),
    flush: () => recorder.flush(disk),
  };
}

export class NbdSession implements CaptureSession {
  readonly changes: Recorder;
  readonly #server: NbdServer;

  constructor(recorder: Recorder, server: NbdServer) {
    this.changes = recorder;
    this.#server = server;
  }

  /** Where the guest finds a disk: an export named by its id. */
  uriOf(diskId: string): string {
    return this.#server.uriOf(diskId);
  }

  view(diskId: string): BlockDevice {
    const disk = this.changes.disks.find(({ id }) => id === diskId);
    if (!disk) throw new RangeError(`disk ${diskId} is not captured`);
    const refuse = async () => {
      throw new RangeError(`the view of disk ${diskId} is read-only`);
    };
    return {
      path: disk.device.path,
      sizeBytes: disk.device.sizeBytes,
      kind: disk.device.kind,
      async read(target, offsetBytes) {
        await disk.device.read(target, offsetBytes);
        hideExcluded(target, offsetBytes, disk.excluded);
      },
      write: refuse,
      sync: refuse,
      // A live disk changes; that it is the same disk of the same size is all there is to hold on to.
      identity: async () => `live ${diskId} size=${disk.device.sizeBytes}`,
      close: async () => {},
    };
  }

  /** Changes are expected here, and told; a disk that shrank or went away fails the reads and writes themselves. */
  async assertUnchanged(): Promise<void> {
    for (const disk of this.changes.disks) await disk.device.identity();
  }

  async close(): Promise<void> {
    await this.#server.close();
    try {
      await this.changes.close();
    } finally {
      for (const disk of this.changes.disks) await disk.device.close();
    }
  }
}
