import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeWorld, type World } from '../fixtures/engines.ts';
import { LIVE, prepareFollowing, scribble, untilApplied, untilState } from '../fixtures/following.ts';

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

describe('a live master', () => {
  it('is copied while it changes, proven equal at one position, and followed from there on', async () => {
    const following = await prepareFollowing(world);
    const { control, master } = following;
    await following.open();
    scribble(master, 50, 1);
    await control.startCopy('s1', LIVE);
    scribble(master, 200, 2);
    const before = await untilState(control, 'replicating');
    expect(before.digests).toHaveLength(1);
    expect(before.replication?.proof).toMatchObject({ equal: true });
    expect(before.doneBytes).toBe(before.totalBytes);
    scribble(master, 200, 3);
    const replica = await untilApplied(following);
    expect(replica.equals(master.image)).toBe(true);
    const { replication } = await control.progress('s1');
    expect(replication).toMatchObject({ lagBytes: 0, journal: { state: 'ready', unappliedChanges: 0 } });
    expect(replication?.lagSeconds).toBeLessThan(1);
  });
});
