import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import { Connection } from '../../src/wire/connection.ts';
import { dialAppliance } from '../../src/wire/dial.ts';
import { PROTOCOL, TIMINGS } from '../../src/wire/limits.ts';
import {
  connect,
  leafOf,
  MIB,
  makeWorld,
  noiseOf,
  startAppliance,
  until,
  type World,
} from '../fixtures/engines.ts';
import {
  following,
  LIVE,
  prepareFollowing,
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

async function flipBit(path: string, offsetBytes: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, offsetBytes);
  byte.writeUInt8(byte.readUInt8(0) ^ 4);
  await file.write(byte, 0, 1, offsetBytes);
  await file.close();
}

describe('a live master', () => {
  it('is copied while it changes, proven equal at one position, and followed from there on', async () => {
    const all = await prepareFollowing(world);
    const { control, master } = all;
    await all.open();
    scribble(master, 50, 1);
    await control.startCopy('s1', LIVE);
    scribble(master, 200, 2);
    const before = await untilState(control, 'replicating');
    expect(before.digests).toHaveLength(1);
    expect(before.replication?.proof).toMatchObject({ equal: true });
    expect(before.doneBytes).toBe(before.totalBytes);
    scribble(master, 200, 3);
    expect((await untilApplied(all)).equals(master.image)).toBe(true);
    const { replication } = await control.progress('s1');
    expect(replication).toMatchObject({ lagBytes: 0, journal: { state: 'ready', unappliedChanges: 0 } });
    expect(replication?.lagSeconds).toBeLessThan(1);
  });

  it('goes on behind what is durable, and from no earlier, each time its connection is cut', async () => {
    const all = await replicating(world);
    for (let round = 0; round < 6; round++) {
      const before = all.master.durable;
      scribble(all.master, 60, 10 + round);
      await until('some of it came', () => all.master.durable > before);
      all.master.cut();
    }
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
    const greetings = all.master.greetings;
    expect(greetings.length).toBeGreaterThan(4);
    expect([...greetings].sort((a, b) => Number(a - b))).toEqual(greetings);
    expect(all.master.starts.filter(({ fresh }) => fresh)).toHaveLength(1);
  });

  it('that loses its session is master-away, and then followed again without a new copy', async () => {
    const all = await replicating(world);
    const { sentBytes } = await all.control.progress('s1');
    all.master.cutSession();
    scribble(all.master, 40, 5);
    await until('it is followed again', () => all.master.starts.length > 1);
    await untilState(all.control, 'replicating');
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
    expect((await all.control.progress('s1')).sentBytes).toBe(sentBytes);
    expect(all.master.starts.at(-1)?.fresh).toBe(false);
  });

  it('whose replica was restarted in the middle of the copy goes on, and ends equal', async () => {
    const all = await following(world, { chunks: 12 });
    scribble(all.master, 100, 6);
    await world.running[0]?.stop();
    scribble(all.master, 100, 7);
    await startAppliance(world, { port: all.port, journal: SMALL_JOURNAL });
    const control = await connect(world, all.port);
    await untilState(control, 'replicating');
    scribble(all.master, 50, 8);
    expect((await untilApplied({ ...all, control })).equals(all.master.image)).toBe(true);
    expect(all.master.starts.filter(({ fresh }) => fresh)).toHaveLength(1);
  });

  it('can be stopped and goes on by its stream alone', async () => {
    const all = await replicating(world);
    await all.control.stopCopy('s1');
    expect((await all.control.progress('s1')).state).toBe('idle');
    const before = await readFile(all.lun);
    scribble(all.master, 60, 9);
    expect((await readFile(all.lun)).equals(before)).toBe(true);
    const { sentBytes } = await all.control.progress('s1');
    await all.control.startCopy('s1', LIVE);
    await untilState(all.control, 'replicating');
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
    expect((await all.control.progress('s1')).sentBytes).toBe(sentBytes);
  });

  it('repairs what the copy got wrong before it says replicating', async () => {
    const all = await prepareFollowing(world);
    await all.open();
    const hold = Promise.withResolvers<void>();
    all.master.positionPause = hold.promise;
    await all.control.startCopy('s1', LIVE);
    // All is copied, and the replica is hashed only when it knows the position.
    await until('the proof is under way', () => all.master.proofs > 0);
    await flipBit(all.lun, 4 * MIB + 17);
    hold.resolve();
    await until('the first proof found it', () => all.master.proofs > 1);
    await untilState(all.control, 'replicating');
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
  });
});

describe('an atomic set', () => {
  it('is on the replica as a whole or not at all, also across cuts, and an abandoned one never', async () => {
    const all = await replicating(world);
    const { master, control, lun } = all;
    const old = Buffer.from(master.image);
    const abandoned = master.setBegin(100n) - 1n;
    for (let index = 0; index < 5; index++) master.write(index * MIB, noiseOf(60 + index)(8192));
    await until('most of it is durable', () => master.durable >= abandoned + 5n);
    master.cut();
    await until('it came again', () => master.greetings.length > 1);
    expect((await readFile(lun)).subarray(0, all.sizeBytes).equals(old)).toBe(true);
    // The round is given up, as a comparing master does after a cut, and another one begins.
    old.copy(master.image);
    master.isHolding = true;
    master.cut();
    await until('nothing is under way', async () => (await control.progress('s1')).replication !== undefined);
    master.forgetAfter(master.durable);
    master.sequence += 1000n;
    master.isHolding = false;
    master.setBegin(200n);
    for (let index = 0; index < 3; index++) master.write(index * MIB + 512, noiseOf(70 + index)(4096));
    master.setEnd();
    expect((await untilApplied(all)).equals(master.image)).toBe(true);
  });

  it('of one change, or of none, is a position like any other', async () => {
    const all = await replicating(world);
    all.master.setBegin(7n);
    all.master.write(512, noiseOf(7)(512));
    all.master.setEnd();
    all.master.setBegin(8n);
    all.master.setEnd();
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
  });
});

describe('a master that does wrong', () => {
  it('with a wrong checksum is cut off, nothing of the batch is kept, and sends it again', async () => {
    const all = await replicating(world);
    const before = all.master.greetings.length;
    all.master.spoilsNext = true;
    scribble(all.master, 30, 20);
    await until('it was cut off', () => all.master.greetings.length > before);
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
    expect(world.log.lines.some((line) => line.includes('BATCH_BROKEN'))).toBe(true);
  });

  it('that sends more than its window is cut off', async () => {
    const all = await replicating(world, { journal: { ...SMALL_JOURNAL, spaceBytes: 24 * MIB } });
    all.master.ignoresWindow = true;
    all.master.batchBytes = LIMIT;
    // An open set: its changes cannot be applied, so the small journal is full before the window is.
    all.master.setBegin(1n);
    for (let index = 0; index < 160; index++) all.master.write((index % 5) * MIB, noiseOf(index)(256 * 1024));
    await until('it is cut off', () => world.log.lines.some((line) => line.includes('its window allows')));
  });

  it('of another scenario, or another epoch, gets nothing', async () => {
    const all = await replicating(world);
    const stranger = await leafOf(world.authority, 'standby:master:m2');
    const ask = async (credentials: typeof stranger, scenarioId: string, epoch: number) => {
      const endpoint = { address: '127.0.0.1', port: all.port, clock: systemClock };
      const socket = await dialAppliance(endpoint, credentials, world.applianceId);
      const connection = new Connection(socket, {
        name: 'a stranger',
        clock: systemClock,
        log: silentLog,
        timings: TIMINGS,
        proven: true,
        handlers: {},
      });
      const hello = { purpose: 'changes', protocol: PROTOCOL, scenarioId, epoch } as const;
      return await connection.request('hello', hello).finally(() => connection.close('asked'));
    };
    await expect(ask(stranger, 's1', 1)).rejects.toMatchObject({ code: 'REPLICA_UNKNOWN' });
    const own = await leafOf(world.authority, 'standby:master:m1');
    await expect(ask(own, 's1', 2)).rejects.toMatchObject({ code: 'STREAM_NOT_WANTED' });
    scribble(all.master, 20, 30);
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
  });

  it('whose change lies outside the disk fails the copy with the reason', async () => {
    const all = await replicating(world);
    all.master.raw({ kind: 'data', offsetBytes: all.sizeBytes, lengthBytes: 512, data: Buffer.alloc(512) });
    const { error } = await untilState(all.control, 'failed');
    expect(error).toMatchObject({ code: 'CHANGE_INVALID' });
  });

  it('that says its stream is lost needs a new synchronisation, which takes a new epoch', async () => {
    const all = await replicating(world);
    await all.master.problem(true);
    const { error } = await untilState(all.control, 'resync-needed');
    expect(error).toMatchObject({ code: 'STREAM_BROKEN' });
    await expect(all.control.startCopy('s1', LIVE)).rejects.toMatchObject({ code: 'RESYNC_NEEDED' });
    expect(await all.control.seal('s1')).toMatchObject({ epoch: 1 });
    await all.control.unseal('s1');
    await all.open(2);
    scribble(all.master, 20, 31);
    await all.control.startCopy('s1', LIVE);
    await untilState(all.control, 'replicating');
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
  });
});

const LIMIT = 1024 * 1024;

describe('a journal that is damaged', () => {
  it('needs a new synchronisation; the replica stays at its last consistent position and can be sealed there', async () => {
    const all = await replicating(world);
    const before = await untilApplied(all);
    all.master.setBegin(1n);
    // In two groups: a bad last one would only look torn, and come again.
    for (const from of [0, 10]) {
      for (let index = from; index < from + 10; index++) {
        all.master.write(index * 8192, Buffer.alloc(4096, `block ${index} `));
      }
      const last = all.master.sequence;
      await until('it is durable but for the last', () => all.master.durable === last - 1n);
    }
    await world.running[0]?.stop();
    await flipInside(join(world.folder, 'appliance', 'journals', 's1', '1'), 'block 7 ');
    await startAppliance(world, { port: all.port, journal: SMALL_JOURNAL });
    const control = await connect(world, all.port);
    const { error } = await untilState(control, 'resync-needed');
    expect(error).toMatchObject({ code: 'JOURNAL_DAMAGED' });
    expect((await control.seal('s1')).position).toBeDefined();
    expect((await readFile(all.lun)).subarray(0, all.sizeBytes).equals(before)).toBe(true);
  });
});

/** Turns one bit behind this text in the redo log of a journal. */
async function flipInside(folder: string, text: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const at = name.startsWith('redo') ? (await readFile(join(folder, name))).indexOf(text) : -1;
    if (at >= 0) return await flipBit(join(folder, name), at + 100);
  }
  throw new Error('the journal does not hold it');
}

describe('a journal that is full', () => {
  it('makes the master wait and loses nothing', async () => {
    const all = await replicating(world, { journal: { ...SMALL_JOURNAL, spaceBytes: 24 * MIB } });
    const noise = noiseOf(40);
    for (let index = 0; index < 200; index++) {
      all.master.write((index % 20) * 256 * 1024, noise(256 * 1024));
      if (index % 7 === 0) all.master.flush();
    }
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
    expect((await all.control.progress('s1')).state).toBe('replicating');
  });

  it('of a set that cannot fit says so, and the replica stays at its last consistent position', async () => {
    const all = await replicating(world, { journal: { ...SMALL_JOURNAL, spaceBytes: 24 * MIB } });
    const before = await untilApplied(all);
    all.master.setBegin(1n);
    const noise = noiseOf(41);
    for (let index = 0; index < 120; index++) all.master.write((index % 20) * 256 * 1024, noise(256 * 1024));
    const { error } = await untilState(all.control, 'resync-needed');
    expect(error).toMatchObject({ code: 'JOURNAL_TOO_SMALL' });
    expect((await readFile(all.lun)).subarray(0, all.sizeBytes).equals(before)).toBe(true);
  });
});
