import { randomUUID } from 'node:crypto';
import { clearChunk, patchChunk, writeChunk } from '../block/chunk-writer.ts';
import { CHUNK_BYTES, chunkCount, chunkLength } from '../block/chunks.ts';
import type { QuickDevice } from '../block/open-device.ts';
import { PageSigner } from '../block/page-signer.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import { type Log, silentLog } from '../log.ts';
import type { Checksum } from '../wire/checksum.ts';
import { Connection } from '../wire/connection.ts';
import { dialAppliance } from '../wire/dial.ts';
import { FRAME, type FrameHeader, makeFrame, protocolBroken } from '../wire/frame.ts';
import { HEADER_BYTES, LIMITS, PROTOCOL, type Timings } from '../wire/limits.ts';
import { openBlock } from '../wire/opened-block.ts';
import { type KnownChunk, writeSignatures } from '../wire/signature-frame.ts';
import type { MasterIdentity } from './identity.ts';

/**
 * One attempt of a restore: tells the appliance what each chunk of the target disks holds, and writes what comes back.
 * Promises: a block with a wrong checksum is never written; a chunk that was written is equal to the appliance's, as far
 * as signatures tell. It remembers nothing: dying at any line, the next attempt compares again, and what is there already
 * does not travel twice.
 */
export interface TargetDisk {
  readonly diskId: string;
  readonly sizeBytes: number;
  readonly device: QuickDevice;
}

export interface PullOptions {
  readonly identity: MasterIdentity;
  readonly restore: { readonly scenarioId: string; readonly restoreId: string };
  /** In the order of the offer. */
  readonly disks: readonly TargetDisk[];
  readonly lanes: number;
  /** Only these chunks (by disk, in its order), whatever their signatures say; all of them unless told. */
  readonly only?: readonly (readonly number[])[];
  readonly checksum: Checksum;
  readonly clock: Clock;
  readonly log: Log;
  readonly timings: Timings;
  readonly signal: AbortSignal;
  onProgress(doneBytes: number): void;
}

export interface Pulled {
  /** Data that travelled, before compression; and bytes on the wire, both ways. */
  readonly sentBytes: number;
  readonly wireBytes: number;
}

interface Chunk {
  readonly stream: number;
  readonly index: number;
}

export async function pullDifferences(options: PullOptions): Promise<Pulled> {
  const attempt = randomUUID();
  const chunks = chunksOf(options);
  const counters = { doneBytes: 0, sentBytes: 0, wireBytes: 0 };
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, options.signal]);
  const lanes: PullLane[] = [];
  const stop = () => {
    for (const lane of lanes) lane.connection.close('the attempt is over');
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    for (let index = 0; index < options.lanes; index++)
      lanes.push(await PullLane.open({ ...options, signal }, attempt, counters));
    const pulls = lanes.map((lane) => lane.pull(chunks));
    for (const pull of pulls) pull.catch(() => over.abort());
    const ends = await Promise.allSettled(pulls);
    options.signal.throwIfAborted();
    const failed = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    // One lane's trouble ends the others: the first error that is not just that is the cause.
    if (failed.length > 0) throw failed.find((error) => !isLost(error)) ?? failed[0];
    return counters;
  } finally {
    stop();
    await Promise.all(lanes.map((lane) => lane.connection.closed));
  }
}

function* chunksOf({ disks, only }: PullOptions): Generator<Chunk, undefined> {
  for (const [stream, { sizeBytes }] of disks.entries()) {
    const wanted = only ? (only[stream] ?? []) : undefined;
    if (wanted) for (const index of wanted) yield { stream, index };
    else for (let index = 0; index < chunkCount(sizeBytes); index++) yield { stream, index };
  }
}

interface Counters {
  doneBytes: number;
  sentBytes: number;
  wireBytes: number;
}

class PullLane {
  readonly connection: Connection;
  readonly #options: PullOptions;
  readonly #signer: PageSigner;
  readonly #counters: Counters;
  readonly #asked = new Map<string, { resolve(answer: Answer): void; reject(error: unknown): void }>();
  #credit = 1;

  private constructor(connection: Connection, options: PullOptions, attempt: string, counters: Counters) {
    this.connection = connection;
    this.#options = options;
    this.#signer = new PageSigner(attempt);
    this.#counters = counters;
    void connection.closed.then((reason) => {
      for (const { reject } of this.#asked.values()) reject(laneLost(reason));
      this.#asked.clear();
    });
  }

  static async open(options: PullOptions, attempt: string, counters: Counters): Promise<PullLane> {
    const { identity, clock, timings, restore } = options;
    const { id, address, port } = identity.appliance;
    const socket = await dialAppliance(
      { address, port, clock, timeoutMs: timings.handshakeMs },
      identity,
      id,
    );
    let lane: PullLane | undefined;
    const connection = new Connection(socket, {
      name: `appliance ${id}, lane`,
      clock,
      log: silentLog,
      timings,
      proven: true,
      handlers: {},
      lane: {
        limitOf: (type) =>
          type === FRAME.block
            ? LIMITS.blockBodyBytes
            : type === FRAME.zeros || type === FRAME.same
              ? 4
              : undefined,
        bufferFor: (_type, length) => Buffer.allocUnsafeSlow(length),
        onFrame: (header, body) => lane?.onAnswer(header, body),
      },
    });
    lane = new PullLane(connection, options, attempt, counters);
    try {
      const hello = { purpose: 'restore-lane', protocol: PROTOCOL, ...restore, attempt } as const;
      lane.#credit = (await connection.request('hello', hello)).creditFrames ?? 1;
      return lane;
    } catch (error) {
      connection.close('the lane was not taken');
      throw error;
    }
  }

  onAnswer(header: FrameHeader, body: Buffer): void {
    const key = keyOf(header.stream, header.argument);
    const asked = this.#asked.get(key);
    if (!asked) throw protocolBroken('an answer that nobody asked for');
    this.#asked.delete(key);
    asked.resolve({ header, body });
  }

  /** Takes chunks until there are none; as many under way as the appliance gave credit for. */
  async pull(chunks: Iterator<Chunk>): Promise<void> {
    const placing = new Set<Promise<void>>();
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined); // Raced below.
    try {
      for (let next = chunks.next(); !next.done; next = chunks.next()) {
        this.#options.signal.throwIfAborted();
        const chunk = next.value;
        const { answer } = await this.#ask(chunk, await this.#known(chunk));
        const placed: Promise<void> = answer
          .then((found) => this.#place(chunk, found))
          .finally(() => placing.delete(placed));
        placed.catch(failed.reject);
        placing.add(placed);
        while (placing.size >= this.#credit) await Promise.race([...placing, failed.promise]);
      }
      await Promise.race([Promise.all(placing), failed.promise]);
    } catch (error) {
      this.connection.close('the attempt has failed');
      throw error;
    } finally {
      // The disks are ours until nothing is written any more.
      await Promise.allSettled(placing);
    }
  }

  async #known({ stream, index }: Chunk): Promise<KnownChunk> {
    if (this.#options.only) return 'nothing';
    const disk = this.#diskOf(stream);
    const length = chunkLength(disk.sizeBytes, index);
    await disk.device.read(this.#signer.chunk.subarray(0, length), index * CHUNK_BYTES);
    const signatures = this.#signer.sign(length);
    return signatures.some((signature) => signature !== 0) ? signatures : 'zeros';
  }

  /** Resolves once it is asked; the answer is to come. */
  async #ask({ stream, index }: Chunk, known: KnownChunk): Promise<{ readonly answer: Promise<Answer> }> {
    const answer = Promise.withResolvers<Answer>();
    answer.promise.catch(() => undefined); // Awaited by the caller, unless sending fails first.
    this.#asked.set(keyOf(stream, index), answer);
    const frame = makeFrame(FRAME.signatures, writeSignatures([known]), stream, index);
    await this.connection.sendFrame(frame);
    this.#counters.wireBytes += frame.length;
    return { answer: answer.promise };
  }

  async #place(chunk: Chunk, answer: Answer): Promise<void> {
    let found = answer;
    for (let times = 1; !(await this.#placed(chunk, found)); times++) {
      if (times >= LIMITS.resendsOfOneBlock) throw brokenBlock(chunk, times);
      const again = await this.#ask(chunk, 'nothing');
      found = await again.answer;
    }
    const { sizeBytes } = this.#diskOf(chunk.stream);
    this.#counters.doneBytes += chunkLength(sizeBytes, chunk.index);
    this.#options.onProgress(this.#counters.doneBytes);
  }

  /** False: its checksum was wrong, and nothing was written. */
  async #placed({ stream, index }: Chunk, { header, body }: Answer): Promise<boolean> {
    const { device, sizeBytes, diskId } = this.#diskOf(stream);
    const length = chunkLength(sizeBytes, index);
    const offsetBytes = index * CHUNK_BYTES;
    this.#counters.wireBytes += HEADER_BYTES + body.length;
    if (header.type === FRAME.same) return true;
    const target = { device, blank: false };
    try {
      if (header.type === FRAME.zeros) {
        await clearChunk(target, offsetBytes, length);
        return true;
      }
      const block = await openBlock(header, body, {
        length,
        mayPatch: true,
        checksum: this.#options.checksum,
      });
      if (!block) return false;
      const { pageMap, zeroMap, packed } = block;
      this.#counters.sentBytes += packed.length;
      if (zeroMap) await patchChunk(device, { offsetBytes, length }, { pageMap, zeroMap, packed });
      else await writeChunk(target, offsetBytes, length, pageMap, packed);
      return true;
    } catch (error) {
      throw isStandbyError(error) ? error : unwritable(diskId, device.path, error);
    }
  }

  #diskOf(stream: number): TargetDisk {
    const disk = this.#options.disks[stream];
    if (!disk) throw new RangeError(`disk ${stream} is not restored`);
    return disk;
  }
}

interface Answer {
  readonly header: FrameHeader;
  readonly body: Buffer;
}

const keyOf = (stream: number, index: number) => `${stream}/${index}`;

function isLost(error: unknown): boolean {
  return isStandbyError(error) ? error.code === 'CONNECTION_LOST' : (error as Error).name === 'AbortError';
}

function laneLost(reason: string): StandbyError {
  return new StandbyError({
    code: 'CONNECTION_LOST',
    what: `A lane of the restore ended: ${reason}.`,
    next: 'It goes on by itself when the appliance is reached again.',
    retry: 'later',
  });
}

export function unwritable(diskId: string, path: string, cause: unknown): StandbyError {
  return new StandbyError({
    code: 'TARGET_UNWRITABLE',
    what: `${diskId} cannot be restored: the disk ${path} cannot be written.`,
    why: messageOf(cause),
    next: 'Check or replace that disk, then give the same command again: what is there already is not sent again.',
    cause,
  });
}

function brokenBlock({ stream, index }: Chunk, times: number): StandbyError {
  return new StandbyError({
    code: 'BLOCK_BROKEN',
    what: `Block ${index} of disk ${stream} arrived with a wrong checksum ${times} times.`,
    why: 'Chance does not do that: the memory of this machine or of the appliance is likely to be broken.',
    next: 'Test the memory of both machines.',
  });
}
