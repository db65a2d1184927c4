import type { FileFolder } from '../block/files.ts';
import type { QuickDevice } from '../block/open-device.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import { Barrier } from './barrier.ts';
import type {
  Change,
  ChangeStream,
  ExcludedRange,
  StreamProof,
  StreamProofOptions,
  StreamState,
} from './capture.ts';
import { keepCheckpoints } from './checkpoints.ts';
import { type DirtyMap, GRANULE_BYTES, openMaps, removeMap } from './dirty-map.ts';
import { DirtyPump } from './dirty-pump.ts';
import { diskUnreadable } from './disk-problems.ts';
import { rangesOf } from './excluded.ts';
import { RecordedDisk } from './recorded-disk.ts';
import { RecorderProof } from './recorder-proof.ts';
import { Spool } from './spool.ts';
import { appendChange, changeOf } from './spool-change.ts';
import type { NewRecord, SpoolRecord } from './spool-format.ts';

/**
 * Records the writes of several disks in one order. Promises: the changes told, applied in order to a copy of the disks
 * as they were at `restart`, give the disks as they are, except where the map says dirty; while anything is dirty, a
 * set is open in the stream, and it ends only when nothing is. The workload never waits for the link, and a full or
 * broken spool costs it nothing but the order: what changed is marked and read again.
 * Dies at any line: spool and map together say what to tell again (docs/CAPTURE.md has the table).
 */
export interface RecorderOptions {
  readonly folder: FileFolder;
  readonly disks: readonly { readonly id: string; readonly device: QuickDevice }[];
  readonly excluded: readonly ExcludedRange[];
  readonly clock: Clock;
  readonly log: Log;
  readonly spoolBytes?: number;
  /** Tests only. */
  readonly segmentBytes?: number;
}

const SPOOL_BYTES = 512 * 1024 * 1024;
/** The pump leaves this share of the spool to the guest's own writes. */
const SHARE_FOR_GUEST = 0.5;
/** Changes that nobody flushed are made durable, and told, after this. */
const SYNC_SOON_MS = 20;
/** What a lost record may have been told under is not used again. */
const SEQUENCE_GAP = 2 ** 32;

export class Recorder implements ChangeStream {
  readonly disks: readonly RecordedDisk[];
  readonly #options: RecorderOptions;
  readonly #spool: Spool;
  /** Numbers that no record here has, because it stopped without a clean stop. */
  readonly #unknown: { readonly above: number; readonly below: number };
  readonly #over = new AbortController();
  #reason: string | undefined;
  #spoolFailed = false;
  #isSilent = false;
  #lastFlushed: number;
  #reading = false;
  readonly #barrier = new Barrier();
  #isLost: boolean;
  readonly #pump: DirtyPump;
  readonly #proof: RecorderProof;
  #syncing: Promise<void> | undefined;
  readonly #checkpoints: Promise<void>;
  readonly #wakers = new Set<() => void>();

  private constructor(options: RecorderOptions, spool: Spool, maps: readonly DirtyMap[], above: number) {
    this.#options = options;
    this.#spool = spool;
    this.#unknown = { above, below: spool.lastSequence };
    this.#lastFlushed = spool.lastSequence;
    this.#isLost = maps.some(({ found }) => found.kind === 'new' || found.kind === 'unknown');
    const owner = {
      append: this.#append.bind(this),
      writeSpool: () =>
        this.#spoolFailed ? undefined : spool.write()?.catch((error: unknown) => this.#onSpoolBroken(error)),
      syncSpool: () => this.#syncSpool(),
      onDirty: (reason: string) => this.#onDirty(reason),
      onWritten: () => this.#pump.kick(),
      onMapBroken: (disk: RecordedDisk, error: unknown) => this.#onMapBroken(disk, error),
    };
    this.disks = options.disks.map(({ id, device }, index) => {
      const map = maps[index];
      if (!map) throw new RangeError(`no map for ${id}`);
      return new RecordedDisk({ index, id, device, map, excluded: rangesOf(options.excluded, id) }, owner);
    });
    this.#pump = new DirtyPump({
      disks: this.disks,
      isWanted: () =>
        this.#reading &&
        this.#dirty > 0 &&
        !this.#barrier.isHeld &&
        !this.#over.signal.aborted &&
        !this.#spoolFailed,
      hasRoom: () => spool.freeShare >= SHARE_FOR_GUEST,
      onMoved: () => {
        this.#keepMarks();
        this.#syncSoon();
      },
      onFailed: () => this.#wake(),
    });
    const { clock, log } = options;
    this.#proof = new RecorderProof({ disks: this.disks, clock, markAnd: (act) => this.#markAnd(act) });
    this.#checkpoints = keepCheckpoints(this.disks, { clock, log, signal: this.#over.signal });
  }

  static async open(options: RecorderOptions): Promise<Recorder> {
    const { folder, clock, log } = options;
    const spool = await Spool.open({
      folder,
      limitBytes: options.spoolBytes ?? SPOOL_BYTES,
      clock,
      ...(options.segmentBytes ? { segmentBytes: options.segmentBytes } : {}),
    });
    const maps = await openMaps(folder, options.disks, spool.lastSequence);
    const knownSequence = spool.lastSequence;
    const isClean = maps.every(({ found }) => found.kind === 'clean' || found.kind === 'new');
    // Whether the end of the spool is torn or damaged cannot be told: no number that may have been told comes again.
    if (!isClean || spool.mentionedSequence > spool.lastSequence)
      spool.skipTo(Math.max(spool.mentionedSequence, spool.lastSequence) + SEQUENCE_GAP);
    const recorder = new Recorder(options, spool, maps, knownSequence);
    for (const { found } of maps) {
      if (!('reason' in found)) continue;
      log.warn('changes are not known in order', { reason: found.reason });
      recorder.#reason ??= found.reason;
    }
    recorder.#keepMarks();
    // The appliance hears of the new numbers, also when nothing is to be told.
    const isSilent = spool.lastSequence > knownSequence && spool.openSet === 0 && spool.hasRoom(0, 1);
    if (isSilent)
      recorder.#lastFlushed = spool.append({ kind: 'flush', disk: 0, offsetBytes: 0, lengthBytes: 0 });
    return recorder;
  }

  get #dirty(): number {
    return this.disks.reduce((sum, { map }) => sum + map.count, 0);
  }

  /** Opens the set in the stream when something is dirty, and ends it when nothing is. False: it could not be opened. */
  #keepMarks(): boolean {
    const spool = this.#spool;
    const isOpen = spool.openSet !== 0;
    const dirty = this.#dirty > 0;
    if (dirty === isOpen) return true;
    if (this.#spoolFailed || !spool.hasRoom(0, 1)) return !dirty;
    const set = isOpen ? spool.openSet : spool.lastSequence + 1;
    spool.append({ kind: dirty ? 'set-begin' : 'set-end', disk: 0, offsetBytes: 0, lengthBytes: 0, set });
    if (!dirty) {
      this.#reason = undefined;
      this.#isLost = false;
      this.#options.log.info('changes are in order again', {});
    }
    this.#syncSoon();
    return true;
  }

  #append(change: NewRecord): boolean {
    const spool = this.#spool;
    if (this.#spoolFailed || !this.#keepMarks() || !spool.hasRoom(change.lengthBytes, 1)) return false;
    appendChange(spool, change);
    if (this.#reading) this.#syncSoon();
    return true;
  }

  #onDirty(reason: string): void {
    if (this.#reason === undefined) {
      this.#reason = reason;
      this.#options.log.warn('changes are not sent in order for now', { reason });
    }
    this.#keepMarks();
    this.#pump.kick();
  }

  /** What was not durable in the spool lies in hot extents: it will be read from the disk. */
  #onSpoolBroken(error: unknown): void {
    if (this.#spoolFailed) return;
    this.#spoolFailed = true;
    this.#proof.void(messageOf(error));
    for (const disk of this.disks) disk.map.markHot();
    this.#onDirty(messageOf(error));
  }

  /** Without a map that can be written, only the whole disk is safe to assume, now and at the next start. */
  async #onMapBroken(disk: RecordedDisk, error: unknown): Promise<void> {
    disk.markAll(`The map of ${disk.id} cannot be written: ${messageOf(error)}`);
    await removeMap(this.#options.folder, disk.id, this.#options.log);
  }

  async #syncSpool(): Promise<number> {
    if (!this.#spoolFailed) {
      try {
        await this.#spool.sync();
      } catch (error) {
        this.#onSpoolBroken(error);
        throw error; // The map's bits changed: whoever makes them durable has to look again.
      }
    }
    return this.#spool.durableSequence;
  }

  /** The guest asks that all it was told is done be durable. The spool's trouble is not the guest's. */
  async flush(disk: RecordedDisk): Promise<void> {
    const spool = this.#spool;
    const isNew = spool.lastSequence > this.#lastFlushed && this.#dirty === 0 && spool.openSet === 0;
    if (isNew && !this.#spoolFailed && spool.hasRoom(0, 2)) {
      this.#lastFlushed = spool.append({ kind: 'flush', disk: disk.index, offsetBytes: 0, lengthBytes: 0 });
    }
    const spooled = this.#syncSpool().catch(() => undefined); // It is marked dirty; the disk itself is what counts here.
    await Promise.all([spooled, disk.sync()]);
  }

  async next(signal: AbortSignal): Promise<readonly Change[]> {
    this.#reading = true;
    for (;;) {
      signal.throwIfAborted();
      this.#over.signal.throwIfAborted();
      const records = await this.#read();
      this.#pump.kick();
      if (records.length > 0) return records.map((record) => changeOf(record, this.disks));
      if (this.#pump.hasFailed) throw diskUnreadable(this.#pump.takeError());
      if (this.#spool.lastSequence > this.#spool.durableSequence) this.#syncSoon();
      await this.#more(signal);
    }
  }

  async #read(): Promise<SpoolRecord[]> {
    if (this.#isSilent) return [];
    try {
      return await this.#spool.read();
    } catch (error) {
      if (!isStandbyError(error) || error.code !== 'SPOOL_DAMAGED') throw error;
      await this.#distrustSpool(error.message);
      return [];
    }
  }

  /** The order is lost for good: everything is read again, under numbers that were never told. */
  async #distrustSpool(reason: string, sequence = 0): Promise<void> {
    this.#proof.void(reason);
    await this.#hold();
    try {
      this.#spool.skipTo(Math.max(sequence, this.#spool.lastSequence) + SEQUENCE_GAP);
      for (const disk of this.disks) disk.map.markAll();
      this.#isLost = true;
      // What a broken spool still has cannot be marked as out of order, so it is not told any more.
      if (this.#spoolFailed) this.#isSilent = true;
      else await this.#spool.clear();
      this.#onDirty(reason);
    } finally {
      this.#release();
    }
  }

  /** Nothing writes to disks or spool until `release`; guests wait a moment. One holds at a time. */
  async #hold(): Promise<void> {
    await this.#barrier.hold(() => [this.#pump.ended, ...this.disks.map((disk) => disk.pause())]);
  }

  #release(): void {
    this.#barrier.release();
    for (const disk of this.disks) disk.resume();
    this.#pump.kick();
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener('abort', wake);
        this.#wakers.delete(wake);
        stop();
        resolve();
      };
      const stop = this.#spool.onMore(wake);
      this.#wakers.add(wake);
      signal.addEventListener('abort', wake, { once: true });
      if (signal.aborted || this.#over.signal.aborted || this.#pump.hasFailed) wake();
      if (!this.#isSilent && this.#spool.hasMore) wake();
    });
  }

  async acknowledge(sequence: bigint): Promise<void> {
    if (sequence > BigInt(this.#spool.durableSequence)) throw new RangeError(`${sequence} was never told`);
    this.#spool.acknowledge(Number(sequence));
    this.#keepMarks();
    this.#pump.kick();
  }

  /**
   * Ranges of which no change is recorded from here on. What was recorded stays as it is, so this comes right before
   * `restart`, or names the ranges the stream began with.
   */
  async exclude(excluded: readonly ExcludedRange[]): Promise<void> {
    await this.#hold();
    for (const disk of this.disks) disk.excluded = rangesOf(excluded, disk.id);
    this.#release();
  }

  async restart(): Promise<bigint> {
    this.#proof.void('A full copy began.');
    await this.#hold();
    try {
      this.#spool.forgottenSequence = this.#spool.lastSequence;
      // First the records, then the bits: a broken spool leaves everything as it was, and the caller hears of it.
      await this.#spool.clear();
      for (const disk of this.disks) disk.forgetAll();
      this.#reason = undefined;
      this.#isLost = false;
      this.#lastFlushed = this.#spool.lastSequence;
    } finally {
      this.#release();
    }
    for (const disk of this.disks) await disk.checkpoint();
    return BigInt(this.#lastFlushed);
  }

  async resumeAfter(sequence: bigint): Promise<void> {
    const after = Number(sequence);
    const isUnknown = after > this.#unknown.above && after < this.#unknown.below;
    if (isUnknown || after > this.#spool.durableSequence) {
      return await this.#distrustSpool('The appliance has changes that this master no longer knows.', after);
    }
    if (after < this.#spool.forgottenSequence) {
      return await this.#distrustSpool('The appliance lacks changes that were forgotten here.');
    }
    await this.#spool.seek(after);
    await this.acknowledge(sequence);
  }

  prove(options: StreamProofOptions): Promise<StreamProof> {
    return this.#proof.run(options);
  }

  async #markAnd(act: () => void): Promise<number | undefined> {
    const spool = this.#spool;
    const isOrdered = () =>
      this.#dirty === 0 && spool.openSet === 0 && !this.#spoolFailed && spool.hasRoom(0, 2);
    if (!isOrdered()) return undefined;
    await this.#hold();
    try {
      if (!isOrdered()) return undefined;
      this.#lastFlushed = spool.append({ kind: 'flush', disk: 0, offsetBytes: 0, lengthBytes: 0 });
      act();
      return this.#lastFlushed;
    } finally {
      this.#release();
      this.#syncSoon();
    }
  }

  state(): StreamState {
    const spool = this.#spool;
    const isSet = this.#dirty > 0 || spool.openSet !== 0;
    const reason = (isSet ? this.#reason : undefined) ?? spool.shortReason;
    return {
      mode: isSet ? 'set' : 'ordered',
      ...(reason === undefined ? {} : { reason }),
      ...(this.#isLost ? { lost: true } : {}),
      lastSequence: BigInt(spool.lastSequence),
      durableSequence: BigInt(spool.durableSequence),
      spooledBytes: spool.usedBytes,
      spoolLimitBytes: spool.limitBytes,
      dirtyBytes: this.#dirty * GRANULE_BYTES,
    };
  }

  #syncSoon(): void {
    this.#syncing ??= this.#options.clock
      .sleep(SYNC_SOON_MS, this.#over.signal)
      .then(() => this.#syncSpool())
      .catch(() => undefined) // Closing syncs by itself; what a broken spool lost is marked.
      .then(() => {
        this.#syncing = undefined;
        const isBehind = this.#spool.lastSequence > this.#spool.durableSequence;
        if (this.#reading && isBehind && !this.#over.signal.aborted && !this.#spoolFailed) this.#syncSoon();
      });
  }

  /** A clean stop: all is durable, and the next start knows exactly what is open. */
  async close(): Promise<void> {
    this.#over.abort(new Error('the capture was closed'));
    this.#proof.void('The capture was closed.');
    this.#wake();
    await Promise.all([this.#checkpoints, this.#pump.ended, this.#syncing]);
    for (const disk of this.disks) {
      await disk.pause();
      await disk.checkpoint();
      await disk.map.close(this.#spoolFailed ? '' : await disk.device.identity());
    }
    await this.#spool.close();
  }
}
