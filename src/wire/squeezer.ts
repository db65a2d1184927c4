import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';

/**
 * Decides for one lane, block by block, whether compressing pays, from what it measures on the way. It does not when
 * the data do not shrink (encrypted disks, films), and not when the lane waits for the processor rather than for the link
 * or the appliance. Either may change, so now and then it is tried again. It remembers nothing beyond the lane.
 */
const compress = promisify(zstdCompress);
const COMPRESSION = {
  // With a table of 64 Ki places the data become 3 % shorter than by level 1 alone, for as little time.
  params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_hashLog]: 16 },
  // A block in one or two steps: each one waits for a thread.
  chunkSize: 512 * 1024,
};

/** Compressed data that are not smaller than this part of the packed ones are sent as they are. */
const WORTH_COMPRESSING = 0.9;
/** So many blocks in a row that do not shrink, and the next ones are not tried. */
const FAILURES = 4;
const PAUSE_MIN = 16;
const PAUSE_MAX = 256;
/** The lane is judged after so many blocks; sending took at least this part of its carriers' time, or the link is not short. */
const WINDOW = 32;
const SHORT_LINK = 0.15;
const SHORT_BYTES = 128 * 1024;

export interface SqueezerOptions {
  readonly wanted: boolean;
  /** How many carry on this lane side by side. */
  readonly carriers: number;
  /** A clock of milliseconds that never jumps; tests bring their own. */
  readonly nowMs?: () => number;
}

export class Squeezer {
  readonly #options: SqueezerOptions;
  readonly #nowMs: () => number;
  #failures = 0;
  #pause = 0;
  #nextPause = PAUSE_MIN;
  #blocks = 0;
  #sendingMs = 0;
  #windowAtMs: number;

  constructor(options: SqueezerOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#windowAtMs = this.#nowMs();
  }

  /** Undefined: send it as it is. What is short costs little to try, and there is little of it: it is always tried. */
  async squeeze(data: Uint8Array): Promise<Buffer | undefined> {
    if (!this.#options.wanted) return undefined;
    if (data.byteLength <= SHORT_BYTES) {
      const squeezed = await compress(data, COMPRESSION);
      return squeezed.length < data.byteLength * WORTH_COMPRESSING ? squeezed : undefined;
    }
    if (this.#pause > 0) {
      this.#pause--;
      return undefined;
    }
    const squeezed = await compress(data, COMPRESSION);
    if (squeezed.length < data.byteLength * WORTH_COMPRESSING) {
      this.#failures = 0;
      this.#nextPause = PAUSE_MIN;
      return squeezed;
    }
    if (++this.#failures >= FAILURES) this.#rest();
    return undefined;
  }

  /** Sends, and learns how long the lane was what we waited for. */
  async timed(send: () => Promise<void>): Promise<void> {
    const startedAt = this.#nowMs();
    await send();
    const now = this.#nowMs();
    this.#sendingMs += now - startedAt;
    if (++this.#blocks < WINDOW) return;
    const share = this.#sendingMs / ((now - this.#windowAtMs) * this.#options.carriers);
    if (share < SHORT_LINK && this.#pause === 0) this.#rest();
    this.#blocks = 0;
    this.#sendingMs = 0;
    this.#windowAtMs = now;
  }

  #rest(): void {
    this.#pause = this.#nextPause;
    this.#nextPause = Math.min(this.#nextPause * 2, PAUSE_MAX);
    // One block decides when the pause is over.
    this.#failures = FAILURES - 1;
  }
}
