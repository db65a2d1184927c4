import type { CopyProgress } from '../wire/control-session.ts';

const WINDOW_MS = 10_000;

export interface Pace {
  readonly bytesPerSecond: number;
  readonly secondsLeft?: number;
}

/** How fast a copy goes, over the last ten seconds: old speed says nothing about the time that is left. */
export class CopyRate {
  readonly #samples: { readonly atMs: number; readonly doneBytes: number }[] = [];

  add(atMs: number, progress: Pick<CopyProgress, 'doneBytes' | 'totalBytes'>): Pace {
    const { doneBytes, totalBytes } = progress;
    // A restarted copy counts from where it is durable, which may be less than what was told before.
    if (doneBytes < (this.#samples.at(-1)?.doneBytes ?? 0)) this.#samples.length = 0;
    this.#samples.push({ atMs, doneBytes });
    while (this.#samples.length > 2 && atMs - (this.#samples[0]?.atMs ?? atMs) > WINDOW_MS)
      this.#samples.shift();
    const first = this.#samples[0];
    const ms = first ? atMs - first.atMs : 0;
    const bytesPerSecond = first && ms > 0 ? ((doneBytes - first.doneBytes) * 1000) / ms : 0;
    if (bytesPerSecond <= 0) return { bytesPerSecond: 0 };
    return { bytesPerSecond, secondsLeft: Math.ceil((totalBytes - doneBytes) / bytesPerSecond) };
  }
}
