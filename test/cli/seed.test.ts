import { closeSync, existsSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noiseOf } from '../fixtures/engines.ts';
import { emptyFile, MIB, run } from '../guest/volumes.ts';
import { CommandLine } from './shell-fixture.ts';

let line: CommandLine;
beforeEach(() => {
  line = new CommandLine();
});
afterEach(() => line.remove());

describe('standby seed', () => {
  it('leaves out what a file system calls free, unless all is wanted, and zeros always', async () => {
    const disk = emptyFile(join(line.home, 'disk.img'), 40 * MIB);
    run('sgdisk', '-n', '1:2048:0', '-t', '1:8300', disk);
    run('mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-E', `offset=${MIB}`, disk, '38912k');
    // What was deleted long ago still lies there.
    const stale = openSync(disk, 'r+');
    writeSync(stale, noiseOf(7)(8 * MIB), 0, 8 * MIB, 24 * MIB);
    closeSync(stale);
    const { documents: inspected } = await line.type(['inspect', '--disk', disk, '--json']);
    const { usedBytes } = inspected[0] as { usedBytes: number };
    const key = join(line.home, 'seed.key');
    writeFileSync(key, 'a key for this test');
    const exported = async (name: string, ...more: string[]) => {
      const args = [
        'seed',
        'export',
        '--disk',
        disk,
        '--to',
        join(line.home, name),
        '--key-file',
        key,
        '--json',
      ];
      const { exitCode, documents, err } = await line.type([...args, ...more]);
      expect([exitCode, exitCode === 0 ? '' : err]).toEqual([0, '']);
      return documents[0] as { dataBytes: number; fileBytes: number };
    };
    const used = await exported('used.seed');
    const whole = await exported('whole.seed', '--whole');
    expect(used.dataBytes).toBeLessThanOrEqual(usedBytes);
    expect(used.dataBytes).toBeLessThan(3 * MIB);
    expect(whole.dataBytes).toBe(used.dataBytes + 8 * MIB);
    expect(readdirSync(line.home).filter((name) => name.startsWith('used'))).toEqual(['used.seed']);
  }, 60_000);

  it('takes its key from a file only, and makes nothing without one', async () => {
    const disk = emptyFile(join(line.home, 'disk.img'), MIB);
    const to = join(line.home, 'a.seed');
    const args = ['seed', 'export', '--disk', disk, '--to', to];
    const short = join(line.home, 'short.key');
    writeFileSync(short, 'short\n');
    const refused = async (...more: string[]) => {
      const { exitCode, documents } = await line.type([...args, ...more, '--json']);
      const [{ error }] = documents as [{ error: { code: string; what: string } }];
      return [exitCode, error.code, error.what];
    };
    expect(await refused()).toEqual([2, 'ANSWER_MISSING', expect.stringContaining('--key-file FILE')]);
    expect(await refused('--key-file', short)).toEqual([2, 'SEED_KEY_UNFIT', expect.any(String)]);
    expect(await refused('--key-file', 'nowhere')).toEqual([2, 'SEED_KEY_UNREADABLE', expect.any(String)]);
    expect(await refused('--seed-key', 'of my own choosing')).toEqual([2, 'USAGE', expect.any(String)]);
    const joined = await line.type(['seed', 'export', '--to', to, '--key-file', short, '--json']);
    expect(joined.documents).toMatchObject([{ error: { code: 'MASTER_NOT_JOINED' } }]);
    expect(existsSync(to)).toBe(false);
  });
});

it('files of the same size and time stamp cannot be ignored, and it says why', async () => {
  const { exitCode, documents } = await line.type(['run', 'any', '--ignore-same-size-and-time', '--json']);
  expect(exitCode).toBe(2);
  expect(documents).toMatchObject([
    { error: { code: 'FILE_LEVEL_ONLY', next: expect.stringContaining('a disk has no files to pass over') } },
  ]);
});
