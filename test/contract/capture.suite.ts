import { readFile, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CaptureMethod } from '../../src/capture/capture.ts';
import { systemClock } from '../../src/clock.ts';
import type { MasterDisk } from '../../src/model/disk.ts';
import { overwrite } from '../fixtures/copying.ts';
import { MIB, makeFolder, makeImage } from '../fixtures/engines.ts';

/** What every capture method promises; a method that is not live is also held to noticing that its disks moved. */
export function captureSuite(method: CaptureMethod): void {
  describe(`capture method ${method.name}`, () => {
    let folder: string;
    let disks: MasterDisk[];
    const diskOf = (index: number): MasterDisk => {
      const disk = disks[index];
      if (!disk) throw new RangeError(`no disk ${index}`);
      return disk;
    };
    beforeEach(async () => {
      folder = await makeFolder();
      disks = [];
      for (const index of [0, 1]) {
        const path = join(folder, `disk${index}.img`);
        const sizeBytes = (3 + index) * MIB + 512;
        await makeImage(path, sizeBytes, { full: [0, 1, 2], seed: index + 1 });
        const facts = {
          logicalSectorBytes: 512,
          partitionTable: 'none',
          boot: index === 0,
          volumes: [],
        } as const;
        disks.push({ id: `disk${index}`, path, sizeBytes, ...facts });
      }
      // A file's mtime moves with the clock's tick: let it move before anything is opened.
      await systemClock.sleep(15);
    });
    afterEach(() => rm(folder, { recursive: true, force: true }));

    it('shows every byte of every disk, to the last sector, and refuses to read beyond or to write', async () => {
      const session = await method.open(disks, { excluded: [] });
      for (const disk of disks) {
        const view = session.view(disk.id);
        expect(view.sizeBytes).toBe(disk.sizeBytes);
        const whole = Buffer.alloc(disk.sizeBytes);
        await view.read(whole, 0);
        expect(whole.equals(await readFile(disk.path))).toBe(true);
        await expect(view.read(Buffer.alloc(1024), disk.sizeBytes - 512)).rejects.toThrow(/outside/);
        await expect(view.write(Buffer.alloc(512), 0)).rejects.toThrow(/read-only/);
      }
      await session.assertUnchanged();
      await session.close();
    });

    it('shows excluded ranges as zeros, at any alignment, on their disk only', async () => {
      const excluded = [
        { diskId: 'disk0', offsetBytes: MIB - 512, sizeBytes: 1024 },
        { diskId: 'disk0', offsetBytes: 2 * MIB, sizeBytes: 10 * MIB },
      ];
      const session = await method.open(disks, { excluded });
      const expected = await readFile(diskOf(0).path);
      expected.fill(0, MIB - 512, MIB + 512).fill(0, 2 * MIB);
      const seen = Buffer.alloc(expected.length);
      for (let at = 0; at < seen.length; at += 100_000) {
        await session.view('disk0').read(seen.subarray(at, Math.min(at + 100_000, seen.length)), at);
      }
      expect(seen.equals(expected)).toBe(true);
      const other = Buffer.alloc(diskOf(1).sizeBytes);
      await session.view('disk1').read(other, 0);
      expect(other.equals(await readFile(diskOf(1).path))).toBe(true);
      await session.close();
    });

    it('refuses disks that are not there or of another size, and names them', async () => {
      await expect(
        method.open([diskOf(0), { ...diskOf(1), path: join(folder, 'none') }], { excluded: [] }),
      ).rejects.toMatchObject({ code: 'DISK_VANISHED', message: expect.stringContaining('disk1') });
      const larger = { ...diskOf(0), sizeBytes: diskOf(0).sizeBytes + 512 };
      const refused = { code: 'DISK_SHRANK', message: expect.stringContaining('disk0') };
      await expect(method.open([larger], { excluded: [] })).rejects.toMatchObject(refused);
    });

    if (method.live) return;

    it('tells which disk changed, shrank or vanished while it should have stood still', async () => {
      const cases: [string, () => Promise<void>][] = [
        ['DISK_CHANGED', () => overwrite(diskOf(1).path, 5, Buffer.from('x'))],
        ['DISK_SHRANK', () => truncate(diskOf(1).path, MIB)],
        ['DISK_VANISHED', () => rename(diskOf(1).path, join(folder, 'elsewhere'))],
      ];
      for (const [code, harm] of cases) {
        await makeImage(diskOf(1).path, diskOf(1).sizeBytes, { full: [0] });
        await systemClock.sleep(15);
        const session = await method.open(disks, { excluded: [] });
        await session.assertUnchanged();
        await harm();
        const told = { code, message: expect.stringContaining('disk1') };
        await expect(session.assertUnchanged()).rejects.toMatchObject(told);
        await session.close();
      }
    });
  });
}
