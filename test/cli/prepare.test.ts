import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandLine } from './shell-fixture.ts';

let line: CommandLine;
beforeEach(() => {
  line = new CommandLine();
});
afterEach(() => line.remove());

describe('standby master prepare', () => {
  it('shows each change, changes nothing without a yes, and takes it back', async () => {
    const root = join(line.home, 'root');
    const grub = join(root, 'etc/default/grub');
    for (const folder of ['etc/default', 'usr/sbin']) mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(grub, 'GRUB_CMDLINE_LINUX=""\n');
    writeFileSync(join(root, 'usr/sbin/update-grub'), '');
    writeFileSync(join(root, 'etc/os-release'), 'ID=debian\n');
    const type = (...more: string[]) => line.type(['master', 'prepare', '--root', root, ...more]);

    const asked = await type();
    expect([asked.exitCode, asked.err]).toEqual([2, expect.stringContaining('--yes')]);
    expect(asked.out).toContain('+ GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8"');
    expect(readFileSync(grub, 'utf8')).toBe('GRUB_CMDLINE_LINUX=""\n');

    const changed = await type('--yes', '--json');
    expect(changed.documents).toEqual([
      {
        changes: [{ path: '/etc/default/grub', how: 'changed' }],
        skipped: [],
        commands: [['update-grub']],
        left: [],
      },
    ]);
    expect(readFileSync(grub, 'utf8')).toContain('console=ttyS0');

    const undone = await type('--undo', '--yes');
    expect([undone.exitCode, undone.out]).toEqual([
      0,
      expect.stringContaining('/etc/default/grub: restored'),
    ]);
    expect(readFileSync(grub, 'utf8')).toBe('GRUB_CMDLINE_LINUX=""\n');
  });
});
