import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ControlSession } from '../../src/wire/control-session.ts';
import { hashOf, OPTIONS, prepareCopy, range, untilConnected } from '../fixtures/copying.ts';
import {
  applianceOptions,
  connect,
  MIB,
  makeWorld,
  masterFolder,
  noiseOf,
  startMaster,
  until,
  untilEnd,
  type World,
} from '../fixtures/engines.ts';
import { type BadLink, startProxy } from './proxy.ts';

let world: World;
const children = new Set<ChildProcess>();
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(async () => {
  for (const child of children) await kill(child);
  await world.end();
});

/** Killed processes have to start again; on a busy machine that takes its time. */
const LIMIT_MS = 90_000;
const ENTRY = join(import.meta.dirname, '../fixtures/engine-process.ts');

async function startChild(kind: 'appliance' | 'master', options: object): Promise<ChildProcess> {
  const child = spawn(process.execPath, [ENTRY, kind, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.add(child);
  if (child.stdout) await once(child.stdout, 'data');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  children.delete(child);
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** A control session that comes back when the appliance does. */
async function reconnect(port: number): Promise<ControlSession> {
  let session: ControlSession | undefined;
  await until('the appliance answers', async () => {
    session = await connect(world, port).catch(() => undefined);
    return session !== undefined;
  });
  if (!session) throw new Error('no session');
  return session;
}

async function throughProxy(port: number): Promise<{ proxy: BadLink; port: number }> {
  const proxy = await startProxy(port);
  world.running.push(proxy);
  return { proxy, port: proxy.port };
}

describe('a copy survives', () => {
  it.each([11, 12])(
    'kill -9 of either engine at any moment and cuts of the link (seed %i)',
    async (seed) => {
      let proxy: BadLink | undefined;
      const chunks = 48;
      const copy = await prepareCopy(world, {
        chunks,
        full: range(0, chunks).filter((chunk) => chunk % 4 !== 1),
        pages: [{ chunk: 5, page: 17 }],
        through: async (port) => {
          ({ proxy } = await throughProxy(port));
          return proxy.port;
        },
      });
      if (!proxy) throw new Error('no proxy');
      // From here on both engines are processes of their own; the appliance keeps its port.
      await world.running.shift()?.stop();
      const applianceArgs = { ...applianceOptions(world), listen: { host: '127.0.0.1', port: copy.port } };
      const masterArgs = { stateFolder: masterFolder(world, 'm1') };
      let appliance = await startChild('appliance', applianceArgs);
      let master = await startChild('master', masterArgs);
      let control = await reconnect(copy.port);
      await untilConnected(control);
      await control.openReplica(copy.spec());
      proxy.bytesPerSecond = 24 * MIB;
      await control.startCopy('s1', OPTIONS);

      const random = noiseOf(seed)(4 * 64);
      let hits = 0;
      for (let round = 0; round < 6; round++) {
        const target = proxy.carried() + (random.readUInt16LE(round * 4) / 65536) * 10 * MIB;
        await until('more was carried, or it is over', async () => {
          return (proxy?.carried() ?? 0) >= target || (await control.progress('s1')).state === 'synchronised';
        });
        if ((await control.progress('s1')).state !== 'synchronised') hits++;
        const action = (random[round * 4 + 2] ?? 0) % 3;
        if (action === 0) {
          await kill(master);
          master = await startChild('master', masterArgs);
        } else if (action === 1) {
          await kill(appliance);
          appliance = await startChild('appliance', applianceArgs);
          control = await reconnect(copy.port);
        } else {
          proxy.cut();
        }
      }
      expect(hits).toBeGreaterThanOrEqual(3);
      proxy.bytesPerSecond = 0;
      expect(await untilEnd(control, 's1', 40_000)).toMatchObject({
        state: 'synchronised',
        doneBytes: chunks * MIB,
      });
      expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
    },
    LIMIT_MS,
  );

  it(
    'a link that stalls, is refused for a while, and is slow and late',
    async () => {
      let proxy: BadLink | undefined;
      const copy = await prepareCopy(world, {
        chunks: 24,
        full: range(0, 24),
        through: async (port) => {
          ({ proxy } = await throughProxy(port));
          return proxy.port;
        },
      });
      if (!proxy) throw new Error('no proxy');
      startMaster(world, 'm1');
      await untilConnected(copy.control);
      await copy.control.openReplica(copy.spec());
      proxy.bytesPerSecond = 16 * MIB;
      await copy.control.startCopy('s1', OPTIONS);
      const carried = proxy.carried();
      await until('some blocks are over', () => (proxy?.carried() ?? 0) > carried + 4 * MIB);
      proxy.stall(true);
      await until(
        'the silence is noticed',
        async () => (await copy.control.progress('s1')).state === 'master-away',
      );
      expect((await copy.control.masters())[0]).toMatchObject({ masterId: 'm1', connected: false });
      proxy.refuse(true);
      proxy.cut();
      proxy.stall(false);
      await until('the master tries in vain', () => world.log.lines.some((line) => /not reached/.test(line)));
      proxy.delayMs = 2;
      proxy.bytesPerSecond = 0;
      proxy.refuse(false);
      const end = await untilEnd(copy.control, 's1');
      expect(end.state).toBe('synchronised');
      expect(end.sentBytes).toBeLessThan(2 * 24 * MIB);
      expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
    },
    LIMIT_MS,
  );

  it(
    'a turned bit on the way: TLS ends that connection, nothing wrong is written',
    async () => {
      let proxy: BadLink | undefined;
      const copy = await prepareCopy(world, {
        chunks: 16,
        full: range(0, 16),
        through: async (port) => {
          ({ proxy } = await throughProxy(port));
          return proxy.port;
        },
      });
      if (!proxy) throw new Error('no proxy');
      startMaster(world, 'm1');
      await untilConnected(copy.control);
      await copy.control.openReplica(copy.spec());
      proxy.bytesPerSecond = 16 * MIB;
      await copy.control.startCopy('s1', OPTIONS);
      const carried = proxy.carried();
      await until('blocks are under way', () => (proxy?.carried() ?? 0) > carried + 2 * MIB);
      proxy.corruptNext();
      proxy.bytesPerSecond = 0;
      expect((await untilEnd(copy.control, 's1')).state).toBe('synchronised');
      expect(world.log.lines.some((line) => /interrupted|session ended/.test(line))).toBe(true);
      expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
    },
    LIMIT_MS,
  );
});

describe('the memory of the engines', () => {
  it(
    'stays bounded when the disk is much larger than what may be under way',
    async () => {
      const copy = await prepareCopy(world, { chunks: 320, full: range(0, 320) });
      await world.running.shift()?.stop();
      const listen = { host: '127.0.0.1', port: copy.port };
      const appliance = await startChild('appliance', { ...applianceOptions(world), listen });
      const master = await startChild('master', { stateFolder: masterFolder(world, 'm1') });
      const control = await reconnect(copy.port);
      await untilConnected(control);
      const before = [appliance, master].map(peakMib);
      await control.openReplica(copy.spec());
      await control.startCopy('s1', OPTIONS);
      expect((await untilEnd(control, 's1', 40_000)).state).toBe('synchronised');
      const grown = [appliance, master].map((child, index) => peakMib(child) - (before[index] ?? 0));
      for (const mib of grown) expect(mib).toBeLessThan(160);
    },
    LIMIT_MS,
  );
});

function peakMib(child: ChildProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}
