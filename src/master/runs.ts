import { makeFrame } from '../wire/frame.ts';
import { countBody } from '../wire/signature-frame.ts';
import type { Lane } from './lane.ts';

/** Chunks of one kind in a row (all zeros, or as the replica has them) are named in one frame. */
export class Runs {
  readonly #lane: Lane;
  readonly #stream: number;
  #type = 0;
  #first = 0;
  #count = 0;

  constructor(lane: Lane, stream: number) {
    this.#lane = lane;
    this.#stream = stream;
  }

  /** Chunks come in ascending order, without gaps except after `flush`. */
  async add(type: number, index: number): Promise<void> {
    if (this.#count > 0 && type !== this.#type) await this.flush();
    if (this.#count === 0) this.#first = index;
    this.#type = type;
    this.#count++;
  }

  async flush(): Promise<void> {
    if (this.#count === 0) return;
    const frame = makeFrame(this.#type, countBody(this.#count), this.#stream, this.#first);
    this.#count = 0;
    await this.#lane.send(frame);
  }
}
