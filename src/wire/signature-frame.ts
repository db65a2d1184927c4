import { PAGES_PER_CHUNK } from '../block/chunks.ts';
import { SIGNATURE_BYTES } from '../block/page-signer.ts';
import { protocolBroken } from './frame.ts';
import { LIMITS } from './limits.ts';

/**
 * The body of a signatures frame: one byte for each chunk that was asked for (what is known of it), then for each
 * `signed` chunk, in order, a u32 for each of its 256 pages: 0 = all zeros (docs/WIRE.md tells how it is made).
 */
export const KNOWN = {
  /** The chunk holds zeros only. */
  zeros: 0,
  signed: 1,
  /** No signature of it is to be believed: send it whole. */
  nothing: 2,
} as const;

const CHUNK_SIGNATURES_BYTES = PAGES_PER_CHUNK * SIGNATURE_BYTES;
/** Of one chunk. */
export const CHUNK_KNOWN_BYTES_MAX = 1 + CHUNK_SIGNATURES_BYTES;
export const SIGNATURES_BODY_BYTES = LIMITS.askChunks * CHUNK_KNOWN_BYTES_MAX;

/** What the replica holds in one chunk: the signatures of its pages, or that it is all zeros, or nothing certain. */
export type KnownChunk = Uint32Array | 'zeros' | 'nothing';

export function writeSignatures(chunks: readonly KnownChunk[]): Buffer {
  const signed = chunks.filter((chunk) => typeof chunk !== 'string').length;
  const body = Buffer.allocUnsafe(chunks.length + signed * CHUNK_SIGNATURES_BYTES);
  let at = chunks.length;
  for (const [index, chunk] of chunks.entries()) {
    body[index] = typeof chunk === 'string' ? KNOWN[chunk] : KNOWN.signed;
    if (typeof chunk === 'string') continue;
    for (const signature of chunk) at = body.writeUInt32LE(signature, at);
  }
  return body;
}

export function readSignatures(body: Buffer, count: number): KnownChunk[] {
  const chunks: KnownChunk[] = [];
  let at = count;
  for (let index = 0; index < count; index++) {
    const known = body[index];
    if (known === KNOWN.zeros) chunks.push('zeros');
    else if (known === KNOWN.nothing) chunks.push('nothing');
    else if (known === KNOWN.signed && at + CHUNK_SIGNATURES_BYTES <= body.length) {
      chunks.push(new Uint32Array(PAGES_PER_CHUNK).map((_, page) => body.readUInt32LE(at + page * 4)));
      at += CHUNK_SIGNATURES_BYTES;
    } else throw protocolBroken('signatures that cannot be read');
  }
  if (at !== body.length) throw protocolBroken('signatures of another length');
  return chunks;
}

/** `u32 count`, of the frames that name a run of chunks. */
export function countBody(count: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32LE(count);
  return body;
}

export function readCount(body: Buffer, max: number): number {
  const count = body.length === 4 ? body.readUInt32LE(0) : 0;
  if (count === 0 || count > max) throw protocolBroken('a run of chunks without a sensible count');
  return count;
}
