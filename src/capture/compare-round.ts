import { CHUNK_BYTES, type ChunkSet } from '../block/chunks.ts';
import { isZero } from '../block/zeros.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import type { BlockDigests } from './block-digests.ts';
import type { Leaves } from './compare-proof.ts';
import { hideExcluded, type Range } from './excluded.ts';

/** Blocks that are compared; a chunk of them is read at once. */
export const BLOCK_BYTES = 64 * 1024;
const STEP_BLOCKS = CHUNK_BYTES / BLOCK_BYTES;

/** XXH128 finds what differs; that the copies are equal is proven elsewhere, with SHA-256. */
export type Digest = (bytes: Uint8Array) => Uint8Array;

export interface ComparedDisk {
  readonly id: string;
  readonly sizeBytes: number;
  readonly excluded: readonly Range[];
  readonly digests: BlockDigests;
}

/** A run of neighbouring blocks that differ, all with data or all zero. */
export interface Difference {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Absent: zeros. */
  readonly data?: Uint8Array;
}

/**
 * Reads a disk, or the named blocks of it, and tells what the appliance does not have; the new digests wait in
 * `disk.digests`. Memory is one step, whatever the disk's size. `leaves` gets every chunk, so then nothing is left out.
 */
export async function* differences(
  disk: ComparedDisk,
  source: BlockDevice,
  digest: Digest,
  { only, leaves }: { readonly only?: ChunkSet | undefined; readonly leaves?: Leaves | undefined },
): AsyncGenerator<Difference> {
  const blocks = Math.ceil(disk.sizeBytes / BLOCK_BYTES);
  for (let first = 0; first < blocks; first += STEP_BLOCKS) {
    const end = Math.min(first + STEP_BLOCKS, blocks);
    if (only && !anyOf(only, first, end)) continue;
    const startBytes = first * BLOCK_BYTES;
    const bytes = Buffer.allocUnsafeSlow(Math.min(end * BLOCK_BYTES, disk.sizeBytes) - startBytes);
    await source.read(bytes, startBytes);
    hideExcluded(bytes, startBytes, disk.excluded);
    await leaves?.add(first / STEP_BLOCKS, bytes);
    let run: { start: number; end: number; isZero: boolean } | undefined;
    for (let block = first; block < end; block++) {
      const start = (block - first) * BLOCK_BYTES;
      const content = bytes.subarray(start, start + BLOCK_BYTES);
      const differs = (!only || only.has(block)) && (await isNew(disk, block, digest(content)));
      const zero = differs && isZero(content);
      if (run && (!differs || zero !== run.isZero)) {
        yield difference(bytes, startBytes, run);
        run = undefined;
      }
      if (!differs) continue;
      run ??= { start, end: start, isZero: zero };
      run.end = start + content.length;
    }
    if (run) yield difference(bytes, startBytes, run);
  }
}

async function isNew(disk: ComparedDisk, block: number, digest: Uint8Array): Promise<boolean> {
  if (await disk.digests.has(block, digest)) return false;
  await disk.digests.propose(block, digest);
  return true;
}

function anyOf(set: ChunkSet, first: number, end: number): boolean {
  for (let block = first; block < end; block++) if (set.has(block)) return true;
  return false;
}

function difference(
  bytes: Buffer,
  startBytes: number,
  run: { readonly start: number; readonly end: number; readonly isZero: boolean },
): Difference {
  const place = { offsetBytes: startBytes + run.start, lengthBytes: run.end - run.start };
  return run.isZero ? place : { ...place, data: bytes.subarray(run.start, run.end) };
}
