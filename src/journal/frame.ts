import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * The frames of a journal's logs (docs/JOURNAL.md): 64 bytes, little endian, then the payload, padded to 64.
 * Checksums are CRC-32 from node:zlib: as fast here as XXH128 in wasm (4.5 GB/s), one native call that allocates
 * nothing, four bytes, and certain to see any burst of up to 32 bits. They start from a seed made of scenario, epoch and
 * log, so a frame from another journal never fits. They are no proof against an enemy: the digests of a disk are.
 */
export const FRAME_BYTES = 64;
export const SEGMENT_HEADER_BYTES = 128;
export const FORMAT_VERSION = 1;

const FRAME_MAGIC = 0x314a4253; // "SBJ1"
const SEGMENT_MAGIC = 'SBJOURNL';
const CRC_FROM = 8;

export const KIND = {
  data: 1,
  zero: 2,
  trim: 3,
  /** Everything up to this sequence is consistent. */
  mark: 4,
  /** The open atomic set is worth nothing: never apply it. */
  abandon: 5,
  /** Undo: opens a piece; then the old contents of what it overwrites. */
  piece: 16,
  oldData: 17,
  oldZero: 18,
  /** Undo: the piece before is durable, and the disks may be touched from here on. */
  begun: 19,
  /** Undo: everything after this place is being taken back. Written twice, so that one bad bit cannot hide it. */
  rewinding: 20,
  rewound: 21,
  /** Undo: the disks hold everything up to here, durably. A hint that saves work. */
  settled: 22,
} as const;

export const FLAG = { setFirst: 1, setInside: 2, setLast: 4, groupEnd: 128 } as const;

/** What the caller says of a frame; the log adds group and checksums. */
export interface FrameDraft {
  readonly kind: number;
  readonly flags: number;
  readonly disk: number;
  readonly sequence: bigint;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly clockMs: number;
  readonly payload?: Uint8Array | undefined;
}

export interface Frame extends Omit<FrameDraft, 'payload'> {
  readonly payloadLength: number;
  readonly payloadCrc: number;
  readonly group: number;
}

export interface SegmentHeader {
  readonly version: number;
  readonly segment: number;
  readonly epoch: number;
  readonly identity: string;
  readonly firstGroup: number;
  /** The last change before this segment. */
  readonly sequenceBefore: bigint;
  /** The latest clock of any frame before it. */
  readonly timeBeforeMs: number;
  /** Where the segment before this one ends. */
  readonly previousEnd: number;
}

export interface LogIdentity {
  readonly scenarioId: string;
  readonly epoch: number;
  readonly log: 'redo' | 'undo';
}

export type Checksum = (bytes: Uint8Array, seed: number) => number;
export const crcOf: Checksum = (bytes, seed) => crc32(bytes, seed);

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0xedb88320;
  return crc;
});

/** The same CRC-32 of a few bytes: the way to native code and back would cost more than they do. */
function crcOfHead(bytes: Uint8Array, from: number, to: number, seed: number): number {
  let crc = ~seed;
  for (let at = from; at < to; at++) crc = (CRC_TABLE[(crc ^ (bytes[at] ?? 0)) & 255] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** A whole number up to 2^53, as a u64. */
function setNumber(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

export function frameSpace(payloadLength: number): number {
  return FRAME_BYTES + Math.ceil(payloadLength / FRAME_BYTES) * FRAME_BYTES;
}

export class FrameCodec {
  readonly identity: LogIdentity;
  readonly #digest: string;
  readonly #seed: number;
  readonly #checksum: Checksum;
  /** Of the buffer that was written to last: a group is written into one, frame by frame. */
  #view: DataView = new DataView(new ArrayBuffer(0));
  #viewed: Buffer | undefined;

  constructor(identity: LogIdentity, checksum: Checksum = crcOf) {
    this.identity = identity;
    const words = JSON.stringify([identity.scenarioId, identity.log]);
    this.#digest = createHash('sha256').update(words).digest('hex').slice(0, 32);
    this.#seed = crc32(Buffer.from(`${this.#digest} ${identity.epoch}`));
    this.#checksum = checksum;
  }

  write(target: Buffer, at: number, draft: FrameDraft, group: number, isLast: boolean): void {
    const payload = draft.payload;
    if (this.#viewed !== target) {
      this.#view = new DataView(target.buffer, target.byteOffset, target.byteLength);
      this.#viewed = target;
    }
    const view = this.#view;
    view.setUint32(at, FRAME_MAGIC, true);
    view.setUint8(at + 8, draft.kind);
    view.setUint8(at + 9, draft.flags | (isLast ? FLAG.groupEnd : 0));
    view.setUint16(at + 10, draft.disk, true);
    view.setUint32(at + 12, payload?.length ?? 0, true);
    view.setBigUint64(at + 16, draft.sequence, true);
    setNumber(view, at + 24, draft.offsetBytes);
    setNumber(view, at + 32, draft.lengthBytes);
    setNumber(view, at + 40, draft.clockMs);
    setNumber(view, at + 48, group);
    view.setUint32(at + 56, payload ? this.payloadCrc(payload) : 0, true);
    view.setUint32(at + 60, this.identity.epoch, true);
    view.setUint32(at + 4, this.#headCrc(target, at), true);
  }

  #headCrc(bytes: Buffer, at: number): number {
    if (this.#checksum === crcOf) return crcOfHead(bytes, at + CRC_FROM, at + FRAME_BYTES, this.#seed);
    return this.#checksum(bytes.subarray(at + CRC_FROM, at + FRAME_BYTES), this.#seed);
  }

  /** Undefined when these bytes are no frame of this log. */
  read(bytes: Buffer, at: number): Frame | undefined {
    if (bytes.readUInt32LE(at) !== FRAME_MAGIC) return undefined;
    if (bytes.readUInt32LE(at + 4) !== this.#headCrc(bytes, at)) return undefined;
    return {
      kind: bytes.readUInt8(at + 8),
      flags: bytes.readUInt8(at + 9),
      disk: bytes.readUInt16LE(at + 10),
      payloadLength: bytes.readUInt32LE(at + 12),
      sequence: bytes.readBigUInt64LE(at + 16),
      offsetBytes: Number(bytes.readBigUInt64LE(at + 24)),
      lengthBytes: Number(bytes.readBigUInt64LE(at + 32)),
      clockMs: Number(bytes.readBigUInt64LE(at + 40)),
      group: Number(bytes.readBigUInt64LE(at + 48)),
      payloadCrc: bytes.readUInt32LE(at + 56),
    };
  }

  payloadCrc(payload: Uint8Array): number {
    return this.#checksum(payload, this.#seed);
  }

  writeSegmentHeader(facts: Omit<SegmentHeader, 'version' | 'epoch' | 'identity'>): Buffer {
    const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
    header.write(SEGMENT_MAGIC, 0, 'latin1');
    header.writeUInt16LE(FORMAT_VERSION, 12);
    header.write(this.identity.log, 16, 'latin1');
    header.writeUInt32LE(this.identity.epoch, 20);
    header.write(this.#digest, 24, 'latin1');
    header.writeBigUInt64LE(BigInt(facts.segment), 56);
    header.writeBigUInt64LE(BigInt(facts.firstGroup), 64);
    header.writeBigUInt64LE(facts.sequenceBefore, 72);
    header.writeBigUInt64LE(BigInt(facts.timeBeforeMs), 80);
    header.writeBigUInt64LE(BigInt(facts.previousEnd), 88);
    // Not seeded: a whole header of another journal must be readable, to say whose it is.
    header.writeUInt32LE(this.#checksum(header.subarray(12), 0), 8);
    return header;
  }

  readSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
    if (bytes.toString('latin1', 0, 8) !== SEGMENT_MAGIC) return undefined;
    const body = bytes.subarray(12, SEGMENT_HEADER_BYTES);
    if (bytes.readUInt32LE(8) !== this.#checksum(body, 0)) return undefined;
    return {
      version: bytes.readUInt16LE(12),
      segment: Number(bytes.readBigUInt64LE(56)),
      epoch: bytes.readUInt32LE(20),
      identity: bytes.toString('latin1', 24, 56),
      firstGroup: Number(bytes.readBigUInt64LE(64)),
      sequenceBefore: bytes.readBigUInt64LE(72),
      timeBeforeMs: Number(bytes.readBigUInt64LE(80)),
      previousEnd: Number(bytes.readBigUInt64LE(88)),
    };
  }

  /** Why a segment is not ours, as words for an error; undefined when it is. */
  foreignness(header: SegmentHeader): { code: 'version' | 'journal'; words: string } | undefined {
    if (header.version !== FORMAT_VERSION) {
      return {
        code: 'version',
        words: `it has format ${header.version}; this engine knows ${FORMAT_VERSION}`,
      };
    }
    if (header.identity !== this.#digest) {
      return { code: 'journal', words: 'it belongs to another scenario or log' };
    }
    if (header.epoch !== this.identity.epoch) {
      return { code: 'journal', words: `it is of epoch ${header.epoch}, not ${this.identity.epoch}` };
    }
    return undefined;
  }
}
