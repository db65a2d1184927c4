/** Bytes a second over the last few seconds, from samples taken now and then. */
const WINDOW_MS = 8_000;

export class Rate {
  #samples: { atMs: number; bytes: number }[] = [];

  add(atMs: number, bytes: number): void {
    this.#samples = this.#samples.filter(
      (sample) => atMs - sample.atMs <= WINDOW_MS && sample.bytes <= bytes,
    );
    this.#samples.push({ atMs, bytes });
  }

  perSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.atMs <= first.atMs) return 0;
    return Math.round(((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs));
  }
}
