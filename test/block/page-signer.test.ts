import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { CHUNK_BYTES, PAGE_BYTES } from '../../src/block/chunks.ts';
import { PageSigner } from '../../src/block/page-signer.ts';
import { noiseOf } from '../fixtures/engines.ts';

/** NH as RFC 4418 says it, word by word, in numbers without end. */
function slowly(page: Buffer, key: string): number {
  const words = createHash('shake256', { outputLength: PAGE_BYTES + 8 })
    .update(key)
    .digest();
  words[PAGE_BYTES] = (words[PAGE_BYTES] ?? 0) | 1;
  if (page.every((byte) => byte === 0)) return 0;
  let sum = 0n;
  for (let at = 0; at < PAGE_BYTES; at += 32) {
    for (let word = at; word < at + 16; word += 4) {
      const first = (page.readUInt32LE(word) + words.readUInt32LE(word)) >>> 0;
      const second = (page.readUInt32LE(word + 16) + words.readUInt32LE(word + 16)) >>> 0;
      sum = BigInt.asUintN(64, sum + BigInt(first) * BigInt(second));
    }
  }
  return Number(BigInt.asUintN(64, sum * words.readBigUInt64LE(PAGE_BYTES)) >> 32n) || 1;
}

it('signs every page as the definition says, zeros with 0, and another key gives another signature', () => {
  const signer = new PageSigner('attempt one');
  noiseOf(3)(CHUNK_BYTES).copy(signer.chunk);
  signer.chunk.fill(0, 9 * PAGE_BYTES, 11 * PAGE_BYTES);
  signer.chunk[10 * PAGE_BYTES + 4095] = 1;
  const signed = [...signer.sign(CHUNK_BYTES)];
  const pages = Array.from({ length: 256 }, (_, page) =>
    Buffer.from(signer.chunk.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)),
  );
  expect(signed).toEqual(pages.map((page) => slowly(page, 'attempt one')));
  expect([signed[9], signed[10] === 0]).toEqual([0, false]);
  const other = new PageSigner('attempt two');
  signer.chunk.copy(other.chunk);
  const equal = [...other.sign(CHUNK_BYTES)].filter((signature, page) => signature === signed[page]);
  expect(equal).toEqual([0]);
});

it('sees each single bit that changes, and counts what lies behind a short last chunk as zeros', () => {
  const signer = new PageSigner('key');
  const page = noiseOf(8)(PAGE_BYTES);
  page.copy(signer.chunk);
  const before = signer.sign(PAGE_BYTES)[0];
  for (let bit = 0; bit < PAGE_BYTES * 8; bit += 37) {
    const at = bit >>> 3;
    signer.chunk[at] = (page[at] ?? 0) ^ (1 << (bit & 7));
    expect([bit, signer.sign(PAGE_BYTES)[0] === before]).toEqual([bit, false]);
    signer.chunk[at] = page[at] ?? 0;
  }
  signer.chunk.fill(0xff);
  noiseOf(1)(3 * 512).copy(signer.chunk, PAGE_BYTES);
  const short = [...signer.sign(PAGE_BYTES + 3 * 512)];
  const padded = Buffer.concat([noiseOf(1)(3 * 512), Buffer.alloc(PAGE_BYTES - 3 * 512)]);
  expect(short[1]).toBe(slowly(padded, 'key'));
  expect(short.slice(2).every((signature) => signature === 0)).toBe(true);
});
