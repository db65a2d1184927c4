import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attachmentOf } from '../../src/block/attachment.ts';
import { makeFolder } from '../fixtures/engines.ts';

let folder: string;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** As much of /sys and /proc as is looked at. */
async function machine(change: Readonly<Record<string, string | undefined>> = {}) {
  const disk = join(folder, 'block', 'sdq');
  await rm(disk, { recursive: true, force: true });
  await mkdir(join(disk, 'queue'), { recursive: true });
  const facts: Readonly<Record<string, string | undefined>> = {
    diskseq: '77\n',
    size: '2048\n',
    'queue/iostats': '1\n',
    stat: '  10 0 80 1 20 0 160 2 0 3 4 0 0 0 0 0 0\n',
    ...change,
  };
  for (const [name, text] of Object.entries(facts)) {
    if (text !== undefined) await writeFile(join(disk, name), text);
  }
  await writeFile(join(folder, 'boot_id'), 'boot one\n');
  await writeFile(join(folder, 'sdq'), '');
  const device = { kind: 'device', path: join(folder, 'sdq'), identity: async () => 'unused' } as const;
  return attachmentOf(device, { block: join(folder, 'block'), bootId: join(folder, 'boot_id') });
}

describe('what tells that nobody wrote to a disk', () => {
  it('names the boot, the attachment, the size and the sectors written', async () => {
    expect(await machine()).toBe('boot=boot one device attached=77 sectors=2048 written=160');
  });

  it('is another one after a write, and after the disk was attached again', async () => {
    const first = await machine();
    expect(await machine({ stat: '  10 0 80 1 20 0 161 2 0 3 4 0 0 0 0 0 0\n' })).not.toBe(first);
    expect(await machine({ diskseq: '78\n' })).not.toBe(first);
  });

  it('is nothing where the kernel does not number disks, or does not count what is written', async () => {
    expect(await machine({ diskseq: undefined })).toBeUndefined();
    expect(await machine({ 'queue/iostats': '0\n' })).toBeUndefined();
    expect(await machine({ stat: undefined })).toBeUndefined();
  });

  it('is what a file says of itself, and the boot', async () => {
    const file = { kind: 'file', path: '/nowhere', identity: async () => 'file size=1' } as const;
    await machine();
    const bootId = join(folder, 'boot_id');
    expect(await attachmentOf(file, { block: folder, bootId })).toBe('boot=boot one file size=1');
    expect(await attachmentOf(file, { block: folder, bootId: join(folder, 'none') })).toBeUndefined();
  });
});
