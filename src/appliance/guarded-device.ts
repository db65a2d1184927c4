import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { attachmentOf } from '../block/attachment.ts';
import { openFolder } from '../block/files.ts';
import type { QuickDevice } from '../block/open-device.ts';
import { SignatureFile } from '../block/signature-file.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import { KeptSignatures } from './kept-signatures.ts';

/**
 * The one door to a replica disk: whoever writes through it cannot forget to tell the kept signatures. Promises: they
 * are told before a write begins and after it has ended; at `close` the disk is synced before they may be believed
 * later. They are a help: without them a disk is as good, and is read.
 */
export interface GuardedDisk {
  readonly device: QuickDevice;
  /** Undefined where nothing can be kept: the system cannot tell this disk from another, or there is no room. */
  readonly signatures?: KeptSignatures;
}

export interface KeepOptions {
  readonly stateFolder: string;
  readonly scenarioId: string;
  readonly diskId: string;
  readonly sizeBytes: number;
  /** Of the replica's other disks: they share one. */
  readonly key?: string | undefined;
  readonly log?: Log | undefined;
}

/** Of the free space of the state folder's file system, so much at most, for all disks together: journals need it more. */
const SPACE_SHARE = 0.25;
/** As `stat` counts. */
const BLOCK_BYTES = 512;
/** What the files of the disks that are open may grow to. */
let promisedBytes = 0;

export async function guardDisk(device: QuickDevice, options: KeepOptions): Promise<GuardedDisk> {
  const { stateFolder, scenarioId, diskId, sizeBytes, key, log } = options;
  const onLost = (error: unknown) => {
    const reason = messageOf(error);
    log?.warn('the signatures of a replica disk are not kept: it is read when it is compared', {
      scenarioId,
      diskId,
      reason,
    });
  };
  try {
    const identity = await attachmentOf(device);
    if (identity === undefined) return { device };
    const path = join(stateFolder, 'replicas', scenarioId);
    const folder = await openFolder(path);
    const name = `${diskId}.signatures`;
    const neededBytes = SignatureFile.bytesFor(sizeBytes);
    const roomBytes = ((await folder.freeBytes?.()) ?? 0) + (await heldBytes(join(path, name)));
    if (promisedBytes + neededBytes > roomBytes * SPACE_SHARE) {
      // What an earlier, roomier time left there counts for nothing, as nobody keeps it current now.
      await folder.remove(name);
      return { device };
    }
    const signatures = await KeptSignatures.open({ folder, name, sizeBytes, identity, key, onLost });
    promisedBytes += neededBytes;
    const guarded = guardDevice(device, signatures);
    const close = async () => {
      promisedBytes -= neededBytes;
      await guarded.close();
    };
    return { device: { ...guarded, close }, signatures };
  } catch (error) {
    onLost(error);
    return { device };
  }
}

async function heldBytes(path: string): Promise<number> {
  try {
    return (await stat(path)).blocks * BLOCK_BYTES;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

export function guardDevice(
  device: QuickDevice,
  signatures: KeptSignatures,
  identityOf: (device: QuickDevice) => Promise<string | undefined> = attachmentOf,
): QuickDevice {
  const guarded = async (
    pieces: readonly Uint8Array[],
    offsetBytes: number,
    write: () => Promise<void>,
  ): Promise<void> => {
    const kept = signatures.begin(offsetBytes, lengthOf(pieces));
    try {
      await write();
    } catch (error) {
      kept.fail();
      throw error;
    }
    await kept.end(pieces);
  };
  return {
    path: device.path,
    sizeBytes: device.sizeBytes,
    kind: device.kind,
    read: (target, offsetBytes) => device.read(target, offsetBytes),
    readNow: (target, offsetBytes) => device.readNow(target, offsetBytes),
    write: (source, offsetBytes) => guarded([source], offsetBytes, () => device.write(source, offsetBytes)),
    writePieces: (pieces, offsetBytes) =>
      guarded(pieces, offsetBytes, () => device.writePieces(pieces, offsetBytes)),
    writeNow(pieces, offsetBytes) {
      const kept = signatures.begin(offsetBytes, lengthOf(pieces));
      try {
        device.writeNow(pieces, offsetBytes);
      } catch (error) {
        kept.fail();
        throw error;
      }
      void kept.end(pieces);
    },
    sync: () => device.sync(),
    identity: () => device.identity(),
    async close() {
      try {
        await signatures.close(await settled(device, identityOf));
      } finally {
        await device.close();
      }
    },
  };
}

/** Undefined when the disk does not say that it has everything: the signatures are worth nothing then. */
async function settled(
  device: QuickDevice,
  identityOf: (device: QuickDevice) => Promise<string | undefined>,
): Promise<string | undefined> {
  try {
    await device.sync();
    return await identityOf(device);
  } catch {
    // Nothing new is at stake: whoever had to know that the disk is durable has synced it, and heard.
    return undefined;
  }
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  let length = 0;
  for (const piece of pieces) length += piece.byteLength;
  return length;
}
