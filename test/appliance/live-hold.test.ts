import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ControlSession } from '../../src/wire/control-session.ts';
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
  untilDurable,
  untilState,
} from '../fixtures/following.ts';

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

const DRILL = { holdId: 'drill-1', ms: 600_000 };

/** With something of its stream applied. */
async function followed(journal = SMALL_JOURNAL): Promise<Following> {
  const all = await replicating(world, { journal });
  scribble(all.master, 40, 1);
  await untilApplied(all);
  return all;
}

const unapplied = async (control: ControlSession) =>
  (await control.progress('s1')).replication?.journal.unappliedChanges ?? 0;

describe('a hold', { timeout: 90_000 }, () => {
  it('keeps the disks at one position while the master goes on and all of it is acknowledged; then they catch up', async () => {
    const all = await followed();
    const { control, master } = all;
    scribble(master, 30, 2);
    await untilDurable(all);
    const image = Buffer.from(master.image);
    const held = await control.hold('s1', DRILL);
    const { position } = held;
    expect(held).toMatchObject({ epoch: 1, digests: [{ diskId: 'disk0' }] });
    expect(position?.sequence).toBe((await control.progress('s1')).replication?.appliedSequence);
    expect((await replicaOf(all)).equals(image)).toBe(true);
    for (const seed of [3, 4, 5]) {
      scribble(master, 40, seed);
      await untilDurable(all);
      expect(await unapplied(control)).toBeGreaterThan(0);
      const { journal } = (await control.progress('s1')).replication ?? {};
      expect(journal?.unappliedBytes).toBeGreaterThanOrEqual(512 * Number(journal?.unappliedChanges));
      expect((await replicaOf(all)).equals(image)).toBe(true);
      expect((await control.hold('s1', { ...DRILL, renew: true })).position).toEqual(position);
    }
    expect((await control.progress('s1')).state).toBe('replicating');
    expect(await control.release('s1', DRILL.holdId)).toEqual({ held: true });
    expect((await untilApplied(all)).equals(master.image)).toBe(true);
    expect((await control.progress('s1')).replication?.journal).toMatchObject({ unappliedBytes: 0 });
    await control.scrub('s1');
    await until('both ends are compared', async () => {
      const { replication } = await control.progress('s1');
      return replication?.proving === false && replication.proof?.equal === true;
    });
  });

  it('ends by itself when nobody asks for more time, and says so', async () => {
    const all = await followed();
    await all.control.hold('s1', { ...DRILL, ms: 1 });
    scribble(all.master, 30, 2);
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
    await expect(all.control.hold('s1', { ...DRILL, renew: true })).rejects.toMatchObject({
      code: 'HOLD_ENDED',
      why: expect.stringContaining('time was over'),
    });
    expect(await all.control.release('s1', DRILL.holdId)).toMatchObject({ held: false });
  });

  it('ends when the journal has no room: nothing is lost, and replication goes on', async () => {
    const all = await followed({ ...SMALL_JOURNAL, spaceBytes: 24 * MIB });
    const { control, master } = all;
    await control.hold('s1', DRILL);
    for (let seed = 10; seed < 40; seed++) scribble(master, 60, seed);
    expect((await untilApplied(all)).equals(master.image)).toBe(true);
    expect(await control.release('s1', DRILL.holdId)).toMatchObject({
      held: false,
      why: expect.stringContaining('no room'),
    });
  });

  it('gives way to a switchover, which brings the replica to the newest position', async () => {
    const all = await followed();
    const { control, master } = all;
    await control.hold('s1', DRILL);
    scribble(master, 40, 6);
    await untilDurable(all);
    await control.seal('s1');
    expect((await replicaOf(all)).equals(master.image)).toBe(true);
    await expect(control.hold('s1', { ...DRILL, renew: true })).rejects.toMatchObject({
      code: 'HOLD_ENDED',
      why: expect.stringContaining('switchover'),
    });
    await expect(control.hold('s1', DRILL)).rejects.toMatchObject({ code: 'REPLICA_SEALED' });
    await control.unseal('s1');
    scribble(master, 40, 7);
    expect((await untilApplied(all)).equals(master.image)).toBe(true);
  });

  it('ends with the appliance, which goes on applying after its start and loses nothing', async () => {
    const all = await followed();
    const { master } = all;
    await all.control.hold('s1', DRILL);
    scribble(master, 40, 8);
    await untilDurable(all);
    await world.running[0]?.stop();
    await startAppliance(world, { port: all.port, journal: SMALL_JOURNAL });
    const control = await connect(world, all.port);
    await until('the master is back', async () => (await control.masters())[0]?.connected === true);
    await expect(control.hold('s1', { ...DRILL, renew: true })).rejects.toMatchObject({
      code: 'HOLD_ENDED',
    });
    scribble(master, 40, 9);
    expect((await untilApplied({ ...all, control })).equals(master.image)).toBe(true);
  });

  it('lets one drill in at a time, and no comparison, which would move the disks', async () => {
    const all = await followed();
    const { control } = all;
    await control.hold('s1', DRILL);
    await expect(control.hold('s1', { holdId: 'drill-2', ms: 1000 })).rejects.toMatchObject({
      code: 'REPLICA_HELD',
      retry: 'later',
    });
    await expect(control.scrub('s1')).rejects.toMatchObject({ code: 'REPLICA_HELD' });
    expect(await control.release('s1', 'drill-2')).toMatchObject({ held: false });
    expect(await control.release('s1', DRILL.holdId)).toEqual({ held: true });
    await control.scrub('s1');
  });

  it('stays on when its master leaves and comes back', async () => {
    const all = await followed();
    const { control, master } = all;
    const { position } = await control.hold('s1', DRILL);
    const image = Buffer.from(master.image);
    master.cutSession();
    await until('the master is back', async () => (await control.masters())[0]?.connected === true);
    scribble(master, 40, 11);
    await untilDurable(all);
    expect((await replicaOf(all)).equals(image)).toBe(true);
    expect((await control.hold('s1', { ...DRILL, renew: true })).position).toEqual(position);
    await control.release('s1', DRILL.holdId);
    expect((await untilApplied(all)).equals(master.image)).toBe(true);
  });

  it('is refused before both ends agreed once', async () => {
    const all = await prepareFollowing(world);
    await all.open();
    const proof = Promise.withResolvers<void>();
    all.master.proofPause = proof.promise;
    await all.control.startCopy('s1', LIVE);
    await untilState(all.control, 'draining');
    await expect(all.control.hold('s1', DRILL)).rejects.toMatchObject({ code: 'REPLICA_NOT_WHOLE' });
    proof.resolve();
    await untilState(all.control, 'replicating');
  });
});
