import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linuxDisk } from '../guest/linux-disk.ts';
import { CommandLine } from './shell-fixture.ts';

let line: CommandLine;
beforeEach(() => {
  line = new CommandLine();
});
afterEach(() => line.remove());

function saved(bytes: Buffer): string {
  const file = join(line.home, 'disk.img');
  writeFileSync(file, bytes);
  return file;
}

describe('standby readiness', () => {
  it('gives one document with a verdict for each fact, and only reads the disk', async () => {
    const disk = saved(linuxDisk(line.home));
    const before = readFileSync(disk);
    const { exitCode, documents } = await line.type(['readiness', '--disk', disk, '--json']);
    expect(exitCode).toBe(0);
    expect(documents).toMatchObject([{ disk, verdict: 'ready', generation: 1, os: { family: 'linux' } }]);
    expect(readFileSync(disk).equals(before)).toBe(true);
  });

  it('ends with exit code 3 and the cure when something would stop the start', async () => {
    const disk = saved(
      linuxDisk(line.home, { files: { 'etc/fstab': '/dev/sdb1 /data ext4 defaults 0 2\n' } }),
    );
    const { exitCode, out, err } = await line.type(['readiness', '--disk', disk]);
    expect(exitCode).toBe(3);
    expect(out).toMatch(/Devices in fstab +FAILED +\/dev\/sdb1 on \/data/);
    expect(err).toContain('Devices in fstab (FSTAB_NAMES): Replace them in /etc/fstab by UUID=');
    expect(out).toContain('NOT READY');
  });

  it('wants a scenario or a disk, and not both', async () => {
    for (const args of [[], ['web', '--disk', 'disk.img']]) {
      const { exitCode, err } = await line.type(['readiness', ...args]);
      expect([exitCode, err]).toEqual([2, expect.stringContaining('Either a scenario or --disk IMAGE')]);
    }
    const unknown = await line.type(['readiness', 'web']);
    expect([unknown.exitCode, unknown.err]).toEqual([2, expect.stringContaining('SCENARIO_UNKNOWN')]);
  });

  it('names what it cannot open', async () => {
    const { exitCode, err } = await line.type(['readiness', '--disk', join(line.home, 'nothing.img')]);
    expect([exitCode, err]).toEqual([1, expect.stringContaining('nothing.img')]);
  });
});
