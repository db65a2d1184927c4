import type { ChunkSet } from '../block/chunks.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import type { Change, ChangeStream, StreamState } from './capture.ts';
import { type ComparedDisk, type Digest, differences } from './compare-round.ts';

/**
 * The stream of a method that compares: rounds, each one atomic set that brings the appliance from one consistent view
 * to the next. Promises: a round that was cut is begun anew under a new id, so nothing of the old one is ever applied;
 * digests are kept only for what the appliance acknowledged. Sequences are `round * 2^32 + n`, and a round's number is
 * durable before the first of them is told. Dies at any line: the next start begins the next round.
 */
export interface RoundSource {
  /** Takes a consistent view: of each disk a device that does not change until `release`. Lets go of one that was held. */
  take(): Promise<ReadonlyMap<string, BlockDevice>>;
  /** The view that a full copy reads. */
  held(): Promise<ReadonlyMap<string, BlockDevice>>;
  /** Throws when the view was not what it promised; lets it go in any case. */
  release(): Promise<void>;
  /** Makes the number durable and answers it: one more than ever before. */
  nextRound(): Promise<number>;
  /** Which blocks may have changed since the last committed round; undefined = read all of them. */
  changed?(diskId: string): ChunkSet | undefined;
  /** The appliance has all that was taken, or will not have it. */
  ended?(isCommitted: boolean): Promise<void>;
}

export interface CompareStreamOptions {
  readonly disks: readonly ComparedDisk[];
  readonly source: RoundSource;
  readonly digest: Digest;
  readonly clock: Clock;
  readonly log: Log;
  readonly intervalMs: number;
  /** Why everything is read, when less would be expected. */
  why?(): string | undefined;
}

const ROUND = 2n ** 32n;

interface Round {
  readonly id: bigint;
  sequence: bigint;
  readonly changes: AsyncGenerator<Change>;
  /** Told completely, and not acknowledged yet. */
  isTold: boolean;
}

export class CompareStream implements ChangeStream {
  readonly #options: CompareStreamOptions;
  #round: Round | undefined;
  #lastSequence = 0n;
  #lastKind: Change['kind'] | undefined;
  #nextRoundMs = 0;
  #pendingBytes = 0;
  readonly #wakers = new Set<() => void>();

  constructor(options: CompareStreamOptions) {
    this.#options = options;
  }

  async next(signal: AbortSignal): Promise<readonly Change[]> {
    for (;;) {
      signal.throwIfAborted();
      if (!this.#round) await this.#begin(signal);
      const round = this.#round;
      if (round && !round.isTold) {
        try {
          const { value, done } = await round.changes.next();
          if (!done) return [value];
        } catch (error) {
          await this.#drop();
          throw error;
        }
        round.isTold = true;
      } else if (round) await this.#acknowledged(signal);
    }
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const { clock, intervalMs, source } = this.#options;
    const waitMs = this.#nextRoundMs - clock.now();
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    this.#nextRoundMs = clock.now() + intervalMs;
    const number = BigInt(await source.nextRound());
    const id = number * ROUND;
    this.#round = { id, sequence: id, changes: this.#tell(id), isTold: false };
    this.#pendingBytes = 0;
  }

  async *#tell(setId: bigint): AsyncGenerator<Change> {
    const { disks, source, digest } = this.#options;
    const views = await source.take();
    let isOpen = false;
    try {
      for (const disk of disks) {
        const view = views.get(disk.id);
        if (!view) throw new RangeError(`no view of ${disk.id}`);
        for await (const found of differences(disk, view, digest, source.changed?.(disk.id))) {
          if (!isOpen) yield this.#mark('set-begin', setId);
          isOpen = true;
          this.#pendingBytes += found.lengthBytes;
          const { offsetBytes, lengthBytes, data } = found;
          yield this.#change({
            diskId: disk.id,
            offsetBytes,
            lengthBytes,
            kind: data ? 'data' : 'zero',
            ...(data ? { data } : {}),
          });
        }
      }
    } finally {
      await source.release();
    }
    // Without any difference the mark says that the copy was consistent at this time.
    yield isOpen
      ? this.#mark('set-end', setId)
      : this.#change({ diskId: '', offsetBytes: 0, lengthBytes: 0, kind: 'flush' });
  }

  #mark(kind: 'set-begin' | 'set-end', setId: bigint): Change {
    return this.#change({ diskId: '', offsetBytes: 0, lengthBytes: 0, kind, setId });
  }

  #change(facts: Omit<Change, 'sequence' | 'masterClockMs'>): Change {
    const round = this.#round;
    if (!round) throw new RangeError('no round is under way');
    this.#lastSequence = ++round.sequence;
    this.#lastKind = facts.kind;
    return { sequence: round.sequence, masterClockMs: this.#options.clock.now(), ...facts };
  }

  #acknowledged(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener('abort', wake);
        this.#wakers.delete(wake);
        resolve();
      };
      this.#wakers.add(wake);
      signal.addEventListener('abort', wake, { once: true });
      if (signal.aborted || !this.#round) wake();
    });
  }

  async acknowledge(sequence: bigint): Promise<void> {
    const round = this.#round;
    if (sequence > this.#lastSequence) throw new RangeError(`${sequence} was never told`);
    if (!round || sequence < round.sequence || !(await this.#isWhole(round))) return;
    for (const { digests } of this.#options.disks) await digests.commit();
    this.#round = undefined;
    this.#pendingBytes = 0;
    await this.#options.source.ended?.(true);
    for (const wake of this.#wakers) wake();
  }

  /** Its last change may have been told without anybody asking for more yet. */
  async #isWhole(round: Round): Promise<boolean> {
    if (round.isTold) return true;
    if (this.#lastKind !== 'set-end' && this.#lastKind !== 'flush') return false;
    round.isTold = (await round.changes.next()).done === true;
    return round.isTold;
  }

  async #drop(): Promise<void> {
    const round = this.#round;
    this.#round = undefined;
    if (!round) return;
    await round.changes.return(undefined).catch(() => undefined); // It was given up; why it failed was told already.
    for (const { digests } of this.#options.disks) digests.discard();
    await this.#options.source.ended?.(false);
    this.#nextRoundMs = 0;
    for (const wake of this.#wakers) wake();
  }

  /** The digests of the view now: what a full copy gives the appliance. */
  async restart(): Promise<bigint> {
    const { disks, source, digest } = this.#options;
    await this.#drop();
    const number = BigInt(await source.nextRound());
    const views = await source.held();
    try {
      for (const disk of disks) {
        const view = views.get(disk.id);
        if (!view) throw new RangeError(`no view of ${disk.id}`);
        for await (const found of differences(disk, view, digest)) this.#pendingBytes = found.lengthBytes;
      }
    } catch (error) {
      for (const { digests } of disks) digests.discard();
      throw error;
    }
    for (const { digests } of disks) await digests.commit();
    this.#pendingBytes = 0;
    this.#lastSequence = number * ROUND;
    this.#nextRoundMs = this.#options.clock.now() + this.#options.intervalMs;
    await source.ended?.(true);
    return this.#lastSequence;
  }

  async resumeAfter(sequence: bigint): Promise<void> {
    const round = this.#round;
    if (round?.isTold && sequence >= round.sequence) await this.acknowledge(round.sequence);
    else await this.#drop();
  }

  state(): StreamState {
    return {
      mode: this.#round ? 'set' : 'ordered',
      reason:
        this.#options.why?.() ?? 'The disks are compared from time to time; what changed comes as one set.',
      lastSequence: this.#lastSequence,
      durableSequence: this.#lastSequence,
      spooledBytes: 0,
      spoolLimitBytes: 0,
      dirtyBytes: this.#pendingBytes,
    };
  }

  async close(): Promise<void> {
    await this.#drop();
  }
}
