import { StandbyError } from '../errors.ts';
import { CHECKSUM_BYTES, type Checksum } from './checksum.ts';
import { protocolBroken } from './frame.ts';
import { LIMITS } from './limits.ts';

/**
 * The body of a changes frame, little endian: 0 checksum (16) of everything after it, 16 u64 the sequence that the first
 * record follows, 24 u32 records, 28 zeros (4); then the records, each 40 bytes and its data:
 *   0 u64 sequence   8 u64 offset   16 u64 id of the set   24 u64 master's clock in ms   32 u32 length
 *   36 u16 disk, by its place in `streamStart`   38 u8 kind   39 zero
 * Numbers of the stream have 64 bits; offsets and clocks stay below 2^53.
 */
export const CHANGES_HEADER_BYTES = 32;
export const RECORD_BYTES = 40;

const KINDS = ['data', 'zero', 'trim', 'flush', 'set-begin', 'set-end'] as const;
export type RecordKind = (typeof KINDS)[number];

/** One change or mark of a stream, as src/capture/capture.ts describes it. */
export interface ChangeRecord {
  readonly sequence: bigint;
  /** Of no meaning for flushes and the marks of a set. */
  readonly disk: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly kind: RecordKind;
  /** Exactly `lengthBytes` for `data`. */
  readonly data?: Uint8Array;
  readonly setId?: bigint;
  readonly masterClockMs: number;
}

export interface ChangeBatch {
  /** The sequence of the record before the first. */
  readonly after: bigint;
  readonly records: readonly ChangeRecord[];
}

/** What a record takes in a frame. */
export function recordSpace({ kind, lengthBytes }: Pick<ChangeRecord, 'kind' | 'lengthBytes'>): number {
  return RECORD_BYTES + (kind === 'data' ? lengthBytes : 0);
}

/**
 * The body, behind so many bytes of room for what its sender puts before it: all in one buffer, since most data are short.
 * At most `LIMITS.changesBodyBytes`, or a RangeError.
 */
export function encodeChanges({ after, records }: ChangeBatch, checksum: Checksum, roomBytes = 0): Buffer {
  let length = CHANGES_HEADER_BYTES;
  for (const record of records) length += recordSpace(record);
  if (length > LIMITS.changesBodyBytes) throw new RangeError(`a batch of ${length} bytes is too long`);
  const whole = Buffer.allocUnsafe(roomBytes + length);
  const body = whole.subarray(roomBytes);
  body.fill(0, 0, CHANGES_HEADER_BYTES);
  body.writeBigUInt64LE(after, 16);
  body.writeUInt32LE(records.length, 24);
  let at = CHANGES_HEADER_BYTES;
  for (const record of records) at = encodeRecord(body, at, record);
  if (at !== length) throw new RangeError('a change has other data than its length says');
  body.set(checksum(body.subarray(CHECKSUM_BYTES)), 0);
  return whole;
}

/** Answers where the next one goes. */
function encodeRecord(body: Buffer, at: number, record: ChangeRecord): number {
  body.writeBigUInt64LE(record.sequence, at);
  writeWhole(body, at + 8, record.offsetBytes);
  body.writeBigUInt64LE(record.setId ?? 0n, at + 16);
  writeWhole(body, at + 24, Math.max(0, Math.round(record.masterClockMs)));
  body.writeUInt32LE(record.lengthBytes, at + 32);
  body.writeUInt16LE(record.disk, at + 36);
  body.writeUInt16LE(KINDS.indexOf(record.kind), at + 38);
  if (record.kind !== 'data' || !record.data) return at + RECORD_BYTES;
  body.set(record.data, at + RECORD_BYTES);
  return at + RECORD_BYTES + record.data.byteLength;
}

function writeWhole(body: Buffer, at: number, value: number): void {
  body.writeUInt32LE(value % 2 ** 32, at);
  body.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

/** Data are views into `body`. Throws PROTOCOL_BROKEN for what no master sends, BATCH_BROKEN for a wrong checksum. */
export function decodeChanges(body: Buffer, checksum: Checksum): ChangeBatch {
  if (body.length < CHANGES_HEADER_BYTES) throw protocolBroken('changes without a header');
  if (Buffer.compare(checksum(body.subarray(CHECKSUM_BYTES)), body.subarray(0, CHECKSUM_BYTES)) !== 0) {
    throw batchBroken();
  }
  const count = body.readUInt32LE(24);
  if (count === 0 || count > (body.length - CHANGES_HEADER_BYTES) / RECORD_BYTES) {
    throw protocolBroken(`${count} changes in ${body.length} bytes`);
  }
  const records: ChangeRecord[] = [];
  let at = CHANGES_HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    const record = decodeRecord(body, at);
    records.push(record);
    at += recordSpace(record);
  }
  if (at !== body.length) throw protocolBroken('changes that end elsewhere than their frame');
  return { after: body.readBigUInt64LE(16), records };
}

function decodeRecord(body: Buffer, at: number): ChangeRecord {
  if (at + RECORD_BYTES > body.length) throw protocolBroken('a change that is cut');
  const kind = KINDS[body.readUInt8(at + 38)];
  if (kind === undefined) throw protocolBroken('a change of an unknown kind');
  const lengthBytes = body.readUInt32LE(at + 32);
  const setId = body.readBigUInt64LE(at + 16);
  const end = at + recordSpace({ kind, lengthBytes });
  if (end > body.length) throw protocolBroken('a change that is longer than its frame');
  return {
    sequence: body.readBigUInt64LE(at),
    disk: body.readUInt16LE(at + 36),
    offsetBytes: whole(body, at + 8),
    lengthBytes,
    kind,
    ...(kind === 'data' ? { data: body.subarray(at + RECORD_BYTES, end) } : {}),
    ...(setId === 0n ? {} : { setId }),
    masterClockMs: whole(body, at + 24),
  };
}

function whole(body: Buffer, at: number): number {
  const value = body.readUInt32LE(at + 4) * 2 ** 32 + body.readUInt32LE(at);
  if (value > Number.MAX_SAFE_INTEGER) throw protocolBroken('a number that is out of range');
  return value;
}

/** The connection is closed then, and the master sends again what was not durable: nothing of it was kept. */
function batchBroken(): StandbyError {
  return new StandbyError({
    code: 'BATCH_BROKEN',
    what: 'Changes arrived with a wrong checksum.',
    why: 'TLS would have noticed a fault of the network: memory of the master or of the appliance may be broken.',
    retry: 'later',
  });
}
