import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readDiskLayout } from '../../src/guest/disk-layout.ts';
import type { BlockDevice } from '../../src/ports/block-device.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-layout-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const MIB = 1024 ** 2;

function disk(sizeMib: number): string {
  const file = join(folder, 'disk.img');
  writeFileSync(file, '');
  truncateSync(file, sizeMib * MIB);
  return file;
}

function run(tool: string, ...args: string[]): string {
  return execFileSync(tool, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' },
  });
}

async function layoutOf(file: string) {
  const handle = openSync(file, 'r');
  const device = {
    path: file,
    sizeBytes: statSync(file).size,
    kind: 'file',
    read: async (target: Uint8Array, offset: number) => {
      if (readSync(handle, target, 0, target.length, offset) !== target.length) throw new Error('short read');
    },
  } as unknown as BlockDevice;
  try {
    return await readDiskLayout(device, 'disk0');
  } finally {
    closeSync(handle);
  }
}

describe('readDiskLayout', () => {
  it('reads a GPT disk with an ESP as a UEFI server and counts what ext4 uses as dumpe2fs does', async () => {
    const file = disk(128);
    run(
      'sgdisk',
      '-o',
      '-n',
      '1:2048:+16M',
      '-t',
      '1:ef00',
      '-n',
      '2:0:0',
      '-t',
      '2:8300',
      '-c',
      '2:system',
      file,
    );
    run('mkfs.fat', '-F', '16', '-n', 'ESP', '--offset', '2048', file, '16384');
    const from = 2048 + 16 * 2048;
    run('mke2fs', '-q', '-t', 'ext4', '-F', '-L', 'root', '-E', `offset=${from * 512}`, file, '100000k');
    const layout = await layoutOf(file);
    expect(layout).toMatchObject({ partitionTable: 'gpt', firmware: 'uefi', logicalSectorBytes: 512 });
    expect(layout.volumes.map((volume) => [volume.id, volume.fileSystem, volume.system])).toEqual([
      ['disk0/1', 'vfat', true],
      ['disk0/2', 'ext4', true],
    ]);
    const part = join(folder, 'part');
    run('dd', `if=${file}`, `of=${part}`, 'bs=512', `skip=${from}`);
    const facts = run('dumpe2fs', '-h', part);
    const number = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(facts)?.[1]);
    expect(layout.volumes[1]?.usedBytes).toBe(
      (number('Block count') - number('Free blocks')) * number('Block size'),
    );
    expect(layout.volumes[1]?.label).toBe('root');
  });

  it('reads an MBR disk with primary and logical partitions as a BIOS server', async () => {
    const file = disk(64);
    const table =
      'label: dos\nstart=2048,size=20480,type=83,bootable\nstart=22528,size=40960,type=5\nstart=24576,size=16384,type=82\n';
    execFileSync('/sbin/sfdisk', ['-q', file], { input: table, stdio: ['pipe', 'ignore', 'pipe'] });
    run('mke2fs', '-q', '-t', 'ext2', '-F', '-E', `offset=${2048 * 512}`, file, '10240k');
    const layout = await layoutOf(file);
    expect(layout).toMatchObject({ partitionTable: 'mbr', firmware: 'bios' });
    expect(
      layout.volumes.map((volume) => [volume.id, volume.offsetBytes, volume.fileSystem, volume.system]),
    ).toEqual([
      ['disk0/1', 2048 * 512, 'ext2', true],
      ['disk0/5', 24576 * 512, 'unknown', false],
    ]);
  });

  it('takes the largest server file system for the system when the table marks none', async () => {
    const file = disk(96);
    run('sgdisk', '-o', '-n', '1:2048:+20M', '-t', '1:8300', '-n', '2:0:0', '-t', '2:8300', file);
    run('mke2fs', '-q', '-t', 'ext4', '-F', '-E', `offset=${MIB}`, file, '20480k');
    run('mke2fs', '-q', '-t', 'ext3', '-F', '-E', `offset=${21 * MIB}`, file, '61440k');
    const layout = await layoutOf(file);
    expect(layout.volumes.map((volume) => [volume.fileSystem, volume.system])).toEqual([
      ['ext4', false],
      ['ext3', true],
    ]);
  });

  it('finds no partitions on an empty disk and none on a file system that covers the whole disk', async () => {
    const file = disk(16);
    expect(await layoutOf(file)).toMatchObject({ partitionTable: 'none', volumes: [] });
    run('mkfs.fat', '-F', '16', file);
    expect(await layoutOf(file)).toMatchObject({ partitionTable: 'none', volumes: [] });
  });

  it('refuses a GPT header that names an impossible table instead of allocating for it', async () => {
    const file = disk(16);
    run('sgdisk', '-o', '-n', '1:2048:0', file);
    const handle = openSync(file, 'r+');
    const { writeSync } = await import('node:fs');
    writeSync(handle, Buffer.from([0xff, 0xff, 0xff, 0x7f]), 0, 4, 512 + 80);
    closeSync(handle);
    await expect(layoutOf(file)).rejects.toMatchObject({ code: 'PARTITION_TABLE_DAMAGED' });
  });
});
