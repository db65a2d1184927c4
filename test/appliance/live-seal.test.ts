import { open } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, MIB, makeWorld, startAppliance, until, type World } from '../fixtures/engines.ts';
import {
  type Following,
  LIVE,
  prepareFollowing,
  replicaOf,
  replicating,
  SMALL_JOURNAL,
  scribble,
  untilApplied,
  untilState,
} from '../fixtures/following.ts';

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

/** Three moments of one stream: what the disk was, where, and when by the master's clock. */
async function threeMoments(all: Following) {
  const { master, control } = all;
  const moments: { image: Buffer; sequence: string; timeMs: number }[] = [];
  for (const seed of [1, 2, 3]) {
    scribble(master, 60, seed);
    await untilApplied(all);
    const { sequence, timeMs } = await control.bookmark('s1', `moment-${seed}`);
    moments.push({ image: Buffer.from(master.image), sequence, timeMs });
    master.clockMs += 60_000;
  }
  return moments;
}

describe('the seal of a live replica', () => {
  it('brings it to a bookmark, a time, a position and the latest, byte for byte, and unseal forward again', async () => {
    const all = await replicating(world);
    const { control, master } = all;
    const [first, second, third] = await threeMoments(all);
    if (!first || !second || !third) throw new Error('three moments');
    expect((await control.bookmarks('s1')).bookmarks.map(({ name }) => name)).toEqual([
      'moment-1',
      'moment-2',
      'moment-3',
    ]);
    const atFirst = await control.seal('s1', { point: { bookmark: 'moment-1' } });
    expect(atFirst.position).toMatchObject({ sequence: first.sequence, timeMs: first.timeMs });
    expect(atFirst.position?.leftOutChanges).toBeGreaterThan(90);
    expect((await replicaOf(all)).equals(first.image)).toBe(true);
    expect((await control.progress('s1')).state).toBe('sealed');
    await control.seal('s1', { point: { timeMs: second.timeMs + 30_000 } });
    expect((await replicaOf(all)).equals(second.image)).toBe(true);
    await control.seal('s1', { point: { sequence: first.sequence } });
    expect((await replicaOf(all)).equals(first.image)).toBe(true);
    const atLast = await control.seal('s1', { point: { latest: true } });
    expect(atLast.position).toMatchObject({ sequence: third.sequence, leftOutChanges: 0 });
    expect((await replicaOf(all)).equals(third.image)).toBe(true);
    await control.seal('s1', { point: { bookmark: 'moment-2' } });
    scribble(master, 30, 4);
    await control.unseal('s1');
    expect((await untilApplied(all)).equals(master.image)).toBe(true);
    expect((await control.progress('s1')).state).toBe('replicating');
  });

  it('takes nothing of the stream, is not undone by a restart, and a wrong point changes nothing', async () => {
    const all = await replicating(world);
    const [first] = await threeMoments(all);
    if (!first) throw new Error('a moment');
    await expect(all.control.seal('s1', { point: { bookmark: 'never' } })).rejects.toMatchObject({
      code: 'BOOKMARK_UNKNOWN',
    });
    scribble(all.master, 20, 5);
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
    await all.control.seal('s1', { point: { bookmark: 'moment-1' } });
    const durable = all.master.durable;
    scribble(all.master, 40, 6);
    await world.running[0]?.stop();
    await startAppliance(world, { port: all.port, journal: SMALL_JOURNAL });
    const control = await connect(world, all.port);
    await until('the master is back', async () => (await control.masters())[0]?.connected === true);
    expect((await control.progress('s1')).state).toBe('sealed');
    expect((await replicaOf(all)).equals(first.image)).toBe(true);
    expect(all.master.durable).toBe(durable);
    await expect(control.startCopy('s1', LIVE)).rejects.toMatchObject({ code: 'REPLICA_SEALED' });
    await control.unseal('s1');
    expect((await untilApplied({ ...all, control })).equals(all.master.image)).toBe(true);
  });

  it('without draining leaves out what is not on the disks, and says how much', async () => {
    const all = await replicating(world);
    // A set that is open: it is in the journal and cannot be on the disks.
    const before = await untilApplied(all);
    all.master.setBegin(1n);
    const count = 20;
    for (let index = 0; index < count; index++) all.master.write(index * 4096, Buffer.alloc(4096, index + 1));
    const last = all.master.sequence;
    await until('it is durable but for the last', () => all.master.durable === last - 1n);
    const sealed = await all.control.seal('s1', { drain: false });
    expect(sealed.position?.leftOutChanges).toBe(count - 1);
    expect((await replicaOf(all)).equals(before)).toBe(true);
    await all.control.unseal('s1');
    all.master.setEnd();
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
  });

  it('is refused before both ends agreed once', async () => {
    const all = await prepareFollowing(world);
    await all.open();
    const hold = Promise.withResolvers<void>();
    all.master.proofPause = hold.promise;
    await all.control.startCopy('s1', LIVE);
    await untilState(all.control, 'draining');
    await expect(all.control.seal('s1')).rejects.toMatchObject({ code: 'NOT_SYNCHRONISED' });
    await expect(all.control.bookmark('s1', 'early')).rejects.toMatchObject({ code: 'NOT_REPLICATING' });
    hold.resolve();
    await untilState(all.control, 'replicating');
  });
});

describe('a scrub', () => {
  it('says equal while the master goes on writing', async () => {
    const all = await replicating(world);
    const before = (await all.control.progress('s1')).replication?.proof?.atMs ?? 0;
    scribble(all.master, 100, 7);
    await all.control.scrub('s1');
    scribble(all.master, 100, 8);
    await until('it is proven again', async () => {
      const { replication } = await all.control.progress('s1');
      return (replication?.proof?.atMs ?? 0) > before && replication?.proving === false;
    });
    expect((await all.control.progress('s1')).replication?.proof?.equal).toBe(true);
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
  });

  it('finds one bit that turned on the replica and names its block', async () => {
    const all = await replicating(world);
    await untilApplied(all);
    const file = await open(all.lun, 'r+');
    await file.write(Buffer.from([0xff]), 0, 1, 4 * MIB + 77);
    await file.close();
    await all.control.scrub('s1');
    const { error, replication } = await untilState(all.control, 'resync-needed');
    expect(error).toMatchObject({ code: 'REPLICA_DIFFERS' });
    expect(error?.why).toContain(String(4 * MIB));
    expect(replication?.proof).toMatchObject({
      equal: false,
      differing: [{ diskId: 'disk0', bytes: MIB, firstByte: 4 * MIB }],
    });
  });
});

describe('the rewind window', () => {
  it('shrinks and grows at once, survives a restart, and 0 keeps nothing', async () => {
    const all = await replicating(world);
    const { control } = all;
    await threeMoments(all);
    const window = async (session = control) => (await session.progress('s1')).replication?.journal;
    const names = async () => (await control.bookmarks('s1')).bookmarks.map(({ name }) => name);
    expect(await names()).toEqual(['moment-1', 'moment-2', 'moment-3']);
    await control.setRewind('s1', { bytes: 1 });
    expect(await window()).toMatchObject({ rewindBytes: 0, rewindLimitBytes: 1 });
    expect(await names()).toEqual(['moment-3']);
    await control.setRewind('s1', { ms: 3_600_000 });
    expect((await window())?.rewindLimitBytes).toBeGreaterThan(MIB);
    await twoMoreMoments(all);
    expect(await names()).toEqual(['moment-3', 'later-1', 'later-2']);
    await world.running[0]?.stop();
    await startAppliance(world, { port: all.port, journal: SMALL_JOURNAL });
    const again = await connect(world, all.port);
    expect(await window(again)).toMatchObject({ rewindLimitMs: 3_600_000 });
    await again.setRewind('s1', { ms: 0 });
    await until('the master is back', async () => (await again.masters())[0]?.connected === true);
    scribble(all.master, 20, 9);
    await untilApplied({ ...all, control: again });
    expect(await window(again)).toMatchObject({ rewindBytes: 0, rewindLimitMs: 0 });
  });

  async function twoMoreMoments(all: Following): Promise<void> {
    for (const seed of [1, 2]) {
      scribble(all.master, 60, seed + 10);
      await untilApplied(all);
      await all.control.bookmark('s1', `later-${seed}`);
      all.master.clockMs += 60_000;
    }
  }
});
