import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { joinOne, MIB, makeImage, makeWorld, noiseOf, until, type World } from '../fixtures/engines.ts';
import { LIVE, prepareFollowing, scribble, untilApplied, untilState } from '../fixtures/following.ts';
import { ScriptedMaster } from '../fixtures/scripted-master.ts';

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

describe('several masters of one appliance', () => {
  it('are followed side by side: one that writes without end, or whose journal is full, stops no other', async () => {
    const first = await prepareFollowing(world);
    await first.open();
    const disk = join(world.folder, 'second.img');
    await makeImage(disk, first.sizeBytes, { full: [1] });
    const lun = join(world.lunsFolder, 'lun2');
    await makeImage(lun, first.sizeBytes);
    await joinOne(world, first.control, { masterId: 'm2', disks: [disk], port: first.port });
    const second = await ScriptedMaster.start(world, 'm2', await readFile(disk));
    const disks = [{ diskId: 'disk0', lun: 2, sizeBytes: first.sizeBytes, blank: true, excluded: [] }];
    await first.control.openReplica({ scenarioId: 's2', masterId: 'm2', epoch: 1, disks });
    await until('both are here', async () => {
      return (await first.control.masters()).filter(({ connected }) => connected).length === 2;
    });
    await first.control.startCopy('s1', LIVE);
    await first.control.startCopy('s2', LIVE);
    await untilState(first.control, 'replicating');
    await until(
      'the second one too',
      async () => (await first.control.progress('s2')).state === 'replicating',
    );

    // The first one fills its journal with a set that has no end for now.
    first.master.setBegin(1n);
    const noise = noiseOf(9);
    for (let index = 0; index < 60; index++) first.master.write((index % 20) * 256 * 1024, noise(256 * 1024));
    scribble(second, 100, 10);
    const last = second.flush();
    await until('the second one is durable', () => second.durable >= last, 10_000);
    await until('and applied', async () => {
      const { replication } = await first.control.progress('s2');
      return replication?.journal.unappliedChanges === 0;
    });
    expect((await readFile(lun)).equals(second.image)).toBe(true);
    first.master.setEnd();
    expect((await untilApplied(first)).equals(first.master.image)).toBe(true);
    expect((await readFile(lun)).equals(second.image)).toBe(true);
    expect(first.sizeBytes).toBe(6 * MIB);
  });
});
