import { readdirSync, readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildMasterImage } from '../../infra/demo/master-image.ts';
import { findProcess } from '../../infra/local/guests/processes.ts';
import { withQmp } from '../../infra/local/guests/qmp.ts';
import { leakOf } from '../../src/verify/isolated.ts';
import { allowRule, attachedVm, collect, quick, startWorld } from '../infra/local/azure-world.ts';
import { ask, makeWorld, until, type World } from '../infra/local/guests/world.ts';
import { makeDrillNetwork } from './drill-network.ts';

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
      cacheFolder: join(images, 'cache'),
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
      await first.takePicture(world.vmId);
      const picture = readFileSync(join(world.dataFolder, 'guests', world.guid, 'screenshot.bmp'));
      expect(picture.subarray(1, 4).toString()).toBe('PNG');

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
      // The process dies: the VM is started again. It is shut down from inside: the VM stays off.
      await first.stop(world.vmId, 'kill');
      await second.start(world.vmId);
      const dying = findProcess(pidFile(world));
      process.kill(dying?.pid ?? 0, 'SIGKILL');
      const reborn = await until(
        () => findProcess(pidFile(world)),
        (found) => found !== undefined && found.pid !== dying?.pid,
      );
      await until(
        () => second.status(world.vmId),
        (status) => status === 'running',
      );
      await withQmp(`/proc/${reborn?.pid}/cwd/qmp.sock`, (qmp) => qmp.execute('quit'));
      await until(
        () => world.graph.get(world.vmId)?.hidden.power,
        (power) => power === 'stopped',
      );
      expect(second.status(world.vmId)).toBe('stopped');
      await second.start(world.vmId);
      await second.stop(world.vmId, 'kill');
      expect(findProcess(pidFile(world))).toBeUndefined();
      expect(second.status(world.vmId)).toBe('stopped');
    },
    BOOT_MS + 30_000,
  );

  it(
    'boots generation 2 from a disk made of a snapshot in the network of a drill, whose rules decide, and leaves nothing',
    async () => {
      const azure = await startWorld('qemu');
      const { compute, network, group, location, ca: caPem } = azure;
      const facts = { resourceGroup: group, askFrom: '127.0.0.1/32', port: 8080, caPem };
      const drill = await makeDrillNetwork(azure.local.endpoint, facts);
      try {
        const osDisk = { location, osType: 'Linux' as const, hyperVGeneration: 'V2', diskSizeGB: 1 };
        const empty = { ...osDisk, creationData: { createOption: 'Empty' } };
        const replica = await compute.disks.createOrUpdate(group, 'replica', empty, quick);
        await copyFile(join(images, 'uefi.img'), join(azure.folder, 'data/disks', `${replica.uniqueId}.raw`));
        await truncate(join(azure.folder, 'data/disks', `${replica.uniqueId}.raw`), 1024 ** 3);
        const copyOf = (id?: string) => ({ createOption: 'Copy', sourceResourceId: id ?? '' });
        const snapshot = await compute.snapshots.createOrUpdate(
          group,
          'snap',
          { location, incremental: true, creationData: copyOf(replica.id) },
          quick,
        );
        const standby = await compute.disks.createOrUpdate(
          group,
          'standby',
          { location, creationData: copyOf(snapshot.id) },
          quick,
        );
        const vm = attachedVm(azure, 'v');
        const managedDisk = { id: standby.id };
        vm.storageProfile = { osDisk: { createOption: 'Attach', osType: 'Linux', managedDisk } };
        vm.networkProfile = { networkInterfaces: [{ id: drill.nicId, primary: true }] };
        const made = await compute.virtualMachines.createOrUpdate(group, 'v', vm, quick);
        expect(made.instanceView?.hyperVGeneration ?? 'V2').toBe('V2');
        await until(
          () => ask(drill.address, 8080),
          (text) => text.includes('master01'),
          BOOT_MS,
        );
        const data = await compute.virtualMachines.retrieveBootDiagnosticsData(group, 'v');
        expect(await fetchText(data.serialConsoleLogBlobUri ?? '', azure.ca)).toContain('10.251.0.4');
        expect(await fetchText(data.consoleScreenshotBlobUri ?? '', azure.ca)).toContain('PNG');
        const view = await compute.virtualMachines.instanceView(group, 'v');
        expect(view.statuses?.map((status) => status.code)).toEqual([
          'ProvisioningState/succeeded',
          'PowerState/running',
        ]);
        // The same guest still listens there; who may ask, and what, is the rule's word.
        const rules = await drill.group();
        expect(leakOf(rules)).toBeUndefined();
        const asked = { port: '8080', from: '127.0.0.1/32' };
        for (const [change, found] of [
          [{ from: '203.0.113.7' }, 'ECONNREFUSED'],
          [{ port: '8081' }, 'ECONNREFUSED'],
          [{}, 'master01'],
        ] as const) {
          const { port, from } = { ...asked, ...change };
          const rule = { ...allowRule('', 100, port), sourceAddressPrefix: from };
          await network.securityRules.createOrUpdate(group, rules.name, 'Drill-Health-Checks', rule, quick);
          expect(await ask(drill.address, 8080)).toContain(found);
        }
        await compute.virtualMachines.delete(group, 'v', quick);
        expect(await ask(drill.address, 8080)).toBe('ECONNREFUSED');
        await drill.remove();
        expect(await collect(network.publicIPAddresses.list(group))).toEqual([]);
        expect(await collect(network.networkSecurityGroups.list(group))).toEqual([]);
        expect(readdirSync(join(azure.folder, 'run')).filter((name) => name.includes('qemu'))).toEqual([]);
        expect((await compute.disks.get(group, 'standby')).diskState).toBe('Unattached');
      } finally {
        await drill.close();
        await azure.stop();
      }
    },
    BOOT_MS + 30_000,
  );
});

function fetchText(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { ca }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += String(chunk);
      });
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
}
