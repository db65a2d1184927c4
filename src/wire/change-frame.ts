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

/** The body in pieces, ready to be sent; data are not copied. At most `LIMITS.changesBodyBytes`, or a RangeError. */
export function encodeChanges(batch: ChangeBatch, checksum: Checksum): Buffer[] {
  const head = Buffer.alloc(CHANGES_HEADER_BYTES);
  head.writeBigUInt64LE(batch.after, 16);
  head.writeUInt32LE(batch.records.length, 24);
  const pieces: Buffer[] = [head];
  let length = CHANGES_HEADER_BYTES;
  for (const record of batch.records) {
    length += recordSpace(record);
    pieces.push(encodeRecord(record));
    if (record.kind === 'data' && record.data) pieces.push(asBuffer(record.data));
  }
  if (length > LIMITS.changesBodyBytes) throw new RangeError(`a batch of ${length} bytes is too long`);
  head.set(checksum(head.subarray(CHECKSUM_BYTES), ...pieces.slice(1)), 0);
  return pieces;
}

function encodeRecord(record: ChangeRecord): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES);
  bytes.writeBigUInt64LE(record.sequence, 0);
  bytes.writeBigUInt64LE(BigInt(record.offsetBytes), 8);
  bytes.writeBigUInt64LE(record.setId ?? 0n, 16);
  bytes.writeBigUInt64LE(BigInt(Math.max(0, Math.round(record.masterClockMs))), 24);
  bytes.writeUInt32LE(record.lengthBytes, 32);
  bytes.writeUInt16LE(record.disk, 36);
  bytes.writeUInt8(KINDS.indexOf(record.kind), 38);
  return bytes;
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
  const value = body.readBigUInt64LE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw protocolBroken('a number that is out of range');
  return Number(value);
}

function asBuffer(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
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
