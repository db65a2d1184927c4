import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandBelow, parseCloudConfig, writeFiles } from '../../../../infra/local/guests/cloud-init.ts';
import { makeForwarders } from '../../../../infra/local/guests/forwarders.ts';
import { reachablePorts, WELL_KNOWN_PORTS } from '../../../../infra/local/guests/reachable-ports.ts';
import { parseUnit } from '../../../../infra/local/guests/service-unit.ts';
import { freeLoopbackAddress, listeningSockets } from '../../../../infra/local/network/loopback.ts';
import type { Filter, Rule } from '../../../../infra/local/network/security.ts';
import { silentLog } from '../../../../src/log.ts';
import { ask, makeWorld } from './world.ts';

const encoded = (text: string) => Buffer.from(text).toString('base64');

function filterOf(...ports: string[]): Filter {
  const rule: Rule = {
    name: 'r',
    priority: 100,
    direction: 'Inbound',
    access: 'Allow',
    protocol: '*',
    sources: ['*'],
    sourcePorts: ['*'],
    destinations: ['*'],
    destinationPorts: ports,
  };
  return { subnetRules: undefined, nicRules: [rule], networkPrefixes: ['10.0.0.0/16'] };
}

describe('user data of a guest', () => {
  it('writes files with their modes below the root, and never above it', async () => {
    const root = mkdtempSync(join(tmpdir(), 'standby-root-'));
    try {
      const config = parseCloudConfig(
        encoded(`#cloud-config
write_files:
  - {path: /etc/a, content: hello, permissions: '0600'}
  - {path: /../../etc/b, content: ${encoded('binary')}, encoding: b64}
runcmd:
  - [sh, /etc/a]
  - cat /etc/a
`),
      );
      await writeFiles(root, config.files);
      expect(readFileSync(join(root, 'etc/a'), 'utf8')).toBe('hello');
      expect(statSync(join(root, 'etc/a')).mode & 0o777).toBe(0o600);
      expect(readFileSync(join(root, 'etc/b'), 'utf8')).toBe('binary');
      expect(config.commands.map((command) => commandBelow(root, command, config.files))).toEqual([
        ['sh', `${root}/etc/a`],
        ['sh', '-c', `cat ${root}/etc/a`],
      ]);
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  it('is refused when it is not a cloud-config', () => {
    expect(() => parseCloudConfig(encoded('#!/bin/sh\nreboot'))).toThrow('#cloud-config');
    expect(() => parseCloudConfig(encoded('#cloud-config\nwrite_files: [{content: x}]'))).toThrow('path');
  });
});

describe('a service unit', () => {
  it('gives the command with variables filled in, its environment and its restart rule', () => {
    const variable = (name: string) => `$\{${name}}`;
    const unit = parseUnit(
      [
        '[Unit]',
        'ExecStart=/wrong',
        '[Service]',
        'Environment="A=one two" B=2',
        `ExecStart=-${variable('ROOT')}/bin/x --a "${variable('A')}" \\`,
        '  last',
        'Restart=always',
        'RestartSec=2',
      ].join('\n'),
      { ROOT: '/r' },
    );
    expect(unit).toMatchObject({
      command: ['/r/bin/x', '--a', 'one two', 'last'],
      restarts: 'always',
      restartMs: 2000,
    });
    expect(unit.environment).toMatchObject({ A: 'one two', B: '2', ROOT: '/r' });
    expect(() => parseUnit('[Service]\n', {})).toThrow('ExecStart');
  });
});

describe('public ports', () => {
  it('are those that rules name, and the well-known ones of wide ranges', () => {
    expect(reachablePorts(filterOf('80', '9000-9002'), '10.0.0.4')).toEqual([80, 9000, 9001, 9002]);
    expect(reachablePorts(filterOf('*'), '10.0.0.4')).toEqual(WELL_KNOWN_PORTS);
    expect(reachablePorts(filterOf('1-1000'), '10.0.0.4')).not.toContain(8080);
    expect(reachablePorts({ ...filterOf('80'), subnetRules: [] }, '10.0.0.4')).toEqual([]);
  });

  it('move up by 20000 when the port itself cannot be had, and the mapping is told', async () => {
    const publicIp = freeLoopbackAddress('public', new Set());
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen({ host: publicIp, port: 18080 }, resolve));
    const echo = createServer((socket) => socket.end('hello'));
    const hidden = freeLoopbackAddress('hidden', new Set());
    await new Promise<void>((resolve) => echo.listen({ host: hidden, port: 18080 }, resolve));
    const forwarders = makeForwarders(silentLog);
    try {
      const endpoint = { nicId: 'n', port: 18080, address: hidden, hostPort: 18080 };
      const planned = {
        vmId: 'v',
        publicIp,
        port: 18080,
        privateIp: '10.0.0.4',
        endpoint,
        filter: filterOf('18080'),
      };
      await forwarders.set([planned]);
      expect(forwarders.list()).toEqual([{ vmId: 'v', publicIp, port: 18080, listenPort: 38080 }]);
      expect(await ask(publicIp, 38080)).toBe('hello');
      expect(listeningSockets().has(`${publicIp}:38080`)).toBe(true);
      // The rules changed and no look has come by yet: the connection itself is decided anew.
      await forwarders.set([{ ...planned, filter: filterOf('443') }]);
      expect(['ECONNRESET', 'closed']).toContain(await ask(publicIp, 38080));
    } finally {
      await forwarders.close();
      squatter.close();
      echo.close();
    }
  });
});

describe('guests that are off', () => {
  it('leave a VM running in name only, and say so', async () => {
    const world = await makeWorld({ guest: 'disk', kind: 'none' });
    try {
      const host = await world.host();
      await host.start(world.vmId);
      expect(host.status(world.vmId)).toBe('simulated');
      expect(readFileSync(join(world.dataFolder, host.serialLogFile(world.vmId) ?? ''), 'utf8')).toContain(
        'boot skipped',
      );
      expect(host.forwards()).toEqual([]);
    } finally {
      await world.close();
    }
  });
});
