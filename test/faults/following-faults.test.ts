import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ControlSession } from '../../src/wire/control-session.ts';
import { NbdClient } from '../capture/nbd-client.ts';
import { Children, reconnect } from '../fixtures/children.ts';
import { prepareCopy, untilConnected } from '../fixtures/copying.ts';
import {
  applianceOptions,
  MIB,
  makeWorld,
  masterFolder,
  noiseOf,
  until,
  type World,
} from '../fixtures/engines.ts';
import {
  LIVE,
  prepareFollowing,
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

/** Killed processes have to start again; on a busy machine that takes its time. */
const LIMIT_MS = 150_000;

describe('a live replica survives', () => {
  it.each([1, 2])(
    'kill -9 of the appliance at any moment: no acknowledged change is missing, no set is torn (seed %i)',
    async (seed) => {
      const all = await prepareFollowing(world);
      const { master, port } = all;
      await world.running.shift()?.stop();
      const children = new Children(world);
      const args = {
        ...applianceOptions(world),
        listen: { host: '127.0.0.1', port },
        journal: SMALL_JOURNAL,
      };
      let appliance = await children.start('appliance', args);
      let control = await reconnect(world, port);
      await untilConnected(control);
      await control.openReplica({
        scenarioId: 's1',
        masterId: 'm1',
        epoch: 1,
        disks: [{ diskId: 'disk0', lun: 1, sizeBytes: all.sizeBytes, blank: true, excluded: [] }],
      });
      await control.startCopy('s1', LIVE);
      const random = noiseOf(seed)(64);
      for (let round = 0; round < 6; round++) {
        const before = master.durable;
        if (round % 2 === 1) master.setBegin(BigInt(1000 * seed + round));
        for (let index = 0; index < 40; index++) {
          master.write(
            512 * ((random.readUInt16LE(round) * (index + 1)) % 8000),
            noiseOf(round + index)(8192),
          );
        }
        if (round % 2 === 1) master.setEnd();
        else scribble(master, 60, seed * 100 + round);
        await until('some of it is durable', () => master.durable > before, 40_000);
        await sleep((random[round] ?? 0) / 8);
        await children.kill(appliance);
        appliance = await children.start('appliance', args);
      }
      control = await reconnect(world, port);
      await untilState(control, 'replicating', 60_000);
      expect((await untilApplied({ ...all, control })).equals(master.image)).toBe(true);
      expect(master.starts.filter(({ fresh }) => fresh)).toHaveLength(1);
      // What the appliance goes on behind never lies before what it said was durable, but for marks.
      expect(master.greetings.length).toBeGreaterThan(5);
    },
    LIMIT_MS,
  );

  it.each([3])(
    'kill -9 of both engines while a client writes over NBD, and ends byte-identical (seed %i)',
    async (seed) => {
      const copy = await prepareCopy(world, {
        chunks: 24,
        full: [0, 5, 6, 17],
        pages: [{ chunk: 9, page: 3 }],
      });
      await world.running.shift()?.stop();
      const children = new Children(world);
      const socket = join(world.folder, 'nbd.sock');
      const journal = { ...SMALL_JOURNAL, segmentBytes: 8 * MIB, spaceBytes: 96 * MIB, changeBytes: MIB };
      const applianceArgs = {
        ...applianceOptions(world),
        listen: { host: '127.0.0.1', port: copy.port },
        journal,
      };
      const masterArgs = { stateFolder: masterFolder(world, 'm1'), nbd: { listen: { path: socket } } };
      let appliance = await children.start('appliance', applianceArgs);
      let master = await children.start('master', masterArgs);
      let control = await reconnect(world, copy.port);
      await untilConnected(control);
      await control.openReplica(copy.spec());
      const guest = new Guest(socket, copy.sizeBytes, seed);
      world.running.push({ stop: () => guest.stop() });
      await until('the guest writes', () => guest.written > 20, 20_000);
      await control.startCopy('s1', LIVE);
      const random = noiseOf(seed)(64);
      for (let round = 0; round < 6; round++) {
        const goal = guest.written + 20 + (random[round] ?? 0);
        await until('the guest wrote more', () => guest.written >= goal, 40_000);
        const victim = (random[round + 16] ?? 0) % 2 === 0 ? 'appliance' : 'master';
        if (victim === 'appliance') appliance = await again(children, appliance, victim, applianceArgs);
        else master = await again(children, master, victim, masterArgs);
      }
      control = await reconnect(world, copy.port);
      await untilState(control, 'replicating', 60_000);
      await guest.stop();
      await untilCaughtUp(control);
      const replica = (await readFile(copy.lun)).subarray(0, copy.sizeBytes);
      expect(replica.equals(await readFile(copy.disk))).toBe(true);
      const before = (await control.progress('s1')).replication?.proof?.atMs ?? 0;
      await control.scrub('s1');
      await until('it is proven again', async () => {
        const { replication } = await control.progress('s1');
        return (replication?.proof?.atMs ?? 0) > before;
      });
      expect((await control.progress('s1')).replication?.proof?.equal).toBe(true);
    },
    LIMIT_MS,
  );
});

async function again(
  children: Children,
  child: ChildProcess,
  kind: 'appliance' | 'master',
  args: object,
): Promise<ChildProcess> {
  await children.kill(child);
  return await children.start(kind, args);
}

/** The master has nothing more, and the replica has all of it. */
async function untilCaughtUp(control: ControlSession): Promise<void> {
  let last: unknown;
  const isSo = async () => {
    const { state, replication } = await control.progress('s1');
    last = replication;
    const stream = replication?.stream;
    return (
      state === 'replicating' &&
      stream?.mode === 'ordered' &&
      replication?.lagBytes === 0 &&
      stream.lastSequence === replication.receivedSequence &&
      replication.journal.unappliedChanges === 0
    );
  };
  // Twice, a state apart: what was told may be a second old.
  for (let times = 0; times < 2; times++) {
    await until('all is on the replica', isSo, 40_000).catch((error: unknown) => {
      throw new Error(`${String(error)} ${JSON.stringify(last)}`);
    });
    await sleep(1_200);
  }
}

/** A client that writes on and on, and comes back when its disk does. */
class Guest {
  written = 0;
  readonly #over = new AbortController();
  readonly #work: Promise<void>;

  constructor(path: string, sizeBytes: number, seed: number) {
    this.#work = this.#run(path, sizeBytes, noiseOf(seed));
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#work;
  }

  async #run(path: string, sizeBytes: number, noise: (length: number) => Buffer): Promise<void> {
    while (!this.#over.signal.aborted) {
      const socket = connectSocket(path);
      const isThere = await once(socket, 'connect').then(
        () => true,
        () => false,
      );
      const client = new NbdClient(socket);
      try {
        if (isThere) await this.#write(client, sizeBytes, noise);
      } catch {
        // The master was killed: the disk comes back.
      } finally {
        socket.destroy();
      }
      await sleep(20);
    }
  }

  async #write(client: NbdClient, sizeBytes: number, noise: (length: number) => Buffer): Promise<void> {
    await client.choose('disk0');
    while (!this.#over.signal.aborted) {
      const length = 512 * (1 + (noise(4).readUInt32LE() % 64));
      const offset = 512 * (noise(4).readUInt32LE() % ((sizeBytes - length) / 512));
      await client.write(offset, noise(length));
      if (this.written % 5 === 0) await client.flush();
      this.written++;
      await sleep(2);
    }
    await client.flush();
  }
}
