import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MIB, makeWorld, until, type World } from '../fixtures/engines.ts';
import {
  type Following,
  LIVE,
  prepareFollowing,
  scribble,
  untilApplied,
  untilState,
} from '../fixtures/following.ts';

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

async function replicating(stopAfterReboot: boolean): Promise<Following> {
  const all = await prepareFollowing(world);
  const { control, sizeBytes } = all;
  const disk = { diskId: 'disk0', lun: 1, sizeBytes, blank: true, excluded: [] };
  await control.openReplica({ scenarioId: 's1', masterId: 'm1', epoch: 1, disks: [disk], stopAfterReboot });
  await control.startCopy('s1', LIVE);
  await untilState(control, 'replicating');
  return all;
}

describe('a master that was rebooted', () => {
  it('is followed again by itself, unless the scenario is to wait', async () => {
    const all = await replicating(false);
    all.master.bootId = 'second-boot';
    all.master.cutSession();
    scribble(all.master, 20, 1);
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
  });

  it('is not followed when the scenario is to wait, until control says so; an engine’s restart is no reboot', async () => {
    const all = await replicating(true);
    const { control, master, lun, sizeBytes } = all;
    master.cutSession();
    scribble(master, 20, 1);
    const before = await untilApplied(all);
    expect(before.equals(master.image)).toBe(true);
    master.bootId = 'second-boot';
    master.cutSession();
    expect(await untilState(control, 'idle')).toMatchObject({ error: { code: 'MASTER_REBOOTED' } });
    const durable = master.durable;
    scribble(master, 20, 2);
    await until('it is here again', async () => (await control.masters())[0]?.connected === true);
    expect(master.durable).toBe(durable);
    expect((await readFile(lun)).subarray(0, sizeBytes).equals(before)).toBe(true);
    await control.startCopy('s1', LIVE);
    expect((await untilApplied(all)).equals(master.image)).toBe(true);
    expect((await control.progress('s1')).error).toBeUndefined();
    expect(master.image.length).toBeGreaterThan(MIB);
  });
});
