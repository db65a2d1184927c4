import {
  attributesOf,
  fixUp,
  listEntries,
  type NtfsAttribute,
  number64,
  type Run,
  type StoredValue,
} from './ntfs-record.ts';
import { doubt, type VolumeBytes } from './volume.ts';

/** Reads values of an NTFS volume's own files by their record numbers. Read-only; one record is held at a time. */
export interface NtfsGeometry {
  readonly sectorBytes: number;
  readonly clusterBytes: number;
  readonly clusters: number;
  readonly recordBytes: number;
  readonly mftLcn: number;
  readonly mirrorLcn: number;
}

export const ATTRIBUTE = { list: 0x20, volumeInformation: 0x70, data: 0x80 } as const;
const LIST_BYTES_MAX = 256 * 1024;
/** A file in more pieces than this has no place on a server that is well. */
const RUNS_MAX = 500_000;
/** Where hidden sectors and the heads and tracks of the drive stand: they may differ in the backup. */
const PLACE_FROM = 0x18;
const PLACE_END = 0x20;

/** The boot sector, which must agree with its backup behind the last cluster. */
export async function readNtfsBoot(volume: VolumeBytes): Promise<NtfsGeometry> {
  const boot = await volume.read(0, 512);
  if (boot.toString('latin1', 3, 11) !== 'NTFS    ' || boot.readUInt16LE(510) !== 0xaa55) {
    throw doubt('It has no NTFS boot sector.');
  }
  const sectorBytes = boot.readUInt16LE(0x0b);
  const sectorsPerCluster = sizeCode(boot.readUInt8(0x0d), 0x80);
  const clusterBytes = sectorBytes * sectorsPerCluster;
  const sectors = number64(boot, 0x28);
  if (
    ![512, 1024, 2048, 4096].includes(sectorBytes) ||
    !isPowerOf2(sectorsPerCluster, 1, 2 ** 21 / sectorBytes)
  ) {
    throw doubt('Its clusters have an impossible size.');
  }
  const recordCode = boot.readInt8(0x40);
  const recordBytes = recordCode < 0 ? 2 ** -recordCode : recordCode * clusterBytes;
  if (!isPowerOf2(recordBytes, 1024, 64 * 1024)) throw doubt('Its records have an impossible size.');
  volume.assertInside(0, (sectors + 1) * sectorBytes);
  const backup = await volume.read(sectors * sectorBytes, 512);
  for (const [from, end] of [
    [0, PLACE_FROM],
    [PLACE_END, 0x50],
    [510, 512],
  ] as const) {
    if (backup.compare(boot, from, end, from, end) !== 0) throw doubt('Its two boot sectors differ.');
  }
  return {
    sectorBytes,
    clusterBytes,
    clusters: Math.floor(sectors / sectorsPerCluster),
    recordBytes,
    mftLcn: number64(boot, 0x30),
    mirrorLcn: number64(boot, 0x38),
  };
}

/** From 128 upwards the byte is a negative power of two. */
function sizeCode(code: number, negativeFrom: number): number {
  return code > negativeFrom ? 2 ** (256 - code) : code;
}

function isPowerOf2(value: number, least: number, most: number): boolean {
  return value >= least && value <= most && Number.isInteger(Math.log2(value));
}

export class NtfsVolume {
  readonly geometry: NtfsGeometry;
  readonly #volume: VolumeBytes;
  /** Of the file table itself; grows while its own list of attributes is read. */
  #mft: Run[] = [];

  private constructor(volume: VolumeBytes, geometry: NtfsGeometry) {
    this.#volume = volume;
    this.geometry = geometry;
  }

  static async open(volume: VolumeBytes): Promise<NtfsVolume> {
    const geometry = await readNtfsBoot(volume);
    const ntfs = new NtfsVolume(volume, geometry);
    const { mftLcn, recordBytes, clusterBytes } = geometry;
    // The first record tells where the table lies, so it is read where the boot sector says.
    ntfs.#mft = [{ lcn: mftLcn, clusters: Math.ceil(recordBytes / clusterBytes) }];
    const first = await ntfs.#parts(0, ATTRIBUTE.data, (runs) => {
      ntfs.#mft = runs;
    });
    if (first.runs[0]?.lcn !== mftLcn)
      throw doubt('Its file table does not begin where the boot sector says.');
    return ntfs;
  }

  get mftRuns(): readonly Run[] {
    return this.#mft;
  }

  /** A record in use, fixed up. */
  async record(number: number): Promise<Buffer> {
    const { recordBytes } = this.geometry;
    const raw = fixUp(await this.readRuns(this.#mft, number * recordBytes, recordBytes), 'FILE');
    if ((raw.readUInt16LE(0x16) & 1) === 0) throw doubt(`Its record ${number} is not in use.`);
    return raw;
  }

  async attribute(number: number, type: number): Promise<NtfsAttribute> {
    return only(attributesOf(await this.record(number)), type, number);
  }

  /** A value in clusters, whose parts may lie in several records. Holes, compression and encryption are doubts. */
  stored(number: number, type: number): Promise<StoredValue> {
    return this.#parts(number, type, () => undefined);
  }

  async #parts(number: number, type: number, grown: (runs: Run[]) => void): Promise<StoredValue> {
    const attributes = attributesOf(await this.record(number));
    const list = attributes.find((one) => one.type === ATTRIBUTE.list);
    if (!list) {
      const whole = storedOf(only(attributes, type, number), 0);
      grown([...whole.runs]);
      return whole;
    }
    const entries = listEntries(await this.#valueOf(list), type);
    const runs: Run[] = [];
    let first: StoredValue | undefined;
    let vcn = 0;
    // The table's own first part must be known before its other records can be read.
    for (const { record, sequence, lowestVcn } of entries) {
      const held =
        record === number ? attributes : attributesOf(await this.#extension(record, sequence, number));
      const part = storedOf(only(held, type, record), vcn);
      if (lowestVcn !== vcn) throw doubt(`The parts of a value of its record ${number} have gaps.`);
      first ??= part;
      for (const run of part.runs) {
        runs.push(run);
        vcn += run.clusters;
      }
      grown(runs);
    }
    if (!first) throw doubt(`Its record ${number} has no value of type ${type}.`);
    return { ...first, runs };
  }

  /**
   * All attributes of a type and name, in the order of their clusters, wherever the record's list puts them; none when
   * the record has none. Holes and flags are for the caller to judge.
   */
  async parts(number: number, type: number, name: string): Promise<NtfsAttribute[]> {
    const base = await this.record(number);
    const list = attributesOf(base).find((one) => one.type === ATTRIBUTE.list);
    if (!list) return attributesOf(base, name).filter((one) => one.type === type);
    const parts: NtfsAttribute[] = [];
    let runs = 0;
    for (const { record, sequence, lowestVcn } of listEntries(await this.#valueOf(list), type, name)) {
      const held = record === number ? base : await this.#extension(record, sequence, number);
      const part = attributesOf(held, name).find(
        (one) => one.type === type && (one.stored?.lowestVcn ?? 0) === lowestVcn,
      );
      if (!part) throw doubt(`A value of its record ${number} is not where its list says.`);
      runs += part.stored?.runs.length ?? 0;
      if (runs > RUNS_MAX) throw doubt(`A value of its record ${number} is in too many pieces.`);
      parts.push(part);
    }
    return parts;
  }

  /** Bytes from a place in clusters. */
  readAt(lcn: number, atBytes: number, lengthBytes: number): Promise<Buffer> {
    return this.#volume.read(lcn * this.geometry.clusterBytes + atBytes, lengthBytes);
  }

  async #extension(record: number, sequence: number, base: number): Promise<Buffer> {
    const raw = await this.record(record);
    if (raw.readUIntLE(0x20, 6) !== base || raw.readUInt16LE(0x10) !== sequence) {
      throw doubt(`Its record ${record} does not belong to its record ${base}.`);
    }
    return raw;
  }

  async #valueOf({ value, stored, flags }: NtfsAttribute): Promise<Buffer> {
    if (value) return value;
    if (!stored || flags !== 0 || stored.lowestVcn !== 0 || stored.dataBytes > LIST_BYTES_MAX) {
      throw doubt('A list of attributes cannot be read.');
    }
    return this.readRuns(stored.runs, 0, stored.dataBytes);
  }

  /** Bytes of a value from its clusters. */
  async readRuns(runs: readonly Run[], atBytes: number, lengthBytes: number): Promise<Buffer> {
    const { clusterBytes, clusters } = this.geometry;
    const pieces: Buffer[] = [];
    const end = atBytes + lengthBytes;
    let start = 0;
    for (const { lcn, clusters: count } of runs) {
      const next = start + count * clusterBytes;
      const [from, to] = [Math.max(start, atBytes), Math.min(next, end)];
      if (from < to) {
        if (lcn === undefined || lcn + count > clusters) throw doubt('A value of it lies outside of it.');
        pieces.push(await this.#volume.read(lcn * clusterBytes + from - start, to - from));
      }
      start = next;
      if (start >= end) return Buffer.concat(pieces, lengthBytes);
    }
    throw doubt('A value of it is shorter than it says.');
  }
}

function only(attributes: readonly NtfsAttribute[], type: number, record: number): NtfsAttribute {
  const [one, second] = attributes.filter((each) => each.type === type);
  if (!one || second) throw doubt(`Its record ${record} has no single value of type ${type}.`);
  return one;
}

function storedOf({ stored, flags }: NtfsAttribute, lowestVcn: number): StoredValue {
  if (!stored || flags !== 0 || stored.lowestVcn !== lowestVcn) {
    throw doubt('A value of it is stored in a way that is not judged.');
  }
  return stored;
}
