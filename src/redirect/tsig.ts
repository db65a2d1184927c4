import { createHmac, timingSafeEqual } from 'node:crypto';
import type { TsigAlgorithm } from '../model/redirect.ts';
import { CLASS, encodeName, HEADER_BYTES, readHead, skipName, TYPE } from './dns-message.ts';

/** Signs DNS messages with a shared key, and believes only answers that are signed with it (RFC 8945). */
export interface TsigKey {
  readonly name: string;
  readonly algorithm: TsigAlgorithm;
  /** The key itself, not its base64. Never shown. */
  readonly secret: Uint8Array;
}

/** Clocks may differ by so much. */
const FUDGE_SECONDS = 300;

export interface Signed {
  readonly message: Buffer;
  readonly mac: Buffer;
}

export function sign(message: Buffer, key: TsigKey, nowMs: number): Signed {
  const seconds = Math.floor(nowMs / 1000);
  const mac = macOf(key, [message, variables(key, { seconds, error: 0, other: Buffer.alloc(0) })]);
  const rdata = Buffer.concat([
    encodeName(key.algorithm),
    time(seconds),
    uint16(FUDGE_SECONDS, mac.length),
    mac,
    message.subarray(0, 2),
    uint16(0, 0),
  ]);
  const head = Buffer.alloc(10);
  head.writeUInt16BE(TYPE.TSIG, 0);
  head.writeUInt16BE(CLASS.ANY, 2);
  head.writeUInt16BE(rdata.length, 8);
  const signed = Buffer.concat([message, encodeName(key.name), head, rdata]);
  signed.writeUInt16BE(message.readUInt16BE(10) + 1, 10);
  return { message: signed, mac };
}

export type TsigVerdict =
  | { readonly kind: 'good' }
  | { readonly kind: 'unsigned' | 'forged' | 'late' }
  /** The server's own word: 16 bad signature, 17 bad key, 18 bad time. */
  | { readonly kind: 'refused'; readonly error: number };

/** Judges an answer to a message that was signed with `requestMac`. */
export function verify(reply: Buffer, key: TsigKey, requestMac: Buffer, nowMs: number): TsigVerdict {
  const found = findTsig(reply);
  if (!found) return { kind: 'unsigned' };
  // BADSIG and BADKEY come without a signature: the server could not make one.
  if ((found.error === 16 || found.error === 17) && found.mac.length === 0) {
    return { kind: 'refused', error: found.error };
  }
  const bare = Buffer.from(reply.subarray(0, found.start));
  bare.writeUInt16BE(reply.readUInt16BE(10) - 1, 10);
  found.originalId.copy(bare, 0);
  const expected = macOf(key, [uint16(requestMac.length), requestMac, bare, variables(key, found)]);
  if (expected.length !== found.mac.length || !timingSafeEqual(expected, found.mac))
    return { kind: 'forged' };
  if (found.error !== 0) return { kind: 'refused', error: found.error };
  const apart = Math.abs(nowMs / 1000 - found.seconds);
  return apart > FUDGE_SECONDS ? { kind: 'late' } : { kind: 'good' };
}

interface FoundTsig {
  readonly start: number;
  readonly seconds: number;
  readonly mac: Buffer;
  readonly originalId: Buffer;
  readonly error: number;
  readonly other: Buffer;
}

/** The signature is the last record of the message; anything that does not end exactly where it does counts as none. */
function findTsig(reply: Buffer): FoundTsig | undefined {
  const head = readHead(reply);
  if (!head || head.counts[3] === 0) return undefined;
  let at: number | undefined = HEADER_BYTES;
  for (let index = 0; index < head.counts[0] && at !== undefined; index++) {
    const end: number | undefined = skipName(reply, at);
    at = end === undefined ? undefined : end + 4;
  }
  const records = head.counts[1] + head.counts[2] + head.counts[3];
  let start = 0;
  let data = 0;
  for (let index = 0; index < records && at !== undefined; index++) {
    start = at;
    const end = skipName(reply, at);
    if (end === undefined || end + 10 > reply.length) return undefined;
    data = end + 10;
    if (index === records - 1 && reply.readUInt16BE(end) !== TYPE.TSIG) return undefined;
    at = data + reply.readUInt16BE(end + 8);
  }
  return at === reply.length ? readTsig(reply, start, data) : undefined;
}

function readTsig(reply: Buffer, start: number, data: number): FoundTsig | undefined {
  const at = skipName(reply, data);
  if (at === undefined || at + 10 > reply.length) return undefined;
  const macEnd = at + 10 + reply.readUInt16BE(at + 8);
  if (macEnd + 6 > reply.length) return undefined;
  return {
    start,
    seconds: reply.readUIntBE(at, 6),
    mac: reply.subarray(at + 10, macEnd),
    originalId: reply.subarray(macEnd, macEnd + 2),
    error: reply.readUInt16BE(macEnd + 2),
    other: reply.subarray(macEnd + 6),
  };
}

function variables(
  key: TsigKey,
  { seconds, error, other }: Pick<FoundTsig, 'seconds' | 'error' | 'other'>,
): Buffer {
  return Buffer.concat([
    encodeName(key.name),
    uint16(CLASS.ANY, 0, 0),
    encodeName(key.algorithm),
    time(seconds),
    uint16(FUDGE_SECONDS, error, other.length),
    other,
  ]);
}

function macOf(key: TsigKey, parts: readonly Buffer[]): Buffer {
  const hmac = createHmac(key.algorithm.replace('hmac-', ''), key.secret);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

function uint16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2);
  return bytes;
}

function time(seconds: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(seconds, 0, 6);
  return bytes;
}
