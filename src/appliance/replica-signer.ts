import { CHUNK_BYTES, type ChunkSet, chunkLength } from '../block/chunks.ts';
import { PageSigner } from '../block/page-signer.ts';
import { type KnownChunk, writeSignatures } from '../wire/signature-frame.ts';
import type { ReceivingDisk } from './receiver.ts';

/**
 * Tells the master what a replica disk holds, by reading it now: what is kept about a disk can be older than the disk,
 * and a disk that is read cannot. Two buffers, whatever its size: one chunk is read while the one before is signed.
 * Writes nothing.
 */
export interface AskedChunks {
  readonly disk: ReceivingDisk;
  readonly first: number;
  readonly count: number;
  /** Of these nothing is told, so they come whole. */
  readonly distrusted: ChunkSet | undefined;
}

export class ReplicaSigner {
  readonly #signers: readonly [PageSigner, PageSigner];

  constructor(key: string) {
    this.#signers = [new PageSigner(key), new PageSigner(key)];
  }

  /** Undefined when nobody waits for the answer any more. */
  async answer(asked: AskedChunks, signal: AbortSignal): Promise<Buffer | undefined> {
    const { disk, first, count, distrusted } = asked;
    const known: KnownChunk[] = [];
    let coming: Promise<number> | undefined;
    try {
      for (let index = first; index < first + count; index++) {
        const length = await (coming ?? this.#read(disk, index));
        coming = index + 1 < first + count ? this.#read(disk, index + 1) : undefined;
        if (signal.aborted) return undefined;
        known.push(distrusted?.has(index) ? 'nothing' : this.#known(index, length));
      }
      return writeSignatures(known);
    } finally {
      // Its buffer is free only when the read has ended; its error is that of the chunk before, or nobody asks.
      await coming?.catch(() => undefined);
    }
  }

  async #read(disk: ReceivingDisk, index: number): Promise<number> {
    const length = chunkLength(disk.sizeBytes, index);
    await disk.device.read(this.#signerOf(index).chunk.subarray(0, length), index * CHUNK_BYTES);
    return length;
  }

  #known(index: number, length: number): KnownChunk {
    const signatures = this.#signerOf(index).sign(length);
    return signatures.some((signature) => signature !== 0) ? signatures.slice() : 'zeros';
  }

  #signerOf(index: number): PageSigner {
    return this.#signers[index % 2 === 0 ? 0 : 1];
  }
}
