/**
 * The numbers of the NBD protocol (proto.md of the NetworkBlockDevice project) that this server speaks: fixed newstyle
 * negotiation, simple replies. All are big endian on the wire.
 */
export const HANDSHAKE = {
  /** "NBDMAGIC", then "IHAVEOPT". */
  greeting: 'NBDMAGICIHAVEOPT',
  optionMagic: 'IHAVEOPT',
  replyMagic: 0x3e889045565a9n,
  fixedNewstyle: 1,
  noZeroes: 2,
} as const;

export const OPTION = { exportName: 1, abort: 2, list: 3, info: 6, go: 7 } as const;

export const REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  unsupported: 0x80000001,
  invalid: 0x80000003,
  unknown: 0x80000006,
} as const;

export const INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

export const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, writeZeroes: 6 } as const;

export const COMMAND_FLAG = { fua: 1, noHole: 2 } as const;

/** HAS_FLAGS, SEND_FLUSH, SEND_FUA, SEND_TRIM, SEND_WRITE_ZEROES, CAN_MULTI_CONN: a flush covers all connections. */
export const TRANSMISSION_FLAGS = 1 | 4 | 8 | 32 | 64 | 256;

export const REQUEST_MAGIC = 0x25609513;
export const REQUEST_BYTES = 28;
const SIMPLE_REPLY_MAGIC = 0x67446698;
export const SIMPLE_REPLY_BYTES = 16;

export const ERROR = { io: 5, invalid: 22, noSpace: 28, shutdown: 108 } as const;

/** Every length a client may name, before anything is allocated for it. */
export const NBD_LIMITS = {
  optionBytes: 16 * 1024,
  options: 256,
  nameBytes: 4096,
  requestBytes: 32 * 1024 * 1024,
  connections: 64,
  /** Of one connection: requests taken but not answered, and bytes of them; then nothing more is read from it. */
  requestsInFlight: 256,
  bytesInFlight: 32 * 1024 * 1024,
  negotiationMs: 10_000,
} as const;

export const BLOCK_SIZES = { minimum: 1, preferred: 4096, maximum: NBD_LIMITS.requestBytes } as const;

export interface Request {
  readonly flags: number;
  readonly command: number;
  readonly cookieHigh: number;
  readonly cookieLow: number;
  /** Past 2^53 it is past every disk's end as well. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Undefined when this is no request: the stream cannot be understood any further. */
export function decodeRequest(bytes: Buffer): Request | undefined {
  if (bytes.readUInt32BE(0) !== REQUEST_MAGIC) return undefined;
  return {
    flags: bytes.readUInt16BE(4),
    command: bytes.readUInt16BE(6),
    cookieHigh: bytes.readUInt32BE(8),
    cookieLow: bytes.readUInt32BE(12),
    offsetBytes: bytes.readUInt32BE(16) * 2 ** 32 + bytes.readUInt32BE(20),
    lengthBytes: bytes.readUInt32BE(24),
  };
}

export function writeSimpleReply(target: Buffer, request: Request, error: number): void {
  target.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
  target.writeUInt32BE(error, 4);
  target.writeUInt32BE(request.cookieHigh, 8);
  target.writeUInt32BE(request.cookieLow, 12);
}

export function optionReply(option: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(HANDSHAKE.replyMagic, 0);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(type, 12);
  head.writeUInt32BE(data.length, 16);
  return Buffer.concat([head, data]);
}
