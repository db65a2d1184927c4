import { readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import { StandbyError } from '../errors.ts';
import {
  DEFAULT_LIMITS,
  type JournalLimits,
  type RewindLimits,
  UNDO_SEGMENTS_MIN,
} from '../journal/limits.ts';
import type { OpenSetFile } from './change-receiver.ts';
import type { ReplicaSpecOnWire } from './replica-record.ts';

/**
 * Where a scenario's journal lies on the appliance, and how much it may take there. Promises: an older epoch's journal
 * is gone before a new one begins; a journal keeps the segment size it began with. Dies at any line: a folder that was
 * half removed belongs to no record, and is removed the next time.
 */
const MIB = 1024 * 1024;
/** Of what is free, so that records and maps still fit when a journal is full. */
const SHARE_OF_FREE = 0.8;
const SEGMENTS_MIN = UNDO_SEGMENTS_MIN + 3;
/** A small disk gets small segments, and with them small groups and pieces. */
const SMALL = { segmentBytes: 8 * MIB, groupBytes: 2 * MIB, pieceBytes: 2 * MIB } as const;
const SMALL_BELOW = 32;

export function journalFolder(stateFolder: string, scenarioId: string, epoch: number): string {
  return join(stateFolder, 'journals', scenarioId, String(epoch));
}

export async function removeJournals(stateFolder: string, scenarioId: string): Promise<void> {
  await rm(join(stateFolder, 'journals', scenarioId), { recursive: true, force: true });
}

/** The limits of a journal; `segmentBytes` when it was begun before. Throws JOURNAL_NO_ROOM. */
export async function journalLimits(
  stateFolder: string,
  folder: string,
  change: Partial<JournalLimits> & { readonly segmentBytes?: number },
): Promise<Partial<JournalLimits>> {
  const { bavail, bsize } = await statfs(stateFolder);
  const mostBytes = Math.floor((bavail * bsize + (await sizeOf(folder))) * SHARE_OF_FREE);
  const spaceBytes = change.spaceBytes ?? Math.min(DEFAULT_LIMITS.spaceBytes, mostBytes);
  const isSmall = change.segmentBytes
    ? change.segmentBytes < DEFAULT_LIMITS.segmentBytes
    : spaceBytes < SMALL_BELOW * DEFAULT_LIMITS.segmentBytes;
  const limits = { ...(isSmall ? SMALL : {}), ...change, spaceBytes };
  const rewindBytes = limits.rewindBytes ?? rewindLimits(spaceBytes).rewindBytes;
  if (spaceBytes >= SEGMENTS_MIN * (limits.segmentBytes ?? DEFAULT_LIMITS.segmentBytes)) {
    return { ...limits, rewindBytes };
  }
  throw new StandbyError({
    code: 'JOURNAL_NO_ROOM',
    what: `The journal disk of the appliance has ${Math.floor(mostBytes / MIB)} MiB for a journal, which is too little.`,
    next: 'Make the journal disk (LUN 0) larger, or close replicas that are not needed.',
  });
}

type Rewind = ReplicaSpecOnWire['rewind'];

/** What control asked for, as limits of a journal. */
export function rewindChange({ ms, bytes }: NonNullable<Rewind> = {}): Partial<RewindLimits> {
  return {
    ...(ms === undefined ? {} : { rewindMs: ms }),
    ...(bytes === undefined ? {} : { rewindBytes: bytes }),
  };
}

/** The same with our own measure where control has none: the other half is for changes on their way. */
export function rewindLimits(spaceBytes: number, rewind?: Rewind): RewindLimits {
  const { rewindMs } = DEFAULT_LIMITS;
  return { rewindMs, rewindBytes: Math.floor(spaceBytes / 2), ...rewindChange(rewind) };
}

async function sizeOf(folder: string): Promise<number> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []; // Not begun yet.
    throw error;
  });
  let bytes = 0;
  for (const name of names) bytes += (await stat(join(folder, name))).size;
  return bytes;
}

const openSetSchema = z.object({ epoch: z.int(), setId: z.string().regex(/^\d+$/) });

/** Looked at only while a set is open in the journal, so it need not be removed when the set ends. */
export function openSetFile(stateFolder: string, scenarioId: string, epoch: number): OpenSetFile {
  const path = join(stateFolder, 'replicas', scenarioId, 'open-set.json');
  return {
    read: async () => {
      const found = await readStateJson(path, openSetSchema);
      return found?.epoch === epoch ? BigInt(found.setId) : undefined;
    },
    write: (setId) => writeStateFile(path, JSON.stringify({ epoch, setId: String(setId) })),
  };
}
