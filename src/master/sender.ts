import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { CHUNK_BYTES, type ChunkSet, chunkLength } from '../block/chunks.ts';
import { gatherPages, isZero } from '../block/zeros.ts';
import { StandbyError } from '../errors.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import { pageMapOf, writeBlockHeader } from '../wire/block-frame.ts';
import type { Checksum } from '../wire/checksum.ts';
import { FLAG_ZSTD, FRAME, makeFrame, writeHeader } from '../wire/frame.ts';
import { BLOCK_HEADER_BYTES, HEADER_BYTES, LIMITS } from '../wire/limits.ts';
import type { Lane } from './lane.ts';

/**
 * The hot path of the master: reads chunks ahead, leaves zeros out, checksums, perhaps compresses, sends. Each carrier
 * owns one buffer, in which a chunk is read, packed and framed in place, so nothing is allocated or copied for a block.
 * It writes nothing and remembers nothing: the appliance knows what it has.
 */
export interface SendingDisk {
  readonly view: BlockDevice;
  readonly sizeBytes: number;
  /** Chunks the appliance has already. */
  readonly have: ChunkSet;
}

export interface SenderOptions {
  readonly disks: readonly SendingDisk[];
  readonly compression: 'none' | 'zstd';
  readonly checksum: Checksum;
  readonly signal: AbortSignal;
  /** Tests only: spoils this block after its checksum was made. */
  readonly spoil?: ((stream: number, chunk: number) => boolean) | undefined;
}

interface Task {
  readonly stream: number;
  readonly disk: SendingDisk;
  readonly first: number;
  readonly end: number;
}

/** Reads under way for each lane. */
const CARRIERS_PER_LANE = 3;
/** A carrier takes this many chunks in a row, so that zeros can be named together. */
const TASK_CHUNKS = 4;
/** Compressed data that are not smaller than this part of the packed ones are sent as they are. */
const WORTH_COMPRESSING = 0.9;

const compress = promisify(zstdCompress);
const COMPRESSION = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

export class Sender {
  readonly #options: SenderOptions;
  readonly #tasks: Iterator<Task>;
  readonly #resends = new Map<string, number>();
  #resending: Promise<void> = Promise.resolve();

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#tasks = tasksOf(options.disks);
  }

  /** Resolves when every chunk was handed to the lanes; blocks may still be asked for again. */
  async sendAll(lanes: readonly Lane[]): Promise<void> {
    const carriers = lanes.flatMap((lane) =>
      Array.from({ length: CARRIERS_PER_LANE }, () => this.#carry(lane)),
    );
    // All of them end before this does: their buffers and the disks are theirs until then.
    for (const carried of await Promise.allSettled(carriers)) {
      if (carried.status === 'rejected') throw carried.reason;
    }
  }

  /** One block again, after those asked for before. Throws when it is asked for too often. */
  sendAgain(lane: Lane, stream: number, chunk: number): Promise<void> {
    const key = `${stream}/${chunk}`;
    const times = (this.#resends.get(key) ?? 0) + 1;
    this.#resends.set(key, times);
    if (times > LIMITS.resendsOfOneBlock) throw brokenBlock(stream, chunk, times);
    const disk = this.#options.disks[stream];
    if (!disk || chunk >= disk.have.length) throw new RangeError(`block ${key} was never sent`);
    const buffer = () => Buffer.allocUnsafeSlow(HEADER_BYTES + LIMITS.blockBodyBytes);
    const sent = this.#resending.then(() =>
      this.#sendTask(lane, { stream, disk, first: chunk, end: chunk + 1 }, buffer()),
    );
    this.#resending = sent.catch(() => undefined); // The caller gets the error.
    return sent;
  }

  async #carry(lane: Lane): Promise<void> {
    const buffer = Buffer.allocUnsafeSlow(HEADER_BYTES + LIMITS.blockBodyBytes);
    for (let next = this.#tasks.next(); !next.done; next = this.#tasks.next()) {
      this.#options.signal.throwIfAborted();
      await this.#sendTask(lane, next.value, buffer);
    }
  }

  async #sendTask(lane: Lane, task: Task, buffer: Buffer): Promise<void> {
    let zeros = 0;
    for (let index = task.first; index < task.end; index++) {
      const length = chunkLength(task.disk.sizeBytes, index);
      const start = HEADER_BYTES + BLOCK_HEADER_BYTES;
      const chunk = buffer.subarray(start, start + length);
      await task.disk.view.read(chunk, index * CHUNK_BYTES);
      if (isZero(chunk)) {
        zeros++;
        continue;
      }
      if (zeros > 0) await lane.send(zerosFrame(task.stream, index - zeros, zeros));
      zeros = 0;
      await this.#sendBlock(lane, task.stream, index, buffer, length);
    }
    if (zeros > 0) await lane.send(zerosFrame(task.stream, task.end - zeros, zeros));
  }

  async #sendBlock(lane: Lane, stream: number, index: number, buffer: Buffer, length: number): Promise<void> {
    const { checksum, compression, spoil } = this.#options;
    const body = buffer.subarray(HEADER_BYTES);
    const chunk = body.subarray(BLOCK_HEADER_BYTES);
    const pageMap = pageMapOf(body);
    const packed = gatherPages(chunk, length, pageMap);
    const data = chunk.subarray(0, packed);
    writeBlockHeader(body, checksum(pageMap, data), packed);
    if (spoil?.(stream, index)) data[0] = (data[0] ?? 0) ^ 0xff;
    let carried = packed;
    if (compression === 'zstd') {
      const squeezed = await compress(data, COMPRESSION);
      if (squeezed.length < packed * WORTH_COMPRESSING) {
        squeezed.copy(chunk);
        carried = squeezed.length;
      }
    }
    const flags = carried < packed ? FLAG_ZSTD : 0;
    const bodyLength = BLOCK_HEADER_BYTES + carried;
    writeHeader(buffer, { length: bodyLength, type: FRAME.block, flags, stream, argument: index });
    await lane.send(buffer.subarray(0, HEADER_BYTES + bodyLength));
  }
}

/** Runs of chunks the appliance does not have, disk by disk. */
function* tasksOf(disks: readonly SendingDisk[]): Generator<Task, undefined> {
  for (const [stream, disk] of disks.entries()) {
    const { have } = disk;
    for (let first = 0; first < have.length; ) {
      if (have.has(first)) {
        first++;
        continue;
      }
      let end = first + 1;
      while (end < have.length && end - first < TASK_CHUNKS && !have.has(end)) end++;
      yield { stream, disk, first, end };
      first = end;
    }
  }
}

function zerosFrame(stream: number, first: number, count: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32LE(count);
  return makeFrame(FRAME.zeros, body, stream, first);
}

function brokenBlock(stream: number, chunk: number, times: number): StandbyError {
  return new StandbyError({
    code: 'BLOCK_BROKEN',
    what: `Block ${chunk} of disk ${stream} arrived with a wrong checksum ${times} times.`,
    why: 'Chance does not do that: the memory of the master or of the appliance is likely to be broken.',
    next: 'Test the memory of both machines.',
  });
}
