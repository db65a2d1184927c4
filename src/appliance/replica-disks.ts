import { clear } from '../block/chunk-writer.ts';
import { CHUNK_BYTES, chunkCount } from '../block/chunks.ts';
import { openDevice } from '../block/open-device.ts';
import type { Log } from '../log.ts';
import { LIMITS } from '../wire/limits.ts';
import { mapPath, readDurableMap, writeDurableMap } from './durable-map.ts';
import { guardDisk } from './guarded-device.ts';
import { assertLun, lunPath } from './luns.ts';
import type { ReceivingDisk } from './receiver.ts';
import { assertMarkedDisks } from './replica-disk-mark.ts';
import type { ReplicaSpecOnWire } from './replica-record.ts';
import { takeBackPatch } from './sealed-patch-record.ts';
import { assertNoImport, readSeedMark } from './seed-mark.ts';

/** The replica disks of one scenario, open for writing, each with what is known of it and without a patch. Seeded is not blank. */
export async function openReplicaDisks(
  spec: ReplicaSpecOnWire,
  stateFolder: string,
  lunsFolder: string,
  log?: Log,
): Promise<ReceivingDisk[]> {
  const opened: ReceivingDisk[] = [];
  const seed = await readSeedMark(stateFolder, spec.scenarioId);
  assertNoImport(seed);
  for (const disk of spec.disks) await assertLun(lunsFolder, disk.lun, disk.sizeBytes);
  const places = spec.disks.map(({ diskId, lun }) => ({ diskId, lun, path: lunPath(lunsFolder, lun) }));
  await assertMarkedDisks(stateFolder, spec, places);
  try {
    for (const disk of spec.disks) {
      const path = mapPath(stateFolder, spec.scenarioId, disk.diskId);
      const durable = await readDurableMap(path, spec.epoch, chunkCount(disk.sizeBytes));
      const { diskId, sizeBytes } = disk;
      const opening = openDevice(lunPath(lunsFolder, disk.lun), { mode: 'write', exclusive: true });
      const key = opened.find(({ signatures }) => signatures)?.signatures?.key;
      const keep = { stateFolder, scenarioId: spec.scenarioId, diskId, sizeBytes, key, log };
      const guarded = await guardDisk(await opening, keep);
      const blank = disk.blank && !seed;
      const saveMap = (set: ReceivingDisk['durable']) => writeDurableMap(path, spec.epoch, set);
      opened.push({ diskId, sizeBytes, blank, ...guarded, durable, written: durable.copy(), saveMap });
    }
    await takeBackPatch({ stateFolder, spec, log }, opened);
    return opened;
  } catch (error) {
    await closeDisks(opened);
    throw error;
  }
}

export async function closeDisks(disks: readonly ReceivingDisk[]): Promise<void> {
  for (const disk of disks) await disk.device.close();
}

/** Bytes beyond the master's disk are zeros: a disk that is not blank may hold something there. */
export async function clearTails(disks: readonly ReceivingDisk[]): Promise<void> {
  for (const { blank, device, sizeBytes } of disks) {
    if (blank || device.sizeBytes === sizeBytes) continue;
    await clear(device, sizeBytes, device.sizeBytes - sizeBytes);
    await device.sync();
  }
}

/** A piece of the durable map, as the master asks for it. What is written but not durable counts while we live. */
export function sliceOfWritten(disk: ReceivingDisk, fromByte: number): { bits: string; totalBytes: number } {
  const { bytes } = disk.written;
  const slice = bytes.subarray(fromByte, fromByte + LIMITS.sliceBytes);
  return { bits: Buffer.from(slice).toString('base64'), totalBytes: bytes.length };
}

/** What the durable maps say, without opening a disk. */
export async function readDoneBytes(spec: ReplicaSpecOnWire, stateFolder: string): Promise<number> {
  let doneBytes = 0;
  for (const { diskId, sizeBytes } of spec.disks) {
    const path = mapPath(stateFolder, spec.scenarioId, diskId);
    const { count } = await readDurableMap(path, spec.epoch, chunkCount(sizeBytes));
    doneBytes += Math.min(count * CHUNK_BYTES, sizeBytes);
  }
  return doneBytes;
}
