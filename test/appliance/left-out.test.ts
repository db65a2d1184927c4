import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { hashOf, OPTIONS, overwrite, prepareCopy, range, untilConnected } from '../fixtures/copying.ts';
import { MIB, makeWorld, noiseOf, startMaster, untilEnd, type World } from '../fixtures/engines.ts';
import { untilState } from '../fixtures/following.ts';

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

const run = (tool: string, ...args: string[]) =>
  execFileSync(`/sbin/${tool}`, args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();

it('leaves out what deleted files left behind; the replica is clean and every file equal', async () => {
  const copy = await prepareCopy(world, { chunks: 48, full: range(0, 48) });
  const tree = join(world.folder, 'tree');
  await mkdir(join(tree, 'etc'), { recursive: true });
  const noise = noiseOf(4);
  const files = ['kept-a.bin', 'gone-a.bin', 'etc/kept-b.bin', 'gone-b.bin', 'kept-c.bin'];
  for (const name of files) await writeFile(join(tree, name), noise(3 * MIB + 4242));
  await writeFile(join(tree, 'gone-c.bin'), noise(12 * MIB));
  // The disk held noise everywhere before; the file system fills it from end to end.
  run('mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-E', 'nodiscard', '-d', tree, copy.disk, '48m');
  for (const name of ['gone-a.bin', 'gone-b.bin', 'gone-c.bin'])
    run('debugfs', '-w', '-R', `rm /${name}`, copy.disk);
  startMaster(world, 'm1');
  await untilConnected(copy.control);
  await copy.control.openReplica(copy.spec());
  await copy.control.startCopy('s1', OPTIONS);
  const end = await untilEnd(copy.control, 's1');
  expect(end.state).toBe('synchronised');
  const free = Number(/Free blocks:\s+(\d+)/.exec(run('dumpe2fs', '-h', copy.disk))?.[1]) * 4096;
  expect(free).toBeGreaterThan(30 * MIB);
  expect(end.leftOutBytes).toBe(free);
  expect(end.sentBytes).toBeLessThanOrEqual(48 * MIB - free);
  expect(end.sentBytes).toBeGreaterThan(9 * MIB);

  expect(run('e2fsck', '-f', '-n', copy.lun)).toContain('/12288 blocks');
  for (const name of ['kept-a.bin', 'etc/kept-b.bin', 'kept-c.bin']) {
    const dumped = join(world.folder, 'dumped');
    run('debugfs', '-R', `dump /${name} ${dumped}`, copy.lun);
    expect([name, (await readFile(dumped)).equals(await readFile(join(tree, name)))]).toEqual([name, true]);
  }
  expect(
    world.log.lines.some((line) => line.includes('free blocks are not copied') && line.includes(`${free}`)),
  ).toBe(true);
});

it('leaves nothing of a live disk out: what deleted files left behind is copied too, and both ends agree', async () => {
  const copy = await prepareCopy(world, { chunks: 24, full: range(0, 24) });
  const tree = join(world.folder, 'tree');
  await mkdir(tree);
  run('mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-E', 'nodiscard', '-d', tree, copy.disk, '24m');
  startMaster(world, 'm1');
  await untilConnected(copy.control);
  await copy.control.openReplica(copy.spec());
  await copy.control.startCopy('s1', { ...OPTIONS, capture: 'compare' });
  const progress = await untilState(copy.control, 'replicating', 60_000);
  expect(progress.leftOutBytes).toBe(0);
  expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
});

it('copies a disk that holds no file system whole, free-looking or not', async () => {
  const copy = await prepareCopy(world, { chunks: 6, full: [0, 3] });
  await overwrite(copy.disk, 5 * MIB, Buffer.alloc(4096, 'x'));
  startMaster(world, 'm1');
  await untilConnected(copy.control);
  await copy.control.openReplica(copy.spec());
  await copy.control.startCopy('s1', OPTIONS);
  expect(await untilEnd(copy.control, 's1')).toMatchObject({ state: 'synchronised', leftOutBytes: 0 });
});
