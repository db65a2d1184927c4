import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSubscription, type Subscription } from './local-subscription.ts';

/** Small rules that recordings of real traffic and Microsoft's examples taught; each as a client sees it. */
const group = 'recorded';
const location = 'japaneast';
const quick = { updateIntervalInMs: 10 };

let subscription: Subscription;
beforeAll(async () => {
  subscription = await openSubscription();
  await subscription.resources.resourceGroups.createOrUpdate(group, { location });
});
afterAll(() => subscription?.remove());

/** The first exchange of this method since the mark. */
function exchangeOf(method: string, from: number) {
  return subscription.exchanges.slice(from).find((each) => each.method === method);
}
const now = () => subscription.exchanges.length;
const stateIn = (body: string | undefined) =>
  (JSON.parse(body ?? '{}') as { properties?: { provisioningState?: string } }).properties?.provisioningState;

describe('Microsoft.Network', () => {
  const { securityRules } = {
    securityRules: [
      {
        ...{ name: 'r', priority: 100, protocol: 'Tcp', access: 'Allow', direction: 'Inbound' },
        ...{ sourceAddressPrefix: '*', sourcePortRange: '*' },
        ...{ destinationAddressPrefix: '*', destinationPortRange: '443' },
      },
    ],
  };

  it('settles a security group with the same rules before it answers, and one with others after', async () => {
    const { networkSecurityGroups } = subscription.network;
    await networkSecurityGroups.createOrUpdate(group, 'g', { location, securityRules }, quick);
    const before = now();
    const same = { location, securityRules, tags: { a: 'b' } };
    await networkSecurityGroups.createOrUpdate(group, 'g', same, quick);
    const settled = exchangeOf('PUT', before);
    expect([settled?.status, stateIn(settled?.body)]).toEqual([200, 'Succeeded']);
    expect(settled?.headers['azure-asyncoperation']).toContain('/operations/');
    const middle = now();
    await networkSecurityGroups.createOrUpdate(group, 'g', { location, securityRules: [] }, quick);
    expect(stateIn(exchangeOf('PUT', middle)?.body)).toBe('Updating');
  });

  it('changes tags at once and nothing else', async () => {
    const before = now();
    const changed = await subscription.network.networkSecurityGroups.updateTags(group, 'g', {
      tags: { c: 'd' },
    });
    expect(changed).toMatchObject({ tags: { c: 'd' }, provisioningState: 'Succeeded' });
    const patch = exchangeOf('PATCH', before);
    expect([patch?.status, patch?.headers['azure-asyncoperation']]).toEqual([200, undefined]);
  });

  it('gives a label for a name to one public IP of a region', async () => {
    const { publicIPAddresses } = subscription.network;
    const address = {
      location,
      sku: { name: 'Standard' },
      publicIPAllocationMethod: 'Static',
      dnsSettings: { domainNameLabel: 'standby-web' },
    } as const;
    const made = await publicIPAddresses.createOrUpdate(group, 'p', address, quick);
    expect(made.dnsSettings?.fqdn).toBe('standby-web.japaneast.cloudapp.azure.com');
    expect(await subscription.network.checkDnsNameAvailability(location, 'standby-web')).toMatchObject({
      available: false,
    });
    const again = publicIPAddresses.createOrUpdate(group, 'q', address, quick);
    await expect(again).rejects.toMatchObject({ code: 'DnsRecordInUse' });
  });
});

describe('Microsoft.Compute', () => {
  it('never starts a VM again whose disks were given up for an image', async () => {
    const { compute, network } = subscription;
    const vnet = await network.virtualNetworks.createOrUpdate(
      group,
      'v',
      {
        location,
        addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
        subnets: [{ name: 's', addressPrefix: '10.0.0.0/24' }],
      },
      quick,
    );
    const subnet = { id: `${vnet.id}/subnets/s` };
    const nic = await network.networkInterfaces.createOrUpdate(
      group,
      'n',
      { location, ipConfigurations: [{ name: 'i', subnet }] },
      quick,
    );
    const image = { publisher: 'Canonical', offer: 'UbuntuServer', sku: '18.04-LTS', version: 'latest' };
    await compute.virtualMachines.createOrUpdate(
      group,
      'm_1.a',
      {
        location,
        hardwareProfile: { vmSize: 'Standard_B2s' },
        storageProfile: { imageReference: image, osDisk: { createOption: 'FromImage' } },
        osProfile: { computerName: 'm', adminUsername: 'u', adminPassword: 'Long-password-1' },
        networkProfile: { networkInterfaces: [{ id: nic.id ?? '' }] },
      },
      quick,
    );
    const refused = { statusCode: 409, code: 'OperationNotAllowed' };
    await expect(compute.virtualMachines.generalize(group, 'm_1.a')).rejects.toMatchObject(refused);
    await compute.virtualMachines.deallocate(group, 'm_1.a', quick);
    await compute.virtualMachines.generalize(group, 'm_1.a');
    const { statuses = [] } = await compute.virtualMachines.instanceView(group, 'm_1.a');
    expect(statuses.map((each) => each.code)).toContain('OSState/generalized');
    await expect(compute.virtualMachines.start(group, 'm_1.a', quick)).rejects.toMatchObject(refused);
  });

  it('attaches an Ultra disk only to a VM that is made for one', async () => {
    const { compute } = subscription;
    const disk = await compute.disks.createOrUpdate(
      group,
      'ultra',
      {
        location,
        sku: { name: 'UltraSSD_LRS' },
        diskSizeGB: 4,
        diskIopsReadWrite: 900,
        creationData: { createOption: 'Empty', logicalSectorSize: 512 },
      },
      quick,
    );
    expect(disk).toMatchObject({ diskIopsReadWrite: 900, sku: { tier: 'Ultra' } });
    const attached = compute.virtualMachines.attachDetachDataDisks(
      group,
      'm_1.a',
      { dataDisksToAttach: [{ diskId: disk.id ?? '', lun: 3 }] },
      quick,
    );
    await expect(attached).rejects.toMatchObject({ code: 'InvalidParameter' });
  });
});
