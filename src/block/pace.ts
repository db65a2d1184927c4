/**
 * A call that only touches the page cache is over in two microseconds; handing it to the thread pool costs fifty.
 * So short calls are made at once, as long as they are quick. When one was not (a cold read, a disk that throttles),
 * the next ones go to the thread pool, where many can wait side by side, before we try again.
 */
const SLOW_MS = 0.5;
const CAUTIOUS_CALLS = 128;

export class Pace {
  readonly #slowMs: number;
  #cautious = 0;

  constructor(slowMs = SLOW_MS) {
    this.#slowMs = slowMs;
  }

  /** May this call be made at once? Counts as one call. */
  isQuick(): boolean {
    if (this.#cautious === 0) return true;
    this.#cautious--;
    return false;
  }

  /** Makes the call at once and learns from how long it took. */
  make(call: () => void): void {
    const startedAt = performance.now();
    call();
    if (performance.now() - startedAt > this.#slowMs) this.#cautious = CAUTIOUS_CALLS;
  }
}
