import { readFile, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hashOf, OPTIONS, overwrite, prepareCopy, range, untilConnected } from '../fixtures/copying.ts';
import {
  connect,
  joinOne,
  MIB,
  makeImage,
  makeWorld,
  noiseOf,
  startAppliance,
  startMaster,
  untilEnd,
  type World,
} from '../fixtures/engines.ts';

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

describe('a copy at rest', () => {
  it('ends byte-identical with equal digests; zeros do not travel, and what lies beyond stays zero', async () => {
    const full = [0, 3, 4, 19];
    const pages = [
      { chunk: 7, page: 5 },
      { chunk: 7, page: 9 },
      ...range(0, 40).map((n) => ({ chunk: 9, page: n * 3 })),
    ];
    const copy = await prepareCopy(world, { chunks: 20, full, pages });
    startMaster(world, 'm1');
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec());
    expect((await copy.control.progress('s1')).state).toBe('idle');
    await copy.control.startCopy('s1', OPTIONS);
    await copy.control.startCopy('s1', OPTIONS);
    const end = await untilEnd(copy.control, 's1');
    expect(end).toMatchObject({
      state: 'synchronised',
      doneBytes: 20 * MIB,
      totalBytes: 20 * MIB,
      resentBlocks: 0,
    });
    expect(end.sentBytes).toBe(4 * MIB + 42 * 4096);
    expect(end.wireBytes).toBeLessThan(end.sentBytes + 20 * 100);
    const replica = await readFile(copy.lun);
    expect(replica.subarray(0, copy.sizeBytes).equals(await readFile(copy.disk))).toBe(true);
    expect(replica.subarray(copy.sizeBytes).every((byte) => byte === 0)).toBe(true);
  });

  it('of a disk that ends inside a block, and inside a page, takes its last sectors too', async () => {
    const copy = await prepareCopy(world, { chunks: 3, full: [1] });
    const sizeBytes = copy.sizeBytes + 3 * 512;
    await truncate(copy.disk, sizeBytes);
    await overwrite(copy.disk, sizeBytes - 512, Buffer.alloc(512, 'the very last sector '));
    await overwrite(copy.lun, 0, noiseOf(3)(copy.sizeBytes + 4 * MIB));
    await joinOne(world, copy.control, { masterId: 'm9', disks: [copy.disk], port: copy.port });
    startMaster(world, 'm9');
    await untilConnected(copy.control, 'm9');
    const disks = [{ diskId: 'disk0', lun: 1, sizeBytes, blank: false, excluded: [] }];
    await copy.control.openReplica(copy.spec({ masterId: 'm9', disks }));
    await copy.control.startCopy('s1', OPTIONS);
    const end = await untilEnd(copy.control, 's1');
    expect(end).toMatchObject({ state: 'synchronised', doneBytes: sizeBytes, totalBytes: sizeBytes });
    const replica = await readFile(copy.lun);
    expect(replica.subarray(0, sizeBytes).equals(await readFile(copy.disk))).toBe(true);
    expect(replica.subarray(sizeBytes).every((byte) => byte === 0)).toBe(true);
  });

  it('a master tells at each session what its disks are by now, and stays when they cannot be read', async () => {
    const copy = await prepareCopy(world, { chunks: 2, full: [1] });
    const told = async () =>
      (await copy.control.masters()).find((one) => one.masterId === 'm1' && one.connected)?.inventory;
    await truncate(copy.disk, 3 * MIB);
    const first = startMaster(world, 'm1');
    await untilConnected(copy.control);
    const before = await told();
    expect(before?.disks[0]).toMatchObject({ id: 'disk0', sizeBytes: 3 * MIB });
    await first.stop();
    await rename(copy.disk, `${copy.disk}.away`);
    startMaster(world, 'm1');
    await untilConnected(copy.control);
    expect(await told()).toMatchObject({ hostName: 'm1', disks: [{ id: 'disk0', sizeBytes: 2 * MIB }] });
    expect((await told())?.takenAtMs).toBeLessThan(before?.takenAtMs ?? 0);
  });

  it('is compressed when asked, and raw where that does not pay', async () => {
    const copy = await prepareCopy(world, { chunks: 8, full: [1] });
    await overwrite(copy.disk, 3 * MIB, Buffer.alloc(MIB, 'the same words again and again. '));
    startMaster(world, 'm1');
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec());
    await copy.control.startCopy('s1', { ...OPTIONS, compression: 'zstd' });
    const end = await untilEnd(copy.control, 's1');
    expect(end.state).toBe('synchronised');
    expect(end.sentBytes).toBe(2 * MIB);
    expect(end.wireBytes).toBeGreaterThan(MIB);
    expect(end.wireBytes).toBeLessThan(MIB + 50_000);
    expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
  });

  it('onto a replica that is not blank clears what the master does not have, excluded volumes included', async () => {
    const copy = await prepareCopy(world, { chunks: 12, full: [2, 5], pages: [{ chunk: 8, page: 100 }] });
    const noise = noiseOf(9);
    await overwrite(copy.lun, 0, noise(16 * MIB));
    startMaster(world, 'm1');
    await untilConnected(copy.control);
    const excluded = [{ offsetBytes: 5 * MIB + 512, sizeBytes: MIB / 2 }];
    const spec = copy.spec({}, false);
    await copy.control.openReplica({ ...spec, disks: spec.disks.map((disk) => ({ ...disk, excluded })) });
    await copy.control.startCopy('s1', OPTIONS);
    expect((await untilEnd(copy.control, 's1')).state).toBe('synchronised');
    const expected = Buffer.concat([await readFile(copy.disk), Buffer.alloc(4 * MIB)]);
    expected.fill(0, 5 * MIB + 512, 5 * MIB + 512 + MIB / 2);
    expect((await readFile(copy.lun)).equals(expected)).toBe(true);
  });

  it('asks again for a block with a wrong checksum, and counts it', async () => {
    const copy = await prepareCopy(world, { chunks: 10, full: range(0, 10) });
    const spoiled = new Set<number>();
    const spoil = (_stream: number, chunk: number) =>
      chunk % 3 === 0 && !spoiled.has(chunk) && !!spoiled.add(chunk);
    startMaster(world, 'm1', { spoil });
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec());
    await copy.control.startCopy('s1', OPTIONS);
    const end = await untilEnd(copy.control, 's1');
    expect(end).toMatchObject({ state: 'synchronised', resentBlocks: 4 });
    expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
  });

  it('gives up on a block that always arrives spoiled, and says which', async () => {
    const copy = await prepareCopy(world, { chunks: 4, full: [2] });
    startMaster(world, 'm1', { spoil: () => true });
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec());
    await copy.control.startCopy('s1', OPTIONS);
    const end = await untilEnd(copy.control, 's1');
    expect(end).toMatchObject({ state: 'failed', error: { code: 'BLOCK_BROKEN' } });
  });

  it('fails when the replica is not what was written, and a second run repairs only that', async () => {
    const copy = await prepareCopy(world, { chunks: 10, full: [1, 6] });
    // It was said to be blank and is not: nobody wrote zeros there.
    await overwrite(copy.lun, 3 * MIB + 5, Buffer.from('left-over'));
    startMaster(world, 'm1');
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec());
    await copy.control.startCopy('s1', OPTIONS);
    const end = await untilEnd(copy.control, 's1');
    expect(end).toMatchObject({ state: 'failed', error: { code: 'REPLICA_DIFFERS' }, doneBytes: 9 * MIB });
    expect(end.error?.why).toContain('disk0: 1 MiB block, the first at byte 3145728');
    await expect(copy.control.seal('s1')).rejects.toMatchObject({ code: 'NOT_SYNCHRONISED' });
    await copy.control.openReplica(copy.spec());
    await copy.control.startCopy('s1', OPTIONS);
    expect(await untilEnd(copy.control, 's1')).toMatchObject({ state: 'synchronised', sentBytes: 2 * MIB });
    expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
  });

  it('fails and names the disk when it changed, shrank or vanished; when that is mended, it starts over', async () => {
    const copy = await prepareCopy(world, { chunks: 30, full: range(0, 30) });
    const away = join(world.folder, 'away.img');
    const harm: [string, () => Promise<void>, () => Promise<void>][] = [
      ['DISK_VANISHED', () => rename(copy.disk, away), () => rename(away, copy.disk)],
      ['DISK_SHRANK', () => truncate(copy.disk, 29 * MIB), () => truncate(copy.disk, 30 * MIB)],
      ['DISK_CHANGED', () => overwrite(copy.disk, 17 * MIB, Buffer.from('changed')), async () => undefined],
    ];
    // Harm comes while the copy runs: at a block in the middle.
    let hurt: (() => Promise<void>) | undefined;
    startMaster(world, 'm1', {
      spoil: (_stream, chunk) => {
        if (chunk === 12) void hurt?.();
        return false;
      },
    });
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec());
    for (const [code, hurtIt, mend] of harm) {
      hurt = async () => {
        hurt = undefined;
        await hurtIt();
      };
      await copy.control.openReplica(copy.spec({ epoch: harm.findIndex(([other]) => other === code) + 1 }));
      await copy.control.startCopy('s1', OPTIONS);
      const end = await untilEnd(copy.control, 's1');
      expect(end).toMatchObject({ state: 'failed', error: { code } });
      expect(end.error?.what).toContain('disk0');
      await mend();
    }
    await copy.control.startCopy('s1', OPTIONS);
    expect((await untilEnd(copy.control, 's1')).state).toBe('synchronised');
    expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
  });

  it('goes on only over the very disk it began with', async () => {
    const copy = await prepareCopy(world, { chunks: 30, full: range(0, 30) });
    const master = startMaster(world, 'm1');
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec());
    await copy.control.startCopy('s1', OPTIONS);
    await copy.control.stopCopy('s1');
    expect((await copy.control.progress('s1')).state).toBe('idle');
    await master.stop();
    await overwrite(copy.disk, 0, Buffer.from('meanwhile'));
    startMaster(world, 'm1');
    await untilConnected(copy.control);
    await expect(copy.control.startCopy('s1', OPTIONS)).rejects.toMatchObject({ code: 'DISK_CHANGED' });
    expect(await copy.control.progress('s1')).toMatchObject({
      state: 'failed',
      error: { code: 'DISK_CHANGED' },
      doneBytes: 0,
    });
    await copy.control.startCopy('s1', OPTIONS);
    expect((await untilEnd(copy.control, 's1')).state).toBe('synchronised');
    expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
  });
});

describe('a replica', () => {
  it('can be stopped and started again at once, any number of times, and goes on where it was', async () => {
    const copy = await prepareCopy(world, { chunks: 60, full: range(0, 60) });
    startMaster(world, 'm1');
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec());
    for (let round = 0; round < 6; round++) {
      await copy.control.startCopy('s1', OPTIONS);
      await copy.control.stopCopy('s1');
    }
    await copy.control.startCopy('s1', OPTIONS);
    expect(await untilEnd(copy.control, 's1')).toMatchObject({ state: 'synchronised', resentBlocks: 0 });
    expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
  });

  it('is sealed until it is unsealed or a higher epoch begins, also over a restart', async () => {
    const copy = await prepareCopy(world, { chunks: 3, full: [0] });
    startMaster(world, 'm1');
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec());
    await expect(copy.control.seal('s1')).rejects.toMatchObject({ code: 'NOT_SYNCHRONISED' });
    await copy.control.startCopy('s1', OPTIONS);
    const end = await untilEnd(copy.control, 's1');
    const sealed = await copy.control.seal('s1');
    expect(sealed).toMatchObject({ epoch: 1, digests: end.digests });
    expect(await copy.control.seal('s1')).toEqual(sealed);
    expect((await copy.control.progress('s1')).state).toBe('sealed');
    await expect(copy.control.startCopy('s1', OPTIONS)).rejects.toMatchObject({ code: 'REPLICA_SEALED' });
    await copy.control.openReplica(copy.spec());
    await expect(copy.control.startCopy('s1', OPTIONS)).rejects.toMatchObject({ code: 'REPLICA_SEALED' });
    await copy.control.unseal('s1');
    expect((await copy.control.progress('s1')).state).toBe('synchronised');
    await copy.control.seal('s1');
    const before = await hashOf(copy.lun, copy.sizeBytes);
    await world.running.shift()?.stop();
    await startAppliance(world, { port: copy.port });
    const control = await connect(world, copy.port);
    await untilConnected(control);
    expect((await control.progress('s1')).state).toBe('sealed');
    expect(await control.seal('s1')).toEqual(sealed);
    await expect(control.startCopy('s1', OPTIONS)).rejects.toMatchObject({ code: 'REPLICA_SEALED' });
    expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(before);
    await control.openReplica(copy.spec({ epoch: 2 }, false));
    await control.startCopy('s1', OPTIONS);
    expect((await untilEnd(control, 's1')).state).toBe('synchronised');
    await expect(control.openReplica(copy.spec({ epoch: 1 }))).rejects.toMatchObject({
      code: 'EPOCH_STALE',
    });
  });

  it('takes only a LUN that is there, large enough and free; two scenarios copy side by side', async () => {
    const copy = await prepareCopy(world, { chunks: 6, full: [0, 5] });
    const other = join(world.folder, 'other.img');
    await makeImage(other, 9 * MIB, { full: [2, 8], seed: 5 });
    await makeImage(join(world.lunsFolder, 'lun2'), 9 * MIB);
    await makeImage(join(world.lunsFolder, 'lun0'), 64 * MIB);
    await joinOne(world, copy.control, { masterId: 'm2', disks: [other], port: copy.port });
    startMaster(world, 'm1');
    startMaster(world, 'm2');
    await untilConnected(copy.control, 'm1');
    await untilConnected(copy.control, 'm2');
    await copy.control.openReplica(copy.spec());
    const second = (lun: number, sizeBytes = 9 * MIB) => ({
      ...copy.spec({ scenarioId: 's2', masterId: 'm2' }),
      disks: [{ diskId: 'disk0', lun, sizeBytes, blank: true, excluded: [] }],
    });
    await expect(copy.control.openReplica(second(1))).rejects.toMatchObject({ code: 'LUN_TAKEN' });
    await expect(copy.control.openReplica(second(0))).rejects.toMatchObject({ code: 'LUN_TAKEN' });
    await expect(copy.control.openReplica(second(5))).rejects.toMatchObject({ code: 'LUN_ABSENT' });
    await expect(copy.control.openReplica(second(2, 10 * MIB))).rejects.toMatchObject({
      code: 'LUN_TOO_SMALL',
    });
    await expect(copy.control.progress('s2')).rejects.toMatchObject({ code: 'REPLICA_UNKNOWN' });
    await copy.control.openReplica(second(2));
    expect(await copy.control.disks()).toMatchObject([
      { lun: 1, scenarioId: 's1', diskId: 'disk0', sizeBytes: 10 * MIB },
      { lun: 2, scenarioId: 's2', diskId: 'disk0', sizeBytes: 9 * MIB },
    ]);
    await Promise.all([copy.control.startCopy('s1', OPTIONS), copy.control.startCopy('s2', OPTIONS)]);
    expect((await untilEnd(copy.control, 's1')).state).toBe('synchronised');
    expect((await untilEnd(copy.control, 's2')).state).toBe('synchronised');
    expect(await hashOf(join(world.lunsFolder, 'lun2'), 9 * MIB)).toBe(await hashOf(other, 9 * MIB));
    expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
    await copy.control.closeReplica('s2');
    await expect(copy.control.seal('s2')).rejects.toMatchObject({ code: 'REPLICA_UNKNOWN' });
    await rm(other);
  });

  it('says so when the master is away, and copies when it is back', async () => {
    const copy = await prepareCopy(world, { chunks: 3, full: [0, 1, 2] });
    await copy.control.openReplica(copy.spec());
    const refused = { code: 'MASTER_AWAY', retry: 'later' };
    await expect(copy.control.startCopy('s1', OPTIONS)).rejects.toMatchObject(refused);
    expect((await copy.control.progress('s1')).state).toBe('idle');
    startMaster(world, 'm1');
    await untilConnected(copy.control);
    await copy.control.startCopy('s1', OPTIONS);
    expect((await untilEnd(copy.control, 's1')).state).toBe('synchronised');
  });
});
