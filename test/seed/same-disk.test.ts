import { link, mkdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { exportSeed } from '../../src/seed/export.ts';
import { makeFile } from '../../src/seed/medium.ts';
import { disksUnder } from '../../src/seed/same-disk.ts';
import { hashOf } from '../fixtures/copying.ts';
import { MIB, makeFolder, noiseOf } from '../fixtures/engines.ts';

let folder: string;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a seed', () => {
  it('is not written onto what it is made of, by whatever name, also with --overwrite', async () => {
    const disk = join(folder, 'disk.img');
    await writeFile(disk, noiseOf(1)(MIB));
    await link(disk, join(folder, 'hard'));
    await symlink(disk, join(folder, 'soft'));
    const before = await hashOf(disk, MIB);
    for (const to of [disk, join(folder, 'hard'), join(folder, 'soft')]) {
      const options = { to, passphrase: Buffer.from('long enough a key'), whole: true, overwrite: true };
      const machine = { clock: systemClock, signal: new AbortController().signal };
      const attempt = exportSeed({ disks: [{ diskId: 'disk0', path: disk }], ...options, ...machine });
      await expect(attempt).rejects.toMatchObject({ code: 'SEED_ON_ITS_SOURCE' });
    }
    expect(await hashOf(disk, MIB)).toBe(before);
  });

  it('makes no file where a device was meant', async () => {
    await expect(makeFile('/dev/standby-test-is-not-there', [])).rejects.toMatchObject({
      code: 'SEED_PLACE_WRONG',
    });
    await expect(stat('/dev/standby-test-is-not-there')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('what a device consists of', () => {
  /** As /sys shows it: `sda` with two partitions, a volume group on the second, a loop device on a file. */
  async function block(): Promise<string> {
    const [devices, classes] = [join(folder, 'devices'), join(folder, 'class')];
    await mkdir(classes, { recursive: true });
    const add = async (name: string, path: string) => {
      await mkdir(join(devices, path), { recursive: true });
      await symlink(join('..', 'devices', path), join(classes, name));
    };
    await add('sda', 'sda');
    for (const name of ['sda1', 'sda2']) {
      await add(name, `sda/${name}`);
      await writeFile(join(devices, 'sda', name, 'partition'), `${name.at(-1)}\n`);
    }
    await add('dm-0', 'dm-0');
    await mkdir(join(devices, 'dm-0', 'slaves', 'sda2'), { recursive: true });
    await add('loop0', 'loop0');
    await mkdir(join(devices, 'loop0', 'loop'));
    await writeFile(join(folder, 'backing'), '');
    await writeFile(join(devices, 'loop0', 'loop', 'backing_file'), `${join(folder, 'backing')}\n`);
    return classes;
  }

  it('is the disk of a partition, the disks under a volume, and the file behind a loop device', async () => {
    const classes = await block();
    expect([...(await disksUnder('sda', classes))]).toEqual(['disk sda']);
    expect([...(await disksUnder('sda1', classes))]).toEqual(['disk sda']);
    expect([...(await disksUnder('dm-0', classes))]).toEqual(['disk dm-0', 'disk sda']);
    const { dev, ino } = await stat(join(folder, 'backing'), { bigint: true });
    expect([...(await disksUnder('loop0', classes))]).toEqual(['disk loop0', `file ${dev}:${ino}`]);
    expect([...(await disksUnder('elsewhere', classes))]).toEqual(['disk elsewhere']);
  });
});
