import { StandbyError } from '../errors.ts';
import { HEADER_BYTES } from './limits.ts';

/**
 * The frame of port 25000: 16 bytes, little endian, then the body.
 *   0 u32 length of the body   4 u8 type   5 u8 flags   6 u16 stream   8 u64 argument
 */
export const FRAME = {
  /** A JSON message. */
  message: 1,
  /** Data of one chunk: stream = disk, argument = chunk. */
  block: 2,
  /** Chunks without data: stream = disk, argument = first chunk, body = u32 count. */
  zeros: 3,
  /** The receiver wrote so many blocks (argument); as many more may be sent. */
  credit: 4,
  /** This block's checksum was wrong: send it again. Returns its credit. */
  again: 5,
  /** Still here. */
  ping: 6,
  /** Changes in the order of the master's stream (change-frame.ts). */
  changes: 7,
  /** Body = u64: every change up to this sequence is durable here. */
  durable: 8,
  /** What does the replica hold in these chunks? stream = disk, argument = first chunk, body = u32 count. */
  ask: 9,
  /** The answer to `ask` (signature-frame.ts). */
  signatures: 10,
  /** The replica's chunks are as their signatures said: stream = disk, argument = first chunk, body = u32 count. */
  same: 11,
} as const;

export const FLAG_ZSTD = 1;
/** A block of changed pages: the others stay as the replica has them. */
export const FLAG_PATCH = 2;

export interface FrameHeader {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly argument: number;
}

export function writeHeader(target: Buffer, header: FrameHeader): void {
  target.writeUInt32LE(header.length, 0);
  target.writeUInt8(header.type, 4);
  target.writeUInt8(header.flags, 5);
  target.writeUInt16LE(header.stream, 6);
  target.writeBigUInt64LE(BigInt(header.argument), 8);
}

export function makeFrame(type: number, body?: Uint8Array, stream = 0, argument = 0): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + (body?.length ?? 0));
  writeHeader(frame, { length: body?.length ?? 0, type, flags: 0, stream, argument });
  if (body) frame.set(body, HEADER_BYTES);
  return frame;
}

/** Which frames are welcome, and where their bodies go. */
export interface FrameSink {
  /** Longest body of this type here; undefined when the type is not welcome. Asked before anything is allocated. */
  limitOf(type: number): number | undefined;
  /** A buffer of at least `length` for the body; the sink owns it after `onFrame`. */
  bufferFor(type: number, length: number): Buffer;
  onFrame(header: FrameHeader, body: Buffer): void;
}

const EMPTY = Buffer.alloc(0);

/** Takes bytes as they come and hands over whole frames. Throws PROTOCOL_BROKEN; the connection is closed then. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #head = Buffer.alloc(HEADER_BYTES);
  #headFilled = 0;
  #header: FrameHeader | undefined;
  #body: Buffer = EMPTY;
  #bodyFilled = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (!this.#header) {
        at += this.#fillHead(bytes, at);
      } else {
        const taken = Math.min(this.#header.length - this.#bodyFilled, bytes.length - at);
        bytes.copy(this.#body, this.#bodyFilled, at, at + taken);
        this.#bodyFilled += taken;
        at += taken;
      }
      const header = this.#header;
      if (header && this.#bodyFilled === header.length) {
        const body = this.#body;
        this.#header = undefined;
        this.#body = EMPTY;
        this.#sink.onFrame(header, body.length === header.length ? body : body.subarray(0, header.length));
      }
    }
  }

  #fillHead(bytes: Buffer, at: number): number {
    const taken = Math.min(HEADER_BYTES - this.#headFilled, bytes.length - at);
    bytes.copy(this.#head, this.#headFilled, at, at + taken);
    this.#headFilled += taken;
    if (this.#headFilled < HEADER_BYTES) return taken;
    this.#headFilled = 0;
    const header = this.#readHeader();
    this.#body = header.length > 0 ? this.#sink.bufferFor(header.type, header.length) : EMPTY;
    this.#bodyFilled = 0;
    this.#header = header;
    return taken;
  }

  #readHeader(): FrameHeader {
    const length = this.#head.readUInt32LE(0);
    const type = this.#head.readUInt8(4);
    const limit = this.#sink.limitOf(type);
    if (limit === undefined) throw protocolBroken(`a frame of type ${type} has no place here`);
    if (length > limit) throw protocolBroken(`a frame of ${length} bytes is longer than ${limit}`);
    const argument = this.#head.readBigUInt64LE(8);
    if (argument > BigInt(Number.MAX_SAFE_INTEGER)) throw protocolBroken('an argument is out of range');
    const stream = this.#head.readUInt16LE(6);
    return { length, type, flags: this.#head.readUInt8(5), stream, argument: Number(argument) };
  }
}

export function protocolBroken(why: string): StandbyError {
  return new StandbyError({
    code: 'PROTOCOL_BROKEN',
    what: 'The peer broke the protocol.',
    why: `It sent ${why}.`,
  });
}
