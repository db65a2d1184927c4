import { beforeAll, describe, expect, it } from 'vitest';
import { type ChangeBatch, decodeChanges, encodeChanges, RECORD_BYTES } from '../../src/wire/change-frame.ts';
import { type Checksum, makeChecksum } from '../../src/wire/checksum.ts';
import { LIMITS } from '../../src/wire/limits.ts';

let checksum: Checksum;
beforeAll(async () => {
  checksum = await makeChecksum();
});

const BATCH: ChangeBatch = {
  after: 2n ** 40n,
  records: [
    {
      sequence: 2n ** 40n + 3n,
      disk: 0,
      offsetBytes: 0,
      lengthBytes: 0,
      kind: 'set-begin',
      setId: 7n,
      masterClockMs: 1,
    },
    {
      sequence: 2n ** 60n,
      disk: 1,
      offsetBytes: 2 ** 45,
      lengthBytes: 700,
      kind: 'data',
      data: Buffer.alloc(700, 9),
      masterClockMs: 1_700_000_000_000,
    },
    {
      sequence: 2n ** 60n + 1n,
      disk: 0,
      offsetBytes: 512,
      lengthBytes: 2 ** 30,
      kind: 'zero',
      masterClockMs: 5,
    },
    {
      sequence: 2n ** 60n + 2n,
      disk: 0,
      offsetBytes: 0,
      lengthBytes: 0,
      kind: 'set-end',
      setId: 7n,
      masterClockMs: 6,
    },
    { sequence: 2n ** 60n + 3n, disk: 0, offsetBytes: 0, lengthBytes: 0, kind: 'flush', masterClockMs: 7 },
  ],
};

const bodyOf = (batch: ChangeBatch) => encodeChanges(batch, checksum);

describe('A frame of changes', () => {
  it('comes back as it was sent', () => {
    expect(decodeChanges(bodyOf(BATCH), checksum)).toEqual(BATCH);
  });

  it('is refused when any bit is another', () => {
    const body = bodyOf(BATCH);
    for (let at = 0; at < body.length; at++) {
      const spoilt = Buffer.from(body);
      spoilt[at] = (spoilt[at] ?? 0) ^ 1;
      expect(() => decodeChanges(spoilt, checksum)).toThrow(/wrong checksum/);
    }
  });

  it('is refused at any length but its own, whatever its checksum says', () => {
    const body = bodyOf(BATCH);
    for (let length = 0; length < body.length; length += 13) {
      const cut = Buffer.from(body.subarray(0, length));
      if (length >= 16) cut.set(checksum(cut.subarray(16)), 0);
      expect(() => decodeChanges(cut, checksum)).toThrow(/protocol/);
    }
  });

  it.each([
    ['an unknown kind', 38, 77],
    ['a sequence of records that is endless', 24 - 32, 0xff],
    ['an offset out of range', 15, 0xff],
  ])('is refused with %s', (_words, at, value) => {
    const body = bodyOf({ after: 1n, records: BATCH.records.slice(2, 3) });
    body[32 + at] = value;
    body.set(checksum(body.subarray(16)), 0);
    expect(() => decodeChanges(body, checksum)).toThrow(/protocol/);
  });

  it('is never made longer than the peer takes', () => {
    const data = Buffer.alloc(LIMITS.changesBodyBytes - RECORD_BYTES);
    const record = {
      sequence: 1n,
      disk: 0,
      offsetBytes: 0,
      lengthBytes: data.length,
      kind: 'data',
      data,
      masterClockMs: 0,
    } as const;
    expect(() => encodeChanges({ after: 0n, records: [record] }, checksum)).toThrow(RangeError);
  });
});
