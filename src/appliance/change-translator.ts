import type { JournalChange } from '../journal/change.ts';
import type { ChangeRecord } from '../wire/change-frame.ts';
import { protocolBroken } from '../wire/frame.ts';

/**
 * Turns the records of a stream into what a journal takes: changes that know which one they follow and where in an
 * atomic set they stand, and marks. The last change of an open set is held back until the next record tells whether it
 * was the last. Pure: nothing here waits or writes, and to do the same steps again does no harm.
 */
export type JournalStep =
  | { readonly kind: 'append'; readonly change: JournalChange }
  | { readonly kind: 'mark'; readonly sequence: bigint; readonly masterClockMs: number }
  | { readonly kind: 'abandon'; readonly sequence: bigint; readonly masterClockMs: number }
  /** Before the first change of a set of several goes into the journal. */
  | { readonly kind: 'set-opens'; readonly setId: bigint };

export interface Translated {
  readonly steps: readonly JournalStep[];
  /** Once the steps are durable, so is everything of the stream up to here, and it may be forgotten. */
  readonly durable: bigint;
  /** The master's clock up to which the journal then holds everything, when these records say it. */
  readonly consistentAtMs?: number;
}

export interface TranslatorStart {
  /** The last durable change of the journal, or where the stream began. */
  readonly journalSequence: bigint;
  /** A set is open in the journal; its id may be lost. */
  readonly openSet: { readonly id: bigint | undefined } | undefined;
  /** Where the stream goes on. */
  readonly after: bigint;
}

interface OpenSet {
  readonly id: bigint | undefined;
  /** A change of it is in the journal. */
  isBegun: boolean;
  /** Of its `set-begin`. */
  readonly sequence: bigint;
}

export interface TranslatorOptions {
  /** In the order of `streamStart`. */
  readonly disks: readonly string[];
  /** Outside a set any place is as good as a crash: so much later, or so many bytes later, it is marked unasked. */
  readonly markMs: number;
  readonly markBytes: number;
}

export class ChangeTranslator {
  readonly #options: TranslatorOptions;
  #journalSequence: bigint;
  #set: OpenSet | undefined;
  #held: { readonly change: Omit<JournalChange, 'after' | 'set'>; readonly before: bigint } | undefined;
  #last: bigint;
  #unmarkedBytes = 0;
  #markedAtMs = 0;
  #clockMs = 0;

  constructor(options: TranslatorOptions, start: TranslatorStart) {
    this.#options = options;
    this.#journalSequence = start.journalSequence;
    this.#last = start.after;
    if (start.openSet) {
      this.#set = { id: start.openSet.id, isBegun: true, sequence: start.after };
    }
  }

  /** A change is kept here, with its bytes, until the next record. */
  get isHolding(): boolean {
    return this.#held !== undefined;
  }

  /** `nowMs`: ours, for the marks nobody asked for. */
  translate(records: readonly ChangeRecord[], nowMs: number): Translated {
    const steps: JournalStep[] = [];
    let consistentAtMs: number | undefined;
    for (const record of records) {
      if (record.sequence <= this.#last) throw protocolBroken(`${record.sequence} after ${this.#last}`);
      const at = this.#take(record, steps);
      if (at !== undefined) {
        consistentAtMs = at;
        this.#markedAtMs = nowMs;
      }
      this.#last = record.sequence;
      this.#clockMs = record.masterClockMs;
    }
    const { markMs, markBytes } = this.#options;
    const isDue = nowMs - this.#markedAtMs >= markMs || this.#unmarkedBytes >= markBytes;
    if (isDue) consistentAtMs = this.markNow(steps, nowMs) ?? consistentAtMs;
    return { steps, durable: this.#durable(), ...(consistentAtMs === undefined ? {} : { consistentAtMs }) };
  }

  /** A mark at the end of what came, unless a set is open or it is there; answers the master's clock there. */
  markNow(steps: JournalStep[], nowMs: number): number | undefined {
    if (this.#set || this.#unmarkedBytes === 0) return undefined;
    this.#mark(steps, this.#clockMs);
    this.#markedAtMs = nowMs;
    return this.#clockMs;
  }

  /** Answers the master's clock at the record when it made a consistent position. */
  #take(record: ChangeRecord, steps: JournalStep[]): number | undefined {
    const { kind, masterClockMs } = record;
    if (kind === 'flush') {
      if (this.#set) return undefined;
      this.#mark(steps, masterClockMs);
      return masterClockMs;
    }
    if (kind === 'set-begin') return this.#beginSet(record, steps);
    if (kind === 'set-end') return this.#endSet(masterClockMs, steps);
    const diskId = this.#options.disks[record.disk];
    if (diskId === undefined)
      throw protocolBroken(`a change of disk ${record.disk}, which the replica lacks`);
    const { sequence, offsetBytes, lengthBytes, data } = record;
    const facts = { sequence, diskId, offsetBytes, lengthBytes, kind, masterClockMs };
    const change = data ? { ...facts, data } : facts;
    if (this.#set) this.#hold(change, steps);
    else this.#append(change, undefined, steps);
    return undefined;
  }

  #beginSet({ sequence, setId, masterClockMs }: ChangeRecord, steps: JournalStep[]): undefined {
    if (setId === undefined) throw protocolBroken('a set without an id');
    if (this.#set?.id === setId) return;
    if (this.#set?.isBegun) {
      steps.push({ kind: 'abandon', sequence: this.#journalSequence, masterClockMs });
    }
    this.#held = undefined;
    this.#set = { id: setId, isBegun: false, sequence };
  }

  /** One that was ended before a cut may be ended again: then it is only a mark. */
  #endSet(masterClockMs: number, steps: JournalStep[]): number {
    const set = this.#set;
    if (this.#held) this.#release(set?.isBegun ? 'last' : undefined, steps);
    else if (set?.isBegun) throw protocolBroken('the end of a set whose last change never came');
    this.#set = undefined;
    this.#mark(steps, masterClockMs);
    return masterClockMs;
  }

  #hold(change: Omit<JournalChange, 'after' | 'set'>, steps: JournalStep[]): void {
    const set = this.#set;
    if (this.#held && set) {
      if (!set.isBegun && set.id !== undefined) steps.push({ kind: 'set-opens', setId: set.id });
      this.#release(set.isBegun ? 'inside' : 'first', steps);
      set.isBegun = true;
    }
    this.#held = { change, before: this.#last };
  }

  #release(set: JournalChange['set'], steps: JournalStep[]): void {
    const held = this.#held;
    this.#held = undefined;
    if (held) this.#append(held.change, set, steps);
  }

  #append(
    change: Omit<JournalChange, 'after' | 'set'>,
    set: JournalChange['set'],
    steps: JournalStep[],
  ): void {
    const after = this.#journalSequence;
    steps.push({ kind: 'append', change: { ...change, after, ...(set ? { set } : {}) } });
    this.#journalSequence = change.sequence;
    this.#unmarkedBytes += change.data?.length ?? 64;
  }

  #mark(steps: JournalStep[], masterClockMs: number): void {
    steps.push({ kind: 'mark', sequence: this.#journalSequence, masterClockMs });
    this.#unmarkedBytes = 0;
  }

  /**
   * The stream goes on behind the journal's last change after a cut. So a `set-begin` counts only once a change of its
   * set is durable: the master must not forget it before.
   */
  #durable(): bigint {
    if (this.#set && !this.#set.isBegun) return this.#set.sequence - 1n;
    return this.#held ? this.#held.before : this.#last;
  }
}
