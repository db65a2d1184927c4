import { describe, expect, it } from 'vitest';
import { ChunkBuffers } from '../../src/block/chunk-buffers.ts';
import { CHUNK_BYTES } from '../../src/block/chunks.ts';

describe('the memory of proofs', () => {
  it('is so many chunks and no more, whoever asks; a work that fails gives its own back', async () => {
    const buffers = new ChunkBuffers(2);
    const seen = new Set<Buffer>();
    const order: number[] = [];
    let atOnce = 0;
    let most = 0;
    const works = Array.from({ length: 6 }, (_, index) =>
      buffers.lend(async (buffer) => {
        seen.add(buffer);
        order.push(index);
        most = Math.max(most, ++atOnce);
        await new Promise((resolve) => setImmediate(resolve));
        atOnce--;
        if (index === 1) throw new Error('this one fails');
        return buffer.length;
      }),
    );
    const ends = await Promise.allSettled(works);
    expect(ends.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      ...Array(4).fill('fulfilled'),
    ]);
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    expect(most).toBe(2);
    expect([...seen].map(({ length }) => length)).toEqual([CHUNK_BYTES, CHUNK_BYTES]);
  });
});
