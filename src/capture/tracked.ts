import { readFile, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { ChunkSet } from '../block/chunks.ts';
import { openDevice } from '../block/open-device.ts';
import { readStateJson, removeStateFile, writeStateFile } from '../block/state-file.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import { isWindowsDevice, type MasterDisk } from '../model/disk.ts';
import type { CaptureMethod } from './capture.ts';
import { CompareSession, type Tracker } from './compare.ts';
import { BLOCK_BYTES } from './compare-round.ts';
import { diskProblem } from './disk-problems.ts';
import { TraceInstance } from './trace-instance.ts';

/**
 * `compare` that reads only what was written, as the kernel tells (Linux, root, whole block devices). Promises: what
 * is not read did not change since the appliance got it; when that is not certain (events lost, no clean stop, written
 * to while nobody watched), all is read, and the stream's state says why. The map of writes is kept by a clean stop.
 * Dies at any line: the map is not there at the next start, and all is read.
 */
export const tracked: CaptureMethod = {
  name: 'tracked',
  title: 'Compare only what was written, as the Linux kernel tells (whole block devices, as root)',
  live: true,
  open: (disks, options) =>
    CompareSession.open(disks, options, async () => {
      if (disks.some(({ path }) => isWindowsDevice(path))) return COMPARE_IN_FORCE;
      const { clock, folder } = options.live ?? {};
      if (!clock || !folder) throw new RangeError('opened without the options of live methods');
      return WriteTracker.open(disks, folder, clock);
    }),
};

/** Of disks of Windows all is read, and the stream says so. */
const COMPARE_IN_FORCE: Tracker = {
  reason:
    'Capture compare is in force: what Windows notes of changes (its USN journal) is not complete for a whole disk, so all is read.',
  begin: async () => undefined,
  changed: () => undefined,
  ended: async () => undefined,
  close: async () => undefined,
};

const SECTOR_BYTES = 512;
const DRAIN_MS = 250;
/** These make no requests of their own that could be seen. */
const UNSEEN = /^(dm-|md|zram|drbd)/;

const mapSchema = z.object({
  bootId: z.string(),
  disks: z.array(
    z.object({
      id: z.string(),
      sizeBytes: z.number(),
      identity: z.string(),
      unused: z.boolean(),
      bits: z.string(),
    }),
  ),
});
type SavedMap = z.infer<typeof mapSchema>;

interface Tracked {
  readonly disk: MasterDisk;
  readonly device: string;
  /** Written since the last round's view was taken. */
  current: ChunkSet;
  /** Written before it, and not acknowledged yet. */
  taken: ChunkSet;
}

export class WriteTracker implements Tracker {
  readonly #tracked: readonly Tracked[];
  readonly #trace: TraceInstance;
  readonly #path: string;
  readonly #over = new AbortController();
  readonly #draining: Promise<void>;
  #turn: Promise<void> = Promise.resolve();
  /** Why something may be missing in `current`, and in `taken`. */
  #gap: string | undefined;
  #takenGap: string | undefined;

  private constructor(
    tracked: readonly Tracked[],
    trace: TraceInstance,
    path: string,
    clock: Clock,
    gap?: string,
  ) {
    this.#tracked = tracked;
    this.#trace = trace;
    this.#path = path;
    this.#gap = gap;
    this.#draining = this.#keepDraining(clock);
  }

  static async open(disks: readonly MasterDisk[], folder: string, clock: Clock): Promise<WriteTracker> {
    const tracked: Tracked[] = [];
    for (const disk of disks) {
      const empty = () => new ChunkSet(Math.ceil(disk.sizeBytes / BLOCK_BYTES));
      tracked.push({ disk, device: await deviceNumber(disk), current: empty(), taken: empty() });
    }
    const path = join(folder, 'tracked.json');
    // Watching begins before the saved map is judged: what is written in between is seen by both.
    const trace = await TraceInstance.open(
      tracked.map(({ device }) => device),
      path,
    );
    try {
      const saved = await readStateJson(path, mapSchema);
      const gap = await adopt(tracked, saved);
      // From here on only a clean stop makes it valid again.
      await removeStateFile(path);
      return new WriteTracker(tracked, trace, path, clock, gap);
    } catch (error) {
      await trace.close();
      throw error;
    }
  }

  get reason(): string | undefined {
    const gap = this.#takenGap ?? this.#gap;
    return gap === undefined ? 'Only what was written is read and compared.' : `All is read: ${gap}`;
  }

  async #keepDraining(clock: Clock): Promise<void> {
    while (!this.#over.signal.aborted) {
      await clock.sleep(DRAIN_MS, this.#over.signal).catch(() => undefined); // Closing drains for the last time.
      await this.#drain();
    }
  }

  #drain(): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      try {
        const { writes, hasGap } = await this.#trace.drain();
        if (hasGap) this.#gap ??= 'the kernel lost some of its notes about writes.';
        for (const { device, sector, sectors } of writes) this.#mark(device, sector, sectors);
      } catch (error) {
        this.#gap ??= `the kernel's notes about writes cannot be read (${messageOf(error)}).`;
      }
    });
    return this.#turn;
  }

  #mark(device: string, sector: number, sectors: number): void {
    const found = this.#tracked.find((each) => each.device === device);
    if (!found) return;
    const last = Math.floor(((sector + sectors) * SECTOR_BYTES - 1) / BLOCK_BYTES);
    for (let block = Math.floor((sector * SECTOR_BYTES) / BLOCK_BYTES); block <= last; block++) {
      if (block < found.current.length) found.current.add(block);
    }
  }

  async begin(): Promise<void> {
    await this.#drain();
    for (const each of this.#tracked) {
      each.taken.addBytes(each.current.bytes, 0);
      each.current = new ChunkSet(each.current.length);
    }
    this.#takenGap ??= this.#gap;
    this.#gap = undefined;
  }

  changed(diskId: string): ChunkSet | undefined {
    if (this.#takenGap !== undefined) return undefined;
    return this.#tracked.find(({ disk }) => disk.id === diskId)?.taken;
  }

  async ended(isCommitted: boolean): Promise<void> {
    // What was given up stays in `taken`, and the next round takes it again.
    if (!isCommitted) return;
    for (const each of this.#tracked) each.taken = new ChunkSet(each.taken.length);
    this.#takenGap = undefined;
  }

  /** A clean stop: the map is kept, with what the devices say of themselves now. */
  async close(): Promise<void> {
    this.#over.abort();
    await this.#draining;
    await this.#drain();
    const gap = this.#takenGap ?? this.#gap;
    try {
      if (gap === undefined) await writeStateFile(this.#path, JSON.stringify(await this.#saved()));
    } finally {
      await this.#trace.close();
    }
  }

  async #saved(): Promise<SavedMap> {
    const disks: SavedMap['disks'] = [];
    for (const { disk, current, taken } of this.#tracked) {
      const all = current.copy();
      all.addBytes(taken.bytes, 0);
      const bits = Buffer.from(all.bytes).toString('base64');
      disks.push({ id: disk.id, sizeBytes: disk.sizeBytes, ...(await standing(disk)), bits });
    }
    return { bootId: await bootId(), disks };
  }
}

/** Takes over a saved map; answers why it cannot be trusted, if so. */
async function adopt(tracked: readonly Tracked[], saved: SavedMap | undefined): Promise<string | undefined> {
  if (!saved) return 'the last session did not end with a clean stop.';
  const isSameBoot = saved.bootId === (await bootId());
  for (const { disk, taken } of tracked) {
    const was = saved.disks.find(({ id }) => id === disk.id);
    if (!was || was.sizeBytes !== disk.sizeBytes) return `disk ${disk.id} is new or has another size.`;
    const now = await standing(disk);
    // After a start of the machine the kernel counts from nothing: then nobody may have written before or since.
    const isUntouched = isSameBoot
      ? was.identity === now.identity
      : was.unused && / written=0$/.test(now.identity);
    if (!isUntouched) return `disk ${disk.id} was written to while nobody watched.`;
    taken.addBytes(Buffer.from(was.bits, 'base64'), 0);
  }
  return undefined;
}

/** What the kernel counted for the disk, and whether nobody else uses it. */
async function standing(disk: MasterDisk): Promise<{ identity: string; unused: boolean }> {
  const device = await openDevice(disk.path, { mode: 'read' });
  const identity = await device.identity();
  await device.close();
  try {
    await (await openDevice(disk.path, { mode: 'read', exclusive: true })).close();
    return { identity, unused: true };
  } catch (error) {
    if (isStandbyError(error) && error.code === 'DISK_IN_USE') return { identity, unused: false };
    throw error;
  }
}

async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

/** `major:minor` of a whole block device. */
async function deviceNumber(disk: MasterDisk): Promise<string> {
  const refused = (why: string, cause?: unknown) =>
    new StandbyError({
      code: 'TRACKING_UNAVAILABLE',
      what: `Writes to disk ${disk.id} (${disk.path}) cannot be followed.`,
      why,
      next: 'Use capture compare for this disk.',
      cause,
    });
  const path = await realpath(disk.path).catch((error: unknown) => {
    throw diskProblem(disk, error);
  });
  try {
    const name = basename(path);
    if (UNSEEN.test(name)) throw refused('Devices of this kind hide their writes from the kernel’s notes.');
    return (await readFile(`/sys/block/${name}/dev`, 'utf8')).trim();
  } catch (error) {
    if (isStandbyError(error)) throw error;
    throw refused('It is not a whole block device of this machine.', error);
  }
}
