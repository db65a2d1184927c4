import type { JournalFile, JournalFiles } from './files.ts';
import {
  FRAME_BYTES,
  type FrameCodec,
  type FrameDraft,
  frameSpace,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './frame.ts';
import { type ScanPlan, type SegmentFacts, scanLog } from './log-scan.ts';
import { type Damage, JournalDamaged, journalWriteFailed } from './problems.ts';
import { SegmentFiles, type SegmentRoom } from './segment-files.ts';
import { type Bad, isBad, type ReadFrame, SegmentReader } from './segment-reader.ts';

/**
 * An append-only log of groups of frames in preallocated segments: the changes (redo) and the old contents (undo) are
 * one each. Promises: `append` resolves when the whole group is durable; after a crash at any line a group is there
 * whole or not at all, and every group that was answered is there. One caller appends at a time.
 */
export interface LogPlace {
  readonly segment: number;
  readonly offset: number;
}

export interface LogOptions {
  readonly files: JournalFiles;
  readonly folder: string;
  readonly codec: FrameCodec;
  readonly segmentBytes: number;
  readonly sparesMax: number;
  /** The longest group: so much behind the end may hold what is left of one that was torn. */
  readonly groupBytes: number;
  readonly fromSegment: ScanPlan['fromSegment'];
  readonly room: SegmentRoom;
  readonly keepPayload: ScanPlan['keepPayload'];
  readonly visit: ScanPlan['visit'];
  readonly expected: ScanPlan['expected'];
}

export type LogFrame = ReadFrame & { readonly segment: number };
type Wants = (kind: number) => boolean;

/** What a new segment's header says of the frames before it. */
export interface Before {
  readonly sequence: bigint;
  readonly timeMs: number;
}

/** Enough for many heads in a row, little enough to pass over payloads without reading them. */
const HEADS_WINDOW_BYTES = 4096;
/** A longer payload is not worth a copy. */
const SHORT_BYTES_MAX = 32 * 1024;
const GATHER_BYTES = 512 * 1024;
const NOTHING = Buffer.alloc(0);

export class SegmentedLog {
  readonly #options: LogOptions;
  readonly files: SegmentFiles;
  readonly segments: SegmentFacts[] = [];
  /** Segments that were not looked at when the log was opened. */
  readonly unread: number[] = [];
  damage: Damage | undefined;
  #lastGroup = 0;
  #current: { readonly facts: SegmentFacts; readonly file: JournalFile } | undefined;
  #next: Promise<JournalFile | { failed: unknown }> | undefined;
  #broken: unknown;
  #gather = NOTHING;

  private constructor(options: LogOptions) {
    this.#options = options;
    const { log } = options.codec.identity;
    const { folder, segmentBytes, sparesMax } = options;
    this.files = new SegmentFiles(options.files, { folder, log, segmentBytes, sparesMax });
  }

  static async open(options: LogOptions): Promise<SegmentedLog> {
    const log = new SegmentedLog(options);
    const numbers = await log.files.load();
    const { codec, fromSegment, keepPayload, visit, expected } = options;
    const found = await scanLog(
      { files: log.files, codec, fromSegment, keepPayload, visit, expected },
      numbers,
    );
    log.segments.push(...found.segments);
    log.unread.push(...found.unread);
    log.#lastGroup = found.lastGroup;
    log.damage = found.damage;
    // Where something is damaged nothing is cut, moved or written: it may be all that is left.
    if (!found.damage) await log.#cut(found.unused);
    return log;
  }

  /** What is left of a torn group must not be there when another group of the same number is written. */
  async #cut(unused: readonly number[]): Promise<void> {
    for (const number of unused) await this.files.destroy(number);
    const facts = this.segments.at(-1);
    if (!facts) return;
    const file = await this.files.open(facts.number);
    this.#current = { facts, file };
    const length = Math.min(this.#options.groupBytes + FRAME_BYTES, file.sizeBytes - facts.end);
    if (length <= 0) return;
    const tail = Buffer.from(await new SegmentReader(file, this.#options.codec).bytes(facts.end, length));
    const blank = Buffer.alloc(length);
    if (tail.equals(blank.subarray(0, tail.length))) return;
    try {
      await file.commit([blank], facts.end);
    } catch (error) {
      await file.close();
      throw journalWriteFailed(error);
    }
  }

  /** Where the next group begins, unless it has to go into a new segment. */
  get end(): LogPlace {
    const facts = this.segments.at(-1);
    return { segment: facts?.number ?? 1, offset: facts?.end ?? SEGMENT_HEADER_BYTES };
  }

  /** Bytes left in the segment that is being written. */
  get roomBytes(): number {
    return this.#current ? this.#options.segmentBytes - this.#current.facts.end : 0;
  }

  async append(drafts: readonly FrameDraft[], before: Before): Promise<LogPlace> {
    if (this.damage) throw new JournalDamaged(this.damage);
    if (this.#broken) throw journalWriteFailed(this.#broken);
    const length = drafts.reduce((sum, { payload }) => sum + frameSpace(payload?.length ?? 0), 0);
    const target = this.roomBytes >= length ? this.#current : undefined;
    const segment = target ?? (await this.#roll(before));
    const { facts, file } = segment;
    const buffers = this.#encode(drafts, this.#lastGroup + 1);
    if (!target) buffers.unshift(this.#header(facts.header));
    try {
      await file.commit(buffers, target ? facts.end : 0);
    } catch (error) {
      this.#broken = error;
      throw journalWriteFailed(error);
    }
    const place = { segment: facts.number, offset: facts.end };
    facts.end += length;
    this.#lastGroup++;
    if (!target) await this.#activate(segment);
    return place;
  }

  async #activate(segment: { readonly facts: SegmentFacts; readonly file: JournalFile }): Promise<void> {
    const { facts } = segment;
    const before = this.#current;
    this.segments.push(facts);
    this.#current = segment;
    this.#next = this.files.prepare(facts.number + 1, this.#options.room).catch(asFailed);
    await before?.file.close();
  }

  async #roll(before: Before): Promise<{ facts: SegmentFacts; file: JournalFile }> {
    const last = this.segments.at(-1);
    const number = (last?.number ?? 0) + 1;
    const prepared = await this.#next;
    // A failure in the background may be over by now; if it is not, it is thrown here.
    const file =
      prepared && !('failed' in prepared) ? prepared : await this.files.prepare(number, this.#options.room);
    this.#next = Promise.resolve(file);
    const header: SegmentHeader = {
      version: 0,
      identity: '',
      epoch: this.#options.codec.identity.epoch,
      segment: number,
      firstGroup: this.#lastGroup + 1,
      sequenceBefore: before.sequence,
      timeBeforeMs: before.timeMs,
      previousEnd: last?.end ?? 0,
    };
    return { facts: { number, header, end: SEGMENT_HEADER_BYTES }, file };
  }

  #header(facts: SegmentHeader): Buffer {
    return this.#options.codec.writeSegmentHeader(facts);
  }

  /** Heads and short payloads side by side in one buffer: a group of many short changes is one write of one piece. */
  #encode(drafts: readonly FrameDraft[], group: number): Uint8Array[] {
    const target = this.#gathering(drafts);
    const buffers: Uint8Array[] = [];
    let from = 0;
    let at = 0;
    for (const [index, draft] of drafts.entries()) {
      this.#options.codec.write(target, at, draft, group, index === drafts.length - 1);
      at += FRAME_BYTES;
      const { payload } = draft;
      if (!payload || payload.length === 0) continue;
      if (this.#isShort(payload)) {
        target.set(payload, at);
        at += payload.length;
      } else {
        buffers.push(target.subarray(from, at), payload);
        from = at;
      }
      const end = at + paddingOf(payload);
      target.fill(0, at, end);
      at = end;
    }
    if (at > from) buffers.push(target.subarray(from, at));
    return buffers;
  }

  #isShort(payload: Uint8Array): boolean {
    return payload.length <= Math.min(SHORT_BYTES_MAX, this.#options.groupBytes / 8);
  }

  /** Used again for the next group: nobody appends while one is on its way. */
  #gathering(drafts: readonly FrameDraft[]): Buffer {
    let length = 0;
    for (const { payload } of drafts) {
      length += FRAME_BYTES;
      if (payload) length += paddingOf(payload) + (this.#isShort(payload) ? payload.length : 0);
    }
    if (length > this.#gather.length) this.#gather = Buffer.allocUnsafeSlow(Math.max(length, GATHER_BYTES));
    return this.#gather;
  }

  /**
   * Frames from a place on, up to what is durable now. Throws JOURNAL_DAMAGED where one does not read back. With `wants`,
   * payloads are read, and checked, of those kinds only.
   */
  async *read(from: LogPlace, wants?: Wants): AsyncGenerator<LogFrame> {
    let facts = this.#startOf(from);
    let offset = from.offset;
    while (facts) {
      if (offset < facts.end) yield* this.#frames(facts, offset, wants);
      offset = SEGMENT_HEADER_BYTES;
      // By number, not by index: segments in front may be released meanwhile.
      const { number }: SegmentFacts = facts;
      facts = this.segments.find((one) => one.number > number);
    }
  }

  /** The frames of one segment. */
  async *readSegment(number: number, wants?: Wants): AsyncGenerator<LogFrame> {
    const facts = this.segments.find((one) => one.number === number);
    if (facts) yield* this.#frames(facts, SEGMENT_HEADER_BYTES, wants);
  }

  async *#frames(facts: SegmentFacts, from: number, wants?: Wants): AsyncGenerator<LogFrame> {
    const file = await this.files.open(facts.number);
    try {
      const windowBytes = wants ? HEADS_WINDOW_BYTES : undefined;
      const reader = new SegmentReader(file, this.#options.codec, windowBytes);
      // The segment may grow while it is read.
      for (let offset = from; offset < facts.end; ) {
        reader.endBytes = facts.end;
        const read = await (wants ? readHead(reader, offset, wants) : reader.frame(offset));
        if (isBad(read)) throw this.#unreadable(facts, offset, read.frame?.sequence);
        offset = read.end;
        yield { ...read, segment: facts.number };
      }
    } finally {
      await file.close();
    }
  }

  #startOf(place: LogPlace): SegmentFacts | undefined {
    const facts = this.segments.find(({ number }) => number === place.segment);
    if (facts || this.segments.length === 0) return facts;
    const segment = this.files.name(place.segment);
    const sequence = this.#options.expected();
    throw new JournalDamaged({ segment, offsetBytes: place.offset, sequence, why: 'the segment is missing' });
  }

  #unreadable(facts: SegmentFacts, offsetBytes: number, sequence?: bigint): JournalDamaged {
    return new JournalDamaged({
      segment: this.files.name(facts.number),
      offsetBytes,
      sequence: sequence ?? facts.header.sequenceBefore + 1n,
      why: 'its checksum does not fit its content',
    });
  }

  /** Segments before this one are not needed any more. The segment that is written is never released. */
  async releaseBefore(number: number): Promise<boolean> {
    let released = false;
    while (this.segments.length > 1 && (this.segments[0]?.number ?? number) < number && !this.damage) {
      const facts = this.segments.shift();
      if (facts) await this.files.release(facts.number);
      released = true;
    }
    return released;
  }

  async close(): Promise<void> {
    const next = await this.#next;
    this.#next = undefined;
    if (next && !('failed' in next)) await next.close();
    await this.#current?.file.close();
    this.#current = undefined;
    this.#broken = new Error('it is closed');
  }
}

async function readHead(reader: SegmentReader, offset: number, wants: Wants): Promise<ReadFrame | Bad> {
  const frame = await reader.header(offset);
  if (!frame) return { bad: 'header' };
  if (wants(frame.kind)) return await reader.frame(offset);
  return { ...frame, offset, end: offset + frameSpace(frame.payloadLength), payload: NOTHING };
}

function paddingOf(payload: Uint8Array): number {
  return -payload.length & (FRAME_BYTES - 1);
}

function asFailed(failed: unknown): { failed: unknown } {
  return { failed };
}
