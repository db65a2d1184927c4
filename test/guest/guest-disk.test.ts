import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { textOf } from '../../src/guest/file-tree.ts';
import { readGuestDisk } from '../../src/guest/guest-disk.ts';
import { limitedDevice } from '../../src/guest/limited-device.ts';
import { physicalVolume } from './physical-volume.ts';
import { deviceOf, emptyFile, MIB, run } from './volumes.ts';

let folder: string;
let ext: Buffer;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-guest-'));
  mkdirSync(join(folder, 'tree/etc'), { recursive: true });
  writeFileSync(join(folder, 'tree/etc/hostname'), 'web01\n');
  writeFileSync(join(folder, 'tree/large'), Buffer.alloc(3 * MIB, 'large'));
  const file = emptyFile(join(folder, 'ext'), 8 * MIB);
  run('mke2fs', '-q', '-F', '-t', 'ext4', '-L', 'root', '-d', join(folder, 'tree'), file);
  ext = readFileSync(file);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('A disk with LVM', () => {
  it('shows the files of a logical volume that lies in two pieces in the wrong order', async () => {
    const disk = physicalVolume({
      extentBytes: MIB,
      extents: 16,
      volumes: [
        {
          name: 'root',
          segments: [
            { extents: 5, at: 9 },
            { extents: 3, at: 1 },
          ],
          bytes: ext,
        },
        { name: 'thin', segments: [{ extents: 1, at: 0 }], type: 'thin-pool', bytes: Buffer.alloc(0) },
        { name: 'away', segments: [{ extents: 1, at: 0 }], disk: 'pv1', bytes: Buffer.alloc(0) },
      ],
    });
    const { volumes } = await readGuestDisk(deviceOf(disk));
    expect(volumes.map(({ name, fileSystem, unreadable }) => [name, fileSystem, unreadable])).toEqual([
      ['the whole disk', 'lvm', undefined],
      ['vg0/root', 'ext4', undefined],
      ['vg0/thin', 'unknown', 'It is not linear (thin-pool).'],
      ['vg0/away', 'unknown', 'A part of it lies on another disk.'],
    ]);
    const root = volumes[1];
    expect(root?.label).toBe('root');
    expect(root?.tree && (await textOf(root.tree, 'etc/hostname'))).toBe('web01\n');
    const large = await root?.tree?.find('large');
    expect((await large?.read(2 * MIB, MIB))?.equals(Buffer.alloc(3 * MIB, 'large').subarray(2 * MIB))).toBe(
      true,
    );
  });

  it('believes no metadata whose checksum is wrong', async () => {
    const disk = physicalVolume({ extentBytes: MIB, extents: 16, volumes: [] });
    const at = disk.indexOf('extent_size');
    disk.write('extent_sizE', at);
    const { volumes } = await readGuestDisk(deviceOf(disk));
    expect(volumes).toMatchObject([
      { fileSystem: 'lvm', unreadable: 'The checksum of its LVM metadata is wrong.' },
    ]);
  });
});

describe('A look into a disk', () => {
  it('is given up after so many reads', async () => {
    const device = limitedDevice(deviceOf(ext), { reads: 20, bytes: MIB });
    await expect(readGuestDisk(device)).rejects.toMatchObject({ code: 'GUEST_TOO_MUCH_WORK' });
    await expect(readGuestDisk(limitedDevice(deviceOf(ext)))).resolves.toMatchObject({
      volumes: [{ fileSystem: 'ext4', label: 'root' }],
    });
  });

  it('tells UUIDs as blkid does', async () => {
    const uuids = async (bytes: Buffer) =>
      (await readGuestDisk(deviceOf(bytes))).volumes.map(({ uuid }) => uuid);
    const fat = emptyFile(join(folder, 'fat'), 48 * MIB);
    run('mkfs.fat', '-F', '32', '-s', '1', fat);
    const ntfs = emptyFile(join(folder, 'ntfs'), 16 * MIB);
    run('mkntfs', '-F', '-Q', '-q', ntfs);
    for (const file of [join(folder, 'ext'), fat, ntfs]) {
      const told = /\bUUID="([^"]+)"/.exec(run('blkid', '-p', file))?.[1];
      expect(await uuids(readFileSync(file))).toEqual([told]);
    }
  });
});
