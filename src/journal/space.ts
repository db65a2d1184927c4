import type { Clock } from '../clock.ts';
import { type JournalLimits, type RewindLimits, UNDO_SEGMENTS_MIN } from './limits.ts';
import type { Place } from './position.ts';
import { journalFull } from './problems.ts';
import type { RedoLog } from './redo-log.ts';
import type { SegmentRoom } from './segment-files.ts';
import type { UndoLog } from './undo-log.ts';

/**
 * Who may have a segment, and which are given back. Promises: a redo segment goes only when the replica is past it and no
 * rewind that is still possible needs it to come forward again; when space runs short the rewind window shrinks, and
 * says so, before anything is refused; the undo log can always have a segment, so applying never waits for itself.
 */
export interface JournalNotice {
  readonly code: 'REWIND_WINDOW_SHRUNK' | 'UNDO_UNREADABLE' | 'BOOKMARKS_UNREADABLE';
  readonly text: string;
}

export class JournalSpace implements SegmentRoom {
  readonly #limits: JournalLimits;
  readonly #clock: Clock;
  readonly #notify: (notice: JournalNotice) => void;
  #window: RewindLimits;
  /** By our clock, when the window last became smaller than what is asked for. */
  #shrunkAtMs: number | undefined;
  #logs: { readonly redo: RedoLog | undefined; readonly undo: UndoLog } | undefined;
  /** A rewind is looking for its way back: nothing is forgotten meanwhile. */
  #pins = 0;

  constructor(limits: JournalLimits, clock: Clock, notify: (notice: JournalNotice) => void) {
    this.#limits = limits;
    this.#window = limits;
    this.#clock = clock;
    this.#notify = notify;
  }

  serve(redo: RedoLog | undefined, undo: UndoLog): void {
    this.#logs = { redo, undo };
  }

  get window(): RewindLimits {
    const { rewindMs, rewindBytes } = this.#window;
    return { rewindMs, rewindBytes };
  }

  /** Undefined while the window is as large as it is asked to be, or on its way there. */
  get shrunkAtMs(): number | undefined {
    return this.#shrunkAtMs;
  }

  /** A smaller window forgets at the next `trim`; a larger one grows from now on. */
  keep(window: RewindLimits): void {
    this.#window = window;
  }

  /** The earliest place to which the replica can be brought back. */
  get windowStart(): Place | undefined {
    const undo = this.#logs?.undo;
    if (!undo) return undefined;
    const first = undo.stack.find(({ from }) => from.consistent);
    return first?.from ?? undo.position;
  }

  get #isPinned(): boolean {
    return this.#pins > 0 || this.#logs?.undo.rewinding !== undefined;
  }

  async pinned<Result>(act: () => Promise<Result>): Promise<Result> {
    this.#pins++;
    try {
      return await act();
    } finally {
      this.#pins--;
    }
  }

  get usedBytes(): number {
    const { redo, undo } = this.#logs ?? {};
    return ((redo?.log.files.count ?? 0) + (undo?.log.files.count ?? 0)) * this.#limits.segmentBytes;
  }

  async allow(log: string): Promise<void> {
    const most = Math.floor(this.#limits.spaceBytes / this.#limits.segmentBytes);
    for (;;) {
      const redo = this.#logs?.redo?.log.files.countSoon ?? 0;
      const undo = this.#logs?.undo.log.files.countSoon ?? 0;
      const wanted = log === 'redo' ? Math.max(undo, UNDO_SEGMENTS_MIN) + redo : redo + undo;
      const own = log === 'redo' ? this.#logs?.redo?.log : this.#logs?.undo.log;
      if (wanted <= most || own?.files.hasSpare) return;
      if (await this.shrink('the space allowed to the journal is used up')) continue;
      // Only while a rewind is under way: it is worth a segment more, and gives back more than that.
      if (log === 'undo') return;
      throw journalFull(`The journal may use ${this.#limits.spaceBytes} bytes, and they are used.`);
    }
  }

  async shrink(why: string): Promise<boolean> {
    const logs = this.#logs;
    if (!logs || this.#isPinned) return false;
    const { redo, undo } = logs;
    // A spare that nobody asked for is the cheapest space there is.
    if ((await redo?.log.files.dropSpare()) || (await undo.log.files.dropSpare())) return true;
    if (await this.#release()) return true;
    const before = undo.stack.length;
    // Asked again each time: a rewind may have begun while a segment was released.
    while (undo.stack.length > 0 && !this.#isPinned) {
      this.#dropOldest(undo);
      if (!(await this.#release())) continue;
      this.#tellShrunk(why);
      return true;
    }
    if (undo.stack.length < before) this.#tellShrunk(why);
    return false;
  }

  /** After changes were applied: forgets what is older or more than anybody asked to keep. */
  async trim(): Promise<void> {
    const logs = this.#logs;
    if (!logs || this.#isPinned) return;
    const { undo } = logs;
    let bytes = undo.keptBytes;
    while (undo.stack.length > 0 && (bytes > this.#window.rewindBytes || this.#isOld(undo))) {
      this.#dropOldest(undo);
      bytes = undo.keptBytes;
      this.#shrunkAtMs = undefined;
    }
    await this.#release();
  }

  /** Old by the master's clock and by ours: one clock that leaps forgets nothing. */
  #isOld(undo: UndoLog): boolean {
    const oldest = undo.stack[0];
    if (!oldest) return false;
    const byMaster = undo.position.timeMs - oldest.to.timeMs;
    const byUs = this.#clock.now() - oldest.appliedAtMs;
    return Math.min(byMaster, byUs) > this.#window.rewindMs;
  }

  /** To the next place at which a rewind may end. */
  #dropOldest(undo: UndoLog): void {
    const next = undo.stack.findIndex(({ from }, index) => index > 0 && from.consistent);
    undo.drop(next < 0 ? undo.stack.length : next);
  }

  async #release(): Promise<boolean> {
    const { redo, undo } = this.#logs ?? {};
    if (!undo) return false;
    const needed = [undo.position, undo.stack[0]?.from, undo.repeatable?.from, undo.rewinding];
    const redoFrom = Math.min(...needed.flatMap((place) => (place ? [place.segment] : [])));
    const undoFrom = undo.stack[0]?.at.segment ?? Number.POSITIVE_INFINITY;
    const released = (await redo?.log.releaseBefore(redoFrom)) ?? false;
    return (await undo.log.releaseBefore(undoFrom)) || released;
  }

  #tellShrunk(why: string): void {
    const from = this.windowStart;
    this.#shrunkAtMs = this.#clock.now();
    this.#notify({
      code: 'REWIND_WINDOW_SHRUNK',
      text: `The replica can be rewound no further back than change ${from?.sequence ?? 0n}: ${why}.`,
    });
  }
}
