import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { CHUNK_BYTES, chunkLength } from '../block/chunks.ts';
import { leafOf } from '../block/digest.ts';
import { eachRun, mappedBytes, PAGE_MAP_BYTES } from '../block/zeros.ts';
import { FLAG_ZSTD, type Leaf, type Manifest } from './format.ts';
import type { Medium } from './medium.ts';
import { damaged } from './problems.ts';
import type { PlacedRecord } from './reader.ts';

const decompress = promisify(zstdDecompress);

/** A chunk of a seed as it was on the disk, and its leaf. */
export interface UnpackedChunk extends Leaf {
  readonly bytes: Buffer;
  readonly dataBytes: number;
}

/** Into `room`, which has a chunk's length. Throws SEED_DAMAGED: its seal held, so whoever wrote it was broken. */
export async function unpackChunk(
  medium: Medium,
  manifest: Manifest,
  { head, body, offset }: PlacedRecord,
  room: Buffer,
): Promise<UnpackedChunk> {
  const { disk, chunk, flags } = head;
  const sizeBytes = manifest.disks[disk]?.sizeBytes ?? 0;
  const length = chunkLength(sizeBytes, chunk);
  const wrong = (why: string) => damaged(medium.path, `at byte ${offset}`, why);
  if (length <= 0) throw wrong('It names a chunk that no disk has.');
  const pageMap = body.subarray(0, PAGE_MAP_BYTES);
  const rest = body.subarray(PAGE_MAP_BYTES);
  const dataBytes = mappedBytes(pageMap, length);
  if (dataBytes <= 0) throw wrong('It holds nothing, or pages beyond its end.');
  const isZstd = (flags & FLAG_ZSTD) !== 0;
  const packed = isZstd ? await decompress(rest, { maxOutputLength: CHUNK_BYTES }) : rest;
  if (packed.length !== dataBytes) throw wrong('It holds more or less than it says.');
  const bytes = room.subarray(0, length);
  let at = 0;
  await eachRun(pageMap, length, async (isData, start, end) => {
    if (isData) packed.copy(bytes, start, at, at + end - start);
    else bytes.fill(0, start, end);
    if (isData) at += end - start;
  });
  return { disk, chunk, bytes, dataBytes, leaf: await leafOf(bytes) };
}
