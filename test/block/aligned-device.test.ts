import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AlignedDevice } from '../../src/block/aligned-device.ts';
import { openDevice, type QuickDevice } from '../../src/block/open-device.ts';
import { isWindowsDevice } from '../../src/model/disk.ts';

const SECTOR = 512;
const content = randomBytes(16 * SECTOR);
let folder: string;
let strict: QuickDevice;
let device: AlignedDevice;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'standby-aligned-'));
  const path = join(folder, 'disk.img');
  await writeFile(path, content);
  strict = refusingUnaligned(await openDevice(path, { mode: 'write' }));
  device = new AlignedDevice(strict, SECTOR);
});
afterEach(async () => {
  await device.close();
  await rm(folder, { recursive: true });
});

/** As Windows' raw disks: whole sectors, or nothing. */
function refusingUnaligned(inner: QuickDevice): QuickDevice {
  const check = (lengthBytes: number, offsetBytes: number) => {
    if (lengthBytes % SECTOR !== 0 || offsetBytes % SECTOR !== 0) throw new Error('EINVAL: invalid argument');
  };
  return {
    path: inner.path,
    kind: inner.kind,
    sizeBytes: inner.sizeBytes,
    async read(target, at) {
      check(target.byteLength, at);
      await inner.read(target, at);
    },
    readNow(target, at) {
      check(target.byteLength, at);
      inner.readNow(target, at);
    },
    async write(source, at) {
      check(source.byteLength, at);
      await inner.write(source, at);
    },
    writePieces: (pieces, at) => inner.writePieces(pieces, at),
    writeNow: (pieces, at) => inner.writeNow(pieces, at),
    sync: () => inner.sync(),
    identity: () => inner.identity(),
    close: () => inner.close(),
  };
}

describe('A device that takes whole sectors only', () => {
  it('is read at every byte, in every length', async () => {
    await expect(strict.read(Buffer.alloc(1), 0)).rejects.toThrow('EINVAL');
    for (let at = 0; at < content.length; at += 97) {
      for (const length of [1, 13, 511, 512, 513, 1024, 2000]) {
        if (at + length > content.length) continue;
        const target = Buffer.alloc(length);
        await device.read(target, at);
        expect(target.equals(content.subarray(at, at + length))).toBe(true);
        target.fill(0);
        device.readNow(target, at);
        expect(target.equals(content.subarray(at, at + length))).toBe(true);
      }
    }
  });

  it('is not read behind its end, aligned or not', async () => {
    await expect(device.read(Buffer.alloc(20), content.length - 10)).rejects.toThrow(RangeError);
    await expect(device.read(Buffer.alloc(SECTOR), content.length)).rejects.toThrow(RangeError);
  });

  it('takes whole sectors, and refuses parts of them before anything is written', async () => {
    const sector = randomBytes(SECTOR);
    await device.write(sector, 2 * SECTOR);
    await expect(device.write(sector.subarray(1), 3 * SECTOR)).rejects.toThrow('whole sectors');
    await expect(device.writePieces([sector, sector.subarray(0, 9)], 0)).rejects.toThrow('whole sectors');
    expect(() => device.writeNow([sector], 7)).toThrow('whole sectors');
    const all = Buffer.alloc(content.length);
    await device.read(all, 0);
    expect(all.equals(Buffer.concat([content.subarray(0, 1024), sector, content.subarray(1536)]))).toBe(true);
  });
});

describe('The name of a device of Windows', () => {
  it.each([
    '\\\\.\\PhysicalDrive0',
    '\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy12',
    '\\\\?\\Volume{a}',
  ])('is %s', (path) => {
    expect(isWindowsDevice(path)).toBe(true);
  });

  it.each(['/dev/sda', 'C:\\disk.img', '\\\\server\\share\\disk.img', 'disk.img'])('is not %s', (path) => {
    expect(isWindowsDevice(path)).toBe(false);
  });
});
