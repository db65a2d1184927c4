import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { freeByDumpe2fs, freeByNtfscat, run } from '../guest/volumes.ts';

/** What of a disk is used, told by the tools of its partition table and of its file systems, not by ours. */
export interface UsedByTools {
  /** What the file systems call used, and what lies outside of all partitions and is not zero. */
  readonly usedBytes: number;
  /** Of that, the blocks of 4 KiB that hold anything: what is left when zeros do not travel. */
  readonly heldBytes: number;
  /** What ext4 and NTFS call free. */
  readonly freeBytes: number;
}

/** In the order of the partitions. */
export type PartitionKind = 'fat' | 'ext4' | 'ntfs' | 'reserved';

const BLOCK_BYTES = 4096;
const SECTOR_BYTES = 512;
const ZEROS = Buffer.alloc(BLOCK_BYTES);
const RUBBISH = Buffer.alloc(BLOCK_BYTES, 0xdb);

/** Fills every block that ext4 or NTFS calls free with rubbish first: whoever sends one of them is found out. */
export function judgeDisk(file: string, kinds: readonly PartitionKind[], folder: string): UsedByTools {
  const bytes = readFileSync(file);
  const isInside = new Uint8Array(Math.ceil(bytes.length / BLOCK_BYTES));
  const sum = { usedBytes: 0, heldBytes: 0, freeBytes: 0 };
  const disk = openSync(file, 'r+');
  try {
    const places = partitionsOf(file);
    if (places.length !== kinds.length) throw new Error(`${file} has ${places.length} partitions`);
    for (const [index, { start, size }] of places.entries()) {
      const [from, end] = [start * SECTOR_BYTES, (start + size) * SECTOR_BYTES];
      isInside.fill(1, from / BLOCK_BYTES, end / BLOCK_BYTES);
      const part = join(folder, 'judged-partition');
      writeFileSync(part, bytes.subarray(from, end));
      const { usedBytes, free } = factsOf(kinds[index], part, end - from);
      sum.usedBytes += usedBytes;
      sum.freeBytes += free.size * BLOCK_BYTES;
      for (const block of free) writeSync(disk, RUBBISH, 0, BLOCK_BYTES, from + block * BLOCK_BYTES);
      // The last one, of which only a part is inside, is looked at below.
      for (let at = from; at + BLOCK_BYTES <= end; at += BLOCK_BYTES)
        if (!free.has((at - from) / BLOCK_BYTES)) sum.heldBytes += heldIn(bytes, at);
    }
  } finally {
    closeSync(disk);
  }
  for (let block = 0; block < isInside.length; block++) {
    if (isInside[block] === 1) continue;
    const held = heldIn(bytes, block * BLOCK_BYTES);
    sum.usedBytes += held;
    sum.heldBytes += held;
  }
  return sum;
}

function partitionsOf(file: string): readonly { readonly start: number; readonly size: number }[] {
  const { partitiontable } = JSON.parse(run('sfdisk', '--json', file)) as {
    partitiontable: { partitions: { start: number; size: number }[] };
  };
  return partitiontable.partitions;
}

function factsOf(
  kind: PartitionKind | undefined,
  part: string,
  sizeBytes: number,
): { readonly usedBytes: number; readonly free: ReadonlySet<number> } {
  if (kind === 'fat') return { usedBytes: usedByFsck(part), free: new Set() };
  if (kind !== 'ext4' && kind !== 'ntfs') return { usedBytes: 0, free: new Set() };
  const { free, ...told } = kind === 'ext4' ? freeByDumpe2fs(part) : freeByNtfscat(part);
  const [unitBytes] = Object.values(told);
  if (unitBytes !== BLOCK_BYTES) throw new Error(`${part} has blocks of ${unitBytes} bytes`);
  return { usedBytes: sizeBytes - free.size * BLOCK_BYTES, free };
}

function usedByFsck(part: string): number {
  const text = run('fsck.fat', '-n', '-v', part);
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1]);
  const dataAt = number(/Data area starts at byte (\d+)/);
  return dataAt + number(/(\d+) bytes per cluster/) * number(/files, (\d+)\/\d+ clusters/);
}

function heldIn(bytes: Buffer, at: number): number {
  const block = bytes.subarray(at, at + BLOCK_BYTES);
  return block.equals(ZEROS.subarray(0, block.length)) ? 0 : block.length;
}
