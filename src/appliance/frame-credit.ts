import { LIMITS } from '../wire/limits.ts';

/**
 * How many blocks each lane may have under way, so that all lanes of all masters together stay within this engine's
 * memory. The first lanes get all that is good for them, later ones what is left, and each at least one. Kept in memory
 * only; what a lane had is given back when it ends.
 */
const ALL_LANES_FRAMES = 32;
/** Of what is left, so that those who come after still find some. */
const SHARE = 4;

export class FrameCredit {
  #left = ALL_LANES_FRAMES;

  /** Until `ended` resolves. */
  take(ended: Promise<unknown>): number {
    const frames = Math.max(1, Math.min(LIMITS.creditFrames, Math.ceil(this.#left / SHARE)));
    this.#left -= frames;
    void ended.then(() => {
      this.#left += frames;
    });
    return frames;
  }
}
