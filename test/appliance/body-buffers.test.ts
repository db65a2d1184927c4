import { expect, it } from 'vitest';
import { BodyBuffers } from '../../src/appliance/body-buffers.ts';

const KIB = 1024;

it('gives memory back to the next body of about that length, and to nobody who still has it', () => {
  const buffers = new BodyBuffers(1088 * KIB, 512 * KIB);
  const first = buffers.take(200 * KIB);
  expect(first).toHaveLength(200 * KIB);
  const second = buffers.take(200 * KIB);
  expect(second.buffer).not.toBe(first.buffer);
  buffers.give(first);
  const third = buffers.take(130 * KIB);
  expect(third).toHaveLength(130 * KIB);
  expect(third.buffer).toBe(first.buffer);
  expect(buffers.take(130 * KIB).buffer).not.toBe(first.buffer);
});

it('makes what is short or longest as asked, and keeps no more than it may', () => {
  const buffers = new BodyBuffers(1088 * KIB, 512 * KIB);
  for (const length of [0, 1, 4096, 33 * KIB, 64 * KIB, 700 * KIB, 1088 * KIB]) {
    const body = buffers.take(length);
    expect(body).toHaveLength(length);
    expect(body.buffer.byteLength).toBeLessThan(2 * length + 64 * KIB);
    buffers.give(body);
  }
  const longest = buffers.take(1088 * KIB);
  buffers.give(longest);
  expect(buffers.take(1088 * KIB).buffer).not.toBe(longest.buffer);
});
