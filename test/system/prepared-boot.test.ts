import { copyFileSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildMasterImage } from '../../infra/demo/master-image.ts';
import { openDevice } from '../../src/block/open-device.ts';
import { sealedChanges } from '../../src/guest/sealed/sealed-changes.ts';
import type { StepContext } from '../../src/plan/plan.ts';
import { type BootProof, proveBootStep } from '../../src/switchover/steps/prove-boot.ts';
import { CommandLine } from '../cli/shell-fixture.ts';
import { Bench } from '../fakes/bench.ts';
import { APPLIANCE_VM_ID } from '../fakes/fake-cloud.ts';
import { scenario } from '../fakes/scene.ts';
import { attempt } from '../guest/volumes.ts';
import { ask, makeWorld, until, type World } from '../infra/local/guests/world.ts';
import { CACHE } from './commands.ts';
import {
  FSTAB,
  filesOf,
  INTERFACES,
  makeMedium,
  makeOldServer,
  OLD_FILES,
  PAGE,
  putFile,
  WEB_PORT,
  workAtHome,
} from './old-server.ts';

/** Generous: the machines here are emulated, and may have little of the processor. */
const BOOT_MS = 240_000;
const TEST_MS = 3 * BOOT_MS;

let folder: string;
const worlds: World[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'standby-prepared-'));
  return () => rm(folder, { recursive: true, force: true });
});
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.close()));
});

/** The codes of the facts that are not as they should be, by the command that a person types. */
async function readiness(disk: string): Promise<{ verdict: unknown; faults: string[] }> {
  const line = new CommandLine();
  try {
    const { exitCode, documents } = await line.type(['readiness', '--disk', disk, '--json']);
    const [found] = documents as unknown as [
      { verdict: string; verdicts: readonly { code: string; status: string }[] },
    ];
    expect(exitCode).toBe(found.verdict === 'ready' ? 0 : 3);
    const faults = found.verdicts.filter(({ status }) => status !== 'ok');
    return { verdict: found.verdict, faults: faults.map(({ code, status }) => `${code} ${status}`) };
  } finally {
    line.remove();
  }
}

/** A VM of Local Azure that starts from a copy of the disk. */
async function standbyFrom(disk: string, generation: 'V1' | 'V2' = 'V1'): Promise<World> {
  const world = await makeWorld({ guest: 'disk', generation });
  worlds.push(world);
  copyFileSync(disk, join(world.dataFolder, 'disks/os.raw'));
  world.allow('web', 100, String(WEB_PORT));
  await (await world.host()).start(world.vmId);
  return world;
}

const consoleOf = (world: World) => readFileSync(world.serialFile, 'latin1');

function untilSaid(world: World, text: string): Promise<unknown> {
  return until(
    () => consoleOf(world),
    (said) => said.includes(text),
    BOOT_MS,
  );
}

function untilPage(world: World, text: string): Promise<unknown> {
  return until(
    () => ask(world.publicIp, WEB_PORT),
    (page) => page.includes(text),
    BOOT_MS,
  );
}

/** The step of a switchover, on a VM that has said all that it will say; its waits take no time. */
async function proofOf(world: World): Promise<BootProof> {
  const bench = await Bench.open();
  try {
    const { cloud } = bench.fake;
    const machines = { ...cloud.machines, serialLog: async () => consoleOf(world) };
    const health = { kind: 'http', port: WEB_PORT, path: '/', expectStatus: 200 } as const;
    const work = {
      ...bench.work('run-1'),
      cloud: { ...cloud, machines },
      scenario: scenario({ healthChecks: [health] }),
      patience: { bootMs: 30_000 },
    };
    const step = proveBootStep(work, { addressOf: async () => world.publicIp });
    const running = {
      vmId: APPLIANCE_VM_ID,
      power: 'running',
      runningAtMs: work.clock.now(),
      serialBefore: 0,
    };
    const context = {
      signal: new AbortController().signal,
      output: () => running,
      progress: () => undefined,
    };
    return await step.run(context as unknown as StepContext);
  } finally {
    await bench.close();
  }
}

const codes = (proof: BootProof) => proof.verdicts.map(({ code }) => code);
describe('A Linux server that works at home', () => {
  it(
    'does not start elsewhere by the facts that readiness names, starts when it has prepared itself, and goes back to the byte',
    async () => {
      const [disk, medium] = [join(folder, 'old.img'), join(folder, 'medium.img')];
      await Promise.all([makeOldServer(disk), makeMedium(medium)]);
      const faults = await readiness(disk);
      expect(faults).toEqual({
        verdict: 'not ready',
        faults: [
          'INITRD_HV_VMBUS error',
          'INITRD_HV_STORVSC error',
          'CONSOLE warning',
          'FSTAB_NAMES error',
          'NIC_NAMES error',
          'PERSISTENT_NET warning',
        ],
      });
      const before = filesOf(disk);

      const prepared = await workAtHome(disk, medium, { timeoutMs: BOOT_MS });
      expect(prepared).toMatch(/WORK-ENDED 0[\s\S]*WORK-SAVED/);
      expect(await readiness(disk)).toEqual({ verdict: 'ready', faults: [] });

      // With one of its faults each: the mounts, the NIC.
      const [mounts, nic] = [join(folder, 'mounts.img'), join(folder, 'nic.img')];
      for (const [copy, path] of [
        [mounts, FSTAB],
        [nic, INTERFACES],
      ] as const) {
        copyFileSync(disk, copy);
        putFile(copy, path, OLD_FILES[path] ?? '');
      }
      expect((await readiness(mounts)).faults).toEqual(['FSTAB_NAMES error']);
      expect((await readiness(nic)).faults).toEqual(['NIC_NAMES error']);
      const stopped = await standbyFrom(mounts);
      const mute = await standbyFrom(nic);
      await untilSaid(stopped, 'emergency mode');
      await expect(proofOf(stopped)).rejects.toMatchObject({
        code: 'BOOT_NOT_PROVEN',
        why: expect.stringContaining('You are in emergency mode'),
      });
      await untilSaid(mute, 'SERVER-READY');
      await expect(proofOf(mute)).rejects.toMatchObject({
        code: 'BOOT_NOT_PROVEN',
        why: expect.stringContaining('refuses the connection'),
      });
      await Promise.all(worlds.splice(0).map((world) => world.close()));

      const standby = await standbyFrom(disk);
      await untilPage(standby, PAGE);
      const proof = await proofOf(standby);
      expect([proof.outcome, codes(proof)]).toEqual([
        'proven',
        ['POWER_RUNNING', 'SERIAL_ALIVE', 'HEALTH_OK'],
      ]);

      // At home it starts as before, with its address, and takes everything back.
      const undone = await workAtHome(disk, medium, { timeoutMs: BOOT_MS });
      expect(undone).toMatch(/WORK-ENDED 0[\s\S]*WORK-SAVED/);
      expect(undone).toMatch(/inet 10\.0\.2\.15.*lan0/);
      expect(filesOf(disk)).toEqual(before);
      expect(await readiness(disk)).toEqual(faults);
    },
    TEST_MS,
  );

  it(
    'starts from a larger disk with the backup of its GPT at the end, as sgdisk wants it',
    async () => {
      const disk = join(folder, 'larger.img');
      const firmware = { firmware: 'uefi', sizeMib: 192, dataMib: 0 } as const;
      await buildMasterImage({ file: disk, ...firmware, hostName: 'master01', cacheFolder: CACHE });
      truncateSync(disk, 1024 ** 3);
      const verified = () => attempt('sgdisk', '-v', disk).out;
      expect(verified()).not.toContain('No problems found');
      const device = await openDevice(disk, { mode: 'write' });
      try {
        const { patches, changes } = await sealedChanges(device, { boot: true });
        expect(changes.map(({ code }) => code)).toEqual(['GPT_BACKUP']);
        for (const { atBytes, bytes } of patches) await device.write(bytes, atBytes);
        await device.sync();
      } finally {
        await device.close();
      }
      expect(verified()).toContain('No problems found');
      const standby = await standbyFrom(disk, 'V2');
      await untilPage(standby, 'master01');
      expect((await proofOf(standby)).outcome).toBe('proven');
      rmSync(disk);
      copyFileSync(join(standby.dataFolder, 'disks/os.raw'), disk);
      expect(verified()).toContain('No problems found');
    },
    TEST_MS,
  );
});
