import { type ChunkTarget, clearChunk, patchChunk, writeChunk } from '../block/chunk-writer.ts';
import { CHUNK_BYTES, ChunkSet, chunkLength } from '../block/chunks.ts';
import type { QuickDevice } from '../block/open-device.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { Checksum } from '../wire/checksum.ts';
import type { Connection, LaneFrames } from '../wire/connection.ts';
import { FRAME, type FrameHeader, makeFrame, protocolBroken } from '../wire/frame.ts';
import { HEADER_BYTES, LIMITS } from '../wire/limits.ts';
import { openBlock } from '../wire/opened-block.ts';
import { readCount } from '../wire/signature-frame.ts';
import type { Bandwidth } from './bandwidth.ts';
import type { KeptSignatures } from './kept-signatures.ts';
import { ReplicaSigner } from './replica-signer.ts';
import { replicaUnwritable } from './replica-unwritable.ts';

/**
 * Takes blocks from the lanes of one copy, verifies each, writes it, and makes what was written durable now and then.
 * Promises: a block with a wrong checksum is never written but asked for again; a chunk is reported durable only after
 * the disk was synced and the map is on disk; memory is the credit of its lanes x block. Dies at any line: what was not in the
 * map is sent again.
 */
export interface ReceivingDisk {
  readonly diskId: string;
  readonly sizeBytes: number;
  /** All writes go through it: `signatures` hear of them there. */
  readonly device: QuickDevice;
  readonly signatures?: KeptSignatures | undefined;
  readonly blank: boolean;
  /** In the page cache at least. */
  readonly written: ChunkSet;
  readonly durable: ChunkSet;
  saveMap(durable: ChunkSet): Promise<void>;
}

export interface ReceiverOptions {
  readonly disks: readonly ReceivingDisk[];
  readonly checksum: Checksum;
  readonly clock: Clock;
  readonly durableMs: number;
  readonly counters: Counters;
  /** What is received is taken from it before more may come. */
  readonly bandwidth?: Pick<Bandwidth, 'take'> | undefined;
  /** After each durable point. */
  onDurable(): Promise<void>;
  /** A replica disk cannot be written or synced: nothing more is taken. */
  onFailure(error: StandbyError): void;
}

export interface Counters {
  sentBytes: number;
  wireBytes: number;
  resentBlocks: number;
}

interface Lane {
  readonly connection: Connection;
  /** Blocks it may have under way. */
  readonly credit: number;
  readonly signer: ReplicaSigner | undefined;
  taken: number;
  owed: number;
  asks: number;
  asking: Promise<void>;
}

const DURABLE_BYTES = 256 * 1024 * 1024;
const ZERO_CHUNKS_MAX = 65_536;

export class BlockReceiver {
  readonly #options: ReceiverOptions;
  readonly #pool: Buffer[] = [];
  readonly #lanes = new Set<Lane>();
  readonly #fresh: number[][];
  readonly #distrusted = new Map<ReceivingDisk, ChunkSet>();
  readonly #over = new AbortController();
  #freshBytes = 0;
  #placing = 0;
  #settled: (() => void)[] = [];
  #wake: (() => void) | undefined;
  readonly #durable: Promise<void>;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#fresh = options.disks.map(() => []);
    this.#durable = this.#keepDurable();
  }

  /** The frames of one more lane of the current attempt; with a key for signatures, only differences come. */
  addLane(connection: Connection, credit: number, signatureKey?: string): LaneFrames {
    const signer = signatureKey ? new ReplicaSigner(signatureKey) : undefined;
    const counts = { taken: 0, owed: 0, asks: 0 };
    const lane: Lane = { connection, credit, signer, ...counts, asking: Promise.resolve() };
    this.#lanes.add(lane);
    void connection.closed.then(() => this.#lanes.delete(lane));
    return {
      limitOf: (type) => (type === FRAME.block ? LIMITS.blockBodyBytes : this.#limitOf(lane, type)),
      bufferFor: (type, length) => {
        if (type === FRAME.ask) return Buffer.allocUnsafe(length);
        if (lane.taken >= lane.credit) throw protocolBroken('more blocks than it had credit for');
        if (type !== FRAME.block) return Buffer.allocUnsafe(length);
        return this.#pool.pop() ?? Buffer.allocUnsafeSlow(LIMITS.blockBodyBytes);
      },
      onFrame: (header, body) => {
        if (header.type === FRAME.ask) this.#onAsk(lane, header, body);
        else void this.#take(lane, header, body);
      },
    };
  }

  #limitOf(lane: Lane, type: number): number | undefined {
    if (type === FRAME.zeros) return 4;
    return lane.signer && (type === FRAME.ask || type === FRAME.same) ? 4 : undefined;
  }

  /** Ends all lanes and waits until nothing of theirs is being written. */
  async endLanes(reason: string): Promise<void> {
    const lanes = [...this.#lanes];
    for (const lane of lanes) lane.connection.close(reason);
    await Promise.all(lanes.map((lane) => lane.connection.closed));
    if (this.#placing > 0) await new Promise<void>((resolve) => this.#settled.push(resolve));
  }

  /** After this nothing is written any more; what was written is not necessarily durable. */
  async close(reason: string): Promise<void> {
    this.#over.abort();
    await this.endLanes(reason);
    await this.#durable;
  }

  /** The proof showed that these chunks differ although their signatures did not: they are sent again, and whole. */
  async forget(disk: ReceivingDisk, chunks: readonly number[]): Promise<void> {
    const distrusted = this.#distrusted.get(disk) ?? new ChunkSet(disk.durable.length);
    this.#distrusted.set(disk, distrusted);
    for (const index of chunks) {
      distrusted.add(index);
      disk.signatures?.forget(index);
      disk.durable.remove(index);
      disk.written.remove(index);
    }
    await disk.saveMap(disk.durable);
  }

  isDurable(): boolean {
    return this.#options.disks.every((disk) => disk.durable.count === disk.durable.length);
  }

  async #take(lane: Lane, header: FrameHeader, body: Buffer): Promise<void> {
    lane.taken++;
    this.#placing++;
    const { counters } = this.#options;
    try {
      const placed =
        header.type === FRAME.block
          ? await this.#placeBlock(lane, header, body)
          : await this.#placeRun(lane, header, body);
      counters.wireBytes += header.length + HEADER_BYTES;
      await this.#options.bandwidth?.take(header.length + HEADER_BYTES, lane.connection.signal);
      lane.taken--;
      if (placed) this.#owe(lane);
      else {
        counters.resentBlocks++;
        lane.connection.post(makeFrame(FRAME.again, undefined, header.stream, header.argument));
      }
    } catch (error) {
      if (isStandbyError(error) && error.code === 'PROTOCOL_BROKEN') lane.connection.close(error.message);
      else this.#options.onFailure(replicaUnwritable(error));
    } finally {
      if (header.type === FRAME.block) this.#recycle(body);
      this.#done();
    }
  }

  /** One after the other on a lane: its signer has one pair of buffers. */
  #onAsk(lane: Lane, header: FrameHeader, body: Buffer): void {
    if (lane.asks >= LIMITS.asksOpen) throw protocolBroken('more questions than may wait');
    const count = readCount(body, LIMITS.askChunks);
    const disk = this.#diskOf(header, count);
    lane.asks++;
    this.#placing++;
    lane.asking = lane.asking.then(async () => {
      try {
        const asked = { disk, first: header.argument, count, distrusted: this.#distrusted.get(disk) };
        const answer = await lane.signer?.answer(asked, lane.connection.signal);
        if (!answer) return; // The lane ended.
        lane.connection.post(makeFrame(FRAME.signatures, answer, header.stream, header.argument));
        this.#options.counters.wireBytes += answer.length + header.length + 2 * HEADER_BYTES;
      } catch (error) {
        this.#options.onFailure(unreadable(error));
      } finally {
        lane.asks--;
        this.#done();
      }
    });
  }

  #done(): void {
    this.#placing--;
    if (this.#placing === 0) for (const settled of this.#settled.splice(0)) settled();
  }

  /** Credit goes back in small bundles, and at once when the sender might wait for it. */
  #owe(lane: Lane): void {
    lane.owed++;
    if (lane.owed < lane.credit / 4 && lane.taken > 0) return;
    lane.connection.post(makeFrame(FRAME.credit, undefined, 0, lane.owed));
    lane.owed = 0;
  }

  async #placeBlock(lane: Lane, header: FrameHeader, body: Buffer): Promise<boolean> {
    const disk = this.#diskOf(header, 1);
    const length = chunkLength(disk.sizeBytes, header.argument);
    const { checksum } = this.#options;
    const block = await openBlock(header, body, { length, mayPatch: lane.signer !== undefined, checksum });
    if (!block) return false;
    const place = { offsetBytes: header.argument * CHUNK_BYTES, length };
    const { pageMap, zeroMap, packed } = block;
    if (zeroMap) await patchChunk(disk.device, place, { pageMap, zeroMap, packed });
    else await writeChunk(targetOf(lane, disk), place.offsetBytes, length, pageMap, packed);
    this.#options.counters.sentBytes += packed.length;
    this.#written(header.stream, disk, header.argument, packed.length);
    return true;
  }

  /** Chunks that are all zeros, or that are as their signatures said. */
  async #placeRun(lane: Lane, header: FrameHeader, body: Buffer): Promise<boolean> {
    const count = readCount(body, ZERO_CHUNKS_MAX);
    const disk = this.#diskOf(header, count);
    for (let index = header.argument; index < header.argument + count; index++) {
      if (header.type === FRAME.zeros) {
        const length = chunkLength(disk.sizeBytes, index);
        await clearChunk(targetOf(lane, disk), index * CHUNK_BYTES, length);
      }
      this.#written(header.stream, disk, index, 1);
    }
    return true;
  }

  #diskOf(header: FrameHeader, count: number): ReceivingDisk {
    const disk = this.#options.disks[header.stream];
    if (!disk || header.argument + count > disk.written.length)
      throw protocolBroken('a chunk that no disk has');
    return disk;
  }

  /** What was not changed counts too: it may be an earlier engine's, that nobody made durable. */
  #written(stream: number, disk: ReceivingDisk, index: number, bytes: number): void {
    disk.written.add(index);
    this.#fresh[stream]?.push(index);
    this.#freshBytes += bytes;
    if (this.#freshBytes >= DURABLE_BYTES || this.#isAllWritten()) this.#wake?.();
  }

  #isAllWritten(): boolean {
    return this.#options.disks.every((disk) => disk.written.count === disk.written.length);
  }

  #recycle(body: Buffer): void {
    const whole = Buffer.from(body.buffer, 0, LIMITS.blockBodyBytes);
    let wanted = 0;
    for (const { credit } of this.#lanes) wanted += credit;
    if (this.#pool.length < wanted) this.#pool.push(whole);
  }

  async #keepDurable(): Promise<void> {
    try {
      while (!this.#over.signal.aborted) {
        await this.#untilDue();
        await this.#makeDurable();
      }
    } catch (error) {
      this.#options.onFailure(replicaUnwritable(error));
    }
  }

  /** A while after the last durable point, or as soon as much or everything is written, or at the end. */
  async #untilDue(): Promise<void> {
    const due = new AbortController();
    this.#wake = () => due.abort();
    if (this.#freshBytes > 0 && this.#isAllWritten()) due.abort();
    const stop = AbortSignal.any([due.signal, this.#over.signal]);
    await this.#options.clock.sleep(this.#options.durableMs, stop).catch(() => undefined); // Due, or over.
    this.#wake = undefined;
  }

  async #makeDurable(): Promise<void> {
    if (this.#freshBytes === 0) return;
    this.#freshBytes = 0;
    for (const [stream, disk] of this.#options.disks.entries()) {
      const indexes = this.#fresh[stream]?.splice(0) ?? [];
      if (indexes.length === 0) continue;
      await disk.device.sync();
      for (const index of indexes) disk.durable.add(index);
      await disk.saveMap(disk.durable);
    }
    await this.#options.onDurable();
  }
}

/** Where signatures are compared, what a disk was declared to be is not believed: zeros are looked at. */
function targetOf(lane: Lane, disk: ReceivingDisk): ChunkTarget {
  return lane.signer ? { device: disk.device, blank: false } : disk;
}

function unreadable(error: unknown): StandbyError {
  if (isStandbyError(error)) return error;
  return new StandbyError({
    code: 'REPLICA_UNREADABLE',
    what: 'A replica disk cannot be read.',
    why: messageOf(error),
    next: 'Check the data disks of the appliance, then run the scenario again: it goes on where it was.',
    cause: error,
  });
}
