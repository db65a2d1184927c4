import { randomInt } from 'node:crypto';
import type { FileFolder } from '../block/files.ts';
import { Pace } from '../block/pace.ts';
import type { Clock } from '../clock.ts';
import { messageOf, type StandbyError } from '../errors.ts';
import { GroupSync } from './group-sync.ts';
import {
  encodeRecordHeader,
  encodeSegmentHeader,
  type NewRecord,
  RECORD_DATA_BYTES_MAX,
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  type SpoolRecord,
} from './spool-format.ts';
import { spoolBroken, spoolDamaged } from './spool-problems.ts';
import {
  type Cursor,
  type FoundSegments,
  findSegments,
  makeSlot,
  type Run,
  readRecords,
  type Segment,
  type Slot,
} from './spool-segment.ts';

/**
 * A bounded ring of ordered changes on the master's disk. Promises: what `sync` covered is found again after a crash,
 * in order and without a gap; only that is ever read; it never takes more than its limit, which is allocated before it
 * is used. Dies at any line: the next `open` finds the unbroken run of records and cuts what was torn behind it.
 * It begins a new segment then, with a new salt, so that nothing left behind the cut can join what is written later.
 */
export interface SpoolOptions {
  readonly folder: FileFolder;
  readonly limitBytes: number;
  readonly segmentBytes?: number;
  readonly clock: Clock;
}

const SEGMENT_BYTES = 16 * 1024 * 1024;
/** Larger writes go through the thread pool. */
const QUICK_BYTES = 256 * 1024;

export class Spool {
  readonly #options: SpoolOptions;
  readonly #segmentBytes: number;
  readonly #used: Segment[];
  readonly #free: Slot[];
  readonly #pace = new Pace();
  readonly #commit = new GroupSync(() => this.#syncAll());
  readonly #toSync = new Set<Segment>();
  readonly #wakers = new Set<() => void>();
  #current: Segment | undefined;
  #number: number;
  #runs: Run[] = [];
  #writing: Promise<void> | undefined;
  #broken: unknown;
  #closed = false;
  #allocating: Promise<void> = Promise.resolve();
  #cursor: Cursor;
  #slotCount: number;
  /** Why it is smaller than its limit. */
  shortReason: string | undefined;
  openSet: number;
  /** Up to here changes were forgotten, because the appliance had them; it may not know of marks behind. */
  forgottenSequence: number;
  lastSequence: number;
  durableSequence: number;
  /** The newest sequence that was ever spoken of when it was opened: more than `lastSequence` if records are gone. */
  readonly mentionedSequence: number;

  private constructor(options: SpoolOptions, found: FoundSegments) {
    this.#options = options;
    this.#segmentBytes = found.segmentBytes ?? options.segmentBytes ?? SEGMENT_BYTES;
    this.#used = found.used;
    this.#free = found.free;
    this.#slotCount = found.used.length + found.free.length;
    this.#number = found.newestNumber;
    this.openSet = found.openSet;
    this.forgottenSequence = found.forgottenSequence;
    this.lastSequence = found.lastSequence;
    this.durableSequence = found.lastSequence;
    this.mentionedSequence = found.mentionedSequence;
    this.#cursor = { segment: undefined, atBytes: 0, sequence: this.firstSequence - 1 };
  }

  static async open(options: SpoolOptions): Promise<Spool> {
    const found = await findSegments(options.folder);
    // What a killed process wrote is only in memory yet; before anybody is told of it, it is made durable.
    for (const { slot } of found.used) await slot.file.sync();
    const spool = new Spool(options, found);
    spool.#allocating = spool.#allocate();
    if (spool.#free.length === 0) await spool.#allocating;
    return spool;
  }

  /** Files that are there are used; those missing are made. */
  async #allocate(): Promise<void> {
    const { folder, limitBytes } = this.#options;
    const wanted = Math.max(2, Math.floor(limitBytes / this.#segmentBytes));
    const names = new Set(await folder.list());
    while (this.#slotCount < wanted && !this.#closed) {
      try {
        this.#free.push(await makeSlot(folder, names, this.#segmentBytes));
        this.#slotCount++;
      } catch (error) {
        this.shortReason = `The spool has ${this.limitBytes} bytes only: ${messageOf(error)}.`;
        return;
      }
    }
  }

  get limitBytes(): number {
    return this.#slotCount * this.#segmentBytes;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const segment of this.#used) bytes += segment.endBytes - SEGMENT_HEADER_BYTES;
    return bytes;
  }

  /** Between 0 and 1: how much of it can still be written. */
  get freeShare(): number {
    return this.#broken === undefined ? this.#free.length / this.#slotCount : 0;
  }

  get firstSequence(): number {
    return this.#used[0]?.header.firstSequence ?? this.lastSequence + 1;
  }

  /**
   * Whether `read` would give something now. Numbers that were skipped have no record, and a record may be numbered
   * and not durable yet, so comparing sequences does not tell.
   */
  get hasMore(): boolean {
    const { segment, atBytes } = this.#next();
    return segment !== undefined && atBytes < segment.durableBytes;
  }

  /** Whether a change of so many bytes would be taken now, or `marks` marks. */
  hasRoom(dataBytes: number, marks = 0): boolean {
    if (this.#broken !== undefined) return false;
    const records = Math.ceil(dataBytes / this.recordBytesMax) + marks;
    const bytes = dataBytes + records * RECORD_HEADER_BYTES;
    const here = this.#current ? this.#segmentBytes - this.#current.endBytes : 0;
    if (bytes <= here) return true;
    const usable = this.#segmentBytes - SEGMENT_HEADER_BYTES - this.recordBytesMax;
    return bytes <= this.#free.length * usable;
  }

  get recordBytesMax(): number {
    return Math.min(RECORD_DATA_BYTES_MAX, this.#segmentBytes >>> 2);
  }

  /** Gives the change its sequence; `hasRoom` was asked before. It is written by `write` and durable after `sync`. */
  append(record: NewRecord): number {
    const dataBytes = record.pieces ? record.lengthBytes : 0;
    const bytes = RECORD_HEADER_BYTES + dataBytes;
    let segment = this.#current;
    if (!segment || segment.endBytes + bytes > this.#segmentBytes) segment = this.#begin();
    const sequence = ++this.lastSequence;
    const header = encodeRecordHeader(record, sequence, this.#options.clock.now(), segment.header.salt);
    this.#put(segment, segment.endBytes, header, record.pieces ?? [], bytes);
    segment.endBytes += bytes;
    segment.lastSequence = sequence;
    if (record.kind === 'data' || record.kind === 'zero') segment.lastChange = sequence;
    if (record.kind === 'set-begin') this.openSet = record.set ?? sequence;
    if (record.kind === 'set-end') this.openSet = 0;
    return sequence;
  }

  #begin(): Segment {
    const slot = this.#free.shift();
    if (!slot) throw new RangeError('the spool is full');
    const number = ++this.#number;
    const header = {
      number,
      oldest: this.#used[0]?.header.number ?? number,
      firstSequence: this.lastSequence + 1,
      previousNumber: this.#used.at(-1)?.header.number ?? 0,
      previousSequence: this.#used.at(-1)?.lastSequence ?? this.lastSequence,
      openSet: this.openSet,
      forgottenSequence: this.forgottenSequence,
      salt: randomInt(2 ** 32),
      segmentBytes: this.#segmentBytes,
    };
    const segment: Segment = {
      slot,
      header,
      endBytes: SEGMENT_HEADER_BYTES,
      durableBytes: SEGMENT_HEADER_BYTES,
      lastSequence: this.lastSequence,
      lastChange: 0,
    };
    this.#used.push(segment);
    this.#current = segment;
    this.#put(segment, 0, encodeSegmentHeader(header), [], SEGMENT_HEADER_BYTES);
    return segment;
  }

  #put(segment: Segment, atBytes: number, first: Buffer, more: readonly Uint8Array[], bytes: number): void {
    this.#toSync.add(segment);
    const run = this.#runs.at(-1);
    const isHeader = atBytes === 0;
    if (
      run &&
      !run.isHeader &&
      !isHeader &&
      run.file === segment.slot.file &&
      run.atBytes + run.bytes === atBytes
    ) {
      run.pieces.push(first, ...more);
      run.bytes += bytes;
    } else {
      this.#runs.push({ file: segment.slot.file, atBytes, pieces: [first, ...more], bytes, isHeader });
    }
  }

  /** Hands what was appended to the kernel. Undefined when that is done already; otherwise wait for it. */
  write(): Promise<void> | undefined {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    if (this.#runs.length === 0) return this.#writing;
    let bytes = 0;
    let hasHeader = false;
    for (const run of this.#runs) {
      bytes += run.bytes;
      if (run.isHeader) hasHeader = true;
    }
    if (this.#writing === undefined && !hasHeader && bytes <= QUICK_BYTES && this.#pace.isQuick()) {
      const runs = this.#takeRuns();
      try {
        this.#pace.make(() => {
          for (const run of runs) run.file.writeNow(run.pieces, run.atBytes);
        });
      } catch (error) {
        return Promise.reject(this.#break(error));
      }
      return undefined;
    }
    const before = this.#writing ?? Promise.resolve();
    const mine = before
      .then(() => this.#writeRuns())
      .finally(() => {
        if (this.#writing === mine) this.#writing = undefined;
      });
    this.#writing = mine;
    return mine;
  }

  async #writeRuns(): Promise<void> {
    try {
      for (const run of this.#takeRuns()) {
        await run.file.write(run.pieces, run.atBytes);
        if (run.isHeader) await run.file.sync();
      }
    } catch (error) {
      throw this.#break(error);
    }
  }

  #takeRuns(): Run[] {
    const runs = this.#runs;
    this.#runs = [];
    return runs;
  }

  /** Everything appended before this call is durable when it resolves. */
  sync(): Promise<void> {
    return this.#commit.sync();
  }

  async #syncAll(): Promise<void> {
    // Others append while we wait; what is synced below must have been written.
    while (this.#runs.length > 0 || this.#writing !== undefined) await this.write();
    if (this.#broken !== undefined) throw this.#broken;
    const sequence = this.lastSequence;
    const synced = [...this.#toSync].map((segment) => ({ segment, endBytes: segment.endBytes }));
    this.#toSync.clear();
    try {
      await Promise.all(synced.map(({ segment }) => segment.slot.file.sync()));
    } catch (error) {
      throw this.#break(error);
    }
    for (const { segment, endBytes } of synced) segment.durableBytes = endBytes;
    this.durableSequence = Math.max(this.durableSequence, sequence);
    this.#wake();
  }

  /** A spool that could not write or sync takes nothing more until it is opened again; what was durable stays readable. */
  #break(error: unknown): StandbyError {
    const broken = spoolBroken(error);
    this.#broken ??= broken;
    this.#runs = [];
    this.#wake();
    return broken;
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
    this.#wakers.clear();
  }

  /** Calls back once, as soon as there may be more to read. */
  onMore(wake: () => void): () => void {
    this.#wakers.add(wake);
    return () => this.#wakers.delete(wake);
  }

  /** Where the record after the cursor lies; no segment when none was appended. */
  #next(): Cursor {
    const cursor = this.#cursor;
    if (cursor.segment && cursor.segment.lastSequence > cursor.sequence) return cursor;
    const segment = this.#used.find((each) => each.lastSequence > cursor.sequence);
    if (!segment) return cursor;
    return { segment, atBytes: SEGMENT_HEADER_BYTES, sequence: segment.header.firstSequence - 1 };
  }

  /** The next durable records, about 1 MiB of them; none when all were read. */
  async read(): Promise<SpoolRecord[]> {
    this.#cursor = this.#next();
    const { segment, atBytes, sequence } = this.#cursor;
    if (!segment || atBytes >= segment.durableBytes) return [];
    const records = await readRecords(segment, atBytes, segment.durableBytes, sequence);
    const last = records.at(-1);
    if (!last) throw spoolDamaged(sequence + 1, segment.slot.name);
    let bytes = 0;
    for (const record of records) bytes += record.storedBytes;
    this.#cursor = { segment, atBytes: atBytes + bytes, sequence: last.sequence };
    return records;
  }

  /** The next `read` begins with the record after this one. */
  async seek(sequence: number): Promise<void> {
    const segment = this.#used.find((each) => each.lastSequence > sequence);
    this.#cursor = { segment: undefined, atBytes: 0, sequence: Math.max(sequence, this.firstSequence - 1) };
    if (!segment || segment.header.firstSequence > sequence) return;
    const at = { segment, atBytes: SEGMENT_HEADER_BYTES, sequence: segment.header.firstSequence - 1 };
    while (at.sequence < sequence) {
      const records = await readRecords(segment, at.atBytes, segment.endBytes, at.sequence);
      if (records.length === 0) throw spoolDamaged(at.sequence + 1, segment.slot.name);
      for (const record of records) {
        if (record.sequence > sequence) break;
        at.atBytes += record.storedBytes;
        at.sequence = record.sequence;
      }
    }
    this.#cursor = at;
  }

  /** Frees what lies before; segments are freed whole. Answers whether there is more room now. */
  acknowledge(sequence: number): boolean {
    let freed = false;
    for (;;) {
      const oldest = this.#used[0];
      if (!oldest || oldest === this.#current || oldest.lastSequence > sequence) return freed;
      if (oldest.lastSequence > this.durableSequence) return freed;
      this.#used.shift();
      this.#toSync.delete(oldest);
      this.forgottenSequence = Math.max(this.forgottenSequence, oldest.lastChange);
      this.#free.push(oldest.slot);
      if (this.#cursor.segment === oldest) this.#cursor.segment = undefined;
      freed = true;
    }
  }

  /** Sequences go on after this one at least: what was told before the records were lost is not used again. */
  skipTo(sequence: number): void {
    if (sequence <= this.lastSequence) return;
    if (this.durableSequence === this.lastSequence) this.durableSequence = sequence;
    this.lastSequence = sequence;
    this.#current = undefined;
  }

  /** Forgets all records, durably; sequences go on, after `sequence` at least. */
  async clear(): Promise<void> {
    await this.sync();
    for (const segment of this.#used.splice(0)) this.#free.push(segment.slot);
    this.#toSync.clear();
    this.openSet = 0;
    this.#begin();
    await this.sync();
    this.durableSequence = this.lastSequence;
    this.#cursor = { segment: undefined, atBytes: 0, sequence: this.lastSequence };
  }

  async close(): Promise<void> {
    if (this.#broken === undefined) await this.sync();
    this.#closed = true;
    this.#wake();
    await this.#allocating;
    for (const { slot } of this.#used) await slot.file.close();
    for (const slot of this.#free) await slot.file.close();
  }
}
