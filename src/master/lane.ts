import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Credentials } from '../wire/certificates.ts';
import { Connection } from '../wire/connection.ts';
import { dialAppliance } from '../wire/dial.ts';
import { FRAME, type FrameHeader, makeFrame, protocolBroken } from '../wire/frame.ts';
import { PROTOCOL, type Timings } from '../wire/limits.ts';
import {
  countBody,
  type KnownChunk,
  readSignatures,
  SIGNATURES_BODY_BYTES,
} from '../wire/signature-frame.ts';

/**
 * One data lane: a TLS connection of its own that carries blocks, never more than the appliance gave credit for.
 * It keeps nothing: when it ends, the attempt ends, and the next one asks the appliance what it has.
 */
export interface LaneOptions {
  readonly appliance: { readonly id: string; readonly address: string; readonly port: number };
  readonly credentials: Credentials;
  readonly scenarioId: string;
  readonly attempt: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly timings: Timings;
  /** The appliance found a wrong checksum. */
  onAgain(stream: number, chunk: number): void;
}

interface Asked {
  readonly count: number;
  resolve(chunks: KnownChunk[]): void;
  reject(error: StandbyError): void;
}

export class Lane {
  readonly connection: Connection;
  readonly #asked = new Map<string, Asked>();
  readonly #creditMax: number;
  #credit: number;
  readonly #waiting: (() => void)[] = [];

  private constructor(connection: Connection, credit: number) {
    this.connection = connection;
    this.#credit = credit;
    this.#creditMax = credit;
    void connection.closed.then((reason) => {
      for (const wake of this.#waiting.splice(0)) wake();
      for (const { reject } of this.#asked.values()) reject(laneLost(reason));
      this.#asked.clear();
    });
  }

  static async open(options: LaneOptions): Promise<Lane> {
    const { appliance, credentials, scenarioId, attempt, clock, log, timings } = options;
    const endpoint = {
      address: appliance.address,
      port: appliance.port,
      clock,
      timeoutMs: timings.handshakeMs,
    };
    const socket = await dialAppliance(endpoint, credentials, appliance.id);
    let lane: Lane | undefined;
    const connection = new Connection(socket, {
      name: `appliance ${appliance.id}, lane`,
      clock,
      log,
      timings,
      proven: true,
      handlers: {},
      lane: {
        limitOf: (type) =>
          type === FRAME.credit || type === FRAME.again
            ? 0
            : type === FRAME.signatures
              ? SIGNATURES_BODY_BYTES
              : undefined,
        bufferFor: (_type, length) => Buffer.allocUnsafe(length),
        onFrame: (header, body) => {
          if (!lane) throw protocolBroken('credit before its greeting');
          if (header.type === FRAME.signatures) return lane.#told(header, body);
          lane.#give(header.type === FRAME.credit ? header.argument : 1);
          if (header.type === FRAME.again) options.onAgain(header.stream, header.argument);
        },
      },
    });
    try {
      const { creditFrames } = await connection.request('hello', {
        purpose: 'lane',
        protocol: PROTOCOL,
        scenarioId,
        attempt,
      });
      lane = new Lane(connection, creditFrames ?? 1);
      return lane;
    } catch (error) {
      connection.close('the lane was not taken');
      throw error;
    }
  }

  /** Waits for credit, takes one, and hands the frame to the kernel. `frame` may be used again afterwards. */
  async send(frame: Uint8Array): Promise<void> {
    while (this.#credit === 0 && this.connection.isOpen) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#credit--;
    await this.connection.sendFrame(frame);
  }

  /** What the replica holds in these chunks. Rejects when the lane ends. */
  async ask(stream: number, first: number, count: number): Promise<KnownChunk[]> {
    const answer = Promise.withResolvers<KnownChunk[]>();
    this.#asked.set(`${stream}/${first}`, { count, resolve: answer.resolve, reject: answer.reject });
    answer.promise.catch(() => undefined); // Awaited by the caller, unless sending fails first.
    await this.connection.sendFrame(makeFrame(FRAME.ask, countBody(count), stream, first));
    return await answer.promise;
  }

  #told(header: FrameHeader, body: Buffer): void {
    const key = `${header.stream}/${header.argument}`;
    const asked = this.#asked.get(key);
    if (!asked) throw protocolBroken('signatures that nobody asked for');
    this.#asked.delete(key);
    asked.resolve(readSignatures(body, asked.count));
  }

  #give(count: number): void {
    this.#credit += count;
    if (this.#credit > this.#creditMax) throw protocolBroken('more credit than there is');
    for (const wake of this.#waiting.splice(0, this.#credit)) wake();
  }
}

/** A lane that ended for a reason the copy survives. */
export function laneLost(reason: string): StandbyError {
  return new StandbyError({ code: 'CONNECTION_LOST', what: `A data lane ended: ${reason}.`, retry: 'later' });
}
