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
  readonly payload?: Uint8Array;
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

export function frameSpace(payloadLength: number): number {
  return FRAME_BYTES + Math.ceil(payloadLength / FRAME_BYTES) * FRAME_BYTES;
}

export class FrameCodec {
  readonly identity: LogIdentity;
  readonly #digest: string;
  readonly #seed: number;
  readonly #checksum: Checksum;

  constructor(identity: LogIdentity, checksum: Checksum = crcOf) {
    this.identity = identity;
    const words = JSON.stringify([identity.scenarioId, identity.log]);
    this.#digest = createHash('sha256').update(words).digest('hex').slice(0, 32);
    this.#seed = crc32(Buffer.from(`${this.#digest} ${identity.epoch}`));
    this.#checksum = checksum;
  }

  write(target: Buffer, at: number, draft: FrameDraft, group: number, isLast: boolean): void {
    const payload = draft.payload;
    target.writeUInt32LE(FRAME_MAGIC, at);
    target.writeUInt8(draft.kind, at + 8);
    target.writeUInt8(draft.flags | (isLast ? FLAG.groupEnd : 0), at + 9);
    target.writeUInt16LE(draft.disk, at + 10);
    target.writeUInt32LE(payload?.length ?? 0, at + 12);
    target.writeBigUInt64LE(draft.sequence, at + 16);
    target.writeBigUInt64LE(BigInt(draft.offsetBytes), at + 24);
    target.writeBigUInt64LE(BigInt(draft.lengthBytes), at + 32);
    target.writeBigUInt64LE(BigInt(draft.clockMs), at + 40);
    target.writeBigUInt64LE(BigInt(group), at + 48);
    target.writeUInt32LE(payload ? this.payloadCrc(payload) : 0, at + 56);
    target.writeUInt32LE(this.identity.epoch, at + 60);
    target.writeUInt32LE(
      this.#checksum(target.subarray(at + CRC_FROM, at + FRAME_BYTES), this.#seed),
      at + 4,
    );
  }

  /** Undefined when these bytes are no frame of this log. */
  read(bytes: Buffer, at: number): Frame | undefined {
    if (bytes.readUInt32LE(at) !== FRAME_MAGIC) return undefined;
    const found = this.#checksum(bytes.subarray(at + CRC_FROM, at + FRAME_BYTES), this.#seed);
    if (bytes.readUInt32LE(at + 4) !== found) return undefined;
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
