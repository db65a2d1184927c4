import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { withDeadline } from './deadline.ts';
import { FRAME, type FrameHeader, FrameReader, makeFrame, protocolBroken } from './frame.ts';
import { LIMITS, type Timings } from './limits.ts';
import {
  type Envelope,
  envelopeSchema,
  type Method,
  methods,
  type Params,
  type Result,
  type WireError,
} from './messages.ts';

/**
 * One connection between two ends that speak frames: requests with answers in both directions, heartbeats, a reason
 * when it ends. Promises: nothing is allocated beyond LIMITS; every request ends (answer, error, time over, connection
 * lost); `closed` always resolves. It keeps nothing on disk: when either process dies the other sees CONNECTION_LOST
 * at the latest after `silenceMs`.
 */
export interface ConnectionOptions {
  /** For the log: `master m1 from 192.0.2.4`. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly timings: Timings;
  /** False until the peer showed who it is: only one first message, and not for long. */
  readonly proven: boolean;
  readonly handlers: Handlers;
  /** On a data lane: frames other than messages and pings. */
  readonly lane?: LaneFrames;
}

export type Handlers = {
  readonly [M in Method]?: (params: Params<M>, connection: Connection) => Promise<Result<M>>;
};

export interface LaneFrames {
  limitOf(type: number): number | undefined;
  bufferFor(type: number, length: number): Buffer;
  onFrame(header: FrameHeader, body: Buffer): void;
}

interface Pending {
  readonly method: Method;
  resolve(result: unknown): void;
  reject(error: StandbyError): void;
}

export class Connection {
  readonly name: string;
  /** Resolves with the reason, in words. Never rejects. */
  readonly closed: Promise<string>;
  readonly #socket: Duplex;
  readonly #options: ConnectionOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #ended = new AbortController();
  readonly #events = new EventEmitter();
  #handlers: Handlers;
  #lane: LaneFrames | undefined;
  #proven: boolean;
  #nextRequest = 1;
  #serving = 0;
  #heard = true;
  #reason: string | undefined;

  constructor(socket: Duplex, options: ConnectionOptions) {
    this.name = options.name;
    this.#socket = socket;
    this.#options = options;
    this.#handlers = options.handlers;
    this.#lane = options.lane;
    this.#proven = options.proven;
    this.closed = new Promise((resolve) => this.#events.once('closed', resolve));
    this.#receive();
    void this.#watch();
    if (!this.#proven) void this.#expectFirst();
  }

  /** Aborted when the connection has ended. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  get isOpen(): boolean {
    return this.#reason === undefined;
  }

  get isProven(): boolean {
    return this.#proven;
  }

  onProven(act: () => void): void {
    this.#events.once('proven', act);
  }

  /** The peer showed who it is; from here on it may ask what `handlers` answer, and send what `lane` takes. */
  prove(handlers: Handlers = this.#handlers, lane?: LaneFrames): void {
    this.#proven = true;
    this.#handlers = handlers;
    this.#lane = lane ?? this.#lane;
    this.#events.emit('proven');
  }

  async request<M extends Method>(method: M, params: Params<M>, timeoutMs?: number): Promise<Result<M>> {
    if (!this.isOpen) throw this.#lost(method);
    if (this.#pending.size >= LIMITS.requestsOpen) {
      throw new StandbyError({ code: 'TOO_MANY_REQUESTS', what: `Too many requests wait for ${this.name}.` });
    }
    const id = this.#nextRequest++;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { method, resolve, reject });
    });
    const limitMs = timeoutMs ?? this.#options.timings.requestMs;
    try {
      this.#sendMessage({ request: id, method, params });
      const late = () =>
        new StandbyError({
          code: 'REQUEST_LATE',
          what: `${this.name} did not answer ${method} within ${limitMs} ms.`,
          next: 'Check its load and the network, then try again.',
          retry: 'later',
        });
      const result = methods[method].result.safeParse(
        await withDeadline(this.#options.clock, limitMs, answer, late),
      );
      if (!result.success)
        throw protocolBroken(`an answer to ${method} that cannot be read: ${result.error.message}`);
      return result.data as Result<M>;
    } finally {
      this.#pending.delete(id);
    }
  }

  /** Resolves when the bytes were handed to the kernel and `frame` may be used again. */
  sendFrame(frame: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.isOpen) return reject(this.#lost('data'));
      this.#socket.write(frame, (error) => (error ? reject(this.#lost('data')) : resolve()));
    });
  }

  /** For small frames nobody waits for. */
  post(frame: Uint8Array): void {
    if (!this.isOpen) return;
    if (this.#socket.writableLength + frame.length > LIMITS.sendQueueBytes) {
      this.#finish('it does not read what we send');
      return;
    }
    this.#socket.write(frame);
  }

  /** Says why, then ends. */
  close(reason: string): void {
    if (!this.isOpen) return;
    this.#sendMessage({ bye: reason.slice(0, 1000) });
    this.#finish(reason, true);
  }

  /** Ends without a word: for strangers. */
  drop(reason: string): void {
    this.#finish(reason);
  }

  #receive(): void {
    const reader = new FrameReader({
      limitOf: (type) => this.#limitOf(type),
      bufferFor: (type, length) => this.#lane?.bufferFor(type, length) ?? Buffer.allocUnsafe(length),
      onFrame: (header, body) => this.#onFrame(header, body),
    });
    this.#socket.on('data', (bytes: Buffer) => {
      this.#heard = true;
      if (!this.isOpen) return;
      try {
        reader.push(bytes);
      } catch (error) {
        this.#broken(error);
      }
    });
    // A socket that died before we came says nothing any more.
    if (this.#socket.destroyed) setImmediate(() => this.#gone());
    this.#socket.on('error', (error) => this.#finish(messageOf(error)));
    this.#socket.on('end', () => this.#finish('the peer ended the connection'));
    this.#socket.on('close', () => this.#gone());
  }

  #gone(): void {
    this.#finish('the connection was cut');
    this.#events.emit('closed', this.#reason);
  }

  #limitOf(type: number): number | undefined {
    if (type === FRAME.message) return this.#proven ? LIMITS.messageBytes : LIMITS.firstMessageBytes;
    if (!this.#proven) return undefined;
    if (type === FRAME.ping) return 0;
    return this.#lane?.limitOf(type);
  }

  #onFrame(header: FrameHeader, body: Buffer): void {
    if (header.type === FRAME.ping) return;
    if (header.type === FRAME.message) this.#onMessage(body);
    else this.#lane?.onFrame(header, body);
  }

  #onMessage(body: Buffer): void {
    const envelope = envelopeSchema.safeParse(parseJson(body));
    if (!envelope.success) throw protocolBroken('a message that cannot be read');
    const message: Envelope = envelope.data;
    if ('request' in message) {
      void this.#serve(message.request, message.method, message.params);
      return;
    }
    if ('bye' in message) {
      this.#finish(`the peer said: ${printable(message.bye)}`);
      return;
    }
    const pending = this.#pending.get(message.reply);
    if (!pending) return; // Its time was over: nobody waits for this answer any more.
    if ('error' in message) pending.reject(fromWire(message.error));
    else pending.resolve(message.result);
  }

  async #serve(id: number, method: string, params: unknown): Promise<void> {
    try {
      if (this.#serving >= LIMITS.requestsOpen) throw protocolBroken('too many requests at once');
      const reply = await this.#answer(method, params);
      if (this.isOpen) this.#sendMessage({ reply: id, ...reply });
    } catch (error) {
      this.#broken(error);
    }
  }

  async #answer(method: string, params: unknown): Promise<{ result: unknown } | { error: WireError }> {
    const known = method in methods ? (method as Method) : undefined;
    const handler =
      known && (this.#handlers[known] as ((p: unknown, c: Connection) => Promise<unknown>) | undefined);
    if (!known || !handler) {
      if (!this.#proven) throw protocolBroken('a request it may not make');
      this.#options.log.warn('request refused', { peer: this.name, method: printable(method) });
      return { error: { code: 'NOT_ALLOWED', what: `${printable(method)} may not be asked here.` } };
    }
    const parsed = methods[known].params.safeParse(params);
    if (!parsed.success) {
      if (!this.#proven) throw protocolBroken(`a ${known} that cannot be read`);
      return {
        error: {
          code: 'REQUEST_INVALID',
          what: `The request ${known} cannot be read.`,
          why: parsed.error.message.slice(0, 2000),
        },
      };
    }
    this.#serving++;
    try {
      return { result: await handler(parsed.data, this) };
    } catch (error) {
      return { error: toWire(error, this.#options.log, known) };
    } finally {
      this.#serving--;
    }
  }

  #sendMessage(message: Envelope): void {
    this.post(makeFrame(FRAME.message, Buffer.from(JSON.stringify(message), 'utf8')));
  }

  /** Sends pings and notices silence, by counting rather than by the wall clock, which may jump. */
  async #watch(): Promise<void> {
    const { heartbeatMs, silenceMs } = this.#options.timings;
    let silent = 0;
    while (this.isOpen) {
      if (!(await this.#pause(heartbeatMs))) return;
      silent = this.#heard ? 0 : silent + heartbeatMs;
      this.#heard = false;
      if (silent >= silenceMs) return this.#finish(`nothing came for ${silent} ms`);
      if (this.#proven) this.post(makeFrame(FRAME.ping));
    }
  }

  async #expectFirst(): Promise<void> {
    const proven = new AbortController();
    this.#events.once('proven', () => proven.abort());
    const late = await this.#pause(this.#options.timings.firstMessageMs, proven.signal);
    if (late && !this.#proven) this.#finish('it did not show who it is in time');
  }

  async #pause(ms: number, also?: AbortSignal): Promise<boolean> {
    const signal = also ? AbortSignal.any([also, this.signal]) : this.signal;
    return await this.#options.clock.sleep(ms, signal).then(
      () => true,
      () => false, // Ended or proven: the only ways to abort.
    );
  }

  #broken(error: unknown): void {
    if (!isStandbyError(error))
      this.#options.log.error('defect in a connection', { peer: this.name, error: messageOf(error) });
    this.#finish(messageOf(error));
  }

  #finish(reason: string, flush = false): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#ended.abort(
      new StandbyError({ code: 'CONNECTION_LOST', what: `${this.name}: ${reason}.`, retry: 'later' }),
    );
    for (const { method, reject } of this.#pending.values()) reject(this.#lost(method));
    this.#pending.clear();
    if (!flush) this.#socket.destroy();
    else this.#flushAndDestroy();
  }

  #flushAndDestroy(): void {
    const socket = this.#socket;
    const gone = new AbortController();
    socket.once('close', () => gone.abort());
    socket.end(() => socket.destroy());
    // A peer that does not read must not hold the socket. The sleep is aborted only when the socket is gone.
    this.#options.clock.sleep(1_000, gone.signal).then(
      () => socket.destroy(),
      () => undefined,
    );
  }

  #lost(method: string): StandbyError {
    return new StandbyError({
      code: 'CONNECTION_LOST',
      what: `The connection to ${this.name} was lost during ${method}.`,
      why: this.#reason ?? 'It ended.',
      next: 'Check the network and the engine at the other end; work that was durable is kept.',
      retry: 'later',
    });
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** What a peer says goes to logs and screens: no control characters, no essays. */
export function printable(textOfPeer: string): string {
  return textOfPeer.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?').slice(0, 300);
}

export function fromWire(error: WireError): StandbyError {
  const { code, what, why, next, kind, retry } = error;
  return new StandbyError({
    code,
    what,
    ...(why === undefined ? {} : { why }),
    ...(next === undefined ? {} : { next }),
    ...(kind === undefined ? {} : { kind }),
    ...(retry === undefined ? {} : { retry }),
  });
}

/** Our own errors travel as they are; a defect travels as a sentence, and its detail stays in our log. */
export function toWire(error: unknown, log: Log, doing: string): WireError {
  if (isStandbyError(error)) {
    const { code, what, why, next, kind, retry } = error;
    const clip = (value: string) => value.slice(0, 4000);
    return {
      code,
      what: clip(what),
      ...(why === undefined ? {} : { why: clip(why) }),
      ...(next === undefined ? {} : { next: clip(next) }),
      kind,
      retry,
    };
  }
  log.error('request failed', { doing, error: messageOf(error) });
  return {
    code: 'ENGINE_FAILED',
    what: `The engine failed to do ${doing}.`,
    why: messageOf(error).slice(0, 1000),
    next: 'Look at the log of that engine.',
  };
}
