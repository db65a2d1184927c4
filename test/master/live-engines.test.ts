import { open, readFile } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { NbdClient } from '../capture/nbd-client.ts';
import { type Copying, overwrite, prepareCopy, untilConnected } from '../fixtures/copying.ts';
import { MIB, makeWorld, noiseOf, startMaster, until, type World } from '../fixtures/engines.ts';

/** Both engines as they are, a guest on the served disk, and control. */
const CHUNKS = 24;
let world: World;
let copying: Copying;

beforeEach(async () => {
  world = await makeWorld();
  copying = await prepareCopy(world, { chunks: CHUNKS, full: [0, 3, 4], pages: [{ chunk: 9, page: 3 }] });
});
afterEach(() => world.end());

const socket = () => join(world.folder, 'nbd.sock');

const serving = () => ({ nbd: { listen: { path: socket() }, spoolBytes: 32 * MIB } });

/** Writes until it is told to end, and flushes now and then. */
class Guest {
  readonly client: NbdClient;
  writes = 0;
  #isOver = false;
  #work: Promise<void> = Promise.resolve();

  constructor() {
    this.client = new NbdClient(connectSocket(socket()));
  }

  async begin(): Promise<this> {
    await this.client.choose('disk0');
    this.#work = this.#write();
    return this;
  }

  async #write(): Promise<void> {
    while (!this.#isOver) {
      const at = (this.writes * 777_777) % (CHUNKS * MIB - 16_384);
      await this.client.write(at, noiseOf(++this.writes)(4096 * (1 + (this.writes % 4))));
      if (this.writes % 20 === 0) await this.client.flush();
      if (this.writes % 5 === 0) await systemClock.sleep(2);
    }
    await this.client.flush();
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#work;
    this.client.socket.destroy();
  }
}

async function untilState(state: string): Promise<void> {
  await until(
    `the scenario is ${state}`,
    async () => {
      const progress = await copying.control.progress('s1', 200);
      if (progress.error && progress.state !== state && progress.state !== 'copying') {
        throw new Error(`${progress.state}: ${JSON.stringify(progress.error)}`);
      }
      return progress.state === state;
    },
    30_000,
  );
}

async function untilEqual(): Promise<void> {
  const { disk, lun, sizeBytes } = copying;
  await until('the replica equals the disk', async () => {
    await systemClock.sleep(80);
    const replica = await open(lun);
    const bytes = Buffer.alloc(sizeBytes);
    await replica.read(bytes, 0, sizeBytes, 0);
    await replica.close();
    return bytes.equals(await readFile(disk));
  });
}

describe('Both engines, live', { timeout: 60_000 }, () => {
  it('nbd: copies, proves and follows while a guest writes; a restart costs no copy; a scrub proves again', async () => {
    const { control, spec } = copying;
    let engine = startMaster(world, 'm1', serving());
    await untilConnected(control);
    expect((await control.masters())[0]?.inventory?.nbd?.[0]?.uri).toContain('disk0');
    let guest = await new Guest().begin();
    await control.openReplica(spec());
    await control.startCopy('s1', { capture: 'nbd', lanes: 2, compression: 'none' });
    await untilState('replicating');
    const wrote = guest.writes;
    await until('the guest writes on', () => guest.writes > wrote + 50);
    const first = (await control.progress('s1')).replication?.proof;
    expect(first).toMatchObject({ equal: true });
    await control.scrub('s1');
    await until('it is proven again', async () => {
      const proof = (await control.progress('s1')).replication?.proof;
      return proof !== undefined && proof.sequence !== first?.sequence;
    });
    expect((await control.progress('s1')).replication?.proof).toMatchObject({ equal: true });
    await guest.end();
    await untilEqual();
    const { sentBytes } = await control.progress('s1');
    await engine.stop();
    engine = startMaster(world, 'm1', serving());
    await until(
      'the disk is served again',
      () => world.log.lines.filter((l) => l.includes('disk served')).length > 1,
    );
    guest = await new Guest().begin();
    await untilState('replicating');
    await until('the guest writes on', () => guest.writes > 50);
    await guest.end();
    await untilEqual();
    expect((await control.progress('s1')).sentBytes).toBe(sentBytes);
    await engine.stop();
  });

  it('compare: copies, proves and follows a disk that stands still between its rounds', async () => {
    const { control, spec, disk } = copying;
    startMaster(world, 'm1', { compare: { intervalMs: 100 } });
    await untilConnected(control);
    await control.openReplica(spec());
    await control.startCopy('s1', { capture: 'compare', lanes: 1, compression: 'none' });
    await untilState('replicating');
    await overwrite(disk, 5 * MIB, noiseOf(5)(200_000));
    await untilEqual();
    expect((await control.progress('s1')).replication?.proof).toMatchObject({ equal: true });
  });
});
