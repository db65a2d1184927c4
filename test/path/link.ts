import { setImmediate as turn } from 'node:timers/promises';
import type { ChangesConnection } from '../../src/appliance/change-receiver.ts';
import { StandbyError } from '../../src/errors.ts';
import type { ChangesLink } from '../../src/master/change-sender.ts';
import type { LaneFrames } from '../../src/wire/connection.ts';
import { FrameReader } from '../../src/wire/frame.ts';
import { HEADER_BYTES } from '../../src/wire/limits.ts';
import type { Random } from '../journal/random.ts';

/**
 * The way between a master and its appliance, in memory: frames come late, twice, with a turned bit or never, and a
 * connection is cut at any moment, with whatever is on its way. The frames are real, and so is what reads them.
 */
export type Answer = (
  connection: ChangesConnection,
) => Promise<{ readonly after: bigint; readonly lane: LaneFrames }>;

export interface LinkFaults {
  dropped: number;
  duplicated: number;
  flippedBits: number;
  /** Frames that came later than they could have, and those that came very late. */
  delayed: number;
  veryLate: number;
  /** Connections that were cut while somebody used them. */
  cut: number;
}

export class Link {
  readonly #random: Random;
  readonly #cables = new Set<Cable>();
  readonly faults: LinkFaults = {
    dropped: 0,
    duplicated: 0,
    flippedBits: 0,
    delayed: 0,
    veryLate: 0,
    cut: 0,
  };
  /** Whoever answers at the other end; nobody while the appliance is down. */
  answer: Answer | undefined;
  isFaulty = true;
  dials = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  async dial(lane: LaneFrames): Promise<ChangesLink> {
    this.dials++;
    const cable = new Cable(this, this.#random, lane);
    this.#cables.add(cable);
    void cable.closed.then(() => this.#cables.delete(cable));
    await cable.late();
    return {
      signal: cable.signal,
      closed: cable.closed,
      close: (reason) => cable.close(reason),
      sendFrame: (bytes) => cable.send('up', bytes),
      request: (async () => {
        const after = await cable.greet(this.answer);
        return { after: String(after) };
      }) as unknown as ChangesLink['request'],
    };
  }

  cut(): void {
    for (const cable of this.#cables) {
      if (!cable.signal.aborted) this.faults.cut++;
      cable.close('the link was cut');
    }
  }
}

class Cable {
  readonly closed: Promise<string>;
  readonly #link: Link;
  readonly #random: Random;
  readonly #end = new AbortController();
  readonly #sinks: Partial<Record<'up' | 'down', FrameReader>> = {};
  readonly #way: Record<'up' | 'down', Promise<void>> = { up: Promise.resolve(), down: Promise.resolve() };

  constructor(link: Link, random: Random, masterLane: LaneFrames) {
    this.#link = link;
    this.#random = random;
    this.#sinks.down = new FrameReader(masterLane);
    this.closed = new Promise((resolve) => {
      this.signal.addEventListener('abort', () => resolve(String(this.signal.reason.message)), {
        once: true,
      });
    });
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  close(reason: string): void {
    if (!this.signal.aborted) this.#end.abort(lost(reason));
  }

  async late(): Promise<void> {
    for (let turns = this.#random.below(4); turns > 0; turns--) await turn();
  }

  async #onItsWay(): Promise<void> {
    const { faults, isFaulty } = this.#link;
    const isVeryLate = isFaulty && this.#random.chance(0.02);
    let turns = isVeryLate ? 20 + this.#random.below(40) : this.#random.below(4);
    if (isVeryLate) faults.veryLate++;
    if (turns > 0) faults.delayed++;
    for (; turns > 0 && !this.signal.aborted; turns--) await turn();
  }

  async greet(answer: Answer | undefined): Promise<bigint> {
    await this.late();
    if (!answer || this.signal.aborted) {
      this.close('nobody answers');
      throw lost('nobody answers');
    }
    const name = 'master';
    const end: ChangesConnection = {
      name,
      closed: this.closed,
      close: (reason) => this.close(reason),
      post: (bytes) => void this.send('down', bytes).catch(() => undefined), // Nobody waits for these.
    };
    // What goes wrong over there is never heard of here as it is.
    const { after, lane } = await answer(end).catch((error: unknown) => {
      this.close('it did not answer');
      throw lost(String(error));
    });
    this.#sinks.up = new FrameReader(lane);
    await this.late();
    this.signal.throwIfAborted();
    return after;
  }

  /** In order, unless a fault says otherwise; resolves when the frame was taken over. */
  async send(way: 'up' | 'down', bytes: Uint8Array): Promise<void> {
    this.signal.throwIfAborted();
    const frames = this.#withFaults(Buffer.from(bytes), way);
    this.#way[way] = this.#way[way].then(async () => {
      await this.#onItsWay();
      for (const frame of frames) this.#deliver(way, frame);
    });
    await this.late();
    this.signal.throwIfAborted();
  }

  #withFaults(frame: Buffer, way: 'up' | 'down'): Buffer[] {
    const { faults, isFaulty } = this.#link;
    if (!isFaulty) return [frame];
    const fate = this.#random.below(60);
    if (fate === 0) {
      faults.dropped++;
      return [];
    }
    if (fate === 1) {
      faults.duplicated++;
      return [frame, frame];
    }
    if (fate === 2 && way === 'up') {
      faults.flippedBits++;
      const at = HEADER_BYTES + this.#random.below(frame.length - HEADER_BYTES);
      frame[at] = (frame[at] ?? 0) ^ (1 << this.#random.below(8));
    }
    return [frame];
  }

  #deliver(way: 'up' | 'down', frame: Buffer): void {
    if (this.signal.aborted) return;
    try {
      this.#sinks[way]?.push(frame);
    } catch (error) {
      this.close(error instanceof Error ? error.message : String(error));
    }
  }
}

function lost(why: string): StandbyError {
  return new StandbyError({ code: 'CONNECTION_LOST', what: 'The connection was lost.', why, retry: 'later' });
}
