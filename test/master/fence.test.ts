import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ControlSession } from '../../src/wire/control-session.ts';
import {
  connect,
  enrol,
  joinOne,
  MIB,
  makeImage,
  makeWorld,
  type Running,
  startAppliance,
  startMaster,
  until,
  type World,
} from '../fixtures/engines.ts';

/** Both engines: a master is taken off the network by its own command, and stays off when it comes back. */
let world: World;
let control: ControlSession;
let command: readonly string[];
let said: string;

beforeEach(async () => {
  world = await makeWorld();
  const { port } = await startAppliance(world);
  await enrol(world, port);
  control = await connect(world, port);
  const disk = join(world.folder, 'disk0.img');
  await makeImage(disk, MIB);
  await makeImage(join(world.lunsFolder, 'lun1'), MIB);
  await joinOne(world, control, { masterId: 'master-1', disks: [disk], port });
  await control.openReplica({
    scenarioId: 'web',
    masterId: 'master-1',
    epoch: 1,
    disks: [{ diskId: 'disk0', lun: 1, sizeBytes: MIB, blank: true, excluded: [] }],
  });
  said = join(world.folder, 'said');
  command = await program(`echo "$@" >> ${said}`);
});
afterEach(() => world?.end());

async function program(body: string): Promise<readonly string[]> {
  const file = join(world.folder, 'fence.sh');
  await writeFile(file, `#!/bin/sh\n${body}\n`);
  await chmod(file, 0o755);
  return [file, 'eth0'];
}

async function start(): Promise<Running> {
  const master = startMaster(world, 'master-1', { fence: command });
  await until('the master is connected', isConnected);
  return master;
}

const isConnected = async () =>
  (await control.masters()).some((one) => one.connected && one.inventory?.fence === true);
const heard = async () => (await readFile(said, 'utf8').catch(() => '')).trim().split('\n');

describe('A fenced master', () => {
  it('runs its command once, again at each start before it dials, and is let on again', async () => {
    const master = await start();
    expect(await control.fence('web', true)).toEqual({ outcome: 'done' });
    expect(await control.fence('web', true)).toEqual({ outcome: 'done' });
    expect(await heard()).toEqual(['eth0 disable']);
    await master.stop();
    await until('it is away', async () => !(await isConnected()));
    const back = await start();
    expect(await heard()).toEqual(['eth0 disable', 'eth0 disable']);
    expect(await control.fence('web', false)).toEqual({ outcome: 'done' });
    expect((await heard()).at(-1)).toBe('eth0 enable');
    await back.stop();
    await until('it is away', async () => !(await isConnected()));
    await start();
    expect(await heard()).toHaveLength(3);
  });

  it('that was away when it was wanted is fenced as soon as it comes back', async () => {
    expect(await control.fence('web', true)).toEqual({ outcome: 'away' });
    const master = await start();
    expect(await heard()).toEqual(['']);
    await master.stop();
    await until('it is away', async () => !(await isConnected()));
    // Only when a person says that it is off is it remembered: nobody loses a server to a run that was not begun.
    expect(await control.fence('web', true, true)).toEqual({ outcome: 'away' });
    await start();
    await until('its command ran', async () => (await heard()).includes('eth0 disable'));
  });

  it('whose command fails says so, and is asked again', async () => {
    await program('echo "no such adapter" >&2; exit 3');
    await start();
    expect(await control.fence('web', true)).toMatchObject({
      outcome: 'failed',
      why: expect.stringMatching(/ended with 3.*no such adapter/s),
    });
    command = await program(`echo "$@" >> ${said}`);
    expect(await control.fence('web', true)).toEqual({ outcome: 'done' });
    expect(await heard()).toEqual(['eth0 disable']);
  });
});
