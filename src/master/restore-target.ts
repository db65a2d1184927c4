import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CHUNK_BYTES } from '../block/chunks.ts';
import { openDevice, type QuickDevice } from '../block/open-device.ts';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import { isZero } from '../block/zeros.ts';
import { inputError, isStandbyError } from '../errors.ts';
import { readDiskMark } from '../guest/disk-mark.ts';
import type { RestoreOffer } from '../wire/restore-messages.ts';
import type { MasterIdentity } from './identity.ts';
import type { TargetDisk } from './restore-pull.ts';

/**
 * The disks that a restore writes. Promises: every one of them is looked at before the first is written, and is refused
 * when it is in use, too small, named twice, or holds data that are not those of the disk that is restored, unless the
 * person says `--overwrite`. Which ones were taken is in the state folder before the first byte, so that the same command
 * goes on with them; dying at any line leaves disks that were not touched, or that are known.
 */
export interface Target {
  readonly path: string;
  readonly diskId?: string;
}

export interface TargetOptions {
  readonly stateFolder: string;
  readonly targets: readonly Target[];
  readonly inventory: MasterIdentity['inventory'];
  readonly overwrite: boolean;
  /** To compare them: they may hold anything, and are not taken. */
  readonly isOnlyRead?: boolean;
}

type OfferedDisk = RestoreOffer['disks'][number];

/** `/dev/sda`, or `/dev/sdb=disk1`. */
export function parseTarget(text: string): Target {
  const match = /^(.+)=([A-Za-z0-9][A-Za-z0-9._-]{0,127})$/.exec(text);
  return match?.[1] && match[2] ? { path: match[1], diskId: match[2] } : { path: text };
}

/** Open for writing, in the order of the offer. Throws input errors; nothing was written then. */
export async function openTargets(offer: RestoreOffer, options: TargetOptions): Promise<TargetDisk[]> {
  const paths = pathsOf(offer, options);
  const opened: TargetDisk[] = [];
  const names: string[] = [];
  const known = await readTaken(options.stateFolder, offer.scenarioId);
  try {
    for (const [index, disk] of offer.disks.entries()) {
      const path = paths[index] ?? '';
      const device = await openTarget(path, disk);
      opened.push({ diskId: disk.diskId, sizeBytes: disk.sizeBytes, device });
      const name = await nameOf(path);
      if (names.includes(name)) throw namedTwice(path);
      names.push(name);
      assertLargeEnough(device, disk);
      const isOurs =
        options.isOnlyRead ||
        options.overwrite ||
        known.some((one) => one.diskId === disk.diskId && one.name === name);
      if (!isOurs) await assertMayWrite(device, disk);
    }
    if (options.isOnlyRead) return opened;
    const taken = offer.disks.map(({ diskId }, index) => ({ diskId, name: names[index] ?? '' }));
    await writeStateFile(
      takenPath(options.stateFolder),
      JSON.stringify({ scenarioId: offer.scenarioId, taken }),
    );
    return opened;
  } catch (error) {
    await closeTargets(opened);
    throw error;
  }
}

export async function closeTargets(disks: readonly TargetDisk[]): Promise<void> {
  for (const { device } of disks) await device.close();
}

/** Which target is which disk: as it is named, else by the path it has always had, else there is only one of each. */
function pathsOf(offer: RestoreOffer, { targets, inventory }: TargetOptions): string[] {
  const [only] = offer.disks;
  const named = targets.map((target) => ({
    path: target.path,
    diskId:
      target.diskId ??
      inventory.disks.find((disk) => disk.path === target.path)?.id ??
      (offer.disks.length === 1 && targets.length === 1 ? only?.diskId : undefined),
  }));
  const wanted = offer.disks.map(({ diskId, sizeBytes }) => `${diskId} (${sizeBytes} bytes)`).join(', ');
  for (const { path, diskId } of named) {
    if (offer.disks.some((disk) => disk.diskId === diskId)) continue;
    throw inputError(
      'TARGET_UNCLEAR',
      diskId === undefined
        ? `Which disk is ${path} to become?`
        : `There is no ${diskId} to restore to ${path}.`,
      `Name it as --target ${path}=DISK; there are: ${wanted}`,
    );
  }
  return offer.disks.map(({ diskId }) => {
    const fitting = named.filter((one) => one.diskId === diskId);
    if (fitting[0] && fitting.length === 1) return fitting[0].path;
    throw inputError(
      fitting.length > 1 ? 'TARGET_TWICE' : 'TARGET_MISSING',
      fitting.length > 1 ? `${diskId} has several targets.` : `There is no target for ${diskId}.`,
      `A server is restored whole. Name one target for each of: ${wanted}`,
    );
  });
}

async function openTarget(path: string, disk: OfferedDisk): Promise<QuickDevice> {
  try {
    return await openDevice(path, { mode: 'write', exclusive: true });
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    const next =
      error.code === 'DISK_IN_USE'
        ? `Unmount it, or name the disk that ${disk.diskId} is to be written to. A server is restored from a rescue system, not while it runs.`
        : error.next;
    throw inputError(error.code, error.message, next);
  }
}

function assertLargeEnough({ path, sizeBytes }: QuickDevice, disk: OfferedDisk): void {
  if (sizeBytes >= disk.sizeBytes) return;
  throw inputError(
    'TARGET_TOO_SMALL',
    `${path} has ${sizeBytes} bytes; ${disk.diskId} needs ${disk.sizeBytes}.`,
    'Name a disk that is at least as large.',
  );
}

/** The very disk, as its partition table calls it, or one that looks empty at both ends. */
async function assertMayWrite(device: QuickDevice, disk: OfferedDisk): Promise<void> {
  const mark = await readDiskMark(device);
  if (mark !== undefined && mark === disk.mark) return;
  const ends = Buffer.alloc(Math.min(CHUNK_BYTES, device.sizeBytes));
  for (const offsetBytes of [0, device.sizeBytes - ends.length]) {
    await device.read(ends, offsetBytes);
    if (isZero(ends)) continue;
    throw inputError(
      'TARGET_NOT_EMPTY',
      `${device.path} holds data, and it is not the disk that ${disk.diskId} was copied from.`,
      `Look at it (standby inspect --disk ${device.path}). If all of it may be lost: --overwrite`,
    );
  }
}

function namedTwice(path: string) {
  return inputError(
    'TARGET_TWICE',
    `${path} is named twice, perhaps by another path.`,
    'Name each disk once.',
  );
}

// --- what was taken before

const takenSchema = z.object({
  scenarioId: z.string(),
  taken: z.array(z.object({ diskId: z.string(), name: z.string() })),
});

const takenPath = (stateFolder: string) => join(stateFolder, 'restoring.json');

async function readTaken(stateFolder: string, scenarioId: string) {
  const found = await readStateJson(takenPath(stateFolder), takenSchema);
  return found?.scenarioId === scenarioId ? found.taken : [];
}

/** What a device is called holds until the next boot: afterwards the kernel may call another one so. */
async function nameOf(path: string): Promise<string> {
  const facts = await stat(await realpath(path), { bigint: true });
  if (facts.isFile()) return `file ${facts.dev}:${facts.ino}`;
  return `device ${facts.rdev} of boot ${(await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()}`;
}
