import { doubt } from './volume.ts';

/** Records of an NTFS volume: fix-ups, attributes, runs. Nothing in them is trusted: what does not fit is a doubt. */
export interface NtfsAttribute {
  readonly type: number;
  /** Compressed, encrypted or sparse: the flags say which. */
  readonly flags: number;
  /** Resident: the value. */
  readonly value?: Buffer;
  readonly stored?: StoredValue;
}

/** A value that lies in clusters, or the part of it that one record tells of. */
export interface StoredValue {
  readonly lowestVcn: number;
  readonly runs: readonly Run[];
  /** Only where `lowestVcn` is 0. */
  readonly dataBytes: number;
  readonly initialisedBytes: number;
}

export interface Run {
  /** Undefined: a hole. */
  readonly lcn: number | undefined;
  readonly clusters: number;
}

const SECTOR_BYTES = 512;
const END = 0xffffffff;

/**
 * The last two bytes of each sector were replaced by a counter when the record was written, and the counter differs
 * where a write was torn. Puts the real bytes back, in place.
 */
export function fixUp(record: Buffer, magic: 'FILE' | 'RSTR' | 'INDX'): Buffer {
  if (record.toString('latin1', 0, 4) !== magic) throw doubt(`A record of it does not begin with ${magic}.`);
  const [at, count] = [record.readUInt16LE(4), record.readUInt16LE(6)];
  const sectors = record.length / SECTOR_BYTES;
  if (count !== sectors + 1 || at % 2 !== 0 || at + count * 2 > SECTOR_BYTES - 2) {
    throw doubt('A record of it has impossible fix-ups.');
  }
  const counter = record.readUInt16LE(at);
  for (let sector = 1; sector <= sectors; sector++) {
    const end = sector * SECTOR_BYTES - 2;
    if (record.readUInt16LE(end) !== counter) throw doubt('A record of it was not written to its end.');
    record.copy(record, end, at + sector * 2, at + sector * 2 + 2);
  }
  return record;
}

/** The attributes of a record that was fixed up which have this name, or none. */
export function attributesOf(record: Buffer, name = ''): NtfsAttribute[] {
  const used = record.readUInt32LE(0x18);
  if (used > record.length) throw doubt('A record of it is longer than a record.');
  const attributes: NtfsAttribute[] = [];
  let at = record.readUInt16LE(0x14);
  while (at + 4 <= used && record.readUInt32LE(at) !== END) {
    const length = at + 0x18 <= used ? record.readUInt32LE(at + 4) : 0;
    if (length < 0x18 || length % 8 !== 0 || at + length > used) {
      throw doubt('A record of it has an attribute of impossible length.');
    }
    const raw = record.subarray(at, at + length);
    if (nameOf(raw, 9, raw.readUInt16LE(10)) === name) attributes.push(attributeOf(raw));
    at += length;
  }
  if (at + 4 > used) throw doubt('A record of it has no end.');
  return attributes;
}

/** A name outside of its attribute is cut, and then matches nothing. */
function nameOf(raw: Buffer, lengthAt: number, nameAt: number): string {
  return raw.toString('utf16le', nameAt, nameAt + (raw[lengthAt] ?? 0) * 2);
}

function attributeOf(raw: Buffer): NtfsAttribute {
  const head = { type: raw.readUInt32LE(0), flags: raw.readUInt16LE(12) };
  if (raw[8] === 0) {
    const [length, from] = [raw.readUInt32LE(0x10), raw.readUInt16LE(0x14)];
    if (from + length > raw.length) throw doubt('A value of it is longer than its attribute.');
    return { ...head, value: raw.subarray(from, from + length) };
  }
  if (raw.length < 0x40) throw doubt('An attribute of it is too short.');
  const lowestVcn = number64(raw, 0x10);
  const runs = runsOf(raw.subarray(Math.min(raw.readUInt16LE(0x20), raw.length)));
  const clusters = runs.reduce((sum, run) => sum + run.clusters, 0);
  if (lowestVcn + clusters !== number64(raw, 0x18) + 1) throw doubt('The runs of a value are not complete.');
  return {
    ...head,
    stored: { lowestVcn, runs, dataBytes: number64(raw, 0x30), initialisedBytes: number64(raw, 0x38) },
  };
}

function runsOf(raw: Buffer): Run[] {
  const runs: Run[] = [];
  let lcn = 0;
  let at = 0;
  for (;;) {
    const head = raw[at];
    if (head === undefined) throw doubt('The runs of a value have no end.');
    if (head === 0) return runs;
    const [lengthBytes, offsetBytes] = [head & 0xf, head >>> 4];
    const next = at + 1 + lengthBytes + offsetBytes;
    if (lengthBytes < 1 || lengthBytes > 6 || offsetBytes > 6 || next > raw.length) {
      throw doubt('The runs of a value cannot be read.');
    }
    const clusters = raw.readIntLE(at + 1, lengthBytes);
    if (offsetBytes > 0) lcn += raw.readIntLE(at + 1 + lengthBytes, offsetBytes);
    if (clusters <= 0 || lcn < 0) throw doubt('The runs of a value make no sense.');
    runs.push({ lcn: offsetBytes > 0 ? lcn : undefined, clusters });
    at = next;
  }
}

export interface ListEntry {
  readonly lowestVcn: number;
  readonly record: number;
  readonly sequence: number;
}

/** Which records hold the parts of the attribute of this type and name, in the order of its clusters. */
export function listEntries(list: Buffer, type: number, name = ''): ListEntry[] {
  const entries: ListEntry[] = [];
  for (let at = 0; at < list.length; ) {
    const length = at + 0x1a <= list.length ? list.readUInt16LE(at + 4) : 0;
    if (length < 0x1a || at + length > list.length) throw doubt('A list of attributes cannot be read.');
    const entry = list.subarray(at, at + length);
    if (entry.readUInt32LE(0) === type && nameOf(entry, 6, entry.readUInt8(7)) === name) {
      entries.push({
        lowestVcn: number64(list, at + 8),
        record: list.readUIntLE(at + 0x10, 6),
        sequence: list.readUInt16LE(at + 0x16),
      });
    }
    at += length;
  }
  return entries.sort((a, b) => a.lowestVcn - b.lowestVcn);
}

/** Beyond 2^53 it is nonsense on any disk, and stays large enough to be refused. */
export function number64(raw: Buffer, at: number): number {
  return raw.readUInt32LE(at) + raw.readUInt32LE(at + 4) * 2 ** 32;
}
