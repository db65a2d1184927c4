import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { emptyFile, freeByDumpe2fs, MIB, run } from '../guest/volumes.ts';
import { CommandLine } from './shell-fixture.ts';

let line: CommandLine;
let disk: string;
beforeEach(() => {
  line = new CommandLine();
  disk = emptyFile(join(line.home, 'disk.img'), 20 * MIB);
  run('sgdisk', '-n', '1:2048:0', '-t', '1:8300', disk);
  run('mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-L', 'data', '-E', `offset=${MIB}`, disk, '18432k');
});
afterEach(() => line.remove());

describe('standby inspect', () => {
  it('tells about an image and writes its map, without a store or a scenario', async () => {
    const map = join(line.home, 'disk.map');
    const before = readFileSync(disk);
    const { exitCode, documents } = await line.type(['inspect', '--disk', disk, '--map', map, '--json']);
    expect(exitCode).toBe(0);
    const bits = readFileSync(map);
    const part = join(line.home, 'part');
    writeFileSync(part, before.subarray(MIB, 19 * MIB));
    const { free } = freeByDumpe2fs(part);
    rmSync(part);
    const isUsed = (block: number) => ((bits[block >>> 3] ?? 0) & (1 << (block & 7))) !== 0;
    const blocks = Array.from({ length: (20 * MIB) / 4096 }, (_, block) => block);
    expect(blocks.filter((block) => isUsed(block) === free.has(block - MIB / 4096))).toEqual([]);
    expect(bits).toHaveLength(blocks.length / 8);
    const usedBytes = 20 * MIB - free.size * 4096;
    expect(documents).toEqual([
      {
        disk,
        kind: 'file',
        sizeBytes: 20 * MIB,
        partitionTable: 'gpt',
        firmware: 'bios',
        logicalSectorBytes: 512,
        osHint: 'linux',
        usedBytes,
        volumes: [expect.objectContaining({ id: 'disk0/1', fileSystem: 'ext4', label: 'data' })],
        map: { file: map, blockBytes: 4096, blocks: blocks.length },
      },
    ]);
    expect(readFileSync(disk).equals(before)).toBe(true);
    expect(readdirSync(line.home).sort()).toEqual(['disk.img', 'disk.map']);
  });

  it('shows people a table and says why a volume counts as used', async () => {
    run('sh', '-c', `printf '\\004' | dd of=${disk} bs=1 seek=${MIB + 1024 + 0x3a} conv=notrunc`);
    const { out, exitCode } = await line.type(['inspect', '--disk', disk]);
    expect(exitCode).toBe(0);
    expect(out).toContain('20.0 MiB, GPT, boots by BIOS, holds Linux file systems.');
    expect(out).toMatch(/disk0\/1 +ext4 +data .* It is not marked clean\./);
    expect(out).toContain('at most 20.0 MiB');
  });

  it('overwrites nothing and names what it cannot read', async () => {
    const before = readFileSync(disk);
    for (const [args, code] of [
      [['--disk', disk, '--map', disk], 'MAP_FILE_EXISTS'],
      [['--disk', disk, '--map', join(line.home, 'no/folder')], 'MAP_FILE_UNWRITABLE'],
      [['--disk', line.home], 'DISK_NOT_A_DISK'],
      [[], 'USAGE'],
    ] as const) {
      const { exitCode, documents } = await line.type(['inspect', ...args, '--json']);
      expect([exitCode, documents]).toEqual([2, [{ error: expect.objectContaining({ code }) }]]);
    }
    expect(readFileSync(disk).equals(before)).toBe(true);
    expect(existsSync(join(line.home, 'no'))).toBe(false);
  });
});
