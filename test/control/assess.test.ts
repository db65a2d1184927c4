import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assessmentOf } from '../../src/control/assess.ts';
import { diskCounter, writtenBytes } from '../../src/control/disk-writes.ts';
import { GIB, MIB } from '../../src/model/disk.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-assess-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const counter = { what: 'disk', how: 'told', diskBytes: 100 * GIB, usedBytes: 36 * GIB };

describe('An assessment', () => {
  it('makes line, hours and journal of what was written', () => {
    const samples = [0, 1, 2, 3].map((second) => ({
      atMs: second * 1000,
      bytes: second < 2 ? second * MIB : (second + 1) * MIB,
    }));
    const found = assessmentOf(samples, counter, {
      seconds: 3,
      everyMs: 1000,
      rewindHours: 24,
      megabitsPerSecond: 14,
    });
    expect(found.bytesPerSecond).toBeCloseTo((4 * MIB) / 3);
    expect(found.peakBytesPerSecond).toBe(2 * MIB);
    expect(found.bitsPerSecondAtLeast).toBeCloseTo((4 * MIB * 8 * 1.25) / 3);
    expect(found.journalBytes).toBeCloseTo(((4 * MIB) / 3) * 86_400 * 2.5, -3);
    expect(found.firstSyncHours.map((one) => one.megabitsPerSecond)).toEqual([10, 14, 100, 1000]);
    expect(found.firstSyncHours[0]?.hours).toBe(Number.POSITIVE_INFINITY);
    expect(found.firstSyncHours[3]?.hours).toBeCloseTo((36 * GIB) / (125e6 - (4 * MIB) / 3) / 3600);
    expect(found.verdict).toMatch(/carries the average/);
  });

  it('counts what differs in an image from one look to the next', async () => {
    const image = join(folder, 'disk.img');
    writeFileSync(image, Buffer.alloc(2 * MIB + 512));
    const looks = await diskCounter(image);
    expect(await looks.read()).toBe(0);
    const file = await open(image, 'r+');
    await file.write(Buffer.from('changed'), 0, 7, MIB);
    await file.write(Buffer.from('changed'), 0, 7, 2 * MIB);
    await file.close();
    expect(await looks.read()).toBe(256 * 1024 + 512);
    expect(await looks.read()).toBe(256 * 1024 + 512);
    await looks.close();
  });

  it('reads what the kernel counts of a device', async () => {
    const file = join(folder, 'stat');
    writeFileSync(file, '    4820     1543   358274     4112    12034     9921   771200    10833        0\n');
    expect(await writtenBytes(file)).toBe(771_200 * 512);
    writeFileSync(file, 'nothing\n');
    await expect(writtenBytes(file)).rejects.toThrow('no statistics');
  });
});
