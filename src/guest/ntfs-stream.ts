import type { NtfsAttribute, Run } from './ntfs-record.ts';
import type { NtfsVolume } from './ntfs-volume.ts';
import { doubt } from './volume.ts';

/** The bytes of one value: in its record, in clusters, or nowhere (a hole reads as zeros). */
const FLAG = { compressed: 0x00ff, encrypted: 0x4000 } as const;
/** Windows' own compression of system files: the data lies in another stream, the file itself is one hole. */
const COMPRESSED_BY_WINDOWS = 0x80000017;
const SIZE_MAX = 2 ** 48;

export class NtfsStream {
  readonly sizeBytes: number;
  readonly #ntfs: NtfsVolume;
  readonly #resident: Buffer | undefined;
  readonly #runs: readonly Run[];
  readonly #initialisedBytes: number;
  /** Why its bytes are not read, although it is there. */
  readonly #refusal: string | undefined;

  constructor(ntfs: NtfsVolume, parts: readonly NtfsAttribute[], reparseTag?: number) {
    const [first] = parts;
    if (!first) throw doubt('A value of it is missing.');
    this.#ntfs = ntfs;
    this.#resident = first.value;
    this.#runs = first.value ? [] : joined(parts);
    this.sizeBytes = first.value ? first.value.length : (first.stored?.dataBytes ?? 0);
    this.#initialisedBytes = first.value ? this.sizeBytes : (first.stored?.initialisedBytes ?? 0);
    if (this.sizeBytes > SIZE_MAX) throw doubt('A value of it has an impossible length.');
    this.#refusal = refusalOf(first.flags, reparseTag);
  }

  async read(atBytes: number, lengthBytes: number): Promise<Buffer> {
    if (this.#refusal) throw doubt(this.#refusal);
    const end = Math.min(this.sizeBytes, atBytes + lengthBytes);
    if (this.#resident) return Buffer.from(this.#resident.subarray(atBytes, end));
    const bytes = Buffer.alloc(Math.max(0, end - atBytes));
    const realEnd = Math.min(end, this.#initialisedBytes);
    for (const { lcn, from, to, at } of this.#pieces(atBytes, realEnd)) {
      if (lcn === undefined) continue;
      (await this.#ntfs.readAt(lcn, from, to - from)).copy(bytes, at - atBytes);
    }
    return bytes;
  }

  /** Where a range of it lies on the volume; undefined where it has no clusters of its own. */
  placeOf(atBytes: number, lengthBytes: number) {
    const end = atBytes + lengthBytes;
    if (this.#refusal || this.#resident || end > Math.min(this.sizeBytes, this.#initialisedBytes))
      return undefined;
    const { clusterBytes } = this.#ntfs.geometry;
    const places: { offsetBytes: number; sizeBytes: number }[] = [];
    for (const { lcn, from, to } of this.#pieces(atBytes, end)) {
      if (lcn === undefined) return undefined;
      places.push({ offsetBytes: lcn * clusterBytes + from, sizeBytes: to - from });
    }
    return places;
  }

  /** The parts of runs that hold `[atBytes, end)`; `from` and `to` count from the beginning of the run. */
  *#pieces(atBytes: number, end: number) {
    const { clusterBytes, clusters: all } = this.#ntfs.geometry;
    let start = 0;
    for (const { lcn, clusters } of this.#runs) {
      if (start >= end) return;
      const next = start + clusters * clusterBytes;
      const [from, to] = [Math.max(start, atBytes), Math.min(next, end)];
      if (from < to) {
        if (lcn !== undefined && lcn + clusters > all) throw doubt('A value of it lies outside of it.');
        yield { lcn, from: from - start, to: to - start, at: from };
      }
      start = next;
    }
    if (start < end) throw doubt('A value of it is shorter than it says.');
  }
}

function joined(parts: readonly NtfsAttribute[]): Run[] {
  const runs: Run[] = [];
  let vcn = 0;
  for (const { stored } of parts) {
    if (!stored || stored.lowestVcn !== vcn) throw doubt('The parts of a value of it have gaps.');
    for (const run of stored.runs) {
      runs.push(run);
      vcn += run.clusters;
    }
  }
  return runs;
}

function refusalOf(flags: number, reparseTag: number | undefined): string | undefined {
  if (flags & FLAG.encrypted) return 'It is encrypted by the file system.';
  if (flags & FLAG.compressed) return 'It is compressed by the file system.';
  if (reparseTag === COMPRESSED_BY_WINDOWS) return 'It is compressed by Windows (CompactOS).';
  return reparseTag === undefined ? undefined : 'It is a link, which is not followed.';
}
