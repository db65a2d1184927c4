import type { Clock } from '../clock.ts';

/** Holds work to so many bytes a second, and tells how fast it goes. */
export class Tempo {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number | undefined;
  readonly #startMs: number;
  #bytes = 0;

  constructor(clock: Clock, bytesPerSecond: number | undefined) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#startMs = clock.now();
  }

  async add(bytes: number, signal: AbortSignal): Promise<void> {
    this.#bytes += bytes;
    if (this.#bytesPerSecond === undefined) return;
    const dueMs = this.#startMs + (this.#bytes / this.#bytesPerSecond) * 1000;
    const waitMs = dueMs - this.#clock.now();
    if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
  }

  get perSecond(): number {
    const ms = this.#clock.now() - this.#startMs;
    return ms > 0 ? (this.#bytes * 1000) / ms : 0;
  }
}

export interface SeedProgress {
  readonly what: 'reading' | 'checking' | 'writing';
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
}
