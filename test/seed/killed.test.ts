import { copyFile, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { hashOf, overwrite, prepareCopy, range, untilConnected } from '../fixtures/copying.ts';
import {
  applianceOptions,
  MIB,
  makeWorld,
  noiseOf,
  startMaster,
  until,
  untilEnd,
  type World,
} from '../fixtures/engines.ts';
import { makeSeedWorld } from './seed-commands.ts';

const PAGE = 4096;
const CHUNKS = 90;

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

it('export and import go on after kill -9, and the run then sends only what changed meanwhile', async () => {
  const copy = await prepareCopy(world, {
    chunks: CHUNKS,
    full: range(0, 80),
    pages: [{ chunk: 86, page: 9 }],
  });
  const commands = await makeSeedWorld(world, copy.disk);
  await copy.control.openReplica(copy.spec());

  const slowly = ['--limit', '40'];
  const sizeNow = async () => (await stat(commands.seed).catch(() => undefined))?.size ?? 0;
  for (const mib of [10, 45]) {
    await commands.killWhen(
      [...commands.exporting, ...slowly],
      `${mib} MiB are exported`,
      async () => (await sizeNow()) > mib * MIB,
    );
  }
  const exported = await commands.finish(commands.exporting);
  const data = 80 * MIB + PAGE;
  expect(exported).toMatchObject({ resumed: true, already: false, dataBytes: data, masterId: 'm1' });

  const mark = join(applianceOptions(world).stateFolder, 'replicas/s1/seed.json');
  const offsetNow = async () => JSON.parse(await readFile(mark, 'utf8').catch(() => '{}')).offset ?? 0;
  for (const mib of [30]) {
    await commands.killWhen(
      [...commands.importing, ...slowly],
      `${mib} MiB are imported`,
      async () => (await offsetNow()) > mib * MIB,
    );
  }
  // Another disk at the same LUN: what is durable on the first is not on it.
  const aside = join(world.folder, 'aside');
  await rename(copy.lun, aside);
  await copyFile(aside, copy.lun);
  await expect(commands.finish(commands.importing)).rejects.toThrow('LUN_OTHER_DISK');
  await rename(aside, copy.lun);
  const imported = await commands.finish(commands.importing);
  expect(imported).toMatchObject({ resumed: true, already: false, written: true, dataBytes: data });
  expect(imported.digests).toEqual(exported.digests);
  expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
  expect((await copy.control.progress('s1')).seed).toMatchObject({ dataBytes: data });

  // Changes since the export: pages that differ, one that became zeros, one that came.
  const noise = noiseOf(3);
  for (const chunk of [0, 40, 79, 82]) await overwrite(copy.disk, chunk * MIB + 5 * PAGE, noise(PAGE));
  await overwrite(copy.disk, 60 * MIB, Buffer.alloc(PAGE));
  startMaster(world, 'm1');
  await untilConnected(copy.control);
  await copy.control.openReplica(copy.spec({ epoch: 2 }, false));
  await copy.control.startCopy('s1', { capture: 'at-rest', lanes: 2, compression: 'none', mode: 'block' });
  const end = await untilEnd(copy.control, 's1', 60_000);
  expect(end).toMatchObject({ state: 'synchronised', sentBytes: 4 * PAGE, resentBlocks: 0 });
  expect(end.wireBytes).toBeLessThan(data / 500);
  expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
  await until('the seed is told no more', async () => (await copy.control.progress('s1')).seed === undefined);
}, 180_000);
