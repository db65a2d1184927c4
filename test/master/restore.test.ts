import { closeSync, openSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import { readMasterIdentity } from '../../src/master/identity.ts';
import { type RestoreNews, type RestoreOptions, restoreDisks } from '../../src/master/restore.ts';
import { type Copying, hashOf, OPTIONS, overwrite, prepareCopy } from '../fixtures/copying.ts';
import {
  MIB,
  makeImage,
  makeWorld,
  masterFolder,
  noiseOf,
  startAppliance,
  startMaster,
  untilEnd,
  type World,
} from '../fixtures/engines.ts';
import { QUICK } from '../fixtures/quick-timings.ts';

const CHUNKS = 24;
const FULL = [0, 1, 2, 3, 7, 8, 9, 20, 21];

let world: World;
let copying: Copying;

/** A sealed replica of a master whose engine has gone. */
beforeEach(async () => {
  world = await makeWorld();
  copying = await prepareCopy(world, { chunks: CHUNKS, full: FULL, pages: [{ chunk: 12, page: 5 }] });
  // What a partition table calls it: a copy is known by it.
  await overwrite(copying.disk, 440, Buffer.from('c0ffee01', 'hex'));
  await overwrite(copying.disk, 510, Buffer.from('55aa', 'hex'));
  const { control, spec } = copying;
  const master = startMaster(world, 'm1');
  await control.openReplica(spec());
  await expect.poll(async () => (await control.masters())[0]?.connected, { timeout: 20_000 }).toBe(true);
  await control.startCopy('s1', OPTIONS);
  expect((await untilEnd(control, 's1')).state).toBe('synchronised');
  await master.stop();
  await expect.poll(async () => (await control.masters())[0]?.connected, { timeout: 20_000 }).toBe(false);
  await control.seal('s1');
});
afterEach(() => world.end());

const disks = () => [{ diskId: 'disk0', lun: 1, sizeBytes: copying.sizeBytes }];
const open = (restoreId = 'r1', final = true) =>
  copying.control.openRestore({ scenarioId: 's1', restoreId, final, disks: disks() });

async function restore(target: string, change: Partial<RestoreOptions> = {}) {
  const stateFolder = masterFolder(world, 'm1');
  const identity = await readMasterIdentity(stateFolder);
  if (!identity) throw new Error('m1 has not joined');
  return await restoreDisks({
    identity,
    stateFolder,
    targets: [{ path: target }],
    overwrite: false,
    once: true,
    clock: systemClock,
    log: silentLog,
    signal: AbortSignal.timeout(60_000),
    timings: QUICK,
    tell: () => undefined,
    ...change,
  });
}

async function emptyDisk(name: string, sizeBytes = copying.sizeBytes + MIB): Promise<string> {
  const path = join(world.folder, name);
  await makeImage(path, sizeBytes);
  return path;
}

/** At once: before anybody reads on. */
function spoil(path: string, offsetBytes: number): void {
  const file = openSync(path, 'r+');
  writeSync(file, noiseOf(99)(512), 0, 512, offsetBytes);
  closeSync(file);
}

const bytesOf = (path: string) => hashOf(path, copying.sizeBytes);

describe('A restore', () => {
  it('makes an empty disk equal to the replica, and both ends prove it', async () => {
    const target = await emptyDisk('new.img');
    await open();
    const outcome = await restore(target);
    expect(outcome.mayBoot).toBe(true);
    expect(await bytesOf(target)).toBe(await bytesOf(copying.disk));
    const state = await copying.control.restoreState('s1');
    expect(state?.proven?.digests).toEqual(outcome.disks.map(({ target: _, ...digest }) => digest));
    // Zeros and empty pages do not travel.
    expect(outcome.sentBytes).toBeLessThanOrEqual((FULL.length + 1) * MIB);
    expect(outcome.sentBytes).toBeGreaterThan((FULL.length - 1) * MIB);
  });

  it('sends the original only the pages in which it differs', async () => {
    await overwrite(copying.disk, 9 * MIB, noiseOf(7)(4096));
    await overwrite(copying.disk, 15 * MIB, noiseOf(8)(8192));
    await open();
    const { sentBytes } = await restore(copying.disk);
    expect(sentBytes).toBe(4096);
    expect(await bytesOf(copying.disk)).toBe(await hashOf(copying.lun, copying.sizeBytes));
  });

  it('goes on after it was killed: what is there already does not travel again', async () => {
    const target = await emptyDisk('new.img');
    await open();
    const killed = new AbortController();
    const tell = (news: RestoreNews) => {
      // Of the chunks that are done then, at least five hold data.
      if (news.kind === 'progress' && news.doneBytes >= 20 * MIB) killed.abort();
    };
    await expect(restore(target, { signal: killed.signal, tell })).rejects.toThrow();
    const { sentBytes, mayBoot } = await restore(target);
    expect(mayBoot).toBe(true);
    expect(sentBytes).toBeLessThan((FULL.length - 1) * MIB);
    expect(await bytesOf(target)).toBe(await bytesOf(copying.disk));
  });

  it('goes on by itself when the appliance was killed meanwhile', async () => {
    const target = await emptyDisk('new.img');
    await open();
    let restarted: Promise<unknown> | undefined;
    const tell = (news: RestoreNews) => {
      if (news.kind !== 'progress' || restarted) return;
      const appliance = world.running.find((one) => 'port' in one);
      restarted = appliance?.stop().then(() => startAppliance(world, { port: copying.port }));
    };
    expect((await restore(target, { tell })).mayBoot).toBe(true);
    expect(restarted).toBeDefined();
    await restarted;
    expect(await bytesOf(target)).toBe(await bytesOf(copying.disk));
  });

  it('mends what the proof finds', async () => {
    const target = await emptyDisk('new.img');
    await open();
    const news: string[] = [];
    const tell = ({ kind }: RestoreNews) => {
      news.push(kind);
      if (kind === 'proving' && !news.includes('differs')) spoil(target, 20 * MIB);
    };
    expect((await restore(target, { tell })).mayBoot).toBe(true);
    expect(news.filter((kind) => kind === 'differs')).toHaveLength(1);
    expect(await bytesOf(target)).toBe(await bytesOf(copying.disk));
  });

  it('waits for newer data until a final restore is proven', async () => {
    const target = await emptyDisk('new.img');
    await open('r1', false);
    const finals: boolean[] = [];
    let opened: Promise<void> | undefined;
    const tell = (news: RestoreNews) => {
      if (news.kind !== 'equal') return;
      finals.push(news.final);
      if (!news.final) opened = open('r2', true);
    };
    const outcome = await restore(target, { once: false, tell });
    await opened;
    expect(finals).toEqual([false, true]);
    expect(outcome).toMatchObject({ restoreId: 'r2', mayBoot: true });
  });
});

describe('A restore that was finished while nobody could be told', () => {
  it('is found to be finished by what the disks hold, until the scenario is copied anew', async () => {
    const { control, spec } = copying;
    const target = await emptyDisk('new.img');
    await open();
    expect((await restore(target)).mayBoot).toBe(true);
    await control.closeRestore('s1');
    expect(await control.restoreState('s1')).toBeUndefined();
    const again = await restore(target);
    expect(again).toMatchObject({ mayBoot: true, restoreId: 'r1', sentBytes: 0 });
    const waits = async (path: string) => {
      const over = new AbortController();
      const tell = ({ kind }: RestoreNews) => void (kind === 'waiting' && over.abort(new Error('it waits')));
      await expect(restore(path, { signal: over.signal, tell })).rejects.toThrow('it waits');
    };
    await waits(await emptyDisk('other.img'));
    await control.openReplica(spec({ epoch: 2 }));
    await waits(target);
  });
});

describe('A target is refused, and nothing is written to it,', () => {
  const refused = async (target: string, code: string, change: Partial<RestoreOptions> = {}) => {
    const before = await readFile(target);
    await expect(restore(target, change)).rejects.toMatchObject({ code });
    expect((await readFile(target)).equals(before)).toBe(true);
  };

  it('when it is too small, holds other data, is named twice, or nobody knows which disk it is to be', async () => {
    await open();
    await refused(await emptyDisk('small.img', copying.sizeBytes - MIB), 'TARGET_TOO_SMALL');
    const other = await emptyDisk('other.img');
    await overwrite(other, 4096, Buffer.from('somebody'));
    await refused(other, 'TARGET_NOT_EMPTY');
    const empty = await emptyDisk('empty.img');
    const twice = [
      { path: empty, diskId: 'disk0' },
      { path: empty, diskId: 'disk0' },
    ];
    await refused(empty, 'TARGET_TWICE', { targets: twice });
    await refused(empty, 'TARGET_UNCLEAR', { targets: [{ path: empty, diskId: 'disk7' }] });
    await refused(empty, 'TARGET_MISSING', { targets: [] });
    expect((await copying.control.restoreState('s1'))?.problem).toContain('no target for disk0');
    // When all of it may be lost, a person says so.
    expect((await restore(other, { overwrite: true })).mayBoot).toBe(true);
    expect(await bytesOf(other)).toBe(await bytesOf(copying.disk));
  });

  it('while the engine of its master runs', async () => {
    await open();
    startMaster(world, 'm1');
    const { control } = copying;
    await expect.poll(async () => (await control.masters())[0]?.connected, { timeout: 20_000 }).toBe(true);
    const target = await emptyDisk('new.img');
    const over = new AbortController();
    const tell = (news: RestoreNews) => {
      if (news.kind === 'interrupted') over.abort(new Error(news.reason));
    };
    await expect(restore(target, { signal: over.signal, tell })).rejects.toThrow(/engine of this master/);
  });
});

describe('The appliance', () => {
  it('serves a sealed replica only, and nothing unseals or reopens it meanwhile', async () => {
    const { control, spec } = copying;
    await open();
    await expect(control.unseal('s1')).rejects.toMatchObject({ code: 'RESTORE_OPEN' });
    await expect(control.openReplica(spec({ epoch: 2 }))).rejects.toMatchObject({ code: 'RESTORE_OPEN' });
    await control.closeRestore('s1');
    await control.closeRestore('s1');
    expect(await control.restoreState('s1')).toBeUndefined();
    await control.unseal('s1');
    await expect(open()).rejects.toMatchObject({ code: 'REPLICA_NOT_SEALED' });
  });

  it('serves other disks that belong to no replica, and refuses one that is not there', async () => {
    const { control } = copying;
    const copy = join(world.lunsFolder, 'lun5');
    await makeImage(copy, copying.sizeBytes, { full: [4, 5], seed: 5 });
    const at = (lun: number) => [{ diskId: 'disk0', lun, sizeBytes: copying.sizeBytes }];
    await control.openRestore({ scenarioId: 's1', restoreId: 'r1', final: true, disks: at(5) });
    const target = await emptyDisk('new.img');
    expect((await restore(target)).mayBoot).toBe(true);
    expect(await bytesOf(target)).toBe(await bytesOf(copy));
    const absent = { scenarioId: 's1', restoreId: 'r2', final: true, disks: at(6) };
    await expect(control.openRestore(absent)).rejects.toMatchObject({ code: 'LUN_ABSENT' });
    expect((await control.restoreState('s1'))?.restoreId).toBe('r1');
  });
});
