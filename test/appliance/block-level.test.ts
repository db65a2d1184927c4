import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Copying,
  hashOf,
  OPTIONS,
  overwrite,
  prepareCopy,
  range,
  untilConnected,
} from '../fixtures/copying.ts';
import { MIB, makeWorld, noiseOf, startMaster, until, untilEnd, type World } from '../fixtures/engines.ts';

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
