import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import { makeInTurn } from '../in-turn.ts';
import type { Journal } from '../journal/journal.ts';
import type { Log } from '../log.ts';
import { type ChangeRecord, decodeChanges } from '../wire/change-frame.ts';
import type { Checksum } from '../wire/checksum.ts';
import type { Connection, LaneFrames } from '../wire/connection.ts';
import { FRAME, makeFrame, protocolBroken } from '../wire/frame.ts';
import { LIMITS } from '../wire/limits.ts';
import { BodyBuffers } from './body-buffers.ts';
import { ChangeTranslator, type JournalStep, type TranslatorOptions } from './change-translator.ts';

/**
 * Takes the changes of one master's stream into the journal. Promises: `durable` is said only of what would survive any
 * crash here; a batch with a wrong checksum, a gap, or more than the window allows ends the connection, and nothing of
 * it is kept; one connection at a time, and a new one begins when everything of the old one has settled. While the
 * journal is full what came waits, and the master with it. Memory: the window.
 * Dies at any line: the next connection goes on behind the journal's last durable change.
 */
export interface ChangeReceiverOptions extends Omit<TranslatorOptions, 'markMs' | 'markBytes'> {
  readonly journal: Journal;
  readonly checksum: Checksum;
  readonly clock: Clock;
  readonly log: Log;
  readonly openSet: OpenSetFile;
  /** More is durable. `consistentAtMs` by the master's clock, when a consistent position came. */
  onDurable(news: DurableNews): void;
  /** The journal has no room. Resolves when it is worth trying again; throws when it never will be. */
  untilRoom(error: StandbyError, signal: AbortSignal): Promise<void>;
  /** The journal refuses for good. */
  onProblem(error: StandbyError): void;
}

/** What is used of a connection here. */
export type ChangesConnection = Pick<Connection, 'name' | 'closed' | 'close' | 'post'>;

export interface DurableNews {
  readonly sequence: bigint;
  readonly bytes: number;
  readonly changes: number;
  /** Of the disks: what these changes change. */
  readonly changedBytes: number;
  readonly masterClockMs: number;
  readonly consistentAtMs?: number;
}

/** The id of the set that is open in the journal, on disk beside the replica's record. */
export interface OpenSetFile {
  read(): Promise<bigint | undefined>;
  write(setId: bigint): Promise<void>;
}

interface Batch {
  readonly body: Buffer;
}

/** What a master is told lies outside any set may be marked so often without its asking. */
const MARK_MS = 1_000;
const MARK_BYTES = 4 * 1024 * 1024;
/** Of all connections of this process together. */
const bodies = new BodyBuffers(LIMITS.changesBodyBytes, LIMITS.changesWindowBytes);
const PASSING = new Set(['JOURNAL_FULL', 'JOURNAL_DISK_FULL']);

export class ChangeReceiver {
  readonly #options: ChangeReceiverOptions;
  #connection: ChangeConnection | undefined;
  readonly #inTurn = makeInTurn();
  #durable: bigint;
  readonly #wakers = new Set<() => void>();

  constructor(options: ChangeReceiverOptions) {
    this.#options = options;
    this.#durable = options.journal.durablePosition.sequence;
  }

  /** Everything of the stream up to here is durable, marks included. */
  get durableSequence(): bigint {
    return this.#durable;
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** The next connection of the stream; answers what it goes on after. */
  open(connection: ChangesConnection): Promise<{ readonly after: bigint; readonly lane: LaneFrames }> {
    return this.#inTurn(async () => {
      await this.#endCurrent('a newer connection of the same stream came');
      const { journal, openSet } = this.#options;
      const journalSequence = journal.durablePosition.sequence;
      // Marks behind the last change are durable too, as long as we remember that we said so.
      if (this.#durable < journalSequence) this.#durable = journalSequence;
      const start = {
        journalSequence,
        openSet: journal.isSetOpen ? { id: await openSet.read() } : undefined,
        after: this.#durable,
      };
      const limits = { markMs: MARK_MS, markBytes: MARK_BYTES };
      const translator = new ChangeTranslator({ ...this.#options, ...limits }, start);
      const current = new ChangeConnection(this.#options, connection, translator, start.after, (news) =>
        this.#tell(news),
      );
      this.#connection = current;
      void current.settled.then(() => {
        if (this.#connection === current) this.#connection = undefined;
      });
      return { after: start.after, lane: current };
    });
  }

  /** Nothing of the stream is being written when this returns. */
  end(reason: string): Promise<void> {
    return this.#inTurn(() => this.#endCurrent(reason));
  }

  /** Marks what came when nothing more comes by itself. */
  markIdle(): void {
    this.#connection?.markIdle();
  }

  /** Resolves when everything of the stream up to this number is durable. */
  async untilDurable(sequence: bigint, signal: AbortSignal): Promise<void> {
    while (this.#durable < sequence) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener('abort', wake);
          this.#wakers.delete(wake);
          resolve();
        };
        this.#wakers.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    }
  }

  #tell(news: DurableNews): void {
    if (news.sequence > this.#durable) this.#durable = news.sequence;
    for (const wake of [...this.#wakers]) wake();
    this.#options.onDurable(news);
  }

  async #endCurrent(reason: string): Promise<void> {
    const current = this.#connection;
    this.#connection = undefined;
    await current?.end(reason);
  }
}

/** One connection of a stream: frames wait here, within the window, for the group before them. */
class ChangeConnection implements LaneFrames {
  readonly settled: Promise<void>;
  readonly #options: ChangeReceiverOptions;
  readonly #connection: ChangesConnection;
  readonly #translator: ChangeTranslator;
  readonly #tell: (news: DurableNews) => void;
  readonly #over = new AbortController();
  readonly #settle: () => void;
  #waiting: Batch[] = [];
  /** Frames that were not answered yet, by the last sequence in them. */
  #unanswered: { readonly last: bigint; readonly bytes: number }[] = [];
  #windowBytes = 0;
  #lastSequence: bigint;
  #toldSequence: bigint;
  #working: Promise<void> | undefined;
  #idle = false;

  constructor(
    options: ChangeReceiverOptions,
    connection: ChangesConnection,
    translator: ChangeTranslator,
    after: bigint,
    tell: (news: DurableNews) => void,
  ) {
    this.#options = options;
    this.#connection = connection;
    this.#translator = translator;
    this.#tell = tell;
    this.#lastSequence = after;
    this.#toldSequence = after;
    const settled = Promise.withResolvers<void>();
    this.settled = settled.promise;
    this.#settle = settled.resolve;
    void connection.closed.then(async (reason) => {
      this.#stop(reason);
      await this.#working;
      this.#settle();
    });
  }

  limitOf(type: number): number | undefined {
    return type === FRAME.changes ? LIMITS.changesBodyBytes : undefined;
  }

  bufferFor(_type: number, length: number): Buffer {
    if (this.#windowBytes + length > LIMITS.changesWindowBytes) {
      throw protocolBroken('more changes than its window allows');
    }
    this.#windowBytes += length;
    return bodies.take(length);
  }

  onFrame(_header: unknown, body: Buffer): void {
    this.#waiting.push({ body });
    this.#kick();
  }

  markIdle(): void {
    this.#idle = true;
    this.#kick();
  }

  async end(reason: string): Promise<void> {
    this.#connection.close(reason);
    await this.settled;
  }

  #stop(reason: string): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort(
      new StandbyError({ code: 'CONNECTION_LOST', what: `The changes stopped: ${reason}.`, retry: 'later' }),
    );
    this.#waiting = [];
  }

  #kick(): void {
    if (this.#over.signal.aborted) return;
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** One group after the other: what came while a group was made durable is the next one. */
  async #work(): Promise<void> {
    try {
      while (!this.#over.signal.aborted && (this.#waiting.length > 0 || this.#idle)) {
        const batches = this.#waiting.splice(0);
        this.#idle = false;
        await this.#take(batches);
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  async #take(batches: readonly Batch[]): Promise<void> {
    const { clock } = this.#options;
    const records: ChangeRecord[] = [];
    let bytes = 0;
    let broken: unknown;
    for (const { body } of batches) {
      try {
        const decoded = this.#decode(body);
        for (const record of decoded) records.push(record);
        bytes += body.length;
        this.#unanswered.push({ last: this.#lastSequence, bytes: body.length });
      } catch (error) {
        // What came before it is whole, and is kept.
        broken = error;
        break;
      }
    }
    const translated = this.#translator.translate(records, clock.now());
    const steps = [...translated.steps];
    const idleAtMs = records.length === 0 ? this.#translator.markNow(steps, clock.now()) : undefined;
    await this.#write(steps);
    const consistentAtMs = translated.consistentAtMs ?? idleAtMs;
    this.#answer(translated.durable);
    const changed = steps.filter((step) => step.kind === 'append');
    this.#tell({
      sequence: translated.durable,
      bytes,
      changes: changed.length,
      changedBytes: changed.reduce((sum, { change }) => sum + change.lengthBytes, 0),
      masterClockMs: records.at(-1)?.masterClockMs ?? 0,
      ...(consistentAtMs === undefined ? {} : { consistentAtMs }),
    });
    if (broken !== undefined) throw broken;
    // The journal has its changes; unless one is held back until it is known whether its set goes on.
    if (!this.#translator.isHolding) for (const { body } of batches) bodies.give(body);
  }

  #decode(body: Buffer): readonly ChangeRecord[] {
    const { after, records } = decodeChanges(body, this.#options.checksum);
    if (after !== this.#lastSequence) {
      throw protocolBroken(`changes that follow ${after}, but the last one was ${this.#lastSequence}`);
    }
    let last = after;
    for (const { sequence } of records) {
      if (sequence <= last) throw protocolBroken(`change ${sequence} behind ${last}`);
      last = sequence;
    }
    this.#lastSequence = last;
    return records;
  }

  /** Done again from the start when there was no room: what is in the journal already is passed over. */
  async #write(steps: readonly JournalStep[]): Promise<void> {
    for (;;) {
      try {
        return await this.#writeOnce(steps);
      } catch (error) {
        if (!isStandbyError(error) || !PASSING.has(error.code)) throw error;
        this.#over.signal.throwIfAborted();
        await this.#options.untilRoom(error, this.#over.signal);
        this.#over.signal.throwIfAborted();
      }
    }
  }

  async #writeOnce(steps: readonly JournalStep[]): Promise<void> {
    const { journal, openSet } = this.#options;
    let writing: Promise<void>[] = [];
    const settled = async () => {
      const results = await Promise.allSettled(writing);
      writing = [];
      // The first to fail says why; those behind it only miss what it did not write.
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
    };
    for (let at = 0; at < steps.length; ) {
      const step = steps[at];
      if (!step) break;
      if (step.kind === 'append') {
        const end = runOf(steps, at);
        const changes = steps.slice(at, end).flatMap((one) => (one.kind === 'append' ? [one.change] : []));
        writing.push(journal.append(changes));
        at = end;
        continue;
      }
      if (step.kind === 'mark') writing.push(journal.mark(step));
      else {
        await settled();
        if (step.kind === 'abandon') await journal.abandonSet(step);
        else await openSet.write(step.setId);
      }
      at++;
    }
    await settled();
  }

  #answer(durable: bigint): void {
    if (durable <= this.#toldSequence) return;
    this.#toldSequence = durable;
    let done = 0;
    for (const { last, bytes } of this.#unanswered) {
      if (last > durable) break;
      this.#windowBytes -= bytes;
      done++;
    }
    this.#unanswered.splice(0, done);
    const body = Buffer.alloc(8);
    body.writeBigUInt64LE(durable);
    this.#connection.post(makeFrame(FRAME.durable, body));
  }

  #failed(error: unknown): void {
    const { log, onProblem } = this.#options;
    if (this.#over.signal.aborted) return;
    const code = isStandbyError(error) ? error.code : undefined;
    log.warn('changes were not taken', { peer: this.#connection.name, code, error: messageOf(error) });
    this.#connection.close(messageOf(error));
    // The master comes again, and sends again what was not kept.
    if (code === 'BATCH_BROKEN' || code === 'PROTOCOL_BROKEN' || code === 'JOURNAL_GAP') return;
    onProblem(isStandbyError(error) ? error : defect(error));
  }
}

/** Where the row of appends that begins here ends. */
function runOf(steps: readonly JournalStep[], from: number): number {
  let end = from;
  while (steps[end]?.kind === 'append') end++;
  return end;
}

function defect(error: unknown): StandbyError {
  return new StandbyError({
    code: 'JOURNAL_WRITE_FAILED',
    what: 'The changes of a master could not be written.',
    why: messageOf(error),
    next: 'Look at the log of the appliance engine and at its journal disk.',
    cause: error,
  });
}
