import type { Clock } from '../clock.ts';
import { isStandbyError, type StandbyError } from '../errors.ts';
import type { Journal } from '../journal/journal.ts';
import { replicaUnwritable } from './replica-unwritable.ts';

/**
 * Brings the replica forward, from one consistent position to the next, as long as it may. Promises: nothing is moved
 * once `stop` has returned; trouble that passes by itself (a full disk) is tried again; any other is told once, and
 * ends it; nothing is moved while it is held, whoever starts it. It keeps nothing: the journal knows where the replica is.
 */
export interface StreamFollowerOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  onMoved(): void;
  onProblem(error: StandbyError): void;
}

/** Flushes may come by the hundred; together they cost one move. */
const PAUSE_MS = 100;
const RETRY_MS = 500;
/**
 * Each move is a piece that the journal remembers as long as the rewind window is: after so many it takes longer steps,
 * so that a window of any length has about so many pieces, and little memory.
 */
const MOVES_MAX = 50_000;
const PASSING = new Set(['JOURNAL_FULL', 'JOURNAL_DISK_FULL']);

export class StreamFollower {
  readonly #options: StreamFollowerOptions;
  #over: AbortController | undefined;
  #working: Promise<void> | undefined;
  #moves = 0;
  #isHeld = false;

  constructor(options: StreamFollowerOptions) {
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#over !== undefined;
  }

  start(): void {
    this.#over ??= new AbortController();
    this.kick();
  }

  async stop(): Promise<void> {
    this.#over?.abort();
    this.#over = undefined;
    await this.#working;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Nothing is moved when this returns, until `release`. */
  async hold(): Promise<void> {
    const { isOn } = this;
    this.#isHeld = true;
    await this.stop();
    if (isOn) this.start();
  }

  release(): void {
    this.#isHeld = false;
    this.kick();
  }

  /** More may have come. */
  kick(): void {
    const over = this.#over;
    if (!over || this.#isHeld || this.#working || !this.#isBehind()) return;
    this.#working = this.#work(over.signal).finally(() => {
      this.#working = undefined;
      this.kick();
    });
  }

  #isBehind(): boolean {
    const { markedPosition, appliedPosition } = this.#options.journal;
    return markedPosition !== undefined && markedPosition.sequence > appliedPosition.sequence;
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { journal, clock, onMoved } = this.#options;
    while (!signal.aborted && this.#isBehind()) {
      let waitMs = PAUSE_MS;
      try {
        await journal.applyTo();
        if (++this.#moves > MOVES_MAX) {
          waitMs = Math.max(PAUSE_MS, journal.usage().window.rewindMs / MOVES_MAX);
        }
        onMoved();
      } catch (error) {
        if (!isStandbyError(error) || !PASSING.has(error.code)) {
          this.#over = undefined;
          this.#options.onProblem(replicaUnwritable(error));
          return;
        }
        waitMs = RETRY_MS;
      }
      await clock.sleep(waitMs, signal).catch(() => undefined); // Stopped: the loop ends.
    }
  }
}
