import { createHash } from 'node:crypto';
import type { BlockDevice } from '../ports/block-device.ts';
import { ChunkBuffers } from './chunk-buffers.ts';
import { CHUNK_BYTES, chunkCount, chunkLength } from './chunks.ts';
import { isZero, zeros } from './zeros.ts';

/**
 * The proof that two disks are equal (docs/WIRE.md): leaves = SHA-256 of each 1 MiB chunk, the last one short;
 * root = SHA-256 over the size (u64, little endian) and all leaves in order. Reads only.
 */
export interface DiskProof {
  readonly digest: string;
  /** 32 bytes for each chunk. */
  readonly leaves: Buffer;
}

export const LEAF_BYTES = 32;
/** SHA-256 runs in the thread pool, so several chunks are read and hashed at once. */
const IN_FLIGHT = 4;
/** By all proofs of this process together, however many scenarios are proven at the same time: its memory is one. */
const buffers = new ChunkBuffers(8);
const ZERO_LEAF = createHash('sha256').update(zeros(CHUNK_BYTES)).digest();

export interface ProofOptions {
  /** Of the disk to prove; the device may be larger. */
  readonly sizeBytes: number;
  readonly signal: AbortSignal;
  onProgress?(doneBytes: number): void;
  /** Before a chunk is read; what is answered is called with what was read. */
  onRead?(index: number): ((chunk: Buffer) => Promise<void>) | undefined;
}

export async function proveDisk(device: BlockDevice, options: ProofOptions): Promise<DiskProof> {
  const { sizeBytes } = options;
  const chunks = chunkCount(sizeBytes);
  const leaves = Buffer.alloc(chunks * LEAF_BYTES);
  let next = 0;
  let doneBytes = 0;
  const worker = async () => {
    while (next < chunks) {
      const index = next++;
      const length = chunkLength(sizeBytes, index);
      const leaf = await buffers.lend((buffer) => {
        options.signal.throwIfAborted();
        return chunkLeaf(device, buffer.subarray(0, length), index, options.onRead?.(index));
      });
      leaves.set(leaf, index * LEAF_BYTES);
      doneBytes += length;
      options.onProgress?.(doneBytes);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return { digest: rootOf(sizeBytes, leaves), leaves };
}

export async function chunkLeaf(
  device: Pick<BlockDevice, 'read'>,
  buffer: Buffer,
  index: number,
  onRead?: (chunk: Buffer) => Promise<void>,
): Promise<Uint8Array> {
  await device.read(buffer, index * CHUNK_BYTES);
  const [leaf] = await Promise.all([leafOf(buffer), onRead?.(buffer)]);
  return leaf;
}

/** Of a whole chunk. */
export async function leafOf(chunk: Buffer): Promise<Uint8Array> {
  if (chunk.length === CHUNK_BYTES && isZero(chunk)) return ZERO_LEAF;
  return new Uint8Array(await crypto.subtle.digest('SHA-256', chunk as Uint8Array<ArrayBuffer>));
}

export function rootOf(sizeBytes: number, leaves: Uint8Array): string {
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(sizeBytes));
  return createHash('sha256').update(size).update(leaves).digest('hex');
}

/** Indexes of the chunks whose leaves differ. */
export function differingChunks(ours: Uint8Array, theirs: Uint8Array): number[] {
  const a = Buffer.from(ours.buffer, ours.byteOffset, ours.byteLength);
  const indexes: number[] = [];
  for (let at = 0; at < a.length; at += LEAF_BYTES) {
    if (a.compare(theirs, at, at + LEAF_BYTES, at, at + LEAF_BYTES) !== 0) indexes.push(at / LEAF_BYTES);
  }
  return indexes;
}
