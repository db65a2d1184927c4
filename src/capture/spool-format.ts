import { crc32 } from 'node:zlib';

/**
 * How changes lie in a segment of the spool (docs/CAPTURE.md). All numbers are little endian. A segment opens with one
 * page that names it; records follow without gaps. Each segment has a salt of its own that goes into every checksum:
 * neither what an earlier lap left behind nor what a guest wrote on its disk can pass for a record.
 */
export const SEGMENT_HEADER_BYTES = 4096;
export const RECORD_HEADER_BYTES = 40;
/** A longer write becomes several records, so that nobody downstream needs more memory than this for one. */
export const RECORD_DATA_BYTES_MAX = 1024 * 1024;

const MAGIC = 0x4c50_5353;
const VERSION = 1;

export const RECORD_KINDS = ['data', 'zero', 'flush', 'set-begin', 'set-end'] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

export interface SegmentHeader {
  /** Counts all segments ever begun in this spool. */
  readonly number: number;
  /** The segment before this one; numbers of segments that were given up are between. */
  readonly previousNumber: number;
  /** The oldest segment still needed when this one began. */
  readonly oldest: number;
  readonly firstSequence: number;
  /** The last sequence of the segment before: without it, that segment lost its end. */
  readonly previousSequence: number;
  /** The set that was open when the segment began, or 0. */
  readonly openSet: number;
  /** Up to here changes were forgotten for good, because the appliance had them. */
  readonly forgottenSequence: number;
  readonly salt: number;
  readonly segmentBytes: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const page = Buffer.alloc(SEGMENT_HEADER_BYTES);
  page.writeUInt32LE(MAGIC, 4);
  page.writeUInt32LE(VERSION, 8);
  page.writeUInt32LE(header.salt, 12);
  page.writeBigUInt64LE(BigInt(header.number), 16);
  page.writeBigUInt64LE(BigInt(header.oldest), 24);
  page.writeBigUInt64LE(BigInt(header.firstSequence), 32);
  page.writeBigUInt64LE(BigInt(header.openSet), 40);
  page.writeUInt32LE(header.segmentBytes, 48);
  page.writeBigUInt64LE(BigInt(header.previousSequence), 56);
  page.writeBigUInt64LE(BigInt(header.forgottenSequence), 64);
  page.writeBigUInt64LE(BigInt(header.previousNumber), 72);
  page.writeUInt32LE(crc32(page.subarray(4)), 0);
  return page;
}

/** Undefined when this is no header, or not a whole one. */
export function decodeSegmentHeader(page: Buffer): SegmentHeader | undefined {
  if (page.length < SEGMENT_HEADER_BYTES || page.readUInt32LE(4) !== MAGIC) return undefined;
  if (page.readUInt32LE(8) !== VERSION) return undefined;
  if (crc32(page.subarray(4, SEGMENT_HEADER_BYTES)) !== page.readUInt32LE(0)) return undefined;
  return {
    salt: page.readUInt32LE(12),
    number: Number(page.readBigUInt64LE(16)),
    oldest: Number(page.readBigUInt64LE(24)),
    firstSequence: Number(page.readBigUInt64LE(32)),
    openSet: Number(page.readBigUInt64LE(40)),
    segmentBytes: page.readUInt32LE(48),
    previousSequence: Number(page.readBigUInt64LE(56)),
    forgottenSequence: Number(page.readBigUInt64LE(64)),
    previousNumber: Number(page.readBigUInt64LE(72)),
  };
}

export interface SpoolRecord {
  readonly sequence: number;
  readonly kind: RecordKind;
  /** Position of the disk in the spool's list of disks; 0 for the marks of a set. */
  readonly disk: number;
  readonly offsetBytes: number;
  /** Of the disk's range; 0 for marks. */
  readonly lengthBytes: number;
  /** For marks of a set: which one. */
  readonly set: number;
  readonly clockMs: number;
  readonly data: Buffer | undefined;
  /** Of the whole record in the segment. */
  readonly storedBytes: number;
}

export interface NewRecord {
  readonly kind: RecordKind;
  readonly disk: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly set?: number;
  readonly pieces?: readonly Uint8Array[];
}

const HIGH = 2 ** 32;

/** The header with its checksum over itself and the pieces, which are not copied. */
export function encodeRecordHeader(
  record: NewRecord,
  sequence: number,
  clockMs: number,
  salt: number,
): Buffer {
  const header = Buffer.allocUnsafe(RECORD_HEADER_BYTES);
  const place = record.set ?? record.offsetBytes;
  header.writeUInt32LE(sequence % HIGH, 4);
  header.writeUInt32LE(Math.floor(sequence / HIGH), 8);
  header.writeUInt32LE(place % HIGH, 12);
  header.writeUInt32LE(Math.floor(place / HIGH), 16);
  header.writeUInt32LE(record.lengthBytes, 20);
  header.writeUInt16LE(record.disk, 24);
  header.writeUInt16LE(RECORD_KINDS.indexOf(record.kind), 26);
  header.writeDoubleLE(clockMs, 28);
  header.writeUInt32LE(0, 36);
  let sum = crc32(header.subarray(4), salt);
  for (const piece of record.pieces ?? []) sum = crc32(piece, sum);
  header.writeUInt32LE(sum, 0);
  return header;
}

/**
 * The record at `at`: `short` when the bytes end before it does (then `needBytes` says how many it takes), undefined
 * when there is no record there. The data are part of `bytes`, not copied.
 */
export function decodeRecord(
  bytes: Buffer,
  at: number,
  salt: number,
): SpoolRecord | { readonly short: true; readonly needBytes: number } | undefined {
  if (bytes.length - at < RECORD_HEADER_BYTES) return { short: true, needBytes: RECORD_HEADER_BYTES };
  const kind = RECORD_KINDS[bytes.readUInt16LE(at + 26)];
  const lengthBytes = bytes.readUInt32LE(at + 20);
  if (kind === undefined || (kind === 'data' && lengthBytes > RECORD_DATA_BYTES_MAX)) return undefined;
  const dataBytes = kind === 'data' ? lengthBytes : 0;
  const storedBytes = RECORD_HEADER_BYTES + dataBytes;
  if (bytes.length - at < storedBytes) return { short: true, needBytes: storedBytes };
  if (crc32(bytes.subarray(at + 4, at + storedBytes), salt) !== bytes.readUInt32LE(at)) return undefined;
  const place = bytes.readUInt32LE(at + 12) + bytes.readUInt32LE(at + 16) * HIGH;
  const isSet = kind === 'set-begin' || kind === 'set-end';
  return {
    sequence: bytes.readUInt32LE(at + 4) + bytes.readUInt32LE(at + 8) * HIGH,
    kind,
    disk: bytes.readUInt16LE(at + 24),
    offsetBytes: isSet ? 0 : place,
    lengthBytes,
    set: isSet ? place : 0,
    clockMs: bytes.readDoubleLE(at + 28),
    data: dataBytes > 0 ? bytes.subarray(at + RECORD_HEADER_BYTES, at + storedBytes) : undefined,
    storedBytes,
  };
}
