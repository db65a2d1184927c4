import { eachFreeRun } from './ext-map.ts';
import { fixUp, type Run } from './ntfs-record.ts';
import { ATTRIBUTE, NtfsVolume } from './ntfs-volume.ts';
import { FreeRanges, type UsedMap } from './used-map.ts';
import { doubt, type VolumeBytes } from './volume.ts';

/**
 * Takes the free clusters of an NTFS volume out of the map. A wrong `free` is lost data, so the volume must have been
 * dismounted: not marked dirty, an empty or closed log, both boot sectors and both copies of the first records equal,
 * and the bitmap must call its own clusters, those of the file table and of the log used. Anything else throws a
 * doubt; the map may then hold half of the volume's free clusters, and the caller takes all of it for used.
 * What lies behind the last cluster, the backup boot sector among it, stays used. Clusters that only an old shadow
 * copy still needs are free: shadow copies do not survive a copy of the disk.
 */
export async function mapNtfs(volume: VolumeBytes, map: UsedMap): Promise<void> {
  const ntfs = await NtfsVolume.open(volume);
  await assertMirror(ntfs);
  await assertNotDirty(ntfs);
  const log = await ntfs.stored(RECORD.log, ATTRIBUTE.data);
  await assertLogClosed(ntfs, log.runs, log.dataBytes);
  const bitmap = await ntfs.stored(RECORD.bitmap, ATTRIBUTE.data);
  await addFree(ntfs, bitmap, new FreeRanges(map, volume.offsetBytes));
  const { clusterBytes, mirrorLcn } = ntfs.geometry;
  const own = [
    { lcn: 0, clusters: 1 },
    { lcn: mirrorLcn, clusters: 1 },
    ...ntfs.mftRuns,
    ...log.runs,
    ...bitmap.runs,
  ];
  for (const { lcn, clusters } of own) {
    const from = volume.offsetBytes + (lcn ?? 0) * clusterBytes;
    const bytes = clusters * clusterBytes;
    if (lcn === undefined || map.usedBytes(from, from + bytes) !== bytes) {
      throw doubt('Its bitmap calls parts of the file system itself free.');
    }
  }
}

const RECORD = { log: 2, volume: 3, bitmap: 6 } as const;
const BITMAP_PIECE_BYTES = 1024 ** 2;

async function addFree(
  ntfs: NtfsVolume,
  bitmap: { readonly runs: readonly Run[]; readonly dataBytes: number; readonly initialisedBytes: number },
  free: FreeRanges,
): Promise<void> {
  const { clusters, clusterBytes } = ntfs.geometry;
  const bytes = Math.ceil(clusters / 8);
  if (bitmap.dataBytes < bytes || bitmap.initialisedBytes < bytes) {
    throw doubt('Its bitmap is shorter than the volume.');
  }
  for (let at = 0; at < bytes; at += BITMAP_PIECE_BYTES) {
    const piece = await ntfs.readRuns(bitmap.runs, at, Math.min(BITMAP_PIECE_BYTES, bytes - at));
    const first = at * 8;
    eachFreeRun(piece, Math.min(piece.length * 8, clusters - first), (from, to) =>
      free.add((first + from) * clusterBytes, (first + to) * clusterBytes),
    );
  }
  free.finish();
}

/** The first four records exist twice. */
async function assertMirror(ntfs: NtfsVolume): Promise<void> {
  const { recordBytes, clusterBytes, mirrorLcn } = ntfs.geometry;
  const mirror = [{ lcn: mirrorLcn, clusters: Math.ceil((4 * recordBytes) / clusterBytes) }];
  for (let number = 0; number < 4; number++) {
    const record = await ntfs.record(number);
    const copy = fixUp(await ntfs.readRuns(mirror, number * recordBytes, recordBytes), 'FILE');
    const used = Math.min(recordBytes, record.readUInt32LE(0x18));
    if (record.compare(copy, 0, used, 0, used) !== 0)
      throw doubt(`Its record ${number} and the mirror differ.`);
  }
}

/** Dirty, log to be resized, to be upgraded, ids to be repaired, under chkdsk: what other drivers refuse to write to. */
const FLAGS_DOUBTFUL = 0xc027;

async function assertNotDirty(ntfs: NtfsVolume): Promise<void> {
  const { value } = await ntfs.attribute(RECORD.volume, ATTRIBUTE.volumeInformation);
  if (!value || value.length < 12) throw doubt('It does not tell whether it is dirty.');
  const [major, flags] = [value.readUInt8(8), value.readUInt16LE(10)];
  if (major > 3) throw doubt(`It has the version ${major}, which is not judged.`);
  if ((flags & FLAGS_DOUBTFUL) !== 0) throw doubt(`It is marked dirty (flags ${flags.toString(16)}).`);
}

const PAGE_BYTES = 4096;
const NO_CLIENT = 0xffff;
const IS_CLEAN = 0x2;

/** A log with work in it may hand out clusters that the bitmap on the disk calls free: the volume was in use. */
async function assertLogClosed(ntfs: NtfsVolume, runs: readonly Run[], dataBytes: number): Promise<void> {
  if (dataBytes < 4 * PAGE_BYTES) throw doubt('Its log is too short.');
  const head = await ntfs.readRuns(runs, 0, PAGE_BYTES);
  if (isBlank(head)) {
    for (let at = PAGE_BYTES; at + PAGE_BYTES <= dataBytes; at *= 2) {
      if (!isBlank(await ntfs.readRuns(runs, at, PAGE_BYTES)))
        throw doubt('Its log is neither empty nor whole.');
    }
    return;
  }
  const pageBytes = head.readUInt32LE(16);
  if (![1, 2, 4, 8, 16].includes(pageBytes / PAGE_BYTES) || pageBytes * 2 > dataBytes) {
    throw doubt('Its log cannot be read.');
  }
  const pages = [
    await restartPage(ntfs, runs, 0, pageBytes),
    await restartPage(ntfs, runs, pageBytes, pageBytes),
  ].sort((a, b) => (a.sequence < b.sequence ? 1 : a.sequence > b.sequence ? -1 : 0));
  if (!pages[0]?.isClosed)
    throw doubt('Its log has not been closed: it was mounted or not shut down cleanly.');
}

async function restartPage(ntfs: NtfsVolume, runs: readonly Run[], at: number, pageBytes: number) {
  const page = fixUp(await ntfs.readRuns(runs, at, pageBytes), 'RSTR');
  const area = page.readUInt16LE(24);
  if (page.readUInt32LE(16) !== pageBytes || area < 30 || area + 16 > pageBytes)
    throw doubt('Its log cannot be read.');
  return {
    sequence: page.readBigUInt64LE(area),
    isClosed: page.readUInt16LE(area + 12) === NO_CLIENT || (page.readUInt16LE(area + 14) & IS_CLEAN) !== 0,
  };
}

function isBlank(page: Buffer): boolean {
  return page.every((byte) => byte === 0xff);
}
