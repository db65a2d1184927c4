import { restorePoller } from '@azure/arm-compute';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Clients,
  clientsOf,
  openSubscription,
  refusal,
  type Subscription,
} from './local-subscription.ts';
import { sendRaw } from './raw-request.ts';

let subscription: Subscription;
beforeAll(async () => {
  subscription = await openSubscription();
});
afterAll(() => subscription.remove());

const location = 'japaneast';
const emptyDisk = {
  location,
  diskSizeGB: 4,
  sku: { name: 'Standard_LRS' },
  creationData: { createOption: 'Empty' },
};

async function makeNic(name: string): Promise<string> {
  const { network } = subscription;
  const subnet = await network.subnets.get('standby-rg', 'standby-vnet', 'default');
  const ipConfigurations = [{ name: 'ip', subnet: { id: subnet.id ?? '' } }];
  const nic = await network.networkInterfaces.createOrUpdate('standby-rg', name, {
    location,
    ipConfigurations,
  });
  return nic.id ?? '';
}

async function machineFrom(name: string) {
  const osDisk = await subscription.compute.disks.createOrUpdate('standby-rg', `${name}-os`, {
    ...emptyDisk,
    osType: 'Linux',
    hyperVGeneration: 'V1',
  });
  return {
    location,
    hardwareProfile: { vmSize: 'Standard_B1s' },
    storageProfile: {
      osDisk: { createOption: 'Attach', osType: 'Linux' as const, managedDisk: { id: osDisk.id ?? '' } },
    },
    networkProfile: { networkInterfaces: [{ id: await makeNic(`${name}-nic`), primary: true }] },
  };
}

/** The first answer to the last request of this method on such a path. */
function answerTo(clients: Clients, method: string, part: string) {
  const found = clients.exchanges.findLast((each) => each.method === method && each.url.includes(part));
  if (found === undefined) throw new Error(`No ${method} on ${part} was sent.`);
  return found;
}

describe('the shapes of long-running operations', () => {
  it('a disk: 202 with both headers, and the resource as the output of the operation', async () => {
    await subscription.compute.disks.createOrUpdate('standby-rg', 'shape', emptyDisk);
    const put = answerTo(subscription, 'PUT', '/disks/shape?');
    expect(put.status).toBe(202);
    expect(JSON.parse(put.body).properties.provisioningState).toBe('Updating');
    expect(put.headers['azure-asyncoperation']).toMatch(
      /\/locations\/japaneast\/DiskOperations\/[0-9a-f-]+\?p=/,
    );
    expect(put.headers.location).toContain('&monitor=true&');
    expect(put.headers['retry-after']).toMatch(/^\d+$/);
    expect(put.headers['azure-asyncoperation']?.length).toBeGreaterThan(1024);
    const poll = JSON.parse(answerTo(subscription, 'GET', '/DiskOperations/').body);
    expect(poll).toMatchObject({ status: 'Succeeded', properties: { output: { name: 'shape' } } });
    expect(Object.keys(poll).sort()).toEqual(['endTime', 'name', 'properties', 'startTime', 'status']);
  });
  it('a network resource: 201 new and 200 known, one header, and nothing but the status', async () => {
    const make = () =>
      subscription.network.networkSecurityGroups.createOrUpdate('standby-rg', 'shape', { location });
    await make();
    const put = answerTo(subscription, 'PUT', '/networkSecurityGroups/shape?');
    expect(put.status).toBe(201);
    expect(put.headers['azure-asyncoperation']).toContain(
      '/Microsoft.Network/locations/japaneast/operations/',
    );
    expect(put.headers.location).toBeUndefined();
    expect(JSON.parse(answerTo(subscription, 'GET', 'Microsoft.Network/locations/').body)).toEqual({
      status: 'Succeeded',
    });
    await make();
    expect(answerTo(subscription, 'PUT', '/networkSecurityGroups/shape?').status).toBe(200);
    await subscription.network.networkSecurityGroups.delete('standby-rg', 'shape');
    const gone = answerTo(subscription, 'DELETE', '/networkSecurityGroups/shape?');
    expect(gone).toMatchObject({ status: 202, body: '' });
    expect(gone.headers.location).toContain('/operationResults/');
  });
  it('a virtual machine: 201 and Creating, one header; actions and deletion 202 with both', async () => {
    await subscription.compute.virtualMachines.createOrUpdate(
      'standby-rg',
      'shape',
      await machineFrom('shape'),
    );
    const put = answerTo(subscription, 'PUT', '/virtualMachines/shape?');
    expect(put.status).toBe(201);
    expect(JSON.parse(put.body).properties.provisioningState).toBe('Creating');
    expect(put.headers['azure-asyncoperation']).toContain(
      '/Microsoft.Compute/locations/japaneast/operations/',
    );
    expect(put.headers['azure-asyncnotification']).toBe('Enabled');
    expect(put.headers.location).toBeUndefined();
    const poll = JSON.parse(answerTo(subscription, 'GET', 'Microsoft.Compute/locations/').body);
    expect(Object.keys(poll).sort()).toEqual(['endTime', 'name', 'startTime', 'status']);
    await subscription.compute.virtualMachines.deallocate('standby-rg', 'shape');
    const action = answerTo(subscription, 'POST', '/virtualMachines/shape/deallocate?');
    expect(action).toMatchObject({ status: 202, body: '' });
    expect([action.headers.location, action.headers['azure-asyncoperation']]).not.toContain(undefined);
    await subscription.compute.virtualMachines.delete('standby-rg', 'shape');
    expect(answerTo(subscription, 'DELETE', '/virtualMachines/shape?')).toMatchObject({
      status: 202,
      body: '',
    });
  });
});

describe('poll URLs', () => {
  it('are valid as they are and in no other way', async () => {
    await subscription.compute.disks.createOrUpdate('standby-rg', 'polled', emptyDisk);
    const put = answerTo(subscription, 'PUT', '/disks/polled?');
    const url = put.headers['azure-asyncoperation'] ?? '';
    expect(await sendRaw(subscription, 'GET', url)).toEqual({ status: 200, code: '' });
    const refused = { status: 403, code: 'AuthorizationFailed' };
    expect(await sendRaw(subscription, 'GET', url.replace('&s=', '&s=x'))).toEqual(refused);
    expect(await sendRaw(subscription, 'GET', url.slice(0, url.indexOf('&t=')))).toEqual(refused);
    expect(await sendRaw(subscription, 'GET', `${url}x`)).toEqual(refused);
  });
  it('outlive a restart: a stored poller finishes without a second PUT', async () => {
    subscription.azure.faults.add({ on: 'Microsoft.Compute/disks/write', error: 'slow', delayMs: 1500 });
    const first = clientsOf(subscription.endpoint);
    const poller = first.compute.disks.createOrUpdate('standby-rg', 'restarted', emptyDisk);
    await poller.submitted();
    const saved = await poller.serialize();
    await subscription.restart();
    const second = clientsOf(subscription.endpoint);
    const disk = await restorePoller(second.compute, saved, second.compute.disks.createOrUpdate);
    expect(disk).toMatchObject({ name: 'restarted', provisioningState: 'Succeeded' });
    expect(second.exchanges.filter((each) => each.method === 'PUT')).toEqual([]);
  });
});

describe('faults on order', () => {
  const without = () => clientsOf(subscription.endpoint, 0);
  const write = 'Microsoft.Compute/disks/write';

  it('AllocationFailed: accepted with 201, failed by the operation, and the machine stays as Failed', async () => {
    subscription.azure.faults.add({
      on: 'microsoft.compute/virtualMachines/write',
      error: 'AllocationFailed',
    });
    const body = await machineFrom('unlucky');
    const failure = await refusal(
      subscription.compute.virtualMachines.createOrUpdate('standby-rg', 'unlucky', body).pollUntilDone(),
    );
    expect(failure.message).toContain('AllocationFailed');
    expect(answerTo(subscription, 'PUT', '/virtualMachines/unlucky?').status).toBe(201);
    const poll = answerTo(subscription, 'GET', 'Microsoft.Compute/locations/');
    expect(poll.status).toBe(200);
    expect(JSON.parse(poll.body)).toMatchObject({ status: 'Failed', error: { code: 'AllocationFailed' } });
    const left = await subscription.compute.virtualMachines.get('standby-rg', 'unlucky');
    expect(left.provisioningState).toBe('Failed');
    const again = await subscription.compute.virtualMachines.createOrUpdate('standby-rg', 'unlucky', body);
    expect(again.provisioningState).toBe('Succeeded');
  });
  it('an error with a status is answered at once and changes nothing', async () => {
    subscription.azure.faults.add({ on: write, error: 'SkuNotAvailable', status: 409, message: 'Not here.' });
    const failure = await refusal(
      subscription.compute.disks.createOrUpdate('standby-rg', 'f-sku', emptyDisk),
    );
    expect(failure).toMatchObject({ statusCode: 409, code: 'SkuNotAvailable' });
    expect(await refusal(subscription.compute.disks.get('standby-rg', 'f-sku'))).toMatchObject({
      statusCode: 404,
    });
  });
  it('429 with Retry-After is what the SDK waits for and repeats', async () => {
    subscription.azure.faults.add({ on: write, error: '429', times: 1, retryAfterSeconds: 1 });
    const clients = clientsOf(subscription.endpoint);
    await clients.compute.disks.createOrUpdate('standby-rg', 'f-429', emptyDisk);
    const puts = clients.exchanges.filter((each) => each.method === 'PUT');
    expect(puts.map((each) => each.status)).toEqual([429, 202]);
    expect(puts[0]?.headers['retry-after']).toBe('1');
  });
  it('500 and a 503 that is a page of HTML', async () => {
    subscription.azure.faults.add({ on: 'Microsoft.Compute/disks/read', error: '500' });
    expect(await refusal(without().compute.disks.get('standby-rg', 'f-429'))).toMatchObject({
      statusCode: 500,
      code: 'InternalServerError',
    });
    subscription.azure.faults.add({ on: 'Microsoft.Compute/disks/read', error: '503' });
    const clients = without();
    expect(await refusal(clients.compute.disks.get('standby-rg', 'f-429'))).toMatchObject({
      statusCode: 503,
    });
    expect(clients.exchanges.at(-1)?.headers['content-type']).toBe('text/html');
    expect(clients.exchanges.at(-1)?.body).toContain('<html>');
  });
  it('a dropped connection, before the request is looked at or after it was carried out', async () => {
    subscription.azure.faults.add({ on: write, error: 'drop' });
    const before = await refusal(without().compute.disks.createOrUpdate('standby-rg', 'f-drop', emptyDisk));
    expect(before.code).toMatch(/ECONNRESET|REQUEST_SEND_ERROR/);
    expect(await refusal(subscription.compute.disks.get('standby-rg', 'f-drop'))).toMatchObject({
      statusCode: 404,
    });
    subscription.azure.faults.add({ on: write, error: 'drop-after' });
    await refusal(without().compute.disks.createOrUpdate('standby-rg', 'f-drop', emptyDisk));
    expect((await subscription.compute.disks.get('standby-rg', 'f-drop')).name).toBe('f-drop');
  });
  it('a poll that fails ends the poller, and the work goes on all the same', async () => {
    subscription.azure.faults.add({ on: write, error: 'poll', times: 1 });
    const failure = await refusal(without().compute.disks.createOrUpdate('standby-rg', 'f-poll', emptyDisk));
    expect(failure).toMatchObject({ statusCode: 500 });
    const state = async () =>
      (await subscription.compute.disks.get('standby-rg', 'f-poll')).provisioningState;
    await expect.poll(state, { timeout: 5000 }).toBe('Succeeded');
  });
  it('are counted, listed, cleared, kept over a restart, and refused when they make no sense', async () => {
    const { faults } = subscription.azure;
    faults.add({ on: 'Microsoft.Compute/disks/*', error: '500', times: 3, after: 1 });
    await subscription.compute.disks.get('standby-rg', 'f-poll');
    await refusal(without().compute.disks.get('standby-rg', 'f-poll'));
    expect(faults.list()).toMatchObject([{ left: 2, passes: 0 }]);
    await subscription.restart();
    expect(subscription.azure.faults.list()).toMatchObject([{ left: 2 }]);
    expect(subscription.azure.faults.clear()).toBe(1);
    expect(subscription.azure.faults.list()).toEqual([]);
    expect(() => subscription.azure.faults.add({ on: '', error: '500' })).toThrow('needs the action');
    expect(() => subscription.azure.faults.add({ on: 'x', error: '500', times: 0 })).toThrow('whole number');
  });
});

describe('a request that fails half-way', () => {
  it('changes nothing: a network whose second subnet is wrong is not there at all', async () => {
    const wrong = {
      location,
      addressSpace: { addressPrefixes: ['10.9.0.0/16'] },
      subnets: [
        { name: 'good', addressPrefix: '10.9.0.0/24' },
        { name: 'bad', addressPrefix: '192.168.0.0/24' },
      ],
    };
    const failure = await refusal(
      subscription.network.virtualNetworks.createOrUpdate('standby-rg', 'half', wrong),
    );
    expect(failure.statusCode).toBe(400);
    expect(await refusal(subscription.network.virtualNetworks.get('standby-rg', 'half'))).toMatchObject({
      statusCode: 404,
    });
    expect(await refusal(subscription.network.subnets.get('standby-rg', 'half', 'good'))).toMatchObject({
      statusCode: 404,
    });
  });
});
