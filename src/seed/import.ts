import { type ReplicaRecord, readRecords } from '../appliance/replica-record.ts';
import { assertNoImport, readSeedMark, type SeedMark, writeSeedMark } from '../appliance/seed-mark.ts';
import { writeChunk } from '../block/chunk-writer.ts';
import { CHUNK_BYTES } from '../block/chunks.ts';
import { gatherPages, PAGE_MAP_BYTES } from '../block/zeros.ts';
import { hideExcluded } from '../capture/excluded.ts';
import type { Clock } from '../clock.ts';
import type { DiskDigest } from '../model/scenario.ts';
import { makeOwner } from '../plan/owner.ts';
import {
  assertUntouched,
  clearRest,
  closeAll,
  findReplica,
  type OpenDisk,
  openDisks,
  replicaGone,
} from './destination.ts';
import { RECORDS_OFFSET } from './format.ts';
import { openMedium } from './medium.ts';
import { notFinished, seedInterrupted } from './problems.ts';
import { type OpenSeed, openSeed, readEnd, readRecord } from './reader.ts';
import { type SeedProgress, Tempo } from './tempo.ts';
import type { UnpackedChunk } from './unpack.ts';
import { type WalkPlace, walkSeed } from './walk.ts';

/**
 * `standby seed import`, on the appliance: writes a seed onto the replica disks of its scenario. Promises: key, length,
 * master, disks and sizes are judged, and every record is read and found whole, before a byte is written; every chunk is
 * judged again when it is written; what the mark names is durable on the disks. The same command goes on where it was.
 * Dies at any line: the mark says how far it came, and a run, which compares, needs nothing of it.
 */
export interface ImportOptions {
  readonly from: string;
  readonly passphrase: Buffer;
  readonly stateFolder: string;
  readonly lunsFolder: string;
  readonly scenarioId?: string | undefined;
  /** Only judges; nothing is written. */
  readonly check: boolean;
  readonly bytesPerSecond?: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  onProgress?(progress: SeedProgress): void;
}

export interface ImportReport {
  readonly seedId: string;
  readonly scenarioId: string;
  readonly exportedAtMs: number;
  readonly resumed: boolean;
  /** It was imported before; nothing was done. */
  readonly already: boolean;
  readonly written: boolean;
  readonly dataBytes: number;
  readonly digests: readonly DiskDigest[];
}

export async function importSeed(options: ImportOptions): Promise<ImportReport> {
  const medium = await openMedium(options.from, 'read');
  try {
    const seed = await openSeed(medium, options.passphrase);
    if (!seed.slot.ended) throw notFinished(options.from);
    return await importInto(seed, options);
  } catch (error) {
    throw options.signal.aborted && error === options.signal.reason ? seedInterrupted('import') : error;
  } finally {
    await medium.close();
  }
}

async function importInto(seed: OpenSeed, options: ImportOptions): Promise<ImportReport> {
  const { stateFolder, check } = options;
  const end = await readEnd(seed);
  const record = await findReplica(options, seed.manifest);
  const { scenarioId } = record.spec;
  const before = await readSeedMark(stateFolder, scenarioId);
  const isMine = before?.seedId === seed.manifest.seedId && before.epoch === record.spec.epoch;
  const mine = isMine && record.startedAtMs === undefined ? before : undefined;
  const report = {
    seedId: seed.manifest.seedId,
    scenarioId,
    exportedAtMs: end.endedAtMs,
    resumed: mine?.state === 'importing' && mine.offset > 0,
    already: mine?.state === 'imported',
    written: !check && mine?.state !== 'imported',
    dataBytes: end.dataBytes,
    digests: end.digests,
  };
  if (report.already && !check) return report;
  assertUntouched(record);
  assertNoImport(before);
  const start = await firstPlace(seed);
  if (check || !mine?.checked) await checkAll(seed, start, options);
  if (check) return report;
  const mark = { ...(mine ?? newMark(seed, record, before, start, options.clock)), owner: makeOwner() };
  await claim(mark, record, options);
  await write(seed, record, mark, options);
  return report;
}

async function firstPlace(seed: OpenSeed): Promise<WalkPlace> {
  const { next, head } = await readRecord(seed, { offset: RECORDS_OFFSET });
  return { offset: next, sequence: head.sequence + 1, lastIndex: 0 };
}

async function checkAll(seed: OpenSeed, from: WalkPlace, options: ImportOptions): Promise<void> {
  const { clock, signal, onProgress } = options;
  const tempo = new Tempo(clock, undefined);
  const walk = {
    seed,
    from,
    what: 'checking',
    tempo,
    signal,
    ...(onProgress ? { onProgress } : {}),
  } as const;
  await walkSeed(walk, { onChunk: async () => undefined, onIndex: async () => undefined });
}

function newMark(
  seed: OpenSeed,
  { spec }: ReplicaRecord,
  before: SeedMark | undefined,
  place: WalkPlace,
  clock: Clock,
): SeedMark {
  return {
    ...place,
    seedId: seed.manifest.seedId,
    epoch: spec.epoch,
    state: 'importing',
    owner: makeOwner(),
    checked: true,
    blank: before === undefined && spec.disks.every((disk) => disk.blank),
    dataBytes: 0,
    atMs: clock.now(),
  };
}

/** The mark first, then a look at the record: the engine does it the other way round (appliance/seed-mark.ts). */
async function claim(mark: SeedMark, { spec }: ReplicaRecord, { stateFolder }: ImportOptions): Promise<void> {
  await writeSeedMark(stateFolder, spec.scenarioId, mark);
  const now = (await readRecords(stateFolder)).find((one) => one.spec.scenarioId === spec.scenarioId);
  if (!now) throw replicaGone(spec.scenarioId);
  assertUntouched(now);
}

async function write(
  seed: OpenSeed,
  { spec }: ReplicaRecord,
  begun: SeedMark,
  options: ImportOptions,
): Promise<void> {
  const { stateFolder, clock, signal, bytesPerSecond, onProgress } = options;
  const tempo = new Tempo(clock, bytesPerSecond);
  const disks = await openDisks(spec, options);
  let mark = begun;
  const save = async (change: Partial<SeedMark>) => {
    for (const { device } of disks) await device.sync();
    mark = { ...mark, ...change, atMs: clock.now() };
    await writeSeedMark(stateFolder, spec.scenarioId, mark);
  };
  const placed = seed.manifest.disks.map(({ diskId }) => diskNamed(disks, diskId));
  try {
    const walk = {
      seed,
      from: begun,
      what: 'writing',
      tempo,
      signal,
      ...(onProgress ? { onProgress } : {}),
    } as const;
    const { end, leaves } = await walkSeed(walk, {
      onChunk: (chunk) => place(placed[chunk.disk], chunk, mark.blank),
      onIndex: (at, dataBytes) => save({ ...at, dataBytes }),
    });
    if (!mark.blank) {
      for (const [index, disk] of placed.entries()) await clearRest(disk, leaves.held[index], signal);
    }
    await save({ state: 'imported', dataBytes: end.dataBytes });
  } finally {
    await closeAll(disks);
  }
}

function diskNamed(disks: readonly OpenDisk[], diskId: string): OpenDisk {
  const disk = disks.find(({ spec }) => spec.diskId === diskId);
  if (!disk) throw new RangeError(`no replica disk for ${diskId}`);
  return disk;
}

/** What a scenario leaves out is not brought by a seed either. */
async function place(disk: OpenDisk | undefined, chunk: UnpackedChunk, blank: boolean): Promise<void> {
  if (!disk) throw new RangeError(`no replica disk for chunk ${chunk.chunk}`);
  const { spec, device } = disk;
  const offsetBytes = chunk.chunk * CHUNK_BYTES;
  const { bytes } = chunk;
  hideExcluded(bytes, offsetBytes, spec.excluded);
  const pageMap = Buffer.alloc(PAGE_MAP_BYTES);
  const packed = bytes.subarray(0, gatherPages(bytes, bytes.length, pageMap));
  await writeChunk({ device, blank }, offsetBytes, bytes.length, pageMap, packed);
}
