import type { ChangeStream } from '../capture/capture.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Credentials } from '../wire/certificates.ts';
import type { Checksum } from '../wire/checksum.ts';
import { Connection, type LaneFrames } from '../wire/connection.ts';
import { dialAppliance } from '../wire/dial.ts';
import { FRAME, protocolBroken } from '../wire/frame.ts';
import { LIMITS, PROTOCOL, type Timings } from '../wire/limits.ts';
import { framesOf } from './change-frames.ts';
import { streamLost } from './live-captures.ts';

/**
 * Sends one stream of changes, in order, to whoever keeps its journal. Promises: nothing is acknowledged to the capture
 * before the appliance said that it is durable there; never more than the window is under way, and only what the window
 * allows is read, so a slow link costs neither memory nor the workload's time. It keeps nothing: when it dies at any
 * line, or the connection does, the next one asks the appliance what it has and goes on behind that.
 */
export interface ChangeSenderOptions {
  readonly appliance: { readonly id: string; readonly address: string; readonly port: number };
  readonly credentials: Credentials;
  readonly scenarioId: string;
  readonly epoch: number;
  readonly diskIds: readonly string[];
  readonly changes: ChangeStream;
  /** The stream stands there already: it was begun anew just now. */
  readonly origin: bigint | undefined;
  readonly checksum: Checksum;
  readonly clock: Clock;
  readonly log: Log;
  readonly timings: Timings;
  /** What the appliance should hear. `lost`: nothing more will come. */
  onProblem(error: StandbyError, lost: boolean): void;
  /** Tests only: a link that drops, delays and cuts what they want. */
  readonly dial?: (lane: LaneFrames) => Promise<ChangesLink>;
}

/** What is used of a connection here. */
export type ChangesLink = Pick<Connection, 'request' | 'sendFrame' | 'signal' | 'close' | 'closed'>;

/** Before the stream is asked again after it failed. */
const RETRY_MS = 2_000;
const EMPTY_FRAME_BYTES = 8;

interface UnderWay {
  readonly lastSequence: bigint;
  readonly bytes: number;
}

export class ChangeSender {
  readonly #options: ChangeSenderOptions;
  readonly #over = new AbortController();
  readonly #work: Promise<void>;
  #origin: bigint | undefined;
  #underWay: UnderWay[] = [];
  #underWayBytes = 0;
  #durable = 0n;
  #acknowledging: Promise<void> | undefined;
  #acknowledged = 0n;
  #wake: () => void = () => undefined;

  constructor(options: ChangeSenderOptions) {
    this.#options = options;
    this.#origin = options.origin;
    this.#work = this.#run();
  }

  /** Nothing is read from the stream, and nothing acknowledged, when this returns. */
  async stop(): Promise<void> {
    this.#over.abort(new StandbyError({ code: 'STREAM_STOPPED', what: 'The stream was stopped.' }));
    await this.#work;
  }

  async #run(): Promise<void> {
    const { clock, timings, log, scenarioId } = this.#options;
    const { signal } = this.#over;
    let delayMs = timings.reconnectMinMs;
    while (!signal.aborted) {
      const startedAt = performance.now();
      try {
        const isOver = await this.#connect();
        if (isOver) return;
      } catch (error) {
        if (signal.aborted) return;
        log.warn('the stream of changes is interrupted', { scenarioId, reason: messageOf(error) });
        if (!isStandbyError(error)) this.#tell(error);
      }
      if (performance.now() - startedAt > timings.silenceMs) delayMs = timings.reconnectMinMs;
      await clock.sleep(delayMs, signal).catch(() => undefined); // Stopped: the loop ends.
      delayMs = Math.min(delayMs * 2, timings.reconnectMaxMs);
    }
  }

  /** One connection, from its greeting to its end. True: the stream is lost, and nothing more is to do. */
  async #connect(): Promise<boolean> {
    const { changes } = this.#options;
    const connection = await this.#dial();
    const stop = () => connection.close('the stream was stopped');
    this.#over.signal.addEventListener('abort', stop, { once: true });
    if (this.#over.signal.aborted) stop();
    try {
      const after = await this.#greet(connection);
      this.#underWay = [];
      this.#underWayBytes = 0;
      this.#durable = after;
      if (after !== this.#origin) await changes.resumeAfter(after);
      this.#origin = undefined;
      const { lost, reason } = changes.state();
      if (lost) {
        this.#options.onProblem(streamLost(reason), true);
        return true;
      }
      await this.#pump(connection, after);
      return false;
    } finally {
      this.#over.signal.removeEventListener('abort', stop);
      connection.close('the stream goes on elsewhere');
      await connection.closed;
      await this.#acknowledging;
    }
  }

  async #dial(): Promise<ChangesLink> {
    const { appliance, credentials, clock, log, timings } = this.#options;
    const lane: LaneFrames = {
      limitOf: (type) => (type === FRAME.durable ? EMPTY_FRAME_BYTES : undefined),
      bufferFor: (_type, length) => Buffer.allocUnsafe(length),
      onFrame: (_header, body) => this.#onDurable(body),
    };
    if (this.#options.dial) return await this.#options.dial(lane);
    const { address, port, id } = appliance;
    const endpoint = { address, port, clock, timeoutMs: timings.handshakeMs };
    const socket = await dialAppliance(endpoint, credentials, id);
    return new Connection(socket, {
      name: `appliance ${id}, changes`,
      clock,
      log,
      timings,
      proven: true,
      handlers: {},
      lane,
    });
  }

  async #greet(connection: ChangesLink): Promise<bigint> {
    const { scenarioId, epoch } = this.#options;
    const { after } = await connection.request('hello', {
      purpose: 'changes',
      protocol: PROTOCOL,
      scenarioId,
      epoch,
    });
    if (after === undefined) throw protocolBroken('no place where the stream goes on');
    return BigInt(after);
  }

  async #pump(connection: ChangesLink, from: bigint): Promise<void> {
    const { changes, diskIds, checksum, clock } = this.#options;
    const signal = AbortSignal.any([this.#over.signal, connection.signal]);
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    let after = from;
    for (;;) {
      await this.#room(LIMITS.changesBodyBytes, signal);
      let batch: Awaited<ReturnType<ChangeStream['next']>>;
      try {
        batch = await changes.next(signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#tell(error);
        await clock.sleep(RETRY_MS, signal);
        continue;
      }
      for (const frame of framesOf(batch, { after, diskIds, checksum })) {
        await this.#room(frame.bodyBytes, signal);
        this.#underWay.push({ lastSequence: frame.lastSequence, bytes: frame.bodyBytes });
        this.#underWayBytes += frame.bodyBytes;
        after = frame.lastSequence;
        await connection.sendFrame(frame.bytes);
      }
    }
  }

  /** Until the window has room for so many bytes. */
  async #room(bytes: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#underWayBytes + bytes <= LIMITS.changesWindowBytes) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #onDurable(body: Buffer): void {
    if (body.length !== EMPTY_FRAME_BYTES) throw protocolBroken('a word of durable changes that is cut');
    const sequence = body.readBigUInt64LE(0);
    if (sequence <= this.#durable) return;
    const last = this.#underWay.at(-1)?.lastSequence ?? this.#durable;
    if (sequence > last) throw protocolBroken('durable changes that were never sent');
    this.#durable = sequence;
    for (let first = this.#underWay[0]; first && first.lastSequence <= sequence; first = this.#underWay[0]) {
      this.#underWayBytes -= first.bytes;
      this.#underWay.shift();
    }
    this.#wake();
    // Only what is new: a call that has nothing to do ends before it could be noted as under way.
    if (this.#acknowledged < sequence) this.#acknowledging ??= this.#acknowledge();
  }

  /** One at a time; what becomes durable meanwhile goes together. */
  async #acknowledge(): Promise<void> {
    try {
      while (this.#acknowledged < this.#durable) {
        const sequence = this.#durable;
        await this.#options.changes.acknowledge(sequence);
        this.#acknowledged = sequence;
      }
    } catch (error) {
      // The appliance has it; that it may be forgotten here is said again with the next ones.
      this.#tell(error);
    } finally {
      this.#acknowledging = undefined;
    }
  }

  #tell(error: unknown): void {
    const { log, scenarioId, onProblem } = this.#options;
    log.error('the stream of changes has a problem', { scenarioId, error: messageOf(error) });
    onProblem(isStandbyError(error) ? error : streamFailed(error), false);
  }
}

function streamFailed(error: unknown): StandbyError {
  return new StandbyError({
    code: 'STREAM_FAILED',
    what: 'The master cannot tell what changed on its disks.',
    why: messageOf(error),
    next: 'Look at the log of the master’s engine. It tries again.',
    retry: 'later',
    cause: error,
  });
}
