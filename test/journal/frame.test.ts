import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  FRAME_BYTES,
  FrameCodec,
  type FrameDraft,
  KIND,
  SEGMENT_HEADER_BYTES,
} from '../../src/journal/frame.ts';

const OURS = { scenarioId: 'ours', epoch: 4, log: 'redo' } as const;
const draft: FrameDraft = {
  kind: KIND.data,
  flags: 2,
  disk: 7,
  sequence: 2n ** 60n,
  offsetBytes: 2 ** 45,
  lengthBytes: 5,
  clockMs: 1_700_000_000_000,
  payload: Buffer.from('hello'),
};

function written(codec = new FrameCodec(OURS)): Buffer {
  const bytes = Buffer.alloc(FRAME_BYTES);
  codec.write(bytes, 0, draft, 9, true);
  return bytes;
}

describe('A frame', () => {
  it('carries the CRC-32 of node:zlib over its head, as older journals do, whatever the numbers in it', () => {
    for (const value of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
      const facts = {
        ...draft,
        offsetBytes: value,
        lengthBytes: value,
        clockMs: value,
        sequence: BigInt(value),
      };
      const bytes = Buffer.alloc(FRAME_BYTES * 2);
      new FrameCodec(OURS).write(bytes, FRAME_BYTES, facts, value, false);
      const same = Buffer.alloc(FRAME_BYTES * 2);
      // Another function, so that no short cut is taken.
      new FrameCodec(OURS, (part, seed) => crc32(part, seed)).write(same, FRAME_BYTES, facts, value, false);
      expect(bytes).toEqual(same);
      expect(new FrameCodec(OURS).read(bytes, FRAME_BYTES)).toMatchObject({
        offsetBytes: value,
        lengthBytes: value,
        clockMs: value,
        group: value,
        sequence: BigInt(value),
      });
    }
  });

  it('reads back as it was written', () => {
    const codec = new FrameCodec(OURS);
    const { payload, ...facts } = draft;
    const read = codec.read(written(), 0);
    expect(read).toEqual({
      ...facts,
      flags: 130,
      group: 9,
      payloadLength: 5,
      payloadCrc: codec.payloadCrc(payload ?? Buffer.alloc(0)),
    });
  });

  it('is no frame when any bit of it is turned', () => {
    const codec = new FrameCodec(OURS);
    for (let bit = 0; bit < FRAME_BYTES * 8; bit++) {
      const bytes = written();
      bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      expect(codec.read(bytes, 0), `bit ${bit}`).toBeUndefined();
    }
  });

  it.each([
    { ...OURS, scenarioId: 'theirs' },
    { ...OURS, epoch: 5 },
    { ...OURS, log: 'undo' as const },
  ])('of another scenario, epoch or log is no frame here: %o', (identity) => {
    expect(new FrameCodec(OURS).read(written(new FrameCodec(identity)), 0)).toBeUndefined();
  });
});

describe('A segment header', () => {
  const facts = { segment: 12, firstGroup: 99, sequenceBefore: 1234n, timeBeforeMs: 77, previousEnd: 8000 };

  it('reads back, and says whose it is', () => {
    const codec = new FrameCodec(OURS);
    const bytes = codec.writeSegmentHeader(facts);
    expect(bytes.length).toBe(SEGMENT_HEADER_BYTES);
    const header = codec.readSegmentHeader(bytes);
    expect(header).toMatchObject({ ...facts, epoch: 4, version: 1 });
    if (!header) return;
    expect(codec.foreignness(header)).toBeUndefined();
    expect(new FrameCodec({ ...OURS, epoch: 5 }).foreignness(header)?.words).toContain('epoch 4, not 5');
    expect(new FrameCodec({ ...OURS, scenarioId: 'x' }).foreignness(header)?.code).toBe('journal');
    expect(codec.foreignness({ ...header, version: 2 })?.code).toBe('version');
  });
});
