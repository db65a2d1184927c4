import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import { StandbyError } from '../errors.ts';
import { ownerInWords, ownerIsGone } from '../plan/owner.ts';

/**
 * That a seed was, or is being, written onto the replica disks of a scenario: `replicas/<scenario>/seed.json`, kept by
 * `standby seed import` and read by the engine. Promises: importer and engine never write the same disks together. The
 * importer writes its mark and then looks at the replica's record, the engine saves its record and then looks for the
 * mark, so at least one of two that begin at once sees the other and stops. Dies at any line: an importer that is gone
 * stops nobody, because a run compares what it left.
 */
const markSchema = z.object({
  seedId: z.string(),
  /** Of the replica when it was written; in another one its disks may be others. */
  epoch: z.int(),
  state: z.enum(['importing', 'imported']),
  /** Of the importing process. */
  owner: z.string(),
  /** Every record was read and found whole before the first was written. */
  checked: z.boolean(),
  /** Everything of the seed before this byte is durable on the disks. */
  offset: z.int(),
  sequence: z.int(),
  lastIndex: z.int(),
  /** Nothing but this seed was ever written on the disks. */
  blank: z.boolean(),
  dataBytes: z.int(),
  atMs: z.number(),
});
export type SeedMark = z.infer<typeof markSchema>;

const markPath = (stateFolder: string, scenarioId: string) =>
  join(stateFolder, 'replicas', scenarioId, 'seed.json');

export function readSeedMark(stateFolder: string, scenarioId: string): Promise<SeedMark | undefined> {
  return readStateJson(markPath(stateFolder, scenarioId), markSchema);
}

export async function writeSeedMark(stateFolder: string, scenarioId: string, mark: SeedMark): Promise<void> {
  await writeStateFile(markPath(stateFolder, scenarioId), JSON.stringify(mark));
}

/** Throws SEED_IMPORT_RUNNING. */
export function assertNoImport(mark: SeedMark | undefined): void {
  if (mark?.state !== 'importing' || ownerIsGone(mark.owner)) return;
  throw new StandbyError({
    code: 'SEED_IMPORT_RUNNING',
    what: 'A seed is being written onto the replica disks.',
    why: `By ${ownerInWords(mark.owner)}.`,
    next: 'Let the import end, then run the scenario.',
  });
}
