import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ReceivingDisk } from '../../src/appliance/receiver.ts';
import { newRecord } from '../../src/appliance/replica-record.ts';
import { ReplicaPatch } from '../../src/appliance/sealed-patch.ts';
import type { QuickDevice } from '../../src/block/open-device.ts';
import { readReadiness } from '../../src/guest/readiness/readiness.ts';
import { makeInTurn } from '../../src/in-turn.ts';
import { silentLog } from '../../src/log.ts';
import { OPTIONS, prepareCopy, untilConnected } from '../fixtures/copying.ts';
import {
  connect,
  MIB,
  makeWorld,
  startAppliance,
  startMaster,
  until,
  untilEnd,
  type World,
} from '../fixtures/engines.ts';
import { LIVE, prepareFollowing, untilApplied, untilState } from '../fixtures/following.ts';
import { dword } from '../guest/hive-writer.ts';
import { linuxDisk } from '../guest/linux-disk.ts';
import { deviceOf, run } from '../guest/volumes.ts';
import { readyRegistry, uefiWindows } from '../guest/windows-disk.ts';

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

/** A Windows that would not find its disk in Azure, in whole MiB. */
function brokenWindows(): Buffer {
  const registry = readyRegistry();
  registry.set('ControlSet001\\Services\\storvsc', 'Start', dword(3));
  registry.set('ControlSet002\\Services\\Dhcp', 'Start', dword(4));
  const disk = uefiWindows(world.folder, { system: registry.hive() });
  const whole = Buffer.concat([disk, Buffer.alloc((MIB - (disk.length % MIB)) % MIB)]);
  return whole;
}

const CODES = ['GPT_BACKUP', 'STORVSC_START', 'DHCP_SERVICE'];
const verdictOf = async (disk: Buffer) => (await readReadiness(deviceOf(disk))).verdict;
const isSoundTable = async (disk: Buffer) => {
  await writeFile(join(world.folder, 'table.img'), disk);
  return run('sgdisk', '-v', join(world.folder, 'table.img')).includes('No problems found');
};

async function expectPatched(disk: Buffer): Promise<void> {
  expect(await verdictOf(disk)).toBe('ready');
  expect(await isSoundTable(disk)).toBe(true);
}

describe('a patch of a sealed replica', { timeout: 90_000 }, () => {
  it('at rest is in its snapshot and gone after it, also when the appliance is restarted in between', async () => {
    const windows = brokenWindows();
    const copy = await prepareCopy(world, { chunks: windows.length / MIB });
    await writeFile(copy.disk, windows);
    startMaster(world, 'm1');
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec());
    await copy.control.startCopy('s1', OPTIONS);
    expect((await untilEnd(copy.control, 's1')).state).toBe('synchronised');
    await expect(copy.control.patchReplica('s1', 'disk0')).rejects.toMatchObject({ code: 'NOT_SEALED' });
    await copy.control.seal('s1');
    const before = await readFile(copy.lun);
    expect(await verdictOf(before)).toBe('not ready');

    const told = await copy.control.patchReplica('s1', 'disk0');
    expect(told.changes.map(({ code }) => code)).toEqual(CODES);
    expect(told).toMatchObject({ left: [], verdict: 'ready', faults: [] });
    const snapshot = await readFile(copy.lun);
    await expectPatched(snapshot);
    await expect(copy.control.readiness('s1', 'disk0')).rejects.toMatchObject({ code: 'REPLICA_PATCHED' });

    const restarted = await restart(copy.control);
    expect((await readFile(copy.lun)).equals(snapshot)).toBe(true);
    expect(await restarted.patchReplica('s1', 'disk0')).toEqual(told);
    expect((await readFile(copy.lun)).equals(snapshot)).toBe(true);
    await restarted.unpatchReplica('s1');
    expect((await readFile(copy.lun)).equals(before)).toBe(true);
    await restarted.unpatchReplica('s1');

    // Whatever touches the replica next puts it back first: the end of the seal, or another epoch.
    await restarted.patchReplica('s1', 'disk0');
    const again = await restart(restarted);
    await again.unseal('s1');
    expect((await readFile(copy.lun)).equals(before)).toBe(true);
    await again.seal('s1');
    await again.patchReplica('s1', 'disk0');
    await again.openReplica(copy.spec({ epoch: 2 }, false));
    expect((await readFile(copy.lun)).equals(before)).toBe(true);
  });

  it('that follows its master is taken back before anything more is applied to it', async () => {
    // What is changed of it is the backup of its GPT: the replica disk is larger.
    const linux = linuxDisk(world.folder, { style: 'uefi' });
    const all = await prepareFollowing(world, { chunks: linux.length / MIB });
    linux.copy(all.master.image);
    await all.open();
    await all.control.startCopy('s1', LIVE);
    await untilState(all.control, 'replicating');
    await untilApplied(all);
    await all.control.seal('s1');
    const before = await readFile(all.lun);
    const told = await all.control.patchReplica('s1', 'disk0');
    expect(told.changes.map(({ code }) => code)).toEqual(['GPT_BACKUP']);
    expect(await isSoundTable(await readFile(all.lun))).toBe(true);

    await all.control.unpatchReplica('s1');
    expect((await readFile(all.lun)).equals(before)).toBe(true);
    await all.control.patchReplica('s1', 'disk0');
    // Sealed to the same position again, as a resumed switchover does.
    await all.control.seal('s1');
    expect((await readFile(all.lun)).equals(before)).toBe(true);
    await all.control.patchReplica('s1', 'disk0');
    all.master.write(MIB / 2, Buffer.alloc(4096, 9));
    all.master.flush();
    await all.control.unseal('s1');
    await untilState(all.control, 'replicating');
    const after = await untilApplied(all);
    expect(after.equals(all.master.image)).toBe(true);
    const provenAtMs = (await all.control.progress('s1')).replication?.proof?.atMs ?? 0;
    await all.control.scrub('s1');
    const isProven = async () => {
      const { proof } = (await all.control.progress('s1')).replication ?? {};
      return proof?.equal === true && proof.atMs > provenAtMs;
    };
    await until('both ends are equal by digest', isProven, 30_000);
  });

  it('for a drill is there while the disks are held, and gone before the replica goes on', async () => {
    const linux = linuxDisk(world.folder, { style: 'uefi' });
    const all = await prepareFollowing(world, { chunks: linux.length / MIB });
    linux.copy(all.master.image);
    await all.open();
    await all.control.startCopy('s1', LIVE);
    await untilState(all.control, 'replicating');
    await untilApplied(all);
    const before = await readFile(all.lun);
    const drill = { holdId: 'drill-1', ms: 600_000 };
    await expect(all.control.patchReplica('s1', 'disk0')).rejects.toMatchObject({ code: 'NOT_SEALED' });
    await all.control.hold('s1', drill);
    const { changes } = await all.control.patchReplica('s1', 'disk0');
    expect(changes.map(({ code }) => code)).toEqual(['GPT_BACKUP']);
    all.master.write(MIB / 2, Buffer.alloc(4096, 9));
    all.master.flush();
    expect(await isSoundTable(await readFile(all.lun))).toBe(true);
    expect(await all.control.release('s1', drill.holdId)).toEqual({ held: true });
    expect((await untilApplied(all)).equals(all.master.image)).toBe(true);
    expect((await readFile(all.lun)).subarray(linux.length).equals(before.subarray(linux.length))).toBe(true);

    // A switchover in the middle of a drill: the seal takes the drill's patch back, and then makes its own.
    await all.control.hold('s1', { ...drill, holdId: 'drill-2' });
    await all.control.patchReplica('s1', 'disk0');
    await all.control.seal('s1');
    const sealed = await readFile(all.lun);
    expect(sealed.subarray(0, linux.length).equals(all.master.image)).toBe(true);
    await all.control.patchReplica('s1', 'disk0');
    await all.control.unseal('s1');
    await untilState(all.control, 'replicating');
    expect((await readFile(all.lun)).equals(sealed)).toBe(true);
  });

  async function restart(control: { close(): Promise<void> }) {
    await control.close();
    for (const one of world.running.splice(0).reverse()) await one.stop();
    const { port } = await startAppliance(world);
    return await connect(world, port);
  }
});

/** The machine is gone at its nth act on a disk: nothing acts any more, and what was not synced may be lost. */
class Machine {
  readonly #cells: number;
  #acts = 0;

  constructor(cells: number) {
    this.#cells = cells;
  }

  get acts(): number {
    return this.#acts;
  }

  act(): void {
    if (++this.#acts > this.#cells) throw new Error('the machine is gone');
  }
}

/** Large, and needed once for each act: only what was written moves between what is cached and what is durable. */
class Platter {
  readonly durable: Buffer;
  readonly cached: Buffer;
  readonly #unsynced: { readonly from: number; readonly to: number }[] = [];

  constructor(bytes: Buffer) {
    this.durable = Buffer.from(bytes);
    this.cached = Buffer.from(bytes);
  }

  /** A death leaves everything, or only what was synced. */
  die(isKept: boolean): void {
    if (isKept) this.#sync();
    for (const { from, to } of this.#unsynced.splice(0)) this.durable.copy(this.cached, from, from, to);
  }

  #sync(): void {
    for (const { from, to } of this.#unsynced.splice(0)) this.cached.copy(this.durable, from, from, to);
  }

  on(machine: Machine): QuickDevice {
    const reads = deviceOf(this.cached);
    return {
      ...reads,
      write: async (source: Uint8Array, at: number) => {
        machine.act();
        this.cached.set(source, at);
        this.#unsynced.push({ from: at, to: at + source.length });
      },
      sync: async () => {
        machine.act();
        this.#sync();
      },
    } as unknown as QuickDevice;
  }
}

describe('killed at any act on its disks, a patch', () => {
  it('is put back to the byte by whoever comes next, or made whole', { timeout: 180_000 }, async () => {
    const before = Buffer.concat([brokenWindows(), Buffer.alloc(2 * MIB)]);
    const patchOn = (platter: Platter, machine: Machine) => {
      const disks = [{ diskId: 'disk0', device: platter.on(machine) } as unknown as ReceivingDisk];
      const spec = { scenarioId: 's1', masterId: 'm1', epoch: 3, disks: [] };
      const live = {} as never;
      return new ReplicaPatch(
        { stateFolder: join(world.folder, 'state'), lunsFolder: world.lunsFolder, log: silentLog },
        {
          inTurn: makeInTurn(),
          record: () => ({ ...newRecord(spec), sealed: true, live }),
          isStill: () => true,
          openLive: async () => ({ disks }),
        },
      );
    };
    const platter = new Platter(before);
    const counting = new Machine(Number.POSITIVE_INFINITY);
    const undisturbed = patchOn(platter, counting);
    await undisturbed.apply('disk0');
    const applying = counting.acts;
    await expectPatched(platter.durable);
    const patched = Buffer.from(platter.durable);
    await undisturbed.remove();
    const acts = counting.acts;
    expect(platter.durable.equals(before)).toBe(true);
    expect([applying, acts]).toEqual([expect.any(Number), expect.any(Number)]);
    expect(applying).toBeGreaterThan(5);

    for (let cells = 0; cells < acts; cells++) {
      for (const isKept of [true, false]) {
        const dying = patchOn(platter, new Machine(cells));
        const died = await dying
          .apply('disk0')
          .then(() => dying.remove())
          .then(
            () => false,
            () => true,
          );
        expect(died).toBe(true);
        platter.die(isKept);
        if (cells % 2 === 0) {
          await patchOn(platter, new Machine(1000)).takeBack();
          expect([cells, platter.durable.equals(before)]).toEqual([cells, true]);
        } else {
          const next = patchOn(platter, new Machine(1000));
          await next.apply('disk0');
          expect([cells, platter.durable.equals(patched)]).toEqual([cells, true]);
          await next.remove();
          expect([cells, platter.durable.equals(before)]).toEqual([cells, true]);
        }
        expect(await undisturbed.isThere()).toBe(false);
        // The next one begins with a disk on which nothing is under way.
        platter.die(false);
        expect([cells, platter.cached.equals(before)]).toEqual([cells, true]);
      }
    }
  });
});
