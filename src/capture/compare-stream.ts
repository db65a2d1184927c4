import type { ChunkSet } from '../block/chunks.ts';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import type { Change, ChangeStream, StreamProof, StreamProofOptions, StreamState } from './capture.ts';
import { CompareProofs, type RoundProof } from './compare-proof.ts';
import { type ComparedDisk, type Digest, differences } from './compare-round.ts';
import { Stir } from './stir.ts';

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
  /** Throws when the view is not what it promised. */
  assertUnchanged(): Promise<void>;
  /** The newest number ever given. */
  lastRound(): Promise<number>;
  /** Makes the number durable and answers it: one more than ever before, and than `after`. */
  nextRound(after: number): Promise<number>;
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
  /** How consistent the newest view is, where that is known. */
  consistency?(): string | undefined;
}

const AS_SETS = 'The disks are compared from time to time; what changed comes as one set.';
const ROUND = 2n ** 32n;
/** Differences are told together up to about this. */
const BATCH_BYTES = 512 * 1024;

interface Round {
  readonly id: bigint;
  sequence: bigint;
  takenMs: number;
  readonly changes: AsyncGenerator<Change>;
  /** Told completely, and not acknowledged yet. */
  isTold: boolean;
  lastKind?: Change['kind'];
  proof?: RoundProof;
}

export class CompareStream implements ChangeStream {
  readonly #options: CompareStreamOptions;
  readonly #stir = new Stir();
  readonly #proofs = new CompareProofs();
  readonly #over = new AbortController();
  #round: Round | undefined;
  #lastSequence = 0n;
  #nextRoundMs = 0;
  #pendingBytes = 0;
  #isLost = false;
  /** Rounds before this one are the appliance's only. */
  #pastRound = 0;
  /** A copy reads the views: no round begins. */
  #isHeld = false;
  #beginning: Promise<unknown> = Promise.resolve();
  /** Digests of the views a full copy reads are being made. */
  #basis: Promise<void> | undefined;

  constructor(options: CompareStreamOptions) {
    this.#options = options;
  }

  async next(signal: AbortSignal): Promise<readonly Change[]> {
    for (;;) {
      signal.throwIfAborted();
      const round = this.#round ?? (await this.#begin(signal));
      if (!round) continue;
      if (round.isTold) await this.#stir.wait(signal, () => this.#round !== round);
      else {
        const changes = await this.#more(round);
        if (changes.length > 0) return changes;
      }
    }
  }

  /** Undefined: look again. */
  async #begin(signal: AbortSignal): Promise<Round | undefined> {
    const { clock, intervalMs, source } = this.#options;
    const isStopped = () => this.#isHeld || this.#basis !== undefined;
    if (isStopped()) {
      await this.#stir.wait(signal, () => !isStopped());
      return undefined;
    }
    const waitMs = this.#proofs.isWanted ? 0 : this.#nextRoundMs - clock.now();
    if (waitMs > 0) {
      await this.#stir.waitAtMost(clock, waitMs, signal);
      return undefined;
    }
    this.#nextRoundMs = clock.now() + intervalMs;
    const beginning = source.nextRound(this.#pastRound);
    this.#beginning = beginning.catch(() => undefined); // Told below.
    const id = BigInt(await beginning) * ROUND;
    if (isStopped()) return undefined;
    const round: Round = { id, sequence: id, takenMs: 0, changes: this.#tell(() => round), isTold: false };
    this.#round = round;
    this.#pendingBytes = 0;
    return round;
  }

  /** Some of the round's changes; none when it is told, or was dropped meanwhile. */
  async #more(round: Round): Promise<readonly Change[]> {
    const changes: Change[] = [];
    let bytes = 0;
    try {
      while (bytes < BATCH_BYTES) {
        const { value, done } = await round.changes.next();
        if (this.#round !== round) return [];
        if (done) {
          round.isTold = true;
          break;
        }
        changes.push(value);
        bytes += value.data?.byteLength ?? 0;
      }
    } catch (error) {
      if (this.#round !== round) return [];
      await this.#drop();
      throw error;
    }
    const last = changes.at(-1);
    if (last) {
      round.lastKind = last.kind;
      this.#lastSequence = last.sequence;
    }
    return changes;
  }

  async *#tell(of: () => Round): AsyncGenerator<Change> {
    const { disks, source, digest, clock } = this.#options;
    // What the round brings is as old as its view, however long it takes to be read.
    const takenMs = clock.now();
    const views = await source.take();
    const round = of();
    round.takenMs = takenMs;
    const proof = this.#proofs.take();
    const setId = round.id;
    let isOpen = false;
    try {
      for (const disk of disks) {
        const view = views.get(disk.id);
        if (!view) throw new RangeError(`no view of ${disk.id}`);
        const only = proof ? undefined : source.changed?.(disk.id);
        for await (const found of differences(disk, view, digest, { only, leaves: proof?.of(disk) })) {
          if (!isOpen) yield this.#change(round, { ...MARK, kind: 'set-begin', setId });
          isOpen = true;
          this.#pendingBytes += found.lengthBytes;
          const { offsetBytes, lengthBytes, data } = found;
          const kind = data ? 'data' : 'zero';
          yield this.#change(round, {
            diskId: disk.id,
            offsetBytes,
            lengthBytes,
            kind,
            ...(data ? { data } : {}),
          });
        }
      }
    } finally {
      await source.release();
    }
    // Without any difference the mark says that the copy was consistent at this time.
    const end = this.#change(
      round,
      isOpen ? { ...MARK, kind: 'set-end', setId } : { ...MARK, kind: 'flush' },
    );
    if (proof) {
      round.proof = proof;
      proof.stand(end.sequence);
    }
    yield end;
  }

  #change(round: Round, facts: Omit<Change, 'sequence' | 'masterClockMs'>): Change {
    return { sequence: ++round.sequence, masterClockMs: round.takenMs, ...facts };
  }

  async acknowledge(sequence: bigint): Promise<void> {
    const round = this.#round;
    if (sequence > this.#lastSequence) throw new RangeError(`${sequence} was never told`);
    if (!round || sequence < round.sequence || !(await this.#isWhole(round))) return;
    for (const { digests } of this.#options.disks) await digests.commit();
    this.#round = undefined;
    this.#pendingBytes = 0;
    await this.#options.source.ended?.(true);
    if (round.proof) this.#proofs.done(round.proof);
    this.#stir.now();
  }

  /** Its last change may have been told without anybody asking for more yet. */
  async #isWhole(round: Round): Promise<boolean> {
    if (round.isTold) return true;
    if (round.lastKind !== 'set-end' && round.lastKind !== 'flush') return false;
    round.isTold = (await round.changes.next()).done === true;
    return round.isTold;
  }

  async #drop(): Promise<void> {
    await this.#beginning;
    const round = this.#round;
    this.#round = undefined;
    if (!round) return;
    await round.changes.return(undefined).catch(() => undefined); // It was given up; why it failed was told already.
    for (const { digests } of this.#options.disks) digests.discard();
    await this.#options.source.ended?.(false);
    this.#nextRoundMs = 0;
    this.#proofs.dropped();
    this.#stir.now();
  }

  /** Views stand, and no round begins, until the answered function is called. */
  async hold(): Promise<() => Promise<void>> {
    this.#isHeld = true;
    try {
      await this.#drop();
      await this.#options.source.held();
    } catch (error) {
      this.#isHeld = false;
      this.#stir.now();
      throw error;
    }
    return async () => {
      this.#isHeld = false;
      this.#stir.now();
    };
  }

  /** What the appliance gets is the view that is held; its digests are made while it is copied. */
  async restart(): Promise<bigint> {
    const { disks, source, clock, intervalMs } = this.#options;
    await this.#drop();
    await this.#basis;
    this.#lastSequence = BigInt(await source.nextRound(this.#pastRound)) * ROUND;
    this.#isLost = false;
    // What the appliance had before means nothing now; until there are new digests, it has nothing.
    for (const { digests } of disks) await digests.forget();
    const views = await source.held();
    this.#basis = this.#makeBasis(views).finally(() => {
      this.#basis = undefined;
      this.#nextRoundMs = clock.now() + intervalMs;
      this.#stir.now();
    });
    return this.#lastSequence;
  }

  async #makeBasis(views: ReadonlyMap<string, BlockDevice>): Promise<void> {
    const { disks, source, digest, log } = this.#options;
    try {
      for (const disk of disks) {
        const view = views.get(disk.id);
        if (!view) throw new RangeError(`no view of ${disk.id}`);
        const made = differences(disk, view, digest, {});
        while (!(await made.next()).done) this.#over.signal.throwIfAborted();
      }
      await source.assertUnchanged();
      for (const { digests } of disks) await digests.commit();
      await source.ended?.(true);
    } catch (error) {
      for (const { digests } of disks) digests.discard();
      if (this.#over.signal.aborted) return;
      // Without digests everything is sent once more: nothing is missed.
      log.warn('the first comparison of the disks failed', { reason: messageOf(error) });
      await source.ended?.(false);
    }
  }

  async resumeAfter(sequence: bigint): Promise<void> {
    const round = this.#round;
    const number = Number(sequence / ROUND);
    if (number > (await this.#options.source.lastRound())) {
      this.#pastRound = number;
      this.#isLost = true;
    }
    if (round?.isTold && sequence >= round.sequence) await this.acknowledge(round.sequence);
    else await this.#drop();
  }

  prove(options: StreamProofOptions): Promise<StreamProof> {
    const proof = this.#proofs.ask(options);
    this.#stir.now();
    return proof;
  }

  state(): StreamState {
    return {
      mode: this.#round ? 'set' : 'ordered',
      reason: [this.#options.why?.() ?? AS_SETS, this.#options.consistency?.()].filter(Boolean).join(' '),
      ...(this.#isLost ? { lost: true } : {}),
      lastSequence: this.#lastSequence,
      durableSequence: this.#lastSequence,
      spooledBytes: 0,
      spoolLimitBytes: 0,
      dirtyBytes: this.#pendingBytes,
    };
  }

  async close(): Promise<void> {
    this.#over.abort(new Error('the capture was closed'));
    await this.#basis;
    await this.#drop();
    this.#proofs.end();
  }
}

const MARK = { diskId: '', offsetBytes: 0, lengthBytes: 0 };
