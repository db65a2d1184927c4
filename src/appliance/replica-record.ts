import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import { digestSchema } from '../wire/fields.ts';
import { copyOptionsSchema, errorSchema, replicaSpecSchema, replicationSchema } from '../wire/messages.ts';

const digits = z.string().regex(/^\d{1,19}$/);

/** A replica that follows its master, from the moment its stream began. */
const liveSchema = z.object({
  originSequence: digits,
  segmentBytes: z.int(),
  /** Both ends agreed once: from then on the stream alone keeps it whole. */
  whole: z.boolean(),
  /** A proof was asked for and has not ended. */
  scrub: z.boolean(),
  /** The journal said once that it holds this. */
  knownSequence: digits,
  proof: replicationSchema.shape.proof,
});
export type LiveRecord = z.infer<typeof liveSchema>;

/** What the appliance knows of one scenario's replica, on disk as `replicas/<scenario>/replica.json`. */
export const replicaRecordSchema = z.object({
  spec: replicaSpecSchema,
  phase: z.enum([
    'idle',
    'copying',
    'proving',
    'draining',
    'synchronised',
    'replicating',
    'resync-needed',
    'failed',
  ]),
  /** Control asked for the copy and it is not over: it goes on whenever the master is here. */
  wanted: z.boolean(),
  sealed: z.boolean(),
  options: copyOptionsSchema.optional(),
  /** What each master disk looked like when the copy of this epoch began. */
  identities: z.array(z.object({ diskId: z.string(), identity: z.string() })),
  sentBytes: z.number(),
  wireBytes: z.number(),
  resentBlocks: z.number(),
  leftOutBytes: z.number().optional(),
  startedAtMs: z.number().optional(),
  endedAtMs: z.number().optional(),
  synchronisedAtMs: z.number().optional(),
  digests: z.array(digestSchema).optional(),
  error: errorSchema.optional(),
  live: liveSchema.optional(),
  /** Of the master's machine when its stream was last begun or gone on with. */
  bootId: z.string().optional(),
});
export type ReplicaRecord = z.infer<typeof replicaRecordSchema>;
export type ReplicaSpecOnWire = z.infer<typeof replicaSpecSchema>;

export function newRecord(spec: ReplicaSpecOnWire): ReplicaRecord {
  return {
    spec,
    phase: 'idle',
    wanted: false,
    sealed: false,
    identities: [],
    sentBytes: 0,
    wireBytes: 0,
    resentBlocks: 0,
  };
}

const folderOf = (stateFolder: string) => join(stateFolder, 'replicas');

export async function readRecords(stateFolder: string): Promise<ReplicaRecord[]> {
  const names = await readdir(folderOf(stateFolder)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []; // No replica was ever opened here.
    throw error;
  });
  const records: ReplicaRecord[] = [];
  for (const name of names) {
    const record = await readStateJson(
      join(folderOf(stateFolder), name, 'replica.json'),
      replicaRecordSchema,
    );
    if (record) records.push(record);
  }
  return records;
}

export async function writeRecord(stateFolder: string, record: ReplicaRecord): Promise<void> {
  const path = join(folderOf(stateFolder), record.spec.scenarioId, 'replica.json');
  await writeStateFile(path, JSON.stringify(record));
}

/** The record goes first: a folder without one counts as nothing. */
export async function removeRecord(stateFolder: string, scenarioId: string): Promise<void> {
  const folder = join(folderOf(stateFolder), scenarioId);
  await rm(join(folder, 'replica.json'), { force: true });
  await rm(folder, { recursive: true, force: true });
}
