import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AzureWorld, allowRule, collect, ground, quick, refusal, startWorld } from './azure-world.ts';

let world: AzureWorld;
beforeAll(async () => {
  world = await startWorld();
  await ground(world, 'a');
});
afterAll(() => world.stop());

const subnetId = (net: string, name: string) =>
  world.idOf('Microsoft.Network/virtualNetworks/subnets', net, name);

function nic(name: string, configuration: object, location = world.location) {
  const ipConfigurations = [{ name: 'main', subnet: { id: subnetId('a-net', 'default') }, ...configuration }];
  return world.network.networkInterfaces.createOrUpdate(
    world.group,
    name,
    { location, ipConfigurations },
    quick,
  );
}

describe('virtual networks and subnets', () => {
  it('show what was asked for, with the subnets inside', async () => {
    const network = await world.network.virtualNetworks.get(world.group, 'a-net');
    expect(network).toMatchObject({
      provisioningState: 'Succeeded',
      addressSpace: { addressPrefixes: ['10.7.0.0/16'] },
      subnets: [{ name: 'default', addressPrefix: '10.7.1.0/24', provisioningState: 'Succeeded' }],
    });
    expect(network.subnets?.[0]?.ipConfigurations?.[0]?.id).toContain(
      '/networkInterfaces/a-nic0/ipConfigurations/main',
    );
  });

  it('refuse a subnet outside of the space, across another one, or with a broken prefix', async () => {
    const put = (addressPrefix: string) =>
      refusal(world.network.subnets.createOrUpdate(world.group, 'a-net', 'other', { addressPrefix }, quick));
    expect(await put('10.8.0.0/24')).toMatch(
      /^400 NetcfgInvalidSubnet: Subnet 'other' is not valid in virtual network 'a-net'/,
    );
    expect(await put('10.7.0.0/23')).toMatch(/^400 NetcfgSubnetRangesOverlap/);
    expect(await put('10.7.2.1/24')).toMatch(/^400 InvalidCIDRNotation/);
    expect(await put('10.7.2.0/30')).toMatch(/^400 NetcfgInvalidSubnet/);
    expect(await put('10.7.2.0/24')).toBe('no error');
    await world.network.subnets.delete(world.group, 'a-net', 'other', quick);
  });

  it('keep a subnet, and a network, in which a NIC lives', async () => {
    expect(await refusal(world.network.subnets.delete(world.group, 'a-net', 'default', quick))).toMatch(
      /^400 InUseSubnetCannotBeDeleted: Subnet default is in use by .*a-nic0\/ipConfigurations\/main/,
    );
    expect(await refusal(world.network.virtualNetworks.delete(world.group, 'a-net', quick))).toMatch(
      /^400 InUseSubnetCannotBeDeleted/,
    );
  });

  it('tell which addresses are free', async () => {
    const check = (ip: string) =>
      world.network.virtualNetworks.checkIPAddressAvailability(world.group, 'a-net', ip);
    expect(await check('10.7.1.99')).toMatchObject({ available: true });
    expect(await check('10.7.1.0')).toMatchObject({
      available: false,
      isPlatformReserved: true,
      availableIPAddresses: ['10.7.1.5', '10.7.1.6', '10.7.1.7', '10.7.1.8', '10.7.1.9'],
    });
    expect(await check('10.7.1.4')).toMatchObject({ available: false, isPlatformReserved: false });
    expect(await refusal(check('10.7.77.1'))).toMatch(/^400 PrivateIPAddressNotInAnySubnet/);
  });
});

describe('network interfaces', () => {
  it('take the lowest free address and keep it, and give it back when they go', async () => {
    const first = await nic('n1', {});
    expect(first.ipConfigurations?.[0]).toMatchObject({
      privateIPAddress: '10.7.1.5',
      privateIPAllocationMethod: 'Dynamic',
      primary: true,
    });
    const again = await nic('n1', {});
    expect(again.ipConfigurations?.[0]?.privateIPAddress).toBe('10.7.1.5');
    await world.network.networkInterfaces.delete(world.group, 'n1', quick);
    const other = await nic('n2', {});
    expect(other.ipConfigurations?.[0]?.privateIPAddress).toBe('10.7.1.5');
    await world.network.networkInterfaces.delete(world.group, 'n2', quick);
  });

  it('refuse a static address that is taken, reserved, or of another subnet', async () => {
    const put = (privateIPAddress: string) =>
      refusal(nic('n3', { privateIPAddress, privateIPAllocationMethod: 'Static' }));
    expect(await put('10.7.1.4')).toMatch(
      /^400 PrivateIPAddressIsAllocated: .*a-nic0\/ipConfigurations\/main/,
    );
    expect(await put('10.7.1.3')).toMatch(/^400 PrivateIPAddressInReservedRange/);
    expect(await put('10.7.1.255')).toMatch(/^400 PrivateIPAddressInReservedRange/);
    expect(await put('10.7.2.9')).toMatch(/^400 PrivateIPAddressNotInSubnet/);
    expect(await put('10.7.1.50')).toBe('no error');
    await world.network.networkInterfaces.delete(world.group, 'n3', quick);
  });

  it('refuse what is not there, what is elsewhere, and a public IP of another NIC', async () => {
    const missing = { subnet: { id: subnetId('a-net', 'nowhere') } };
    expect(await refusal(nic('n4', missing))).toMatch(
      /^400 InvalidResourceReference: .*nowhere referenced by resource/,
    );
    expect(await refusal(nic('n4', {}, 'westeurope'))).toMatch(
      /^400 InvalidResourceReference: .*same region/,
    );
    const publicIPAddress = { id: world.idOf('Microsoft.Network/publicIPAddresses', 'a-pip0') };
    expect(await refusal(nic('n4', { publicIPAddress }))).toMatch(/^400 PublicIPAddressInUse/);
    expect(await refusal(world.network.networkInterfaces.get(world.group, 'n4'))).toMatch(
      /^404 ResourceNotFound/,
    );
  });
});

describe('public IPs', () => {
  it('are static loopback addresses of their own, kept, and not deleted while they are used', async () => {
    const first = await world.network.publicIPAddresses.get(world.group, 'a-pip0');
    expect(first.ipAddress).toMatch(/^127\.\d+\.\d+\.\d+$/);
    expect(first.ipConfiguration?.id).toContain('a-nic0');
    const put = await world.network.publicIPAddresses.createOrUpdate(
      world.group,
      'a-pip0',
      {
        location: world.location,
        sku: { name: 'Standard' },
        publicIPAllocationMethod: 'Static',
        tags: { x: 'y' },
      },
      quick,
    );
    expect(put.ipAddress).toBe(first.ipAddress);
    expect(await refusal(world.network.publicIPAddresses.delete(world.group, 'a-pip0', quick))).toMatch(
      /^400 PublicIPAddressCannotBeDeleted/,
    );
    const dynamic = {
      location: world.location,
      sku: { name: 'Standard' },
      publicIPAllocationMethod: 'Dynamic',
    };
    expect(
      await refusal(world.network.publicIPAddresses.createOrUpdate(world.group, 'p', dynamic, quick)),
    ).toMatch(/^400 PublicIPAddressAllocationMethodMustBeStatic/);
  });

  it('are counted against the quota', async () => {
    world.local.settings.change({ quotas: { PublicIPAddresses: 1 } });
    const body = { location: world.location, sku: { name: 'Standard' }, publicIPAllocationMethod: 'Static' };
    expect(
      await refusal(world.network.publicIPAddresses.createOrUpdate(world.group, 'p', body, quick)),
    ).toMatch(/^400 PublicIPCountLimitReached/);
    const usages = await collect(world.network.usages.list(world.location));
    expect(usages.find((usage) => usage.name?.value === 'PublicIPAddresses')).toMatchObject({
      currentValue: 1,
      limit: 1,
    });
    world.local.settings.change({ quotas: {} });
  });
});

describe('network security groups', () => {
  it('show the six default rules and who uses them', async () => {
    const group = await world.network.networkSecurityGroups.get(world.group, 'a-nsg');
    expect(group.defaultSecurityRules?.map((rule) => [rule.name, rule.priority, rule.access])).toEqual([
      ['AllowVnetInBound', 65000, 'Allow'],
      ['AllowAzureLoadBalancerInBound', 65001, 'Allow'],
      ['DenyAllInBound', 65500, 'Deny'],
      ['AllowVnetOutBound', 65000, 'Allow'],
      ['AllowInternetOutBound', 65001, 'Allow'],
      ['DenyAllOutBound', 65500, 'Deny'],
    ]);
    expect(group.networkInterfaces?.[0]?.id).toContain('a-nic0');
    expect(await refusal(world.network.networkSecurityGroups.delete(world.group, 'a-nsg', quick))).toMatch(
      /^400 InUseNetworkSecurityGroupCannotBeDeleted/,
    );
  });

  it('refuse a rule whose priority is taken in its direction or out of range, or whose fields are wrong', async () => {
    const put = (change: object, name = 'r') =>
      refusal(
        world.network.securityRules.createOrUpdate(
          world.group,
          'a-nsg',
          name,
          { ...allowRule(name, 200, '80'), ...change },
          quick,
        ),
      );
    expect(await put({}, 'first')).toBe('no error');
    expect(await put({})).toMatch(/^400 SecurityRuleConflict: Security rule r conflicts with rule first/);
    expect(await put({ direction: 'Outbound' })).toBe('no error');
    expect(await put({ priority: 99 }, 'low')).toMatch(/^400 SecurityRuleInvalidPriority/);
    expect(await put({ priority: 4097 }, 'high')).toMatch(/^400 SecurityRuleInvalidPriority/);
    expect(await put({ priority: 300, destinationPortRange: '70000' }, 'port')).toMatch(
      /^400 SecurityRuleInvalidPortRange/,
    );
    expect(await put({ priority: 300, sourceAddressPrefix: '1.2.3.4/8' }, 'prefix')).toMatch(
      /^400 SecurityRuleInvalidAddressPrefix/,
    );
    const group = await world.network.networkSecurityGroups.get(world.group, 'a-nsg');
    expect(group.securityRules?.map((rule) => rule.name).sort()).toEqual(['first', 'r']);
  });
});
