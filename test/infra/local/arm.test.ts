import { readFileSync } from 'node:fs';
import { ResourceManagementClient } from '@azure/arm-resources';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientsOf, collect, openSubscription, refusal, type Subscription } from './local-subscription.ts';
import { sendRaw } from './raw-request.ts';

let subscription: Subscription;
beforeAll(async () => {
  subscription = await openSubscription();
});
afterAll(() => subscription.remove());

const location = 'japaneast';
const emptyDisk = (tags: Record<string, string> = {}) => ({
  location,
  tags,
  diskSizeGB: 4,
  sku: { name: 'Standard_LRS' },
  creationData: { createOption: 'Empty' },
});

/** What no SDK would send. */
const rawGet = (path: string) => sendRaw(subscription, 'GET', path);

describe('the subscription', () => {
  it('is listed, has locations, permissions and registered providers', async () => {
    const listed = await collect(subscription.subscriptions.subscriptions.list());
    expect(listed.map((each) => each.subscriptionId)).toEqual([subscription.endpoint.subscriptionId]);
    const { subscriptionId } = subscription.endpoint;
    const places = await collect(subscription.subscriptions.subscriptions.listLocations(subscriptionId));
    expect(places.map((place) => place.name)).toContain('japaneast');
    const permissions = await collect(
      subscription.authorization.permissions.listForResourceGroup('standby-rg'),
    );
    expect(permissions[0]?.actions).toEqual(['*']);
    expect(await subscription.resources.providers.get('microsoft.compute')).toMatchObject({
      namespace: 'Microsoft.Compute',
      registrationState: 'Registered',
    });
  });
  it('refuses to make resources of a provider that is not registered, until it is', async () => {
    await subscription.resources.providers.unregister('Microsoft.Compute');
    const answer = await refusal(
      subscription.compute.disks.createOrUpdate('standby-rg', 'd-reg', emptyDisk()),
    );
    expect(answer).toMatchObject({ statusCode: 409, code: 'MissingSubscriptionRegistration' });
    await subscription.resources.providers.register('Microsoft.Compute');
    const disk = await subscription.compute.disks.createOrUpdate('standby-rg', 'd-reg', emptyDisk());
    expect(disk.provisioningState).toBe('Succeeded');
  });
  it('does not know other subscriptions', async () => {
    const other = new ResourceManagementClient(
      subscription.credential,
      '11111111-2222-3333-4444-555555555555',
      {
        endpoint: subscription.endpoint.url,
        tlsOptions: { ca: readFileSync(subscription.endpoint.caFile, 'utf8') },
      },
    );
    expect(await refusal(other.resourceGroups.get('x'))).toMatchObject({
      statusCode: 404,
      code: 'SubscriptionNotFound',
    });
  });
});

describe('resource groups', () => {
  it('are made once, found in any case, and keep their place', async () => {
    const { resourceGroups } = subscription.resources;
    const made = await resourceGroups.createOrUpdate('Group-One', {
      location: 'Japan East',
      tags: { a: '1' },
    });
    expect(made).toMatchObject({ name: 'Group-One', location: 'japaneast', tags: { a: '1' } });
    expect(subscription.exchanges.at(-1)).toMatchObject({ status: 201 });
    expect(await resourceGroups.get('GROUP-ONE')).toMatchObject({ name: 'Group-One' });
    await resourceGroups.createOrUpdate('group-one', { location });
    expect(subscription.exchanges.at(-1)).toMatchObject({ status: 200 });
    expect(await resourceGroups.checkExistence('group-one')).toMatchObject({ body: true });
    expect(await resourceGroups.checkExistence('nobody')).toMatchObject({ body: false });
    const moved = await refusal(resourceGroups.createOrUpdate('group-one', { location: 'westeurope' }));
    expect(moved).toMatchObject({ statusCode: 409, code: 'InvalidResourceGroupLocation' });
    const nowhere = await refusal(resourceGroups.createOrUpdate('group-two', { location: 'atlantis' }));
    expect(nowhere).toMatchObject({ statusCode: 400, code: 'LocationNotAvailableForResourceGroup' });
    expect(await refusal(resourceGroups.get('nobody'))).toMatchObject({
      statusCode: 404,
      code: 'ResourceGroupNotFound',
    });
  });
  it('take what is in them along when they are deleted, whatever uses what', async () => {
    const { resourceGroups } = subscription.resources;
    await resourceGroups.createOrUpdate('doomed', { location });
    const { network } = subscription;
    await network.networkSecurityGroups.createOrUpdate('doomed', 'nsg', { location });
    await network.virtualNetworks.createOrUpdate('doomed', 'net', {
      location,
      addressSpace: { addressPrefixes: ['10.1.0.0/16'] },
      subnets: [{ name: 'one', addressPrefix: '10.1.0.0/24' }],
    });
    const subnet = await network.subnets.get('doomed', 'net', 'one');
    await network.networkInterfaces.createOrUpdate('doomed', 'nic', {
      location,
      ipConfigurations: [{ name: 'ip', subnet: { id: subnet.id ?? '' } }],
    });
    expect(await refusal(network.virtualNetworks.delete('doomed', 'net'))).toMatchObject({ statusCode: 400 });
    await resourceGroups.delete('doomed');
    const first = subscription.exchanges.find(
      (each) => each.method === 'DELETE' && each.url.includes('/doomed?'),
    );
    expect(first?.status).toBe(202);
    expect(first?.headers.location).toContain('/operationresults/');
    expect(first?.headers['azure-asyncoperation']).toBeUndefined();
    expect(await resourceGroups.checkExistence('doomed')).toMatchObject({ body: false });
    const left = await collect(subscription.resources.resources.list());
    expect(left.filter((each) => each.id?.includes('/doomed/'))).toEqual([]);
  });
});

describe('any resource', () => {
  it('is found in any case, with doubled slashes, and keeps the id it was made with', async () => {
    await subscription.compute.disks.createOrUpdate('STANDBY-RG', 'Disk-Case', emptyDisk());
    const seen = await subscription.compute.disks.get('standby-rg', 'disk-CASE');
    expect(seen.id).toMatch(/\/resourceGroups\/standby-rg\/providers\/Microsoft\.Compute\/disks\/Disk-Case$/);
    const { subscriptionId } = subscription.endpoint;
    const strange = `//SUBSCRIPTIONS/${subscriptionId}//resourcegroups/Standby-RG/PROVIDERS/microsoft.compute/DISKS/disk-case?API-VERSION=2026-03-02`;
    expect(await rawGet(strange)).toEqual({ status: 200, code: '' });
  });
  it('is refused without an api-version, with an unknown one, of an unknown type or provider', async () => {
    const group = `/subscriptions/${subscription.endpoint.subscriptionId}/resourceGroups/standby-rg`;
    const compute = `${group}/providers/Microsoft.Compute`;
    expect(await rawGet(`${compute}/disks/d`)).toEqual({ status: 400, code: 'MissingApiVersionParameter' });
    expect(await rawGet(`${compute}/disks/d?api-version=2011-01-01`)).toEqual({
      status: 400,
      code: 'NoRegisteredProviderFound',
    });
    expect(await rawGet(`${compute}/dusks/d?api-version=2026-03-02`)).toEqual({
      status: 501,
      code: 'NotImplemented',
    });
    expect(await rawGet(`${group}/providers/Contoso.Nix/x/d?api-version=2026-03-02`)).toEqual({
      status: 404,
      code: 'InvalidResourceNamespace',
    });
    expect(await rawGet(`${group}?api-version=yesterday`)).toEqual({
      status: 400,
      code: 'InvalidApiVersionParameter',
    });
  });
  it('is refused without a location, in an unknown one, and when it would move', async () => {
    const { disks } = subscription.compute;
    const nowhere = await refusal(
      disks.createOrUpdate('standby-rg', 'd-loc', { ...emptyDisk(), location: '' }),
    );
    expect(nowhere).toMatchObject({ statusCode: 400, code: 'LocationRequired' });
    const unknown = await refusal(
      disks.createOrUpdate('standby-rg', 'd-loc', { ...emptyDisk(), location: 'mars' }),
    );
    expect(unknown).toMatchObject({ statusCode: 400, code: 'LocationNotAvailableForResourceType' });
    await disks.createOrUpdate('standby-rg', 'd-loc', emptyDisk());
    const moved = await refusal(
      disks.createOrUpdate('standby-rg', 'd-loc', { ...emptyDisk(), location: 'westeurope' }),
    );
    expect(moved).toMatchObject({ statusCode: 409, code: 'InvalidResourceLocation' });
  });
  it('gives 404 with the name of what is missing, and 204 for deleting what is not there', async () => {
    const missing = await refusal(subscription.compute.disks.get('standby-rg', 'nobody'));
    expect(missing).toMatchObject({ statusCode: 404, code: 'ResourceNotFound' });
    expect(missing.message).toContain("'Microsoft.Compute/disks/nobody' under resource group 'standby-rg'");
    await subscription.compute.disks.delete('standby-rg', 'nobody');
    expect(subscription.exchanges.at(-1)).toMatchObject({ method: 'DELETE', status: 204 });
    const noGroup = await refusal(subscription.compute.disks.createOrUpdate('nobody', 'd', emptyDisk()));
    expect(noGroup).toMatchObject({ statusCode: 404, code: 'ResourceGroupNotFound' });
  });
  it('carries ids and rate limits of the request in its headers', async () => {
    await subscription.compute.disks.get('standby-rg', 'Disk-Case');
    const headers = subscription.exchanges.at(-1)?.headers ?? {};
    expect(headers['x-ms-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers['x-ms-correlation-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(Number(headers['x-ms-ratelimit-remaining-subscription-reads'])).toBeGreaterThan(0);
  });
});

describe('lists', () => {
  it('come in pages whose links lead to every item exactly once', async () => {
    const names = ['p-1', 'p-2', 'p-3', 'p-4', 'p-5'];
    await subscription.resources.resourceGroups.createOrUpdate('paged', { location });
    for (const name of names) await subscription.compute.disks.createOrUpdate('paged', name, emptyDisk());
    subscription.azure.settings.change({ pageSize: 2 });
    try {
      const before = subscription.exchanges.length;
      const found = await collect(subscription.compute.disks.listByResourceGroup('paged'));
      expect(found.map((disk) => disk.name)).toEqual(names);
      expect(subscription.exchanges.length - before).toBe(3);
      const everywhere = await collect(subscription.compute.disks.list());
      expect(everywhere.filter((disk) => disk.id?.includes('/paged/'))).toHaveLength(5);
    } finally {
      subscription.azure.settings.change({ pageSize: 100 });
    }
  });
  it('of all resources follow a filter by tag', async () => {
    await subscription.compute.disks.createOrUpdate(
      'standby-rg',
      'tagged',
      emptyDisk({ 'standby-scenario': "it's" }),
    );
    const filter = "tagName eq 'STANDBY-scenario' and tagValue eq 'it''s'";
    const found = await collect(subscription.resources.resources.list({ filter }));
    expect(found.map((each) => each.name)).toEqual(['tagged']);
    const type = "resourceType eq 'Microsoft.Network/virtualNetworks'";
    const networks = await collect(
      subscription.resources.resources.listByResourceGroup('standby-rg', { filter: type }),
    );
    expect(networks.map((each) => each.name)).toEqual(['standby-vnet']);
    const strange = await refusal(
      collect(subscription.resources.resources.list({ filter: 'colour is red' })),
    );
    expect(strange).toMatchObject({ statusCode: 400, code: 'InvalidFilterInQueryString' });
  });
});

describe('tags', () => {
  it('are merged, replaced and taken away without touching the resource', async () => {
    const disk = await subscription.compute.disks.createOrUpdate(
      'standby-rg',
      'labels',
      emptyDisk({ a: '1' }),
    );
    const scope = disk.id ?? '';
    const { tagsOperations } = subscription.resources;
    const change = (operation: string, tags: Record<string, string>) =>
      tagsOperations.updateAtScope(scope, { operation, properties: { tags } });
    await change('Merge', { b: '2' });
    expect((await subscription.compute.disks.get('standby-rg', 'labels')).tags).toEqual({ a: '1', b: '2' });
    await change('Delete', { a: '1' });
    expect((await tagsOperations.getAtScope(scope)).properties?.tags).toEqual({ b: '2' });
    await change('Replace', { c: '3' });
    const after = await subscription.compute.disks.get('standby-rg', 'labels');
    expect(after).toMatchObject({ tags: { c: '3' }, diskSizeGB: 4, uniqueId: disk.uniqueId });
  });
  it('are replaced as a whole by a PATCH of the resource', async () => {
    await subscription.compute.disks.createOrUpdate('standby-rg', 'patched', emptyDisk({ a: '1', b: '2' }));
    const after = await subscription.compute.disks.update('standby-rg', 'patched', { tags: { b: '3' } });
    expect(after).toMatchObject({ tags: { b: '3' }, diskSizeGB: 4 });
  });
});

describe('the first content', () => {
  it('is a group with a network of two subnets and a security group for the web', async () => {
    const network = await clientsOf(subscription.endpoint).network.virtualNetworks.get(
      'standby-rg',
      'standby-vnet',
    );
    expect(network.location).toBe('japaneast');
    expect(network.subnets?.map((subnet) => [subnet.name, subnet.addressPrefix])).toEqual([
      ['default', '10.20.1.0/24'],
      ['appliance', '10.20.0.0/24'],
    ]);
    const group = await subscription.network.networkSecurityGroups.get('standby-rg', 'standby-web');
    expect(group.securityRules?.map((rule) => rule.destinationPortRange)).toEqual(['80', '443', '8080']);
  });
});
