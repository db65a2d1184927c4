import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogFrame } from '../../src/journal/log.ts';
import { overlay } from '../../src/journal/overlay.ts';

const SIZE = 64;
const changes = fc.array(
  fc.record({
    disk: fc.integer({ min: 0, max: 1 }),
    offsetBytes: fc.integer({ min: 0, max: SIZE - 1 }),
    length: fc.integer({ min: 1, max: 16 }),
    fill: fc.integer({ min: 0, max: 255 }),
  }),
  { maxLength: 30 },
);

function frameOf(one: { disk: number; offsetBytes: number; length: number; fill: number }): LogFrame {
  const lengthBytes = Math.min(one.length, SIZE - one.offsetBytes);
  const payload = one.fill === 0 ? Buffer.alloc(0) : Buffer.alloc(lengthBytes, one.fill);
  return { disk: one.disk, offsetBytes: one.offsetBytes, lengthBytes, payload } as LogFrame;
}

describe('The overlay of changes', () => {
  it('writes, without an overlap, what writing them one after the other would leave', () => {
    fc.assert(
      fc.property(changes, (drawn) => {
        const frames = drawn.map(frameOf);
        const plain = [Buffer.alloc(SIZE, 255), Buffer.alloc(SIZE, 255)];
        for (const { disk, offsetBytes, lengthBytes, payload } of frames) {
          plain[disk]?.fill(0, offsetBytes, offsetBytes + lengthBytes);
          plain[disk]?.set(payload, offsetBytes);
        }
        const laid = [Buffer.alloc(SIZE, 255), Buffer.alloc(SIZE, 255)];
        for (const { disk, covered, writes } of overlay(frames)) {
          let last = 0;
          for (const { start, end, data } of writes) {
            expect(start).toBeGreaterThanOrEqual(last);
            last = end;
            laid[disk]?.fill(0, start, end);
            laid[disk]?.set(data ?? [], start);
          }
          const bytes = (ranges: readonly { start: number; end: number }[]) =>
            ranges.reduce((sum, { start, end }) => sum + end - start, 0);
          expect(bytes(covered)).toBe(bytes(writes));
        }
        expect(laid).toEqual(plain);
      }),
      { numRuns: 300 },
    );
  });
});
