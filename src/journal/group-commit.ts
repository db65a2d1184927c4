import { setImmediate as soon } from 'node:timers/promises';
import { type FrameDraft, frameSpace } from './frame.ts';
import type { JournalLimits } from './limits.ts';
import { after, type RedoEnd, type RedoLog } from './redo-log.ts';

/**
 * Puts what many callers append together into groups: one write and one sync for all that came while the group before
 * was on its way. Promises: a promise resolves only when its frames are durable; order is the order of the calls;
 * memory is bounded: above `queuedBytes` a call waits before it is accepted, in its turn.
 * When a group fails, everything that waits is refused with the same error, and nothing of it is kept.
 */
interface Waiter {
  readonly count: number;
  resolve(): void;
  reject(error: unknown): void;
}

export class GroupCommit {
  readonly #redo: RedoLog;
  readonly #limits: JournalLimits;
  #queue: FrameDraft[] = [];
  #queuedBytes = 0;
  #waiters: Waiter[] = [];
  #accepted: RedoEnd;
  /** Frames accepted, and made durable or refused, since the start. */
  #acceptedCount = 0;
  #settledCount = 0;
  #writing: Promise<void> | undefined;
  #entry: Promise<void> = Promise.resolve();
  #entering = 0;
  #toldLast = 0;
  #roomFor: (() => void)[] = [];

  constructor(redo: RedoLog, limits: JournalLimits) {
    this.#redo = redo;
    this.#limits = limits;
    this.#accepted = redo.end;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /**
   * `accept` is called in this call's turn with the end of what was accepted before, and gives the frames to add; when
   * it throws, nothing is. Resolves when they, and everything before, are durable.
   */
  async add(accept: (end: RedoEnd) => readonly FrameDraft[]): Promise<void> {
    if (this.#entering > 0 || this.#isFull()) await this.#enter();
    const drafts = accept(this.#accepted);
    for (const draft of drafts) {
      this.#queue.push(draft);
      this.#queuedBytes += frameSpace(draft.payload?.length ?? 0);
    }
    this.#accepted = drafts.reduce(after, this.#accepted);
    this.#acceptedCount += drafts.length;
    if (this.#acceptedCount === this.#settledCount) return;
    const count = this.#acceptedCount;
    const durable = new Promise<void>((resolve, reject) => this.#waiters.push({ count, resolve, reject }));
    this.#writing ??= this.#write();
    await durable;
  }

  /** Resolves when nothing is on its way any more; never rejects: who waits was told. */
  async idle(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async #enter(): Promise<void> {
    this.#entering++;
    const turn = this.#entry.then(async () => {
      while (this.#isFull()) await new Promise<void>((resolve) => this.#roomFor.push(resolve));
    });
    this.#entry = turn;
    await turn;
    this.#entering--;
  }

  #isFull(): boolean {
    return this.#queuedBytes >= this.#limits.queuedBytes;
  }

  async #write(): Promise<void> {
    // Whoever appends in the same breath comes into the same group; and so do all who were told of the last one.
    await (this.#toldLast > 1 ? soon() : undefined);
    while (this.#queue.length > 0) {
      const group = this.#take();
      try {
        await this.#redo.append(group);
        this.#settledCount += group.length;
        this.#settle((waiter) => waiter.resolve());
      } catch (error) {
        this.#queue = [];
        this.#queuedBytes = 0;
        this.#accepted = this.#redo.end;
        this.#settledCount = this.#acceptedCount;
        this.#settle((waiter) => waiter.reject(error));
      }
      for (const resolve of this.#roomFor.splice(0)) resolve();
    }
    this.#writing = undefined;
  }

  /** As many frames as fit into one group, and into the segment when that has room for at least the first. */
  #take(): FrameDraft[] {
    let bytes = 0;
    let count = 0;
    const room = this.#redo.log.roomBytes;
    let most = this.#limits.groupBytes;
    for (const draft of this.#queue) {
      const length = frameSpace(draft.payload?.length ?? 0);
      if (count === 0 && length <= room) most = Math.min(most, room);
      if (count > 0 && bytes + length > most) break;
      bytes += length;
      count++;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  #settle(tell: (waiter: Waiter) => void): void {
    const done = this.#waiters.findIndex(({ count }) => count > this.#settledCount);
    const told = this.#waiters.splice(0, done < 0 ? this.#waiters.length : done);
    for (const waiter of told) tell(waiter);
    this.#toldLast = told.length;
  }
}
