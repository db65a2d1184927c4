import { join } from 'node:path';
import { z } from 'zod';
import { guardDisk } from '../appliance/guarded-device.ts';
import { assertLun, lunPath } from '../appliance/luns.ts';
import { assertMarkedDisks } from '../appliance/replica-disk-mark.ts';
import { type ReplicaRecord, type ReplicaSpecOnWire, readRecords } from '../appliance/replica-record.ts';
import { clear } from '../block/chunk-writer.ts';
import { CHUNK_BYTES, type ChunkSet, chunkCount } from '../block/chunks.ts';
import { openDevice, type QuickDevice } from '../block/open-device.ts';
import { readStateJson } from '../block/state-file.ts';
import { inputError } from '../errors.ts';
import type { Manifest } from './format.ts';

/** The replica disks that a seed is for: found by the appliance's own records, and held to what the seed says of itself. */
export type SeededDisk = ReplicaSpecOnWire['disks'][number];

/** Throws REPLICA_UNKNOWN, SEED_WRONG_MASTER, SEED_SCENARIO_UNCLEAR, SEED_WRONG_DISK, SEED_WRONG_SIZE and LUN_…; all before a byte is written. */
export async function findReplica(
  facts: {
    readonly stateFolder: string;
    readonly lunsFolder: string;
    readonly scenarioId?: string | undefined;
  },
  manifest: Manifest,
): Promise<ReplicaRecord> {
  const { stateFolder, lunsFolder, scenarioId } = facts;
  const record = chooseRecord(await readRecords(stateFolder), manifest, scenarioId);
  const { masterId, disks } = record.spec;
  if (manifest.masterId !== undefined && manifest.masterId !== masterId) {
    throw inputError(
      'SEED_WRONG_MASTER',
      `The seed is of the master ${manifest.masterId}; this replica is of ${masterId}.`,
      'Bring the seed of that master, or name the scenario that this one is for: --scenario ID.',
    );
  }
  for (const disk of disks) assertFits(disk, manifest);
  if (disks.length !== manifest.disks.length) {
    const more = manifest.disks.find(({ diskId }) => !disks.some((disk) => disk.diskId === diskId));
    throw wrongDisk(`it holds ${more?.diskId ?? 'a disk'}, which the replica does not have`);
  }
  await assertLayout(stateFolder, masterId, manifest);
  for (const disk of disks) await assertLun(lunsFolder, disk.lun, disk.sizeBytes);
  return record;
}

function chooseRecord(
  records: readonly ReplicaRecord[],
  manifest: Manifest,
  scenarioId: string | undefined,
): ReplicaRecord {
  const fitting = records.filter(({ spec }) =>
    scenarioId === undefined
      ? manifest.masterId === undefined || spec.masterId === manifest.masterId
      : spec.scenarioId === scenarioId,
  );
  const [only] = fitting;
  if (only && fitting.length === 1) return only;
  if (!only) throw replicaGone(scenarioId);
  throw inputError(
    'SEED_SCENARIO_UNCLEAR',
    `The seed fits several replicas: ${fitting.map(({ spec }) => spec.scenarioId).join(', ')}.`,
    'Name one: --scenario ID (standby seed prepare tells it).',
  );
}

export function replicaGone(scenarioId: string | undefined) {
  const of = scenarioId === undefined ? 'the master that this seed is of' : `scenario ${scenarioId}`;
  return inputError(
    'REPLICA_UNKNOWN',
    `The appliance has no replica of ${of}.`,
    'Make its replica disks first, on control: standby seed prepare SCENARIO',
  );
}

function assertFits(disk: SeededDisk, manifest: Manifest): void {
  const seeded = manifest.disks.find(({ diskId }) => diskId === disk.diskId);
  if (!seeded) throw wrongDisk(`it does not hold ${disk.diskId}`);
  if (seeded.sizeBytes === disk.sizeBytes) return;
  throw inputError(
    'SEED_WRONG_SIZE',
    `The seed's ${disk.diskId} has ${seeded.sizeBytes} bytes; the master's has ${disk.sizeBytes}.`,
    'Bring a seed of this very disk. If the disk was enlarged since, prepare and export anew.',
  );
}

const knownSchema = z.array(
  z.object({
    masterId: z.string(),
    inventory: z.object({
      disks: z.array(
        z.object({
          id: z.string(),
          volumes: z.array(z.object({ offsetBytes: z.int(), sizeBytes: z.int() })),
        }),
      ),
    }),
  }),
);

/**
 * A disk of the same size may still be another server's: none of its partitions would lie where the master's do. One that
 * does is enough, as a disk may have been partitioned further since its master joined.
 */
async function assertLayout(stateFolder: string, masterId: string, manifest: Manifest): Promise<void> {
  const masters = (await readStateJson(join(stateFolder, 'masters.json'), knownSchema)) ?? [];
  const inventory = masters.find((one) => one.masterId === masterId)?.inventory;
  for (const { id, volumes } of inventory?.disks ?? []) {
    const seeded = manifest.disks.find(({ diskId }) => diskId === id)?.volumes ?? [];
    const isThere = (volume: (typeof volumes)[number]) =>
      seeded.some(
        ({ offsetBytes, sizeBytes }) => offsetBytes === volume.offsetBytes && sizeBytes === volume.sizeBytes,
      );
    if (volumes.length === 0 || volumes.some(isThere)) continue;
    throw wrongDisk(`no partition of its ${id} lies where the master's do`);
  }
}

function wrongDisk(why: string) {
  return inputError(
    'SEED_WRONG_DISK',
    `The seed is of another disk: ${why}.`,
    'Bring the seed of this very master.',
  );
}

/** Only a replica on which no copy of this epoch has begun: what was copied is newer than any seed. */
export function assertUntouched({ phase, wanted, sealed, live, startedAtMs, spec }: ReplicaRecord): void {
  if (phase === 'idle' && !wanted && !sealed && !live && startedAtMs === undefined) return;
  throw inputError(
    'REPLICA_IN_USE',
    `The replica of scenario ${spec.scenarioId} is not waiting for a seed: ${sealed ? 'sealed' : phase}, and a copy has begun.`,
    'A run sends what is missing without a seed. To use one all the same: standby stop, then standby seed prepare, on control.',
  );
}

export interface OpenDisk {
  readonly spec: SeededDisk;
  readonly device: QuickDevice;
}

/** Throws LUN_OTHER_DISK for a disk that took the place of another, DISK_IN_USE for a device that anybody else has open. */
export async function openDisks(
  spec: ReplicaSpecOnWire,
  { stateFolder, lunsFolder }: { readonly stateFolder: string; readonly lunsFolder: string },
): Promise<OpenDisk[]> {
  const places = spec.disks.map(({ diskId, lun }) => ({ diskId, lun, path: lunPath(lunsFolder, lun) }));
  await assertMarkedDisks(stateFolder, spec, places);
  const opened: OpenDisk[] = [];
  let key: string | undefined;
  try {
    for (const disk of spec.disks) {
      const { diskId, sizeBytes, lun } = disk;
      const opening = openDevice(lunPath(lunsFolder, lun), { mode: 'write', exclusive: true });
      const keep = { stateFolder, scenarioId: spec.scenarioId, diskId, sizeBytes, key };
      const { device, signatures } = await guardDisk(await opening, keep);
      key ??= signatures?.key;
      opened.push({ spec: disk, device });
    }
    return opened;
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

export async function closeAll(disks: readonly OpenDisk[]): Promise<void> {
  for (const { device } of disks) await device.close();
}

/** Zeros wherever the seed holds nothing, on a disk that held something before. */
export async function clearRest(
  { device, spec }: OpenDisk,
  held: ChunkSet | undefined,
  signal: AbortSignal,
): Promise<void> {
  for (let chunk = 0; chunk < chunkCount(spec.sizeBytes); chunk++) {
    signal.throwIfAborted();
    if (held?.has(chunk)) continue;
    const offset = chunk * CHUNK_BYTES;
    await clear(device, offset, Math.min(CHUNK_BYTES, spec.sizeBytes - offset));
  }
  if (device.sizeBytes > spec.sizeBytes)
    await clear(device, spec.sizeBytes, device.sizeBytes - spec.sizeBytes);
}
