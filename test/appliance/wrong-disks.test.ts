import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CopyProgress } from '../../src/wire/control-session.ts';
import { reconnect } from '../fixtures/children.ts';
import { hashOf, OPTIONS, prepareCopy, range, untilConnected } from '../fixtures/copying.ts';
import {
  applianceOptions,
  connect,
  joinOne,
  MIB,
  makeImage,
  makeWorld,
  startAppliance,
  startMaster,
  untilEnd,
  type World,
} from '../fixtures/engines.ts';
import {
  LIVE,
  prepareFollowing,
  replicating,
  SMALL_JOURNAL,
  untilApplied,
  untilState,
} from '../fixtures/following.ts';

/** Disks that are not what they should be: refused, with the reason, before a byte is written to them. */
let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

const lun = (number: number) => join(world.lunsFolder, `lun${number}`);

async function swap(one: string, other: string): Promise<void> {
  await rename(one, `${one}.away`);
  await rename(other, one);
  await rename(`${one}.away`, other);
}

/** The appliance's engine, started anew. */
async function again(port: number) {
  await world.running.find((one) => 'port' in one)?.stop();
  world.running.splice(
    world.running.findIndex((one) => 'port' in one),
    1,
  );
  await startAppliance(world, { port, journal: SMALL_JOURNAL });
  return await connect(world, port);
}

describe('a data disk of the appliance', { timeout: 60_000 }, () => {
  it('that changed places with another is refused; declared where it is by now, the copy goes on', async () => {
    const copy = await prepareCopy(world, { chunks: 12, full: range(0, 12) });
    const second = join(world.folder, 'second.img');
    await makeImage(second, copy.sizeBytes, { full: range(0, 12), seed: 7 });
    await makeImage(lun(2), copy.sizeBytes + 4 * MIB);
    await joinOne(world, copy.control, { masterId: 'm2', disks: [copy.disk, second], port: copy.port });
    startMaster(world, 'm2');
    await untilConnected(copy.control, 'm2');
    const disks = [1, 2].map((number) => {
      return {
        diskId: `disk${number - 1}`,
        lun: number,
        sizeBytes: copy.sizeBytes,
        blank: true,
        excluded: [],
      };
    });
    await copy.control.openReplica(copy.spec({ masterId: 'm2', disks }));
    await copy.control.startCopy('s1', OPTIONS);
    await copy.control.stopCopy('s1');
    await swap(lun(1), lun(2));
    const before = await Promise.all([1, 2].map((number) => hashOf(lun(number), copy.sizeBytes)));
    const control = await again(copy.port);
    await untilConnected(control, 'm2');
    await expect(control.startCopy('s1', OPTIONS)).rejects.toMatchObject({
      code: 'LUN_OTHER_DISK',
      what: expect.stringContaining('LUN 1'),
      why: expect.stringContaining('holds the replica of disk1'),
    });
    // Declared at the LUNs as they are by now, the same disks are right.
    const moved = disks.map((disk) => ({ ...disk, lun: 3 - disk.lun, blank: false }));
    expect(await Promise.all([1, 2].map((number) => hashOf(lun(number), copy.sizeBytes)))).toEqual(before);
    await control.openReplica(copy.spec({ masterId: 'm2', disks: moved }));
    await control.startCopy('s1', OPTIONS);
    expect((await untilEnd(control, 's1')).state).toBe('synchronised');
    expect(await hashOf(lun(2), copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
    expect(await hashOf(lun(1), copy.sizeBytes)).toBe(await hashOf(second, copy.sizeBytes));
  });

  it('that another one replaced under a live replica is missed; once it is back, its stream alone goes on', async () => {
    const all = await replicating(world);
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
    await rename(all.lun, `${all.lun}.away`);
    await makeImage(all.lun, all.sizeBytes + MIB);
    all.master.write(0, Buffer.alloc(4096, 9));
    let control = await again(all.port);
    const failed = await untilState(control, 'failed');
    expect(failed.error).toMatchObject({
      code: 'LUN_OTHER_DISK',
      next: expect.stringContaining('new epoch'),
    });
    expect((await readFile(all.lun)).every((byte) => byte === 0)).toBe(true);
    await rename(`${all.lun}.away`, all.lun);
    control = await again(all.port);
    await untilConnected(control);
    await control.startCopy('s1', LIVE);
    await untilState(control, 'replicating');
    expect((await untilApplied({ ...all, control })).equals(all.master.image)).toBe(true);
    expect(all.master.starts.filter(({ fresh }) => fresh)).toHaveLength(1);
  });
});

/** An engine of its own, in a mount namespace of its own: no root is needed for either. */
async function startIn(mounts: string, folder: string, port: number): Promise<ChildProcess> {
  const options = { ...applianceOptions(world), listen: { host: '127.0.0.1', port } };
  const entry = join(import.meta.dirname, '../fixtures/engine-process.ts');
  const engine = [process.execPath, entry, 'appliance', JSON.stringify(options)];
  const script = `dir=$1; shift; ${mounts} && exec "$@"`;
  const child = spawn('unshare', ['-rm', 'sh', '-ec', script, 'sh', folder, ...engine], {
    stdio: ['ignore', 'pipe', process.env.ENGINES_SAY ? 'inherit' : 'ignore'],
  });
  world.running.push({
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  });
  await once(child.stdout, 'data');
  return child;
}

describe('an appliance', { timeout: 60_000 }, () => {
  it('whose data disks lie on a read-only file system refuses to copy, and says which disk', async () => {
    const copy = await prepareCopy(world, { chunks: 4, full: [0, 1] });
    await world.running.shift()?.stop();
    await startIn(
      'mount --bind "$dir" "$dir" && mount -o remount,bind,ro "$dir"',
      world.lunsFolder,
      copy.port,
    );
    const control = await reconnect(world, copy.port);
    startMaster(world, 'm1');
    await untilConnected(control);
    await control.openReplica(copy.spec());
    const refused = await control.startCopy('s1', OPTIONS).then(
      () => untilEnd(control, 's1'),
      (error: unknown) => ({ error }) as Pick<CopyProgress, 'error'>,
    );
    expect(refused.error).toMatchObject({ code: 'DISK_READ_ONLY', what: expect.stringContaining('lun1') });
    expect((await readFile(copy.lun)).every((byte) => byte === 0)).toBe(true);
  });

  it('whose journal disk is full refuses to follow, and says how much there is', async () => {
    const all = await prepareFollowing(world);
    await world.running.shift()?.stop();
    const small = 'mkdir "$dir.small" && mount -t tmpfs -o size=24m none "$dir.small"';
    const full = `${small} && cp -a "$dir/." "$dir.small/" && mount --bind "$dir.small" "$dir"`;
    await startIn(full, join(world.folder, 'appliance'), all.port);
    const control = await reconnect(world, all.port);
    await untilConnected(control);
    await control.openReplica({
      scenarioId: 's1',
      masterId: 'm1',
      epoch: 1,
      disks: [{ diskId: 'disk0', lun: 1, sizeBytes: all.sizeBytes, blank: true, excluded: [] }],
    });
    const refused = await control.startCopy('s1', LIVE).then(
      () => untilState(control, 'failed'),
      (error: unknown) => ({ error }) as Pick<CopyProgress, 'error'>,
    );
    expect(refused.error).toMatchObject({ code: 'JOURNAL_NO_ROOM', what: expect.stringContaining('MiB') });
    expect((await readFile(all.lun)).every((byte) => byte === 0)).toBe(true);
  });
});
