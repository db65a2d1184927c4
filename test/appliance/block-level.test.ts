import { closeSync, openSync, writeSync } from 'node:fs';
import { copyFile, truncate } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Children, reconnect } from '../fixtures/children.ts';
import {
  type Copying,
  hashOf,
  OPTIONS,
  overwrite,
  prepareCopy,
  range,
  untilConnected,
} from '../fixtures/copying.ts';
import {
  applianceOptions,
  MIB,
  makeWorld,
  masterFolder,
  noiseOf,
  startMaster,
  until,
  untilEnd,
  type World,
} from '../fixtures/engines.ts';

const BLOCK = { ...OPTIONS, mode: 'block' } as const;
const PAGE = 4096;

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

/** The replica becomes an older copy of the disk: epoch 1 is a full copy. */
async function copyOnce(copy: Copying): Promise<void> {
  await copy.control.openReplica(copy.spec());
  await copy.control.startCopy('s1', OPTIONS);
  expect((await untilEnd(copy.control, 's1')).state).toBe('synchronised');
}

async function openAgain(copy: Copying, epoch = 2): Promise<void> {
  await copy.control.openReplica(copy.spec({ epoch }, false));
}

async function expectEqual(copy: Copying): Promise<void> {
  expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
}

describe('a block-level copy', () => {
  it('sends the pages that differ, names those that became zeros, and costs nothing for the rest', async () => {
    const copy = await prepareCopy(world, { chunks: 40, full: range(0, 20) });
    const master = startMaster(world, 'm1');
    await untilConnected(copy.control);
    await copyOnce(copy);
    await master.stop();
    const noise = noiseOf(77);
    // Scattered pages, half a page, a page that becomes zeros, a chunk that does, one that comes, the last page.
    for (const page of [3, 4, 99, 255]) await overwrite(copy.disk, 2 * MIB + page * PAGE, noise(PAGE));
    await overwrite(copy.disk, 5 * MIB + 17 * PAGE + 1000, noise(200));
    await overwrite(copy.disk, 5 * MIB + 40 * PAGE, Buffer.alloc(PAGE));
    await overwrite(copy.disk, 6 * MIB + 41 * PAGE, Buffer.alloc(PAGE));
    await overwrite(copy.disk, 7 * MIB, Buffer.alloc(MIB));
    await overwrite(copy.disk, 8 * MIB, noise(MIB));
    await overwrite(copy.disk, 30 * MIB, noise(MIB));
    await overwrite(copy.disk, 40 * MIB - PAGE, noise(PAGE));
    startMaster(world, 'm1');
    await until('the master is back', async () =>
      (await copy.control.masters()).every((one) => one.connected),
    );
    await openAgain(copy);
    const before = await copy.control.progress('s1');
    expect(before).toMatchObject({ state: 'idle', doneBytes: 0 });
    await copy.control.startCopy('s1', BLOCK);
    const end = await untilEnd(copy.control, 's1');
    expect(end).toMatchObject({ state: 'synchronised', doneBytes: 40 * MIB, resentBlocks: 0 });
    expect(end.sentBytes).toBe(2 * MIB + 6 * PAGE);
    // 1 KiB of signatures for each chunk with data, both ways of it together.
    expect(end.wireBytes - end.sentBytes).toBeLessThan(22 * 1100 + 40 * 40);
    await expectEqual(copy);
  });
});

describe('a block-level copy that is disturbed', () => {
  it('goes on after kill -9 of either engine in the middle, and ends equal', async () => {
    const chunks = 96;
    const copy = await prepareCopy(world, { chunks, full: range(0, chunks) });
    // The replica: an older copy, with 32 pages changed in each chunk and some chunks that never arrived.
    await copyFile(copy.disk, copy.lun);
    await truncate(copy.lun, copy.sizeBytes + 4 * MIB);
    const noise = noiseOf(5);
    for (const chunk of range(0, chunks))
      await overwrite(copy.lun, chunk * MIB + (chunk % 200) * PAGE, noise(32 * PAGE));
    await overwrite(copy.lun, 50 * MIB, Buffer.alloc(4 * MIB));
    await copy.control.close();
    await world.running.shift()?.stop();

    const children = new Children(world);
    const start = {
      master: () => children.start('master', { stateFolder: masterFolder(world, 'm1') }),
      appliance: () => {
        const listen = { host: '127.0.0.1', port: copy.port };
        return children.start('appliance', { ...applianceOptions(world), listen });
      },
    };
    const running = { appliance: await start.appliance(), master: await start.master() };
    let control = await reconnect(world, copy.port);
    await untilConnected(control);
    await control.openReplica(copy.spec({}, false));
    // Slow enough that there is a middle.
    await control.setBandwidth({ bytesPerSecondByHour: Array.from({ length: 24 }, () => 1_500_000) });
    await control.startCopy('s1', BLOCK);
    for (const victim of ['master', 'appliance', 'master', 'appliance'] as const) {
      const before = await control.progress('s1');
      await until('more is durable', async () => (await control.progress('s1')).doneBytes > before.doneBytes);
      expect((await control.progress('s1')).state).toBe('copying');
      await children.kill(running[victim]);
      running[victim] = await start[victim]();
      if (victim === 'appliance') control = await reconnect(world, copy.port);
      await untilConnected(control);
    }
    expect((await control.bandwidth()).bytesPerSecondByHour?.[23]).toBe(1_500_000);
    await control.setBandwidth({});
    const end = await untilEnd(control, 's1');
    expect(end).toMatchObject({ state: 'synchronised', doneBytes: chunks * MIB });
    expect(end.sentBytes).toBeLessThan(40 * MIB);
    await expectEqual(copy);
  }, 90_000);

  it('finds by the proof what was spoiled behind its back, and sends those chunks whole', async () => {
    const copy = await prepareCopy(world, { chunks: 20, full: range(0, 20) });
    await copyFile(copy.disk, copy.lun);
    await truncate(copy.lun, copy.sizeBytes + 4 * MIB);
    for (const chunk of [3, 19]) await overwrite(copy.lun, chunk * MIB, noiseOf(8)(PAGE));
    // Chunk 2 was asked about and is called the same; then somebody writes to it.
    const spoil = (_stream: number, chunk: number) => {
      if (chunk === 3) spoilFile(copy.lun, 2 * MIB + 99);
      return false;
    };
    startMaster(world, 'm1', { spoil });
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec({}, false));
    await copy.control.startCopy('s1', BLOCK);
    const end = await untilEnd(copy.control, 's1');
    expect(end).toMatchObject({ state: 'synchronised', sentBytes: 2 * PAGE + MIB });
    await expectEqual(copy);
    expect(world.log.lines.filter((line) => line.includes('some chunks are copied again'))).toHaveLength(1);
  });

  it('asks again for a spoiled patch, and gets the chunk', async () => {
    const copy = await prepareCopy(world, { chunks: 4, full: [1] });
    await copyFile(copy.disk, copy.lun);
    await overwrite(copy.lun, MIB + PAGE, Buffer.alloc(PAGE));
    let times = 0;
    startMaster(world, 'm1', { spoil: () => times++ === 0 });
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec({}, false));
    await copy.control.startCopy('s1', BLOCK);
    expect(await untilEnd(copy.control, 's1')).toMatchObject({ state: 'synchronised', resentBlocks: 1 });
    await expectEqual(copy);
  });
});

function spoilFile(path: string, offsetBytes: number): void {
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.from('spoiled'), 0, 7, offsetBytes);
  closeSync(file);
}
