import { createXXHash128 } from 'hash-wasm';
import { describe, expect, it } from 'vitest';
import { makeChecksum } from '../../src/wire/checksum.ts';
import { LIMITS } from '../../src/wire/limits.ts';

describe('the checksum of a block', () => {
  it('is XXH128 over its parts as if they were one, short or long', async () => {
    const checksum = await makeChecksum();
    const other = await createXXHash128();
    const bytes = Buffer.alloc(LIMITS.changesBodyBytes + 1000, 'what a disk may hold ');
    for (const length of [0, 1, 240, 241, 4096, 1_048_608, LIMITS.changesBodyBytes, bytes.length]) {
      const whole = bytes.subarray(0, length);
      const cut = Math.min(32, length);
      other.init();
      other.update(whole);
      const expected = other.digest('hex');
      expect(Buffer.from(checksum(whole)).toString('hex'), `${length} whole`).toBe(expected);
      const parts = [whole.subarray(0, cut), whole.subarray(cut)];
      expect(Buffer.from(checksum(...parts)).toString('hex'), `${length} in parts`).toBe(expected);
    }
  });
});
