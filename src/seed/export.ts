import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { CHUNK_BYTES, chunkCount, chunkLength, PAGE_BYTES } from '../block/chunks.ts';
import { leafOf } from '../block/digest.ts';
import { openDevice } from '../block/open-device.ts';
import { gatherPages, isZero, PAGE_MAP_BYTES } from '../block/zeros.ts';
import type { Clock } from '../clock.ts';
import { inputError } from '../errors.ts';
import { mapDisk } from '../guest/disk-map.ts';
import type { UsedMap } from '../guest/used-map.ts';
import { withoutFree } from '../master/used-view.ts';
import type { DiskDigest } from '../model/scenario.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import { FLAG_ZSTD, type Head, type Manifest } from './format.ts';
import { seedInterrupted } from './problems.ts';
import { assertOther } from './same-disk.ts';
import { type SeedProgress, Tempo } from './tempo.ts';
import { openWriter, type SeedWriter } from './writer.ts';

/**
 * `standby seed export`: what a master's disks hold, sealed into a file or onto a device (docs/SEED.md). Promises: the
 * disks are only read; free blocks are left out where a clean file system tells them, zeros never travel; the same
 * command goes on where it was. Dies at any line: see writer.ts. A disk that changes meanwhile costs nothing but what
 * the run's comparison then has to send.
 */
export interface ExportOptions {
  readonly disks: readonly { readonly diskId: string; readonly path: string }[];
  readonly masterId?: string;
  readonly hostName?: string;
  readonly to: string;
  readonly passphrase: Buffer;
  /** Free blocks that hold something are taken too: a live capture copies them. */
  readonly whole: boolean;
  readonly overwrite: boolean;
  /** Tests: a key that is made quickly. */
  readonly cost?: Head['cost'];
  readonly bytesPerSecond?: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  onProgress?(progress: SeedProgress): void;
}

export interface ExportReport {
  readonly seed: string;
  readonly seedId: string;
  readonly masterId?: string;
  readonly resumed: boolean;
  /** It was finished before; nothing was done. */
  readonly already: boolean;
  /** Before sealing and compressing. */
  readonly dataBytes: number;
  readonly fileBytes: number;
  readonly digests: readonly DiskDigest[];
}

interface Source {
  readonly device: BlockDevice;
  readonly view: BlockDevice;
  readonly used: UsedMap | undefined;
  readonly facts: Manifest['disks'][number];
}

/** After so many chunks everything is made durable: what a kill may cost. */
const INDEX_CHUNKS = 32;
/** Chunks in work at once; each has a buffer of its own. */
const IN_FLIGHT = 4;
const VOLUMES_KEPT = 64;
const BLOCKS_PER_CHUNK = CHUNK_BYTES / PAGE_BYTES;

const compress = promisify(zstdCompress);

export async function exportSeed(options: ExportOptions): Promise<ExportReport> {
  const sources: Source[] = [];
  let writer: SeedWriter | undefined;
  await assertOther(options.to, options.disks);
  try {
    for (const disk of options.disks) sources.push(await openSource(disk, options));
    const manifest = manifestOf(sources, options);
    writer = await openWriter(options.to, options.passphrase, { ...options, manifest });
    assertSameDisks(options, writer.manifest, manifest);
    const already = writer.place.ended;
    if (!already) await carry(sources, writer, options);
    const digests = writer.leaves.digests();
    if (!already) {
      const { leaves, dataBytes } = writer;
      await writer.end({ dataChunks: leaves.chunks, dataBytes, digests, endedAtMs: options.clock.now() });
    }
    const { seedId, masterId } = writer.manifest;
    return {
      seed: options.to,
      seedId,
      ...(masterId === undefined ? {} : { masterId }),
      resumed: writer.isResumed,
      already,
      dataBytes: writer.dataBytes,
      fileBytes: writer.writtenBytes,
      digests,
    };
  } catch (error) {
    throw options.signal.aborted && error === options.signal.reason ? seedInterrupted('export') : error;
  } finally {
    await writer?.close();
    for (const { device } of sources) await device.close();
  }
}

async function openSource(
  { diskId, path }: ExportOptions['disks'][number],
  { whole, signal }: ExportOptions,
): Promise<Source> {
  const device = await openDevice(path, { mode: 'read' });
  try {
    const { used, layout, volumes } = await mapDisk(device, diskId, signal);
    const facts = {
      diskId,
      sizeBytes: device.sizeBytes,
      partitionTable: layout.partitionTable,
      volumes: volumes
        .slice(0, VOLUMES_KEPT)
        .map(({ offsetBytes, sizeBytes, fileSystem }) => ({ offsetBytes, sizeBytes, fileSystem })),
    };
    if (whole) return { device, view: device, used: undefined, facts };
    return { device, view: withoutFree(device, used), used, facts };
  } catch (error) {
    await device.close();
    throw error;
  }
}

function manifestOf(sources: readonly Source[], options: ExportOptions): Manifest {
  const { masterId, hostName, whole, clock } = options;
  return {
    seedId: randomUUID(),
    createdAtMs: clock.now(),
    ...(masterId === undefined ? {} : { masterId }),
    ...(hostName === undefined ? {} : { hostName }),
    whole,
    disks: sources.map(({ facts }) => facts),
  };
}

/** A seed that was begun goes on with the same disks only. What a disk holds may have changed; what it is may not. */
function assertSameDisks({ to }: ExportOptions, begun: Manifest, now: Manifest): void {
  const essence = ({ masterId, whole, disks }: Manifest) =>
    JSON.stringify([masterId, whole, disks.map(({ diskId, sizeBytes }) => [diskId, sizeBytes])]);
  if (essence(begun) === essence(now)) return;
  throw inputError(
    'SEED_OF_OTHER_DISKS',
    `The seed ${to} was begun with other disks, or in another way.`,
    'Name the same disks in the same order, and --whole as then; or begin anew: --overwrite.',
  );
}

/** Goes through all chunks from where the writer stands. */
async function carry(sources: readonly Source[], writer: SeedWriter, options: ExportOptions): Promise<void> {
  const { clock, signal, bytesPerSecond, onProgress } = options;
  const tempo = new Tempo(clock, bytesPerSecond);
  const totalBytes = sources.reduce((sum, { facts }) => sum + facts.sizeBytes, 0);
  const buffers = Array.from({ length: IN_FLIGHT }, () => Buffer.allocUnsafeSlow(CHUNK_BYTES));
  const place = { ...writer.place };
  let before = 0;
  for (const [disk, source] of sources.entries()) {
    const { sizeBytes } = source.facts;
    const first = disk === place.disk ? place.chunk : 0;
    for (const chunks of disk < place.disk ? [] : batches(source, first)) {
      signal.throwIfAborted();
      const read = await Promise.all(
        chunks.map((chunk, index) =>
          readChunk(source, { disk, chunk }, buffers[index] ?? Buffer.alloc(CHUNK_BYTES)),
        ),
      );
      for (const one of read) if (one) await writer.chunk(one);
      const next = (chunks.at(-1) ?? 0) + 1;
      if (writer.freshChunks >= INDEX_CHUNKS) await writer.index({ disk, chunk: next });
      await tempo.add(chunks.length * CHUNK_BYTES, signal);
      const doneBytes = before + Math.min(next * CHUNK_BYTES, sizeBytes);
      onProgress?.({ what: 'reading', doneBytes, totalBytes, bytesPerSecond: tempo.perSecond });
    }
    before += sizeBytes;
  }
  if (writer.freshChunks > 0) await writer.index({ disk: sources.length, chunk: 0 });
}

/** A few chunks at a time, without those that are free from end to end. */
function* batches({ used, facts }: Source, first: number): Generator<number[]> {
  const count = chunkCount(facts.sizeBytes);
  let batch: number[] = [];
  for (let chunk = first; chunk < count; chunk++) {
    if (used && isFree(used, chunk)) continue;
    batch.push(chunk);
    if (batch.length < IN_FLIGHT) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function isFree(used: UsedMap, chunk: number): boolean {
  const end = Math.min((chunk + 1) * BLOCKS_PER_CHUNK, used.blocks);
  for (let block = chunk * BLOCKS_PER_CHUNK; block < end; block++) if (used.isUsed(block)) return false;
  return true;
}

async function readChunk(
  { view, facts }: Source,
  { disk, chunk }: { readonly disk: number; readonly chunk: number },
  buffer: Buffer,
): Promise<Parameters<SeedWriter['chunk']>[0] | undefined> {
  const length = chunkLength(facts.sizeBytes, chunk);
  const bytes = buffer.subarray(0, length);
  await view.read(bytes, chunk * CHUNK_BYTES);
  if (isZero(bytes)) return undefined;
  const leaf = await leafOf(bytes);
  const pageMap = Buffer.alloc(PAGE_MAP_BYTES);
  const dataBytes = gatherPages(buffer, length, pageMap);
  const packed = buffer.subarray(0, dataBytes);
  const small = await compress(packed, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
  const pays = small.length < dataBytes * 0.9;
  return {
    disk,
    chunk,
    leaf,
    flags: pays ? FLAG_ZSTD : 0,
    dataBytes,
    body: [pageMap, pays ? small : packed],
  };
}
