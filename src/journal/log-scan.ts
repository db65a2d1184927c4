import type { JournalFile } from './files.ts';
import { FLAG, FRAME_BYTES, type FrameCodec, SEGMENT_HEADER_BYTES, type SegmentHeader } from './frame.ts';
import { type Damage, journalForeign } from './problems.ts';
import type { SegmentFiles } from './segment-files.ts';
import { isBad, type ReadFrame, SegmentReader } from './segment-reader.ts';

/**
 * Finds what is durable in a log after any crash. Promises: whole groups only, in order, every checksum right.
 * A group is written only after the one before was synced. So a frame that is bad in the last group is a torn tail, and
 * is cut; a bad frame with a later group behind it was durable once: that is damage, named and never cut.
 * What a crash of the process alone left in the page cache is synced before it is believed. Writes nothing else.
 */
export interface SegmentFacts {
  readonly number: number;
  readonly header: SegmentHeader;
  /** The first byte behind its last whole group. */
  end: number;
}

export interface ScanResult {
  /** Segments in use, in order. */
  readonly segments: SegmentFacts[];
  /** Segments in use that were not looked at. */
  readonly unread: number[];
  /** Files without anything that counts. */
  readonly unused: number[];
  readonly lastGroup: number;
  readonly damage?: Damage;
}

export interface ScanPlan {
  readonly files: SegmentFiles;
  readonly codec: FrameCodec;
  /** Frames before this segment are not looked at now; they are checked when they are read. */
  readonly fromSegment: number | 'last-two';
  keepPayload(kind: number): boolean;
  /** Called for each frame of each whole group; returns what is wrong with it, if its place in the order is. */
  visit(frame: ReadFrame, segment: SegmentFacts): string | undefined;
  /** The sequence that an error names when the next frame cannot be read. */
  expected(): bigint;
}

interface FoundSegment {
  readonly number: number;
  readonly header: SegmentHeader | undefined;
}

export async function scanLog(plan: ScanPlan, numbers: readonly number[]): Promise<ScanResult> {
  const found: FoundSegment[] = [];
  for (const number of numbers) found.push(await findSegment(plan, number));
  const used = found.filter(({ header }) => header !== undefined);
  const from = plan.fromSegment === 'last-two' ? (used.at(-2) ?? used.at(-1))?.number : plan.fromSegment;
  return await new Scan(plan, found, from ?? 1).run();
}

async function findSegment(plan: ScanPlan, number: number): Promise<FoundSegment> {
  return await withSegment(plan, number, async (reader, file) => {
    await file.sync();
    const bytes = await reader.bytes(0, SEGMENT_HEADER_BYTES);
    const header = bytes.length < SEGMENT_HEADER_BYTES ? undefined : plan.codec.readSegmentHeader(bytes);
    // An older segment's header is what a recycled file holds before its first use.
    if (header === undefined) return { number, header };
    const foreign = plan.codec.foreignness(header);
    if (foreign || header.segment > number) {
      const words = `it is segment ${header.segment} under another name`;
      throw journalForeign(plan.files.name(number), foreign?.code ?? 'journal', foreign?.words ?? words);
    }
    return { number, header: header.segment === number ? header : undefined };
  });
}

async function withSegment<Result>(
  plan: ScanPlan,
  number: number,
  act: (reader: SegmentReader, file: JournalFile) => Promise<Result>,
): Promise<Result> {
  const file = await plan.files.open(number);
  try {
    return await act(new SegmentReader(file, plan.codec), file);
  } finally {
    await file.close();
  }
}

interface NoFrame {
  readonly why: string;
  readonly sequence?: bigint;
}

function isNoFrame(read: ReadFrame | NoFrame): read is NoFrame {
  return 'why' in read;
}

/** The record that should follow the last one read; undefined when the group has none yet. */
function afterLast(group: readonly ReadFrame[]): bigint | undefined {
  const last = group.at(-1);
  return last && last.sequence + 1n;
}

class Scan {
  readonly #plan: ScanPlan;
  readonly #open: readonly FoundSegment[];
  readonly #from: number;
  readonly #found: SegmentFacts[] = [];
  #lastGroup = 0;

  constructor(plan: ScanPlan, open: readonly FoundSegment[], from: number) {
    this.#plan = plan;
    this.#open = open;
    this.#from = from;
  }

  async run(): Promise<ScanResult> {
    let previous: FoundSegment | undefined;
    for (const [index, segment] of this.#open.entries()) {
      if (previous && segment.number !== previous.number + 1) {
        return this.#result(index, this.#damage(previous.number + 1, 0, 'the segment is missing'));
      }
      if (segment.header === undefined) {
        const later = await this.#laterGroup(index, SEGMENT_HEADER_BYTES);
        return this.#result(
          index,
          later ? this.#damage(segment.number, 0, 'its header is wrong') : undefined,
        );
      }
      const damage = await this.#segment(index, segment, segment.header);
      if (damage) return this.#result(index + 1, damage);
      previous = segment;
    }
    return this.#result(this.#open.length);
  }

  async #segment(index: number, segment: FoundSegment, header: SegmentHeader): Promise<Damage | undefined> {
    const next = this.#open[index + 1]?.header;
    const facts = { number: segment.number, header, end: next?.previousEnd ?? SEGMENT_HEADER_BYTES };
    this.#found.push(facts);
    if (segment.number < this.#from && next) return undefined;
    if (segment.number <= this.#from || this.#found.length === 1) {
      this.#lastGroup = header.firstGroup - 1;
    } else if (header.firstGroup !== this.#lastGroup + 1) {
      return this.#damage(segment.number, 0, `group ${this.#lastGroup + 1} is missing`);
    }
    return await withSegment(this.#plan, segment.number, (reader) =>
      this.#groups(index, reader, facts, next?.previousEnd),
    );
  }

  /** Walks the groups of one segment; `end` is known when a later segment says so. */
  async #groups(
    index: number,
    reader: SegmentReader,
    facts: SegmentFacts,
    end: number | undefined,
  ): Promise<Damage | undefined> {
    let offset = SEGMENT_HEADER_BYTES;
    let group: ReadFrame[] = [];
    facts.end = offset;
    while (offset !== end) {
      const read = await this.#frame(reader, offset);
      if (isNoFrame(read)) {
        const durable = end !== undefined || (await this.#laterGroup(index, offset + FRAME_BYTES));
        const sequence = read.sequence ?? afterLast(group);
        return durable ? this.#damage(facts.number, offset, read.why, sequence) : undefined;
      }
      if (read.group !== this.#lastGroup + 1 || (end !== undefined && read.end > end)) {
        const why = `group ${this.#lastGroup + 1} is missing`;
        return this.#damage(facts.number, offset, why, afterLast(group));
      }
      group.push(read);
      offset = read.end;
      if ((read.flags & FLAG.groupEnd) === 0) continue;
      for (const frame of group) {
        const wrong = this.#plan.visit(frame, facts);
        if (wrong !== undefined) {
          return this.#damage(facts.number, frame.offset, wrong, frame.sequence);
        }
      }
      group = [];
      this.#lastGroup++;
      facts.end = offset;
    }
    return group.length === 0 ? undefined : this.#damage(facts.number, offset, 'a group has no end');
  }

  /** A frame that counts here, or why there is none. */
  async #frame(reader: SegmentReader, offset: number): Promise<ReadFrame | NoFrame> {
    const head = await reader.header(offset);
    if (head === undefined) return { why: 'its header is no header' };
    // What is left of an earlier use of this file.
    if (head.group <= this.#lastGroup) return { why: 'an old record lies in its place' };
    const read = await reader.frame(offset, this.#plan.keepPayload(head.kind));
    if (!isBad(read)) return read;
    return { why: 'its checksum does not fit its content', sequence: head.sequence };
  }

  /** Was any group after the one that cannot be read ever written? */
  async #laterGroup(index: number, offset: number): Promise<boolean> {
    const unreadable = this.#lastGroup + 1;
    for (const [at, segment] of this.#open.slice(index).entries()) {
      if (at > 0 && segment.header && segment.header.firstGroup > unreadable) return true;
      const from = at === 0 ? offset : SEGMENT_HEADER_BYTES;
      const isThere = (reader: SegmentReader) => reader.hasGroupAbove(unreadable, from);
      if (await withSegment(this.#plan, segment.number, isThere)) return true;
    }
    return false;
  }

  #damage(segment: number, offsetBytes: number, why: string, sequence = this.#plan.expected()): Damage {
    return { segment: this.#plan.files.name(segment), offsetBytes, sequence, why };
  }

  #result(used: number, damage?: Damage): ScanResult {
    const unused = this.#open.slice(used).map(({ number }) => number);
    const unread = this.#found.map(({ number }) => number).filter((number) => number < this.#from);
    const result = { segments: this.#found, unread, unused, lastGroup: this.#lastGroup };
    return damage ? { ...result, damage } : result;
  }
}
