import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { findProcess, isAlive } from '../../../../infra/local/guests/processes.ts';
import { ask, makeWorld, until, type World } from './world.ts';

let worlds: World[] = [];
afterEach(async () => {
  await Promise.all(worlds.map((world) => world.close()));
  worlds = [];
});

/** Says who it is on the address it is told, and what it sees at its LUNs. */
const ENGINE = `
const http = require('node:http');
const fs = require('node:fs');
const [address, port] = process.env.STANDBY_LISTEN.split(':');
const luns = process.env.STANDBY_ROOT + '/dev/disk/azure/scsi1';
http.createServer((_request, response) => {
  response.end(JSON.stringify({ pid: process.pid, luns: fs.readdirSync(luns).sort() }));
}).listen(Number(port), address, () => process.stdout.write('engine up\\n'));
`;

const FIRST_BOOT = `#!/bin/sh
set -eu
mkdir -p "$STANDBY_ROOT/etc/systemd/system"
cat >"$STANDBY_ROOT/etc/systemd/system/fake-engine.service" <<END
[Service]
ExecStart=${process.execPath} $STANDBY_ROOT/opt/engine.cjs
Restart=always
RestartSec=2
END
systemctl daemon-reload
systemctl enable --now fake-engine
echo "first boot done"
`;

function userData(script = FIRST_BOOT): string {
  const files = [
    { path: '/opt/engine.cjs', content: ENGINE, permissions: '0644' },
    { path: '/opt/first-boot.sh', content: script, permissions: '0755' },
    { path: '/etc/secret.json', content: '{}', permissions: '0600' },
  ];
  return `#cloud-config\n${stringify({ write_files: files, runcmd: [['sh', '/opt/first-boot.sh']] })}`;
}

async function appliance(data = userData()): Promise<World> {
  const world = await makeWorld({ guest: 'appliance', userData: data });
  worlds.push(world);
  return world;
}

const body = (text: string) =>
  JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)) as { pid: number; luns: string[] };
const isUp = (text: string) => text.includes('200 OK');
const serialOf = (world: World) => readFileSync(world.serialFile, 'utf8');
const pidFile = (world: World) => join(world.folder, 'run', `${world.guid}.unit-fake-engine.pid`);

describe('an appliance as a local process', () => {
  it('does its first boot, is unreachable until a rule allows it, and sees its data disks come and go', async () => {
    const world = await appliance();
    const host = await world.host();
    await host.start(world.vmId);
    await until(
      () => serialOf(world),
      (text) => text.includes('engine up'),
    );
    expect(serialOf(world)).toContain('first boot done');
    const secret = join(world.dataFolder, 'guests', world.guid, 'root/etc/secret.json');
    expect(statSync(secret).mode & 0o777).toBe(0o600);

    await host.networkChanged();
    expect(await ask(world.publicIp, 25000)).toBe('ECONNREFUSED');
    world.allow('engine', 300, '25000');
    await host.networkChanged();
    const page = await ask(world.publicIp, 25000);
    expect(body(page).luns).toEqual([]);
    expect(host.forwards()).toEqual([
      { vmId: world.vmId, publicIp: world.publicIp, port: 25000, listenPort: 25000 },
    ]);

    writeFileSync(join(world.dataFolder, 'disks/d.raw'), 'x');
    world.addDataDisk(0, 'disks/d.raw');
    world.addDataDisk(5, 'disks/d.raw');
    await host.disksChanged(world.vmId);
    expect(body(await ask(world.publicIp, 25000)).luns).toEqual(['lun0', 'lun5']);
    world.dropDataDisk(5);
    await host.disksChanged(world.vmId);
    expect(body(await ask(world.publicIp, 25000)).luns).toEqual(['lun0']);
  });

  it('refuses by the rule of lower priority number, and by the source address', async () => {
    const world = await appliance();
    world.allow('engine', 300, '25000');
    const host = await world.host();
    await host.start(world.vmId);
    await until(() => ask(world.publicIp, 25000), isUp);
    world.allow('no', 200, '*', 'Deny');
    await host.networkChanged();
    expect(await ask(world.publicIp, 25000)).toBe('ECONNREFUSED');
    world.dropRule('no');
    world.dropRule('engine');
    world.allow('elsewhere', 300, '25000', 'Allow', '203.0.113.0/24');
    await host.networkChanged();
    expect(await ask(world.publicIp, 25000)).toBe('ECONNREFUSED');
    world.dropRule('elsewhere');
    world.allow('here', 300, '25000', 'Allow', '127.0.0.1/32');
    await host.networkChanged();
    expect(isUp(await ask(world.publicIp, 25000))).toBe(true);
  });

  it('starts the engine again within about a second when it is killed', async () => {
    const world = await appliance();
    world.allow('engine', 300, '25000');
    const host = await world.host();
    await host.start(world.vmId);
    const { pid } = body(await until(() => ask(world.publicIp, 25000), isUp));
    process.kill(pid, 'SIGKILL');
    const again = await until(
      async () => (isUp(await ask(world.publicIp, 25000)) ? body(await ask(world.publicIp, 25000)).pid : pid),
      (found) => found !== pid,
      3000,
    );
    expect(again).not.toBe(pid);
  });

  it('keeps the same engine through a restart of Local Azure, and ends it with the VM', async () => {
    const world = await appliance();
    world.allow('engine', 300, '25000');
    const first = await world.host();
    await first.start(world.vmId);
    const { pid } = body(await until(() => ask(world.publicIp, 25000), isUp));
    const before = findProcess(pidFile(world));
    expect(before?.pid).toBe(pid);

    // Two hosts at once cannot both have the public port: the first one gives it up.
    world.dropRule('engine');
    await first.networkChanged();
    const second = await world.host();
    await second.resume();
    expect(findProcess(pidFile(world))).toEqual(before);
    await first.stopAll();
    world.allow('engine', 300, '25000');
    // The first host's orderly end took the engine with it; the second one brings it back.
    await until(() => ask(world.publicIp, 25000), isUp);

    await second.stop(world.vmId, 'shutdown');
    expect(findProcess(pidFile(world))).toBeUndefined();
    expect(await ask(world.publicIp, 25000)).toBe('ECONNREFUSED');
    expect(second.status(world.vmId)).toBe('stopped');
    await second.start(world.vmId);
    await until(() => ask(world.publicIp, 25000), isUp);
    expect(serialOf(world).match(/first boot done/g)).toHaveLength(1);
    await second.forget(world.vmId);
    expect(existsSync(world.serialFile)).toBe(false);
  });

  it('runs on with nothing listening when the first boot fails, and says why on the console', async () => {
    const world = await appliance(userData('echo "digest is wrong, nothing was started"; exit 1'));
    world.allow('engine', 300, '25000');
    const host = await world.host();
    await host.start(world.vmId);
    const serial = await until(
      () => serialOf(world),
      (text) => text.includes('finished'),
    );
    expect(serial).toContain('digest is wrong, nothing was started');
    expect(serial).toContain('runcmd failed (1)');
    expect(host.status(world.vmId)).toBe('running');
    expect(await ask(world.publicIp, 25000)).toBe('ECONNREFUSED');
  });

  it('begins a first boot anew that was cut short, in an empty root', async () => {
    const half = 'touch "$STANDBY_ROOT/half"; test -e "$STANDBY_ROOT/../go-on" || exec sleep 300\n';
    const world = await appliance(userData(half + FIRST_BOOT));
    const first = await world.host();
    await first.start(world.vmId);
    const root = join(world.dataFolder, 'guests', world.guid, 'root');
    await until(() => existsSync(join(root, 'half')), Boolean);
    const sleeping = findProcess(join(world.folder, 'run', `${world.guid}.first-boot.pid`));
    expect(sleeping).toBeDefined();
    await first.stopAll();
    expect(sleeping && isAlive(sleeping)).toBe(false);
    writeFileSync(join(root, 'left-over'), '');
    writeFileSync(join(root, '../go-on'), '');
    const second = await world.host();
    await second.resume();
    await until(
      () => serialOf(world),
      (text) => text.includes('engine up'),
    );
    expect(existsSync(join(root, 'left-over'))).toBe(false);
  });

  it('holds still while its disks are copied, also when two copies overlap', async () => {
    const world = await appliance();
    world.allow('engine', 300, '25000');
    const host = await world.host();
    await host.start(world.vmId);
    await until(() => ask(world.publicIp, 25000), isUp);
    let letFirstGo = () => {};
    const first = host.whileFrozen(world.vmId, () => new Promise<void>((resolve) => (letFirstGo = resolve)));
    await host.whileFrozen(world.vmId, async () => {});
    expect(await ask(world.publicIp, 25000, '/', 300)).toBe('timeout');
    letFirstGo();
    await first;
    expect(isUp(await ask(world.publicIp, 25000))).toBe(true);
  });
});
