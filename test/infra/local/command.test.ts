import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { restorePoller } from '@azure/arm-compute';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runLocalCommand } from '../../../infra/local/command.ts';
import type { LocalEndpoint } from '../../../infra/local/local-azure.ts';
import { systemClock } from '../../../src/clock.ts';
import { isStandbyError } from '../../../src/errors.ts';
import type { Notice } from '../../../src/ports/host.ts';
import { clientsOf, refusal } from './local-subscription.ts';

let home: string;
let told: Notice[];
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'standby-local-home-'));
  told = [];
});
afterEach(async () => {
  await verb('down');
  rmSync(home, { recursive: true, force: true, maxRetries: 3 });
});

async function verb(name: string, options: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
  const host = {
    tell: (notice: Notice) => void told.push(notice),
    ask: () => Promise.reject(new Error('Local Azure asks nothing.')),
    signal: new AbortController().signal,
  };
  const call = { verb: name, options, homeFolder: home, host, clock: systemClock, signal: host.signal };
  const environment = { PATH: '/usr/bin:/bin' };
  return (await runLocalCommand({ ...call, environment })) as Record<string, unknown>;
}

const up = (options: Record<string, unknown> = {}) =>
  verb('up', { guests: 'none', latency: 'none', ...options });
const inFolder = (name: string) => path.join(home, 'local-azure', name);
const endpoint = () => JSON.parse(readFileSync(inFolder('endpoint.json'), 'utf8')) as LocalEndpoint;
const pidNow = async () => Number((await verb('status')).pid);
const emptyDisk = {
  location: 'japaneast',
  diskSizeGB: 4,
  sku: { name: 'Standard_LRS' },
  creationData: { createOption: 'Empty' },
};

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await refusal(work);
  return isStandbyError(error) ? error.code : `not ours: ${error.message}`;
}

function killNow(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  return expect
    .poll(() => existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z'))
    .toBe(false);
}

function answers(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

describe('standby local', () => {
  it('goes up in the background, is found up, and goes down without a trace but its state', async () => {
    expect(await up()).toMatchObject({ up: true, already: false, location: 'japaneast' });
    expect(statSync(inFolder('endpoint.json')).mode & 0o777).toBe(0o600);
    expect(await up()).toMatchObject({ up: true, already: true });
    const pid = await pidNow();
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(endpoint().clientSecret);
    expect(JSON.stringify(told)).not.toContain(endpoint().clientSecret);
    const { url } = endpoint();
    expect(await codeOf(verb('wipe'))).toBe('LOCAL_AZURE_RUNNING');
    expect(await verb('down')).toEqual({ up: false, was: true });
    // A process of ours stays in the table for a moment, until its end is taken note of.
    await vi.waitFor(() => expect(existsSync(`/proc/${pid}`)).toBe(false), 5_000);
    expect(existsSync(inFolder('endpoint.json'))).toBe(false);
    expect(await verb('status')).toEqual({ up: false, state: true });
    await up();
    expect(endpoint().url).toBe(url);
    await verb('down');
    expect(await verb('wipe')).toEqual({ removed: true });
    expect(await verb('status')).toEqual({ up: false, state: false });
  });
  it('loses nothing to a kill -9: resources, sign-in, and the operation that was running', async () => {
    await up();
    const first = clientsOf(endpoint());
    const whole = await first.compute.disks.createOrUpdate('standby-rg', 'whole', emptyDisk);
    await verb('fault-add', { on: 'Microsoft.Compute/disks/write', kind: 'slow', delayMs: '2000' });
    const poller = first.compute.disks.createOrUpdate('standby-rg', 'running', emptyDisk);
    await poller.submitted();
    const saved = await poller.serialize();
    const before = endpoint();
    await killNow(await pidNow());
    expect(await up()).toMatchObject({ already: false });
    expect(endpoint()).toEqual(before);
    // The old client goes on with the token it had.
    const kept = await first.compute.disks.get('standby-rg', 'whole');
    expect(kept).toMatchObject({ id: whole.id, uniqueId: whole.uniqueId, provisioningState: 'Succeeded' });
    const second = clientsOf(endpoint());
    const disk = await restorePoller(second.compute, saved, second.compute.disks.createOrUpdate);
    expect(disk).toMatchObject({ name: 'running', provisioningState: 'Succeeded' });
    expect(second.exchanges.filter((each) => each.method === 'PUT')).toEqual([]);
  });
  it('takes its blob service along into death, and brings it back with its accounts', async () => {
    await up();
    const account = {
      location: 'japaneast',
      sku: { name: 'Standard_LRS' as const },
      kind: 'StorageV2' as const,
    };
    const { storage } = clientsOf(endpoint());
    const made = await storage.storageAccounts.create('standby-rg', 'standbykilled', account);
    const blobs = made.primaryEndpoints?.blob ?? '';
    expect(await answers(blobs)).toBe(true);
    await killNow(await pidNow());
    await expect.poll(() => answers(blobs), { timeout: 10_000 }).toBe(false);
    await up();
    expect(await answers(blobs)).toBe(true);
  });
  it('says so when somebody else has taken its port', async () => {
    await up();
    const { url } = endpoint();
    await verb('down');
    const thief = createServer();
    await new Promise<void>((resolve) => thief.listen(Number(new URL(url).port), '127.0.0.1', resolve));
    try {
      expect(await codeOf(up())).toBe('PORT_TAKEN');
    } finally {
      await new Promise<void>((resolve) => thief.close(() => resolve()));
    }
    expect(await up()).toMatchObject({ up: true });
  });
  it('starts one daemon when two ask at the same time', async () => {
    const both = await Promise.all([up(), up()]);
    expect(both.map((each) => each.url)).toEqual([endpoint().url, endpoint().url]);
  });
  it('takes faults, lists them and clears them', async () => {
    await up();
    await verb('fault-add', { on: 'Microsoft.Compute/disks/read', status: '500', times: '1' });
    expect(await verb('fault-list')).toMatchObject({ faults: [{ error: '500', left: 1 }] });
    const clients = clientsOf(endpoint(), 0);
    expect(await refusal(clients.compute.disks.get('standby-rg', 'x'))).toMatchObject({ statusCode: 500 });
    expect(await verb('fault-list')).toEqual({ faults: [] });
    await verb('fault-add', { on: 'x', error: 'AllocationFailed' });
    expect(await verb('fault-clear')).toEqual({ cleared: 1 });
    expect(await codeOf(verb('fault-add', { on: 'x', kind: 'flood' }))).toBe('OPTION_INVALID');
    expect(await codeOf(verb('fault-add', { on: 'x', error: '500', times: '-1' }))).toBe('OPTION_INVALID');
  });
  it('tells other Azure clients where it is', async () => {
    expect(await codeOf(verb('env'))).toBe('LOCAL_AZURE_DOWN');
    await up();
    const { variables } = (await verb('env')) as { variables: Record<string, string> };
    expect(variables).toMatchObject({
      AZURE_TENANT_ID: endpoint().tenantId,
      AZURE_CLIENT_SECRET: endpoint().clientSecret,
      NODE_EXTRA_CA_CERTS: endpoint().caFile,
    });
    expect(readFileSync(variables.REQUESTS_CA_BUNDLE ?? '', 'utf8')).toContain(
      readFileSync(endpoint().caFile, 'utf8'),
    );
  });
});
