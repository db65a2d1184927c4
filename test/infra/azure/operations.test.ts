import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { tagsOf } from '../../../src/model/tags.ts';
import type { Cloud } from '../../../src/ports/cloud.ts';
import {
  failureOf,
  GROUP,
  type LocalAccount,
  rememberingOperation,
  SCENARIO,
  startLocalAccount,
  TAGS,
} from './local-account.ts';

/** Long-running operations when processes die, polls fail, and Azure is slow, busy or full. */
let local: LocalAccount;
let cloud: Cloud;
beforeAll(async () => {
  local = await startLocalAccount();
  cloud = await local.cloud();
});
afterAll(() => local.stop());
afterEach(() => {
  local.azure.faults.clear();
  local.azure.settings.change({ quotas: {} });
});

const place = { resourceGroup: GROUP, location: 'japaneast', tags: TAGS };
const disk = (name: string) => ({ ...place, name, type: 'StandardSSD_LRS' as const, sizeGib: 1 });
const DISK_WRITE = 'Microsoft.Compute/disks/write';
const VM_WRITE = 'Microsoft.Compute/virtualMachines/write';

function requests(method: string, path: string): number {
  const lines = readFileSync(local.requestLogFile, 'utf8').trim().split('\n');
  return lines
    .map((line) => JSON.parse(line) as { method: string; url: string })
    .filter((each) => each.method === method && each.url.split('?')[0]?.endsWith(path)).length;
}

async function vmSpec(name: string) {
  const os = { osType: 'Linux', generation: 'V1' } as const;
  const osDisk = await cloud.disks.createEmpty({ ...disk(`${name}-os`), os });
  const subnetId = `${local.id('Microsoft.Network/virtualNetworks', 'standby-vnet')}/subnets/default`;
  const nic = await cloud.network.createNetworkInterface({ ...place, name: `${name}-nic`, subnetId });
  return {
    ...place,
    name,
    size: 'Standard_B2s',
    osDiskId: osDisk.id,
    osType: 'Linux',
    dataDisks: [],
    nicIds: [nic.id],
  } as const;
}

describe('a process that dies', () => {
  it('after it saved the operation: the next one polls on and sends nothing again', async () => {
    local.azure.faults.add({ on: DISK_WRITE, error: 'slow', delayMs: 1500 });
    const dying = rememberingOperation(true);
    const failure = await failureOf(cloud.disks.createEmpty(disk('resumed'), dying));
    expect(failure.what).toBe('the process died here');
    expect((await cloud.disks.get(GROUP, 'resumed'))?.provisioning).not.toBe('Succeeded');
    const another = await local.cloud();
    const made = await another.disks.createEmpty(disk('resumed'), { saved: dying.states[0] });
    expect(made.provisioning).toBe('Succeeded');
    expect(requests('PUT', '/disks/resumed')).toBe(1);
    const again = await another.disks.createEmpty(disk('resumed'), { saved: dying.states[0] });
    expect(again).toEqual(made);
    expect(requests('PUT', '/disks/resumed')).toBe(1);
  });

  it('before it could save: the next one finds the resource and waits for it', async () => {
    local.azure.faults.add({ on: DISK_WRITE, error: 'slow', delayMs: 1500 });
    await failureOf(cloud.disks.createEmpty(disk('found'), rememberingOperation(true)));
    const made = await (await local.cloud()).disks.createEmpty(disk('found'));
    expect(made.provisioning).toBe('Succeeded');
    expect(requests('PUT', '/disks/found')).toBe(1);
  });

  it('while it deletes: the next one polls on', async () => {
    const made = await cloud.disks.createEmpty(disk('going'));
    local.azure.faults.add({ on: 'Microsoft.Compute/disks/delete', error: 'slow', delayMs: 1500 });
    const dying = rememberingOperation(true);
    await failureOf(cloud.disks.delete(made.id, SCENARIO, dying));
    await (await local.cloud()).disks.delete(made.id, SCENARIO, { saved: dying.states[0] });
    expect(await cloud.disks.get(GROUP, 'going')).toBeUndefined();
    expect(requests('DELETE', '/disks/going')).toBe(1);
  });

  it('while it starts and attaches: the next one polls on', async () => {
    const machine = await cloud.machines.createFromDisks(await vmSpec('vm-resume'));
    const data = await cloud.disks.createEmpty(disk('vm-resume-data'));
    local.azure.faults.add({
      on: 'Microsoft.Compute/virtualMachines/*',
      error: 'slow',
      delayMs: 1000,
      times: 2,
    });
    const attaching = rememberingOperation(true);
    const wanted = [{ diskId: data.id, lun: 4 }];
    await failureOf(cloud.machines.attachDisks(machine.id, wanted, attaching));
    const another = await local.cloud();
    const attached = await another.machines.attachDisks(machine.id, wanted, { saved: attaching.states[0] });
    expect(attached.dataDisks.map((each) => each.lun)).toEqual([4]);
    expect(requests('POST', '/vm-resume/attachDetachDataDisks')).toBe(1);
    await cloud.machines.deallocate(machine.id);
    const starting = rememberingOperation(true);
    await failureOf(cloud.machines.start(machine.id, starting));
    if (starting.states.length > 0) await another.machines.start(machine.id, { saved: starting.states[0] });
    expect((await another.machines.instance(machine.id))?.power).toBe('running');
    expect(requests('POST', '/vm-resume/start')).toBe(1);
  });

  it('is not misled by what was saved for something else', async () => {
    const other = rememberingOperation();
    local.azure.faults.add({ on: DISK_WRITE, error: 'slow', delayMs: 50 });
    await cloud.disks.createEmpty(disk('one'), other);
    expect(other.states).toHaveLength(1);
    const made = await cloud.disks.createEmpty(disk('two'), { saved: other.states[0] });
    expect(made.name).toBe('two');
  });
});

describe('trouble on the way', () => {
  it('polls that fail do not end an operation', async () => {
    local.azure.faults.add({ on: DISK_WRITE, error: 'slow', delayMs: 1000 });
    local.azure.faults.add({ on: DISK_WRITE, error: 'poll', times: 6 });
    const made = await cloud.disks.createEmpty(disk('polled'));
    expect(made.provisioning).toBe('Succeeded');
    expect(requests('PUT', '/disks/polled')).toBe(1);
    expect(local.azure.faults.list()).toEqual([]);
  });

  it('throttling, an HTML 503, a fault and cut connections are waited out', async () => {
    local.azure.faults.add({ on: DISK_WRITE, error: '429', retryAfterSeconds: 1 });
    local.azure.faults.add({ on: DISK_WRITE, error: '503' });
    local.azure.faults.add({ on: 'Microsoft.Compute/disks/read', error: '500' });
    local.azure.faults.add({ on: 'Microsoft.Compute/disks/read', error: 'drop', after: 2 });
    expect((await cloud.disks.createEmpty(disk('busy'))).provisioning).toBe('Succeeded');
    local.azure.faults.clear();
    local.azure.faults.add({ on: DISK_WRITE, error: 'drop-after' });
    expect((await cloud.disks.createEmpty(disk('unheard'))).provisioning).toBe('Succeeded');
    expect(local.azure.faults.list()).toEqual([]);
  });

  it('throttling without an end is told, with what to do', async () => {
    local.azure.faults.add({
      on: 'Microsoft.Compute/virtualMachines/read',
      error: '429',
      times: 99,
      retryAfterSeconds: 0,
    });
    expect(await failureOf(cloud.machines.list())).toMatchObject({ code: 'TooManyRequests', retry: 'later' });
  });

  it('a VM that finds no room fails with Azure’s own word, and a later try makes it', async () => {
    const spec = await vmSpec('vm-full');
    local.azure.faults.add({ on: VM_WRITE, error: 'AllocationFailed', message: 'No room for Standard_B2s.' });
    const operation = rememberingOperation();
    const failure = await failureOf(cloud.machines.createFromDisks(spec, operation));
    expect(failure).toMatchObject({ code: 'AllocationFailed', retry: 'later' });
    expect(failure.what).toBe('The VM vm-full could not be made.');
    expect(failure.why).toContain('No room for Standard_B2s.');
    expect(failure.next).toContain('another size');
    expect(operation.states.at(-1)).toBeNull();
    const made = await cloud.machines.createFromDisks(spec, { saved: operation.states.at(-1) });
    expect(made.provisioning).toBe('Succeeded');
  });

  it('quota and size refusals keep their reason', async () => {
    const spec = await vmSpec('vm-quota');
    local.azure.settings.change({ quotas: { cores: 1 } });
    const quota = await failureOf(cloud.machines.createFromDisks(spec));
    expect(quota.code).toBe('QuotaExceeded');
    expect(quota.next).toContain('quota');
    local.azure.settings.change({ quotas: {} });
    local.azure.faults.add({ on: VM_WRITE, error: 'SkuNotAvailable', status: 409 });
    expect(await failureOf(cloud.machines.createFromDisks(spec))).toMatchObject({
      code: 'SkuNotAvailable',
      next: 'Choose another size, zone or region.',
    });
    expect(
      await cloud.machines.get(local.id('Microsoft.Compute/virtualMachines', 'vm-quota')),
    ).toBeUndefined();
  });

  it('a snapshot of what is not there, and a group that is not there, say so', async () => {
    const missing = local.id('Microsoft.Compute/disks', 'nowhere');
    const snapshot = cloud.disks.createSnapshot({ ...place, name: 'none', sourceDiskId: missing });
    expect(String((await failureOf(snapshot)).code)).toMatch(/NotFound$/);
    const noGroup = cloud.disks.createEmpty({ ...disk('x'), resourceGroup: 'no-such-group' });
    expect((await failureOf(noGroup)).code).toBe('ResourceGroupNotFound');
    expect(await cloud.disks.get('no-such-group', 'x')).toBeUndefined();
  });

  it('stops waiting when it is told to, and what was begun can be taken up', async () => {
    const stopping = new AbortController();
    local.azure.faults.add({ on: DISK_WRITE, error: 'slow', delayMs: 2000 });
    const states: unknown[] = [];
    const work = cloud.disks.createEmpty(disk('stopped'), {
      signal: stopping.signal,
      save: async (state) => {
        states.push(state);
        stopping.abort(new Error('Ctrl-C'));
      },
    });
    expect((await failureOf(work)).what).toBe('Ctrl-C');
    const made = await cloud.disks.createEmpty(disk('stopped'), { saved: states[0] });
    expect(made.provisioning).toBe('Succeeded');
    expect(requests('PUT', '/disks/stopped')).toBe(1);
  });

  it('tags decide whom a resource belongs to even when the name is the same', async () => {
    const tags = tagsOf('someone-else', 'run', 'standby-vm');
    const spec = await vmSpec('vm-theirs');
    const theirs = await cloud.machines.createFromDisks({ ...spec, tags });
    expect((await failureOf(cloud.machines.createFromDisks(spec))).code).toBe('NOT_OURS');
    expect((await failureOf(cloud.machines.delete(theirs.id, SCENARIO))).code).toBe('NOT_OURS');
    expect(requests('DELETE', '/vm-theirs')).toBe(0);
  });
});
