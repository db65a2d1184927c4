import { CHUNK_BYTES, type ChunkSet, chunkLength } from '../block/chunks.ts';
import { PageSigner } from '../block/page-signer.ts';
import { gatherPages, isZero } from '../block/zeros.ts';
import { StandbyError } from '../errors.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import type { Checksum } from '../wire/checksum.ts';
import { comparePages } from '../wire/compare-pages.ts';
import { FRAME } from '../wire/frame.ts';
import { Framer, ROOM_BYTES } from '../wire/framer.ts';
import { LIMITS } from '../wire/limits.ts';
import type { KnownChunk } from '../wire/signature-frame.ts';
import { Squeezer } from '../wire/squeezer.ts';
import type { Lane } from './lane.ts';
import { Runs } from './runs.ts';

/**
 * The hot path of the master: reads chunks ahead, leaves zeros out (and, block by block, what the replica has),
 * checksums, perhaps compresses, sends. Each carrier owns one buffer, in which a chunk is read, packed and framed in
 * place, so nothing is allocated or copied for a block. It writes nothing and remembers nothing: the appliance knows
 * what it has. Memory: one chunk for a carrier, and the signatures of two tasks.
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
  /** Present: only what the replica does not have is sent; signatures are drawn with this key. */
  readonly signatureKey?: string | undefined;
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
/** More of them when it asks the appliance first: one question for all. */
const ASKING_TASK_CHUNKS = 16;

export class Sender {
  readonly #options: SenderOptions;
  readonly #tasks: Iterator<Task>;
  readonly #squeezers = new Map<Lane, Squeezer>();
  readonly #resends = new Map<string, number>();
  #resending: Promise<void> = Promise.resolve();

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#tasks = tasksOf(options.disks, options.signatureKey ? ASKING_TASK_CHUNKS : TASK_CHUNKS);
  }

  /** Resolves when every chunk was handed to the lanes; blocks may still be asked for again. */
  async sendAll(lanes: readonly Lane[]): Promise<void> {
    const carriers = lanes.flatMap((lane) =>
      Array.from({ length: CARRIERS_PER_LANE }, () => {
        const { signatureKey } = this.#options;
        return signatureKey ? this.#carryDifferences(lane, new PageSigner(signatureKey)) : this.#carry(lane);
      }),
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
    const sent = this.#resending.then(() =>
      this.#sendTask(lane, { stream, disk, first: chunk, end: chunk + 1 }),
    );
    this.#resending = sent.catch(() => undefined); // The caller gets the error.
    return sent;
  }

  async #carry(lane: Lane): Promise<void> {
    const framer = new Framer();
    for (let next = this.#tasks.next(); !next.done; next = this.#tasks.next()) {
      this.#options.signal.throwIfAborted();
      await this.#sendTask(lane, next.value, framer);
    }
  }

  async #sendTask(lane: Lane, task: Task, framer = new Framer()): Promise<void> {
    const zeros = new Runs(lane, task.stream);
    for (let index = task.first; index < task.end; index++) {
      const length = chunkLength(task.disk.sizeBytes, index);
      const chunk = framer.chunk.subarray(0, length);
      await task.disk.view.read(chunk, index * CHUNK_BYTES);
      if (isZero(chunk)) {
        await zeros.add(FRAME.zeros, index);
        continue;
      }
      await zeros.flush();
      const packed = gatherPages(framer.chunk, length, framer.pageMap);
      await this.#sendBlock(lane, framer, { stream: task.stream, index, packed, isPatch: false });
    }
    await zeros.flush();
  }

  /** Asks about the next task before it works on this one, so the appliance reads while we do. */
  async #carryDifferences(lane: Lane, signer: PageSigner): Promise<void> {
    const framer = new Framer(signer.withRoom(ROOM_BYTES));
    let next = this.#askAboutNext(lane);
    for (let current = next; current; current = next) {
      this.#options.signal.throwIfAborted();
      next = this.#askAboutNext(lane);
      await this.#sendDifferences(lane, current.task, await current.known, { signer, framer });
    }
  }

  #askAboutNext(lane: Lane): { task: Task; known: Promise<KnownChunk[]> } | undefined {
    const next = this.#tasks.next();
    if (next.done) return undefined;
    const { stream, first, end } = next.value;
    const known = lane.ask(stream, first, end - first);
    known.catch(() => undefined); // Awaited when its turn comes, unless the task before it fails.
    return { task: next.value, known };
  }

  async #sendDifferences(
    lane: Lane,
    task: Task,
    known: readonly KnownChunk[],
    space: { readonly signer: PageSigner; readonly framer: Framer },
  ): Promise<void> {
    const { signer, framer } = space;
    const runs = new Runs(lane, task.stream);
    for (let index = task.first; index < task.end; index++) {
      const length = chunkLength(task.disk.sizeBytes, index);
      await task.disk.view.read(signer.chunk.subarray(0, length), index * CHUNK_BYTES);
      const found = comparePages(signer, length, known[index - task.first] ?? 'nothing', framer);
      if (found === 'same' || found === 'zeros') {
        await runs.add(FRAME[found], index);
        continue;
      }
      await runs.flush();
      await this.#sendBlock(lane, framer, { stream: task.stream, index, ...found });
    }
    await runs.flush();
  }

  async #sendBlock(
    lane: Lane,
    framer: Framer,
    block: {
      readonly stream: number;
      readonly index: number;
      readonly packed: number;
      readonly isPatch: boolean;
    },
  ): Promise<void> {
    const { checksum, spoil } = this.#options;
    const squeezer = this.#squeezerOf(lane);
    const frame = await framer.frame({ ...block, checksum, squeezer, spoil });
    await squeezer.timed(() => lane.send(frame));
  }

  #squeezerOf(lane: Lane): Squeezer {
    const wanted = this.#options.compression === 'zstd';
    const squeezer = this.#squeezers.get(lane) ?? new Squeezer({ wanted, carriers: CARRIERS_PER_LANE });
    this.#squeezers.set(lane, squeezer);
    return squeezer;
  }
}

/** Runs of chunks the appliance does not have, disk by disk. */
function* tasksOf(disks: readonly SendingDisk[], taskChunks: number): Generator<Task, undefined> {
  for (const [stream, disk] of disks.entries()) {
    const { have } = disk;
    for (let first = 0; first < have.length; ) {
      if (have.has(first)) {
        first++;
        continue;
      }
      let end = first + 1;
      while (end < have.length && end - first < taskChunks && !have.has(end)) end++;
      yield { stream, disk, first, end };
      first = end;
    }
  }
}

function brokenBlock(stream: number, chunk: number, times: number): StandbyError {
  return new StandbyError({
    code: 'BLOCK_BROKEN',
    what: `Block ${chunk} of disk ${stream} arrived with a wrong checksum ${times} times.`,
    why: 'Chance does not do that: the memory of the master or of the appliance is likely to be broken.',
    next: 'Test the memory of both machines.',
  });
}
