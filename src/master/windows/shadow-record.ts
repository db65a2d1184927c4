import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../../block/state-file.ts';

/**
 * Which shadow copies are ours. Promises: before any is made it is durable that some are being made, and which stood
 * before; before one is read its id is durable. So whatever happens, what an engine left behind is known by its id, or
 * by what diskshadow logged; and what nobody can prove to be ours is not touched.
 */
export interface ShadowRecord {
  readonly method: 'set' | 'one-by-one';
  readonly state: 'none' | 'making' | 'standing';
  /** Ids of sets where they are made as one, else of shadow copies. */
  readonly ids: readonly string[];
  /** Shadow copies that stood before ours were made. */
  readonly before: readonly string[];
}

const schema = z.object({
  method: z.enum(['set', 'one-by-one']),
  state: z.enum(['none', 'making', 'standing']),
  ids: z.array(z.string()),
  before: z.array(z.string()),
});

export const NO_SHADOWS: ShadowRecord = { method: 'set', state: 'none', ids: [], before: [] };

export function shadowFiles(folder: string) {
  return {
    record: join(folder, 'shadows.json'),
    script: join(folder, 'shadows.dsh'),
    /** What diskshadow logs, or the ids that were made one by one. */
    trace: join(folder, 'shadows.log'),
    metadata: join(folder, 'shadows.cab'),
  };
}

export async function readShadowRecord(folder: string): Promise<ShadowRecord> {
  return (await readStateJson(shadowFiles(folder).record, schema)) ?? NO_SHADOWS;
}

/** It is never removed, only written anew: on Windows a removed file may come back after a power failure. */
export async function writeShadowRecord(folder: string, record: ShadowRecord): Promise<void> {
  await writeStateFile(shadowFiles(folder).record, JSON.stringify(record));
}

export async function forgetTrace(folder: string): Promise<void> {
  const { trace, metadata } = shadowFiles(folder);
  await rm(trace, { force: true });
  await rm(metadata, { force: true });
}

export async function readTrace(folder: string): Promise<string> {
  try {
    return (await readFile(shadowFiles(folder).trace)).toString('latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
