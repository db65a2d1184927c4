import { CHUNK_BYTES, type ChunkSet, chunkLength } from '../block/chunks.ts';
import { PageSigner } from '../block/page-signer.ts';
import { type KnownChunk, writeSignatures } from '../wire/signature-frame.ts';
import type { KeptSignatures, Watch } from './kept-signatures.ts';
import type { ReceivingDisk } from './receiver.ts';

/**
 * Tells the master what a replica disk holds: from the signatures that are kept, where they are known to be those of
 * what is there now; otherwise by reading it, which makes them known. Two buffers, whatever the disk's size: one chunk
 * is read while the one before is signed. Writes nothing on the disk.
 */
export interface AskedChunks {
  readonly disk: ReceivingDisk;
  readonly first: number;
  readonly count: number;
  /** Of these nothing is told, so they come whole. */
  readonly distrusted: ChunkSet | undefined;
}

interface Reading {
  readonly length: number;
  readonly watch: Watch | undefined;
}

export class ReplicaSigner {
  readonly #key: string;
  readonly #signers: readonly [PageSigner, PageSigner];

  constructor(key: string) {
    this.#key = key;
    this.#signers = [new PageSigner(key), new PageSigner(key)];
  }

  /** Undefined when nobody waits for the answer any more. */
  async answer(
    { disk, first, count, distrusted }: AskedChunks,
    signal: AbortSignal,
  ): Promise<Buffer | undefined> {
    const kept = disk.signatures?.key === this.#key ? disk.signatures : undefined;
    const known: (KnownChunk | undefined)[] = kept ? await kept.find(first, count) : [];
    const unknown: number[] = [];
    for (let index = first; index < first + count; index++) {
      if (distrusted?.has(index)) known[index - first] = 'nothing';
      else if (known[index - first] === undefined) unknown.push(index);
    }
    let coming: Promise<Reading> | undefined;
    try {
      for (const [place, index] of unknown.entries()) {
        const { length, watch } = await (coming ?? this.#read(disk, index, place, kept));
        const next = unknown[place + 1];
        coming = next === undefined ? undefined : this.#read(disk, next, place + 1, kept);
        if (signal.aborted) return undefined;
        const signatures = this.#signerOf(place).sign(length).slice();
        if (kept && watch) await kept.learnSigned(watch, signatures);
        known[index - first] = signatures.some((signature) => signature !== 0) ? signatures : 'zeros';
      }
      return writeSignatures(known.map((chunk) => chunk ?? 'nothing'));
    } finally {
      // Its buffer is free only when the read has ended; its error is that of the chunk before, or nobody asks.
      await coming?.catch(() => undefined);
    }
  }

  async #read(disk: ReceivingDisk, index: number, place: number, kept?: KeptSignatures): Promise<Reading> {
    const length = chunkLength(disk.sizeBytes, index);
    const watch = kept?.watch(index);
    await disk.device.read(this.#signerOf(place).chunk.subarray(0, length), index * CHUNK_BYTES);
    return { length, watch };
  }

  #signerOf(place: number): PageSigner {
    return this.#signers[place % 2 === 0 ? 0 : 1];
  }
}
