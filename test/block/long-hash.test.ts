import { createXXHash128 } from 'hash-wasm';
import { describe, expect, it } from 'vitest';
import { LONG_HASH_BYTES_MIN, LongHash } from '../../src/block/long-hash.ts';

const MIB = 1024 * 1024;

describe('the checksum of long data', () => {
  it('is XXH128 of another implementation, at every edge of stripes and blocks and for any length', async () => {
    const other = await createXXHash128();
    const ours = new LongHash(MIB + 64);
    let state = 12_345;
    for (let at = 0; at < ours.data.length; at++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      ours.data[at] = state >>> 16;
    }
    const edges = [
      LONG_HASH_BYTES_MIN,
      255,
      256,
      257,
      1023,
      1024,
      1025,
      1088,
      1089,
      2048,
      2049,
      MIB - 1,
      MIB,
      MIB + 64,
    ];
    const lengths = [...edges, ...Array.from({ length: 200 }, (_, index) => 300 + ((index * 7919) % 9000))];
    for (const length of lengths) {
      other.init();
      other.update(ours.data.subarray(0, length));
      expect(Buffer.from(ours.digest(length)).toString('hex'), String(length)).toBe(other.digest('hex'));
    }
  });

  it('refuses what is too short for it or too long', () => {
    const hash = new LongHash(1024);
    expect(() => hash.digest(LONG_HASH_BYTES_MIN - 1)).toThrow(RangeError);
    expect(() => hash.digest(1025)).toThrow(RangeError);
  });
});
