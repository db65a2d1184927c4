import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { LocalEndpoint } from '../../../infra/local/local-azure.ts';
import { allowRule, type ConnectedWorld, connectWorld, ground, quick } from './azure-world.ts';
import { ask, until } from './guests/world.ts';

/**
 * The whole way of an appliance through a Local Azure that is a process of its own and is killed in the middle:
 * made with the official clients, reached on its public IP, alive when Local Azure is not.
 */
const folder = mkdtempSync(join(tmpdir(), 'standby-appliance-vm-'));
let daemon: ChildProcess;
let world: ConnectedWorld;
let publicIp: string;

async function startDaemon(): Promise<void> {
  daemon = fork(join(import.meta.dirname, 'local-azure-process.ts'), [folder], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await once(daemon, 'message');
}
async function endDaemon(signal: NodeJS.Signals): Promise<void> {
  const ended = once(daemon, 'exit');
  daemon.kill(signal);
  await ended;
}

const ENGINE = `
const [address, port] = process.env.STANDBY_LISTEN.split(':');
const luns = process.env.STANDBY_ROOT + '/dev/disk/azure/scsi1';
require('node:http').createServer((_request, response) => {
  response.end(JSON.stringify({ pid: process.pid, luns: require('node:fs').readdirSync(luns) }));
}).listen(Number(port), address);
`;
const FIRST_BOOT = `
mkdir -p "$STANDBY_ROOT/etc/systemd/system"
printf '[Service]\\nExecStart=%s %s\\nRestart=always\\n' ${process.execPath} "$STANDBY_ROOT/engine.cjs" >"$STANDBY_ROOT/etc/systemd/system/e.service"
systemctl enable --now e
`;
const USER_DATA = `#cloud-config\n${stringify({
  write_files: [
    { path: '/engine.cjs', content: ENGINE },
    { path: '/first-boot.sh', content: FIRST_BOOT },
  ],
  runcmd: [['sh', '/first-boot.sh']],
})}`;

const page = async () => {
  const text = await ask(publicIp, 25000);
  return text.includes('200 OK')
    ? (JSON.parse(text.slice(text.indexOf('{'))) as { pid: number; luns: string[] })
    : text;
};
const answers = (found: unknown) => typeof found === 'object';

beforeAll(async () => {
  await startDaemon();
  const endpoint = JSON.parse(readFileSync(join(folder, 'endpoint.json'), 'utf8')) as LocalEndpoint;
  world = await connectWorld(folder, endpoint);
  await ground(world, 'ap');
  publicIp = (await world.network.publicIPAddresses.get(world.group, 'ap-pip0')).ipAddress ?? '';
});
afterAll(async () => {
  if (daemon.exitCode === null && daemon.signalCode === null) await endDaemon('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

describe('an appliance VM', () => {
  it('is made, opened, given disks, and lives through the death of Local Azure', async () => {
    const { compute, network, group, location } = world;
    await compute.virtualMachines.createOrUpdate(
      group,
      'ap',
      {
        location,
        tags: { 'standby-role': 'appliance' },
        hardwareProfile: { vmSize: 'Standard_B2s' },
        storageProfile: {
          imageReference: { publisher: 'Debian', offer: 'debian-12', sku: '12-gen2', version: 'latest' },
          osDisk: { createOption: 'FromImage' },
        },
        osProfile: {
          computerName: 'ap',
          adminUsername: 'azureuser',
          customData: Buffer.from(USER_DATA).toString('base64'),
          linuxConfiguration: { ssh: { publicKeys: [{ path: '/k', keyData: 'ssh-ed25519 A' }] } },
        },
        networkProfile: {
          networkInterfaces: [
            { id: world.idOf('Microsoft.Network/networkInterfaces', 'ap-nic0'), primary: true },
          ],
        },
      },
      quick,
    );
    expect(await page()).toBe('ECONNREFUSED');
    await network.securityRules.createOrUpdate(
      group,
      'ap-nsg',
      'engine',
      allowRule('engine', 300, '25000'),
      quick,
    );
    const first = await until(page, answers);
    expect(first).toMatchObject({ luns: [] });

    await compute.virtualMachines.attachDetachDataDisks(
      group,
      'ap',
      { dataDisksToAttach: [{ diskId: world.idOf('Microsoft.Compute/disks', 'ap-os'), lun: 4 }] },
      quick,
    );
    expect(await page()).toMatchObject({ luns: ['lun4'] });

    await endDaemon('SIGKILL');
    expect(await page()).toBe('ECONNREFUSED');
    await startDaemon();
    expect(await until(page, answers)).toEqual({ ...(first as object), luns: ['lun4'] });

    await compute.virtualMachines.deallocate(group, 'ap', quick);
    expect(await page()).toBe('ECONNREFUSED');
    await compute.virtualMachines.start(group, 'ap', quick);
    await until(page, answers);
    await network.securityRules.delete(group, 'ap-nsg', 'engine', quick);
    expect(await page()).toBe('ECONNREFUSED');
  }, 40_000);

  it('ends with Local Azure when that ends in order, and comes back with it; deleted, it leaves nothing', async () => {
    const rule = allowRule('engine', 300, '25000');
    await world.network.securityRules.createOrUpdate(world.group, 'ap-nsg', 'engine', rule, quick);
    const before = await until(page, answers);
    await endDaemon('SIGTERM');
    expect(existsSync(`/proc/${(before as { pid: number }).pid}`)).toBe(false);
    await startDaemon();
    const after = await until(page, answers);
    expect(after).not.toEqual(before);
    await world.compute.virtualMachines.delete(world.group, 'ap', quick);
    expect(existsSync(`/proc/${(after as { pid: number }).pid}`)).toBe(false);
    expect(readdirSync(join(folder, 'data/guests'))).toEqual([]);
  }, 40_000);
});
