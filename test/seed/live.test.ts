import { readFile } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { NbdClient } from '../capture/nbd-client.ts';
import { hashOf, prepareCopy, range, untilConnected } from '../fixtures/copying.ts';
import { MIB, makeWorld, noiseOf, startMaster, until, type World } from '../fixtures/engines.ts';
import { makeSeedWorld } from './seed-commands.ts';

const CHUNKS = 48;

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

it('a live server is seeded while a guest writes; what changed before, during and after follows', async () => {
  const copy = await prepareCopy(world, { chunks: CHUNKS, full: range(0, 40) });
  const commands = await makeSeedWorld(world, copy.disk);
  const socket = join(world.folder, 'nbd.sock');
  startMaster(world, 'm1', { nbd: { listen: { path: socket }, spoolBytes: 32 * MIB } });
  await untilConnected(copy.control);
  const client = new NbdClient(connectSocket(socket));
  await client.choose('disk0');
  let writes = 0;
  let isOver = false;
  const guest = (async () => {
    while (!isOver) {
      // Within a quarter of the disk, and at its end.
      const at = writes % 9 === 8 ? 45 * MIB : (writes * 77_777) % (10 * MIB);
      await client.write(at - (at % 512), noiseOf(++writes)(8192));
      if (writes % 10 === 0) await client.flush();
      await systemClock.sleep(4);
    }
    await client.flush();
  })();
  await copy.control.openReplica(copy.spec());
  await until('the guest writes', () => writes > 20);
  const before = writes;
  const exported = await commands.export({ whole: true, bytesPerSecond: 200 * MIB });
  expect(writes).toBeGreaterThan(before);
  expect(await commands.import()).toMatchObject({ written: true, digests: exported.digests });
  await copy.control.openReplica(copy.spec({ epoch: 2 }, false));
  await copy.control.startCopy('s1', { capture: 'nbd', lanes: 2, compression: 'none', mode: 'block' });
  await until(
    'the replica follows',
    async () => (await copy.control.progress('s1', 200)).state === 'replicating',
    60_000,
  );
  const wrote = writes;
  await until('the guest writes on', () => writes > wrote + 20);
  isOver = true;
  await guest;
  client.socket.destroy();
  const end = await copy.control.progress('s1');
  expect(end.replication?.proof).toMatchObject({ equal: true });
  expect(end.sentBytes).toBeGreaterThan(0);
  expect(end.sentBytes).toBeLessThan(writes * 3 * 4096);
  expect(end.wireBytes).toBeLessThan(exported.dataBytes / 4);
  await until('the replica equals the disk', async () => {
    await systemClock.sleep(80);
    return (await readFile(copy.lun)).subarray(0, copy.sizeBytes).equals(await readFile(copy.disk));
  });
  expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
}, 120_000);
