import { CHUNK_BYTES } from './chunks.ts';

/** So many chunks of memory, and no more, for whoever needs one for a while: who comes later waits, first come first served. */
export class ChunkBuffers {
  readonly #free: Buffer[] = [];
  readonly #waiting: ((buffer: Buffer) => void)[] = [];
  #unmade: number;

  constructor(count: number) {
    this.#unmade = count;
  }

  /** The buffer is the work's own until it has ended. */
  async lend<Result>(work: (buffer: Buffer) => Promise<Result>): Promise<Result> {
    const buffer = await this.#take();
    try {
      return await work(buffer);
    } finally {
      const next = this.#waiting.shift();
      if (next) next(buffer);
      else this.#free.push(buffer);
    }
  }

  async #take(): Promise<Buffer> {
    const free = this.#free.pop();
    if (free) return free;
    if (this.#unmade === 0) return await new Promise((resolve) => this.#waiting.push(resolve));
    this.#unmade--;
    return Buffer.allocUnsafeSlow(CHUNK_BYTES);
  }
}
