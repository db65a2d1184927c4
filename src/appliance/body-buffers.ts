/**
 * Memory for the bodies of long frames, used again and again: fresh memory for each makes the collector run for nothing
 * else, many times a second. Bounded; what is not given back is simply gone. Whoever gives a buffer back has forgotten it.
 */
export class BodyBuffers {
  readonly #sizes: readonly number[];
  readonly #free: Buffer[][];
  readonly #keptMax: number;
  #keptBytes = 0;

  constructor(longestBytes: number, keptBytesMax: number) {
    const sizes: number[] = [];
    for (let size = SHORTEST_BYTES; size < longestBytes; size *= 2) sizes.push(size);
    this.#sizes = [...sizes.filter((size) => size <= longestBytes / 1.5), longestBytes];
    this.#free = this.#sizes.map(() => []);
    this.#keptMax = keptBytesMax;
  }

  /** Of exactly this length; its memory is another body's, so what is in it means nothing. */
  take(length: number): Buffer {
    const kind = this.#sizes.findIndex((size) => size >= length);
    const size = this.#sizes[kind];
    // A short one is cheap to make, and room for it is not worth keeping.
    if (size === undefined || length < SHORTEST_BYTES / 2) return Buffer.allocUnsafeSlow(length);
    const whole = this.#free[kind]?.pop();
    if (whole) this.#keptBytes -= size;
    return (whole ?? Buffer.allocUnsafeSlow(size)).subarray(0, length);
  }

  give(body: Buffer): void {
    const size = body.buffer.byteLength;
    const kind = this.#sizes.indexOf(size);
    if (kind < 0 || this.#keptBytes + size > this.#keptMax) return;
    this.#keptBytes += size;
    this.#free[kind]?.push(Buffer.from(body.buffer, 0, size));
  }
}

const SHORTEST_BYTES = 64 * 1024;
