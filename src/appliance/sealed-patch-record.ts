import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, removeStateFile, writeStateFile } from '../block/state-file.ts';
import { StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { sealedPatchSchema } from '../wire/patch-messages.ts';
import type { ReceivingDisk } from './receiver.ts';
import type { ReplicaSpecOnWire } from './replica-record.ts';

/**
 * What a sealed replica had where it is patched now, on disk as `replicas/<scenario>/sealed-patch.json`. Promises: while
 * it is there every byte that the patch may have changed can be put back, and whoever opens the disks for writing does so
 * first; it goes only after the old bytes are durable. Dies at any line: it is there, and putting back is done again,
 * which gives the same disk.
 */
const bodySchema = z.object({
  epoch: z.int(),
  /** Every byte of the patch is durable on the disks. */
  whole: z.boolean(),
  told: sealedPatchSchema,
  edits: z.array(z.object({ diskId: z.string(), atBytes: z.int().min(0), before: z.base64() })),
});
const recordSchema = z.object({ sha256: z.string(), body: z.string() });

export type PatchBody = z.infer<typeof bodySchema>;

interface Place {
  readonly stateFolder: string;
  readonly spec: Pick<ReplicaSpecOnWire, 'scenarioId' | 'epoch'>;
}

export async function readPatch({ stateFolder, spec }: Place): Promise<PatchBody | undefined> {
  const found = await readStateJson(fileOf(stateFolder, spec.scenarioId), recordSchema);
  if (!found) return undefined;
  if (found.sha256 !== hashOf(found.body)) throw damaged(spec.scenarioId);
  return bodySchema.parse(JSON.parse(found.body));
}

/** Durable when it returns. */
export async function writePatch({ stateFolder, spec }: Place, patch: PatchBody): Promise<void> {
  const body = JSON.stringify(patch);
  await writeStateFile(fileOf(stateFolder, spec.scenarioId), JSON.stringify({ sha256: hashOf(body), body }));
}

/** The disks hold what they held before the patch when this returns; without one nothing is done. */
export async function takeBackPatch(
  place: Place & { readonly log?: Log | undefined },
  disks: readonly Pick<ReceivingDisk, 'diskId' | 'device'>[],
): Promise<void> {
  const { spec, log } = place;
  const patch = await readPatch(place);
  if (!patch) return;
  // Of an epoch that is over: everything is copied anew and compared, wherever the patch has gone.
  if (patch.epoch === spec.epoch) {
    if (patch.whole) await writePatch(place, { ...patch, whole: false });
    for (const { diskId, atBytes, before } of [...patch.edits].reverse()) {
      const disk = disks.find((one) => one.diskId === diskId);
      if (!disk) throw notThere(diskId);
      await disk.device.write(Buffer.from(before, 'base64'), atBytes);
    }
    for (const { device } of disks) await device.sync();
  }
  await removePatch(place);
  log?.info('the patch of the sealed replica is taken back', { scenarioId: spec.scenarioId });
}

export async function removePatch({ stateFolder, spec }: Place): Promise<void> {
  await removeStateFile(fileOf(stateFolder, spec.scenarioId));
}

function fileOf(stateFolder: string, scenarioId: string): string {
  return join(stateFolder, 'replicas', scenarioId, 'sealed-patch.json');
}

function hashOf(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}

function damaged(scenarioId: string): StandbyError {
  return new StandbyError({
    code: 'PATCH_RECORD_DAMAGED',
    what: `What the patch of the replica of ${scenarioId} has changed is not known any more.`,
    why: 'The checksum of its record is wrong.',
    next: 'Take the switchover back, and resynchronise the scenario: a new epoch begins, and nothing of the old one counts.',
  });
}

function notThere(diskId: string): StandbyError {
  return new StandbyError({
    code: 'PATCHED_DISK_MISSING',
    what: `The replica of ${diskId} is patched, and it is not among the disks that were opened.`,
    next: 'Attach it again. If it is gone, resynchronise the scenario: a new epoch begins.',
  });
}
