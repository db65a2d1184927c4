import { CHUNK_BYTES, ChunkSet, chunkCount, chunkLength } from '../block/chunks.ts';
import { chunkLeaf, type DiskProof, LEAF_BYTES, rootOf } from '../block/digest.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import { hideExcluded, includedParts, type Range } from './excluded.ts';

/**
 * Hashes a disk as it was at one moment while it goes on changing. Promises: a write that touches a chunk which is not
 * hashed yet waits until that one is, and is served before the chunks nobody waits for; so each leaf is of the moment at
 * which the guard was set, whatever the order. Whoever sets it makes sure that nothing is being written just then. It
 * writes nothing; when it ends, for whatever reason, nobody waits any more.
 */
export interface GuardedRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** SHA-256 runs in the thread pool, which the guest's own requests need too. */
const IN_FLIGHT = 2;

export class DiskGuard {
  readonly #device: BlockDevice;
  readonly #excluded: readonly Range[];
  readonly #leaves: Buffer;
  readonly #begun: ChunkSet;
  readonly #hashed: ChunkSet;
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>();
  #urgent: number[] = [];
  #next = 0;
  #isOver = false;

  constructor(device: BlockDevice, excluded: readonly Range[]) {
    const chunks = chunkCount(device.sizeBytes);
    this.#device = device;
    this.#excluded = excluded;
    this.#leaves = Buffer.alloc(chunks * LEAF_BYTES);
    this.#begun = new ChunkSet(chunks);
    this.#hashed = new ChunkSet(chunks);
  }

  isHashed({ offsetBytes, lengthBytes }: GuardedRange): boolean {
    if (this.#isOver) return true;
    const last = Math.floor((offsetBytes + lengthBytes - 1) / CHUNK_BYTES);
    for (let chunk = Math.floor(offsetBytes / CHUNK_BYTES); chunk <= last; chunk++) {
      if (!this.#hashed.has(chunk)) return false;
    }
    return true;
  }

  /** Its turn comes before all that nobody waits for. */
  hurry({ offsetBytes, lengthBytes }: GuardedRange): void {
    if (this.#isOver) return;
    const last = Math.floor((offsetBytes + lengthBytes - 1) / CHUNK_BYTES);
    for (let chunk = Math.floor(offsetBytes / CHUNK_BYTES); chunk <= last; chunk++) {
      if (this.#begun.has(chunk) || this.#waiting.has(chunk)) continue;
      this.#waiting.set(chunk, Promise.withResolvers());
      this.#urgent.push(chunk);
    }
  }

  /** Undefined when it may be written already. Never rejects. */
  wait(range: GuardedRange): Promise<void> | undefined {
    if (this.isHashed(range)) return undefined;
    this.hurry(range);
    const waits: Promise<void>[] = [];
    const last = Math.floor((range.offsetBytes + range.lengthBytes - 1) / CHUNK_BYTES);
    for (let chunk = Math.floor(range.offsetBytes / CHUNK_BYTES); chunk <= last; chunk++) {
      if (this.#hashed.has(chunk)) continue;
      const waiting = this.#waiting.get(chunk) ?? Promise.withResolvers<void>();
      this.#waiting.set(chunk, waiting);
      waits.push(waiting.promise);
    }
    return Promise.all(waits).then(() => undefined);
  }

  async run(signal: AbortSignal): Promise<DiskProof> {
    const release = () => this.#release();
    signal.addEventListener('abort', release, { once: true });
    try {
      // All of them end before this does: what they read is the disk of that moment only while writes wait.
      const ends = await Promise.allSettled(Array.from({ length: IN_FLIGHT }, () => this.#work(signal)));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
      return { digest: rootOf(this.#device.sizeBytes, this.#leaves), leaves: this.#leaves };
    } finally {
      signal.removeEventListener('abort', release);
      this.#release();
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    const view = { read: this.#read.bind(this) };
    for (let chunk = this.#take(); chunk !== undefined; chunk = this.#take()) {
      signal.throwIfAborted();
      const part = buffer.subarray(0, chunkLength(this.#device.sizeBytes, chunk));
      this.#leaves.set(await chunkLeaf(view, part, chunk), chunk * LEAF_BYTES);
      this.#hashed.add(chunk);
      this.#waiting.get(chunk)?.resolve();
      this.#waiting.delete(chunk);
    }
  }

  #take(): number | undefined {
    if (this.#isOver) return undefined;
    let chunk = this.#urgent.shift();
    while (chunk === undefined && this.#next < this.#begun.length) {
      if (!this.#begun.has(this.#next)) chunk = this.#next;
      this.#next++;
    }
    if (chunk !== undefined && this.#begun.has(chunk)) return this.#take();
    if (chunk !== undefined) this.#begun.add(chunk);
    return chunk;
  }

  async #read(target: Uint8Array, offsetBytes: number): Promise<void> {
    if (includedParts(offsetBytes, target.byteLength, this.#excluded).length === 0) target.fill(0);
    else await this.#device.read(target, offsetBytes);
    hideExcluded(target, offsetBytes, this.#excluded);
  }

  #release(): void {
    this.#isOver = true;
    this.#urgent = [];
    for (const waiting of this.#waiting.values()) waiting.resolve();
    this.#waiting.clear();
  }
}
