import { join } from 'node:path';
import { ChunkSet } from '../block/chunks.ts';
import { readStateFile, removeStateFile, writeStateFile } from '../block/state-file.ts';

/**
 * Which chunks of a replica disk are durable, in a file written after the disk was synced. It may lag behind the disk
 * (then a chunk is sent again) but never runs ahead of it. A file of another epoch or size counts as none.
 */
const MAGIC = 'SBMAP001';
const HEADER_BYTES = 16;

export function mapPath(stateFolder: string, scenarioId: string, diskId: string): string {
  return join(stateFolder, 'replicas', scenarioId, `${diskId}.map`);
}

export async function readDurableMap(path: string, epoch: number, chunks: number): Promise<ChunkSet> {
  const file = await readStateFile(path);
  const expected = HEADER_BYTES + Math.ceil(chunks / 8);
  const fits =
    file?.length === expected &&
    file.toString('latin1', 0, 8) === MAGIC &&
    file.readUInt32LE(8) === epoch &&
    file.readUInt32LE(12) === chunks;
  return new ChunkSet(chunks, fits ? file.subarray(HEADER_BYTES) : undefined);
}

export async function writeDurableMap(path: string, epoch: number, set: ChunkSet): Promise<void> {
  const file = Buffer.alloc(HEADER_BYTES + set.bytes.length);
  file.write(MAGIC, 'latin1');
  file.writeUInt32LE(epoch, 8);
  file.writeUInt32LE(set.length, 12);
  file.set(set.bytes, HEADER_BYTES);
  await writeStateFile(path, file);
}

export async function removeDurableMap(path: string): Promise<void> {
  await removeStateFile(path);
}
