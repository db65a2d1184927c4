import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildMasterImage } from '../../infra/demo/master-image.ts';
import { findProcess } from '../../infra/local/guests/processes.ts';
import { ask, makeWorld, until, type World } from '../infra/local/guests/world.ts';

/** The kernel of the demo's image is kept where the product's tests keep it between runs. */
const cacheFolder = join(tmpdir(), 'standby-test-cache');
const BOOT_MS = 90_000;

let worlds: World[] = [];
let images: string;

beforeAll(async () => {
  images = await mkdtemp(join(tmpdir(), 'standby-images-'));
  for (const firmware of ['bios', 'uefi'] as const) {
    await buildMasterImage({
      file: join(images, `${firmware}.img`),
      firmware,
      sizeMib: 256,
      dataMib: 1,
      hostName: 'master01',
      cacheFolder,
    });
  }
  return () => rm(images, { recursive: true, force: true });
}, 120_000);

afterEach(async () => {
  await Promise.all(worlds.map((world) => world.close()));
  worlds = [];
});

async function bootable(firmware: 'bios' | 'uefi'): Promise<World> {
  const world = await makeWorld({ guest: 'disk', generation: firmware === 'uefi' ? 'V2' : 'V1' });
  worlds.push(world);
  await copyFile(join(images, `${firmware}.img`), join(world.dataFolder, 'disks/os.raw'));
  await truncate(join(world.dataFolder, 'disks/os.raw'), 1024 ** 3);
  return world;
}

function pidFile(world: World): string {
  return join(world.folder, 'run', `${world.guid}.qemu.pid`);
}

describe('a VM in QEMU', () => {
  it(
    'boots generation 1, takes its private address, and is reachable on allowed ports only, through a restart',
    async () => {
      const world = await bootable('bios');
      world.allow('web', 100, '8080');
      const first = await world.host();
      await first.start(world.vmId);
      expect(first.status(world.vmId)).toBe('running');
      expect(await ask(world.publicIp, 8080)).toBe('ECONNREFUSED');
      const page = await until(
        () => ask(world.publicIp, 8080),
        (text) => text.includes('200 OK'),
        BOOT_MS,
      );
      expect(page).toContain('master01');
      expect(await ask(world.publicIp, 80)).toBe('ECONNREFUSED');
      const serial = readFileSync(world.serialFile, 'utf8');
      expect(serial).toContain('10.3.1.9');

      // Rules count at once.
      world.allow('closed', 90, '8080', 'Deny');
      await first.networkChanged();
      expect(await ask(world.publicIp, 8080)).toBe('ECONNREFUSED');
      world.dropRule('closed');
      await first.networkChanged();
      expect(await ask(world.publicIp, 8080)).toContain('master01');

      // A data disk comes and goes while it runs.
      await writeFile(join(world.dataFolder, 'disks/data.raw'), '');
      await truncate(join(world.dataFolder, 'disks/data.raw'), 64 * 1024 ** 2);
      world.addDataDisk(2, 'disks/data.raw');
      await first.disksChanged(world.vmId);
      world.dropDataDisk(2);
      await first.disksChanged(world.vmId);
      expect(first.status(world.vmId)).toBe('running');

      // Another Local Azure takes the same process over.
      const before = findProcess(pidFile(world));
      const second = await world.host();
      await second.resume();
      expect(findProcess(pidFile(world))).toEqual(before);
      expect(second.status(world.vmId)).toBe('running');
      await second.stop(world.vmId, 'kill');
      expect(findProcess(pidFile(world))).toBeUndefined();
      expect(second.status(world.vmId)).toBe('stopped');
    },
    BOOT_MS + 30_000,
  );

  it(
    'boots generation 2 and ends with its files when the VM is deleted',
    async () => {
      const world = await bootable('uefi');
      world.allow('web', 100, '8080');
      const host = await world.host();
      await host.start(world.vmId);
      await until(
        () => ask(world.publicIp, 8080),
        (text) => text.includes('master01'),
        BOOT_MS,
      );
      await host.forget(world.vmId);
      expect(existsSync(world.serialFile)).toBe(false);
      expect(readdirSync(join(world.folder, 'run'))).toEqual([]);
      expect(await ask(world.publicIp, 8080)).toBe('ECONNREFUSED');
    },
    BOOT_MS + 30_000,
  );
});
