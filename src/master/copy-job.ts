import { randomUUID } from 'node:crypto';
import { ChunkSet, chunkCount } from '../block/chunks.ts';
import { LEAF_BYTES, proveDisk } from '../block/digest.ts';
import type { CaptureSession } from '../capture/capture.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Checksum } from '../wire/checksum.ts';
import { type Connection, toWire } from '../wire/connection.ts';
import { LIMITS, type Timings } from '../wire/limits.ts';
import type { Method, Params, Result } from '../wire/messages.ts';
import { Lane, type LaneOptions, laneLost } from './lane.ts';
import { Sender, type SenderOptions } from './sender.ts';
import { type CopyViews, usedViews } from './used-view.ts';

/**
 * The master's part of one copy, from the appliance's `copyStart` to its `copyStop`. Promises: what it reads stands
 * still, or it says which disk did not; a lane that is cut begins a new attempt with what the appliance then has.
 * It keeps nothing on disk. Dies at any line: the appliance asks for the copy again when this engine is back.
 */
export interface CopyJobOptions {
  readonly start: Params<'copyStart'>;
  readonly capture: CaptureSession;
  readonly session: Connection;
  readonly lane: Omit<LaneOptions, 'scenarioId' | 'attempt' | 'onAgain'>;
  readonly checksum: Checksum;
  readonly clock: Clock;
  readonly log: Log;
  readonly timings: Timings;
  readonly spoil?: SenderOptions['spoil'];
}

/** How often the disks are looked at while they are copied. */
const WATCH_MS = 2_000;

export class CopyJob {
  readonly #options: CopyJobOptions;
  readonly #over = new AbortController();
  readonly #sent = new AbortController();
  readonly #leaves = new Map<string, Buffer>();
  readonly #work: Promise<unknown>;
  #proof: Promise<void> = Promise.resolve();
  #views: Promise<CopyViews> | undefined;

  constructor(options: CopyJobOptions) {
    this.#options = options;
    this.#work = Promise.all([this.#guard(this.#send()), this.#guard(this.#watch())]);
  }

  /** Everything is on the appliance: reads the disks again and tells what they are. Answers at once. */
  prove(): void {
    this.#sent.abort();
    this.#proof = this.#proof.then(() => this.#guard(this.#prove()));
  }

  leaves(diskId: string, fromByte: number): Result<'copyLeaves'> {
    const leaves = this.#leaves.get(diskId);
    if (!leaves)
      throw new StandbyError({ code: 'PROOF_MISSING', what: `There is no proof of ${diskId} yet.` });
    const length = LIMITS.sliceBytes - (LIMITS.sliceBytes % LEAF_BYTES);
    const slice = leaves.subarray(fromByte, fromByte + length);
    return { leaves: slice.toString('base64'), totalBytes: leaves.length };
  }

  /** Nothing is read any more when this returns. */
  async stop(): Promise<void> {
    this.#over.abort();
    await Promise.all([this.#work, this.#proof]);
    await this.#options.capture.close();
  }

  /** A problem of this machine ends the copy, and control hears about it; a lost session begins anew by itself. */
  async #guard(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      const { session, start, log } = this.#options;
      if (this.#over.signal.aborted || !session.isOpen) return;
      log.error('the copy cannot go on', { scenarioId: start.scenarioId, error: messageOf(error) });
      const problem = { scenarioId: start.scenarioId, error: toWire(error, log, 'the copy') };
      await session.request('copyProblem', problem).catch((lost: unknown) => {
        // Only a lost session stops the news; the appliance starts the copy again then, and we are here again.
        session.close(`the problem could not be told: ${messageOf(lost)}`);
      });
    }
  }

  async #send(): Promise<void> {
    const { clock, timings, log, start } = this.#options;
    let delayMs = timings.reconnectMinMs;
    for (;;) {
      const startedAt = performance.now();
      try {
        await this.#attempt();
        return;
      } catch (error) {
        if (this.#isOver()) return;
        if (!isStandbyError(error) || error.retry !== 'later') throw error;
        log.warn('the copy is interrupted', { scenarioId: start.scenarioId, reason: error.message });
      }
      if (performance.now() - startedAt > timings.silenceMs) delayMs = timings.reconnectMinMs;
      await clock
        .sleep(delayMs, AbortSignal.any([this.#over.signal, this.#sent.signal]))
        .catch(() => undefined);
      delayMs = Math.min(delayMs * 2, timings.reconnectMaxMs);
      if (this.#isOver()) return;
    }
  }

  #isOver(): boolean {
    return this.#over.signal.aborted || this.#sent.signal.aborted || !this.#options.session.isOpen;
  }

  /** Returns when the appliance has everything; throws when a lane or the session was lost. */
  async #attempt(): Promise<void> {
    const { start } = this.#options;
    const { scenarioId } = start;
    const attempt = randomUUID();
    const { view, leftOutBytes } = await this.#openViews();
    await this.#ask('copyBegin', { scenarioId, attempt, leftOutBytes });
    const disks = await Promise.all(
      start.disks.map(async ({ diskId, sizeBytes }) => ({
        view: view(diskId),
        sizeBytes,
        have: await this.#have(diskId, sizeBytes),
      })),
    );
    if (disks.every((disk) => disk.have.count === disk.have.length)) return await this.#untilSent();
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#over.signal]);
    const { checksum, spoil } = this.#options;
    const { compression, mode } = start.options;
    const signatureKey = mode === 'block' ? (start.signatureKey ?? attempt) : undefined;
    const sender = new Sender({ disks, compression, signatureKey, checksum, signal, spoil });
    const lanes: Lane[] = [];
    try {
      await this.#carry(sender, lanes, attempt);
    } finally {
      over.abort();
      for (const lane of lanes) lane.connection.close('the attempt is over');
      await Promise.all(lanes.map((lane) => lane.connection.closed));
    }
  }

  async #carry(sender: Sender, lanes: Lane[], attempt: string): Promise<void> {
    const { lane: options, start, session } = this.#options;
    const broken = Promise.withResolvers<never>();
    broken.promise.catch(() => undefined); // Raced below; may come later than the race's end.
    for (let index = 0; index < start.options.lanes; index++) {
      const { scenarioId } = start;
      const onAgain = (stream: number, chunk: number) => {
        const lane = lanes[index];
        if (lane) sendAgain(sender, lane, stream, chunk).catch(broken.reject);
      };
      const lane = await Lane.open({ ...options, scenarioId, attempt, onAgain });
      lanes.push(lane);
      void lane.connection.closed.then((reason) => broken.reject(laneLost(reason)));
    }
    void session.closed.then((reason) => broken.reject(laneLost(reason)));
    const sent = sender.sendAll(lanes);
    sent.catch(() => undefined); // Raced; when a lane breaks first, its carriers fail too.
    try {
      await Promise.race([sent.then(() => this.#untilSent()), broken.promise, this.#untilOver()]);
    } finally {
      for (const lane of lanes) lane.connection.close('the attempt is over');
      await sent.catch(() => undefined); // No carrier reads any more.
    }
  }

  /** The appliance says so by asking for the proof. */
  #untilSent(): Promise<void> {
    return aborted(this.#sent.signal, this.#over.signal, this.#options.session.signal);
  }

  #untilOver(): Promise<void> {
    return aborted(this.#over.signal);
  }

  async #have(diskId: string, sizeBytes: number): Promise<ChunkSet> {
    const { start } = this.#options;
    const have = new ChunkSet(chunkCount(sizeBytes));
    for (let at = 0; at < have.bytes.length; ) {
      const answer = await this.#ask('copyHave', {
        scenarioId: start.scenarioId,
        diskId,
        fromByte: at,
      });
      const bits = Buffer.from(answer.bits, 'base64');
      if (bits.length === 0)
        throw new StandbyError({ code: 'PROTOCOL_BROKEN', what: 'The appliance sent no map.' });
      have.addBytes(bits, at);
      at += bits.length;
    }
    return have;
  }

  async #prove(): Promise<void> {
    const { capture, start } = this.#options;
    const { signal } = this.#over;
    await capture.assertUnchanged();
    const digests: Params<'copyProven'>['digests'] = [];
    const { view } = await this.#openViews();
    for (const { diskId, sizeBytes } of start.disks) {
      const { digest, leaves } = await proveDisk(view(diskId), { sizeBytes, signal });
      this.#leaves.set(diskId, leaves);
      digests.push({ diskId, digest, sizeBytes });
    }
    await capture.assertUnchanged();
    await this.#ask('copyProven', { scenarioId: start.scenarioId, digests });
  }

  /** A disk that does not stand still is noticed soon, not after hours. */
  async #watch(): Promise<void> {
    const { clock, capture } = this.#options;
    while (!this.#isOver()) {
      const stop = AbortSignal.any([this.#over.signal, this.#sent.signal]);
      await clock.sleep(WATCH_MS, stop).catch(() => undefined); // Over, or everything is sent.
      if (!this.#isOver()) await capture.assertUnchanged();
    }
  }

  /**
   * Asks the appliance, but waits for no answer once the copy is stopped: the appliance may be waiting for exactly
   * that stop before it answers anything else about this replica.
   */
  async #ask<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    const stopped = Promise.withResolvers<never>();
    const { signal } = this.#over;
    const stop = () => stopped.reject(laneLost('the copy was stopped'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await Promise.race([this.#options.session.request(method, params), stopped.promise]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Once for this copy: it looks at the disks' file systems first. */
  #openViews(): Promise<CopyViews> {
    const { capture, start, log } = this.#options;
    const diskIds = start.disks.map(({ diskId }) => diskId);
    this.#views ??= usedViews(capture, diskIds, { signal: this.#over.signal, log });
    return this.#views;
  }
}

async function sendAgain(sender: Sender, lane: Lane, stream: number, chunk: number): Promise<void> {
  await sender.sendAgain(lane, stream, chunk);
}

function aborted(...signals: AbortSignal[]): Promise<void> {
  const any = AbortSignal.any(signals);
  return new Promise((resolve) => {
    if (any.aborted) resolve();
    else any.addEventListener('abort', () => resolve(), { once: true });
  });
}
