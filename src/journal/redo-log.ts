import { isChange, leavesSetOpen, setProblem } from './change.ts';
import type { JournalFiles } from './files.ts';
import { type FrameCodec, type FrameDraft, frameSpace, KIND } from './frame.ts';
import { type JournalLimits, redoGroupBytes, sparesMax } from './limits.ts';
import { SegmentedLog } from './log.ts';
import type { SegmentFacts } from './log-scan.ts';
import { isAfter, type Place } from './position.ts';
import type { Damage } from './problems.ts';
import type { SegmentRoom } from './segment-files.ts';
import type { ReadFrame } from './segment-reader.ts';

/**
 * The changes of one epoch, in order, with their marks. Promises: the end it tells is durable; sequences grow,
 * and none comes twice. Dies at any line: log.ts says what is there.
 */
export interface RedoEnd {
  /** The last durable change. */
  readonly sequence: bigint;
  readonly timeMs: number;
  readonly setOpen: boolean;
  /** The last change is marked as a consistent position. */
  readonly marked: boolean;
}

export interface RedoOptions {
  readonly files: JournalFiles;
  readonly folder: string;
  readonly codec: FrameCodec;
  readonly limits: JournalLimits;
  readonly room: SegmentRoom;
  /** Where the replica is: what lies before it is checked only when it is read again. */
  readonly from: Place;
}

export class RedoLog {
  readonly log: SegmentedLog;
  #end: RedoEnd;
  #lastMark: Place | undefined;

  private constructor(log: SegmentedLog, end: RedoEnd, lastMark: Place | undefined) {
    this.log = log;
    this.#end = end;
    this.#lastMark = lastMark;
  }

  static async open(options: RedoOptions): Promise<RedoLog> {
    const { from } = options;
    const reading = new Reading(from.sequence);
    const log = await SegmentedLog.open({
      files: options.files,
      folder: options.folder,
      codec: options.codec,
      segmentBytes: options.limits.segmentBytes,
      sparesMax: sparesMax(options.limits),
      groupBytes: redoGroupBytes(options.limits),
      fromSegment: from.segment,
      room: options.room,
      keepPayload: () => false,
      visit: (frame, segment) => reading.visit(frame, segment),
      expected: () => reading.end.sequence + 1n,
    });
    // It was applied, so it was durable: whoever took it, it was no torn write.
    if (isAfter(from, { ...from, ...log.end })) log.damage ??= cutShort(log, from);
    return new RedoLog(log, reading.end, reading.lastMark ?? (from.consistent ? from : undefined));
  }

  get end(): RedoEnd {
    return this.#end;
  }

  /** The last consistent position that is durable. */
  get lastMark(): Place | undefined {
    return this.#lastMark;
  }

  async append(drafts: readonly FrameDraft[]): Promise<void> {
    const before = this.#end;
    await this.log.append(drafts, before);
    this.#end = drafts.reduce(after, before);
    if (this.#end.marked) this.#lastMark = placeAt(this.#end, this.log.end);
    else this.#lastMark = this.#markWithin(drafts, before) ?? this.#lastMark;
  }

  /** The last mark of a group that goes on behind it: its place is found when the log is read up to its sequence. */
  #markWithin(drafts: readonly FrameDraft[], before: RedoEnd): Place | undefined {
    let last = drafts.length - 1;
    while (last >= 0 && drafts[last]?.kind !== KIND.mark) last--;
    if (last < 0) return undefined;
    const end = drafts.slice(0, last + 1).reduce(after, before);
    const behind = drafts.slice(last + 1).reduce((sum, draft) => sum + spaceOf(draft), 0);
    const { segment, offset } = this.log.end;
    return placeAt(end, { segment, offset: offset - behind });
  }
}

function cutShort(log: SegmentedLog, from: Place): Damage {
  const { segment, offset } = log.end;
  const why = `the journal ends here, and the replica is at ${from.sequence} already`;
  return { segment: log.files.name(segment), offsetBytes: offset, sequence: from.sequence, why };
}

function spaceOf(draft: FrameDraft): number {
  return frameSpace(draft.payload?.length ?? 0);
}

function placeAt(end: RedoEnd, at: { readonly segment: number; readonly offset: number }): Place {
  return {
    sequence: end.sequence,
    segment: at.segment,
    offset: at.offset,
    timeMs: end.timeMs,
    consistent: true,
  };
}

export function after(
  end: RedoEnd,
  frame: Pick<FrameDraft, 'kind' | 'flags' | 'sequence' | 'clockMs'>,
): RedoEnd {
  const timeMs = Math.max(end.timeMs, frame.clockMs);
  if (isChange(frame)) {
    return { sequence: frame.sequence, timeMs, setOpen: leavesSetOpen(frame), marked: false };
  }
  if (frame.kind === KIND.abandon) return { ...end, timeMs, setOpen: false };
  return { ...end, timeMs, marked: true };
}

/** Follows the frames at the start; the first segment may begin in the middle of an atomic set. */
class Reading {
  end: RedoEnd;
  lastMark: Place | undefined;
  #setKnown = true;
  #segment = 0;

  /** Where the journal stands when no segment was ever begun. */
  constructor(sequence: bigint) {
    this.end = { sequence, timeMs: 0, setOpen: false, marked: false };
  }

  visit(frame: ReadFrame, segment: SegmentFacts): string | undefined {
    if (this.#segment === 0) this.#begin(segment);
    this.#segment = segment.number;
    const { sequence } = this.end;
    const fits = isChange(frame) ? frame.sequence > sequence : frame.sequence === sequence;
    if (!fits) return `it says ${frame.sequence} behind ${sequence}`;
    const problem = this.#problem(frame);
    if (problem !== undefined) return problem;
    if (isChange(frame)) this.#setKnown = true;
    this.end = after(this.end, frame);
    if (frame.kind === KIND.mark) {
      this.lastMark = placeAt(this.end, { segment: segment.number, offset: frame.end });
    }
    return undefined;
  }

  #begin({ number, header }: SegmentFacts): void {
    this.end = {
      sequence: header.sequenceBefore,
      timeMs: header.timeBeforeMs,
      setOpen: false,
      marked: false,
    };
    this.#setKnown = number === 1;
  }

  #problem(frame: ReadFrame): string | undefined {
    if (isChange(frame)) return this.#setKnown ? setProblem(frame.flags, this.end.setOpen) : undefined;
    if (frame.kind === KIND.mark) return this.end.setOpen ? 'it is a mark inside an atomic set' : undefined;
    if (frame.kind === KIND.abandon) return undefined;
    return `its kind is ${frame.kind}`;
  }
}
