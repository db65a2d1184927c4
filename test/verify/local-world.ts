import type { Appliance } from '../../src/model/appliance.ts';
import type { MasterInventory } from '../../src/model/disk.ts';
import type { Scenario, ScenarioNic } from '../../src/model/scenario.ts';
import { tagsOf } from '../../src/model/tags.ts';
import type { Cloud } from '../../src/ports/cloud.ts';
import type { VerifyFacts } from '../../src/verify/check.ts';
import { appliance, inventory, scenario } from '../fakes/scene.ts';
import { GROUP, type LocalAccount, startLocalAccount } from '../infra/azure/local-account.ts';
import { clientsOf } from '../infra/local/local-subscription.ts';
import { facts, session } from './planted-facts.ts';

/** A subscription in Local Azure, asked with the real SDKs: an appliance's VM, and networks right and wrong. */
export interface LocalWorld {
  readonly local: LocalAccount;
  readonly cloud: Cloud;
  readonly clients: ReturnType<typeof clientsOf>;
  readonly gate: Appliance;
  id(type: string, name: string): string;
  /** A scenario in which everything is right, but for what is changed. */
  scenario(change?: Partial<Scenario>): Scenario;
  nic(change?: Partial<ScenarioNic>): ScenarioNic;
  /** Everything right, but for what is changed. */
  facts(change?: Partial<VerifyFacts>): VerifyFacts;
  stop(): Promise<void>;
}

export const QUICK = { updateIntervalInMs: 10 };
const KEY = 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7vRzS4gZyyvT3xkFZ1mYhJmUUtAlXg8PjNnzm0a2GkKq8 someone';

/** With one NIC, as the scenario has it. */
export function master(change: Partial<MasterInventory> = {}): MasterInventory {
  return inventory({ nics: [{ id: 'nic0', name: 'eth0', addresses: ['192.168.0.10'] }], ...change });
}

export async function startLocalWorld(): Promise<LocalWorld> {
  const local = await startLocalAccount();
  const [cloud, clients] = [await local.cloud(), clientsOf(local.azure.endpoint)];
  const { location, subscriptionId } = local.azure.endpoint;
  const id = (type: string, name: string) => local.id(`Microsoft.Network/${type}`, name);
  await networks(clients.network, location, id);
  const vmId = await applianceVm(cloud, location, id('virtualNetworks', 'standby-vnet'));
  const gate = appliance({
    name: 'gate',
    azure: { accountId: 'account-1', vmId, resourceGroup: GROUP, region: location },
  });
  const nic = (change: Partial<ScenarioNic> = {}): ScenarioNic => ({
    masterNicId: 'nic0',
    virtualNetworkId: id('virtualNetworks', 'standby-vnet'),
    subnetName: 'default',
    address: { kind: 'static', ip: '10.20.1.77' },
    networkSecurityGroupId: id('networkSecurityGroups', 'standby-web'),
    publicIp: true,
    ...change,
  });
  const right = (change: Partial<Scenario> = {}): Scenario =>
    scenario({
      region: location,
      vm: { ...scenario().vm, resourceGroup: GROUP, size: 'Standard_B2s' },
      nics: [nic()],
      healthChecks: [{ kind: 'tcp', port: 443 }],
      ...change,
    });
  const account = { name: 'ops@example.com', secretExpiresOn: '2031-01-01', subscriptionId };
  return {
    ...{ local, cloud, clients, gate, id, nic },
    scenario: right,
    facts: (change = {}) =>
      facts({
        ...{ cloud, account, appliance: gate, scenario: right(), inventory: master() },
        ...{ session: session(), moment: 'watch' },
        ...change,
      }),
    stop: () => local.stop(),
  };
}

type Network = ReturnType<typeof clientsOf>['network'];

async function networks(client: Network, location: string, id: LocalWorld['id']): Promise<void> {
  const group = {
    securityRules: [{ name: 'nothing', ...everything, direction: 'Outbound', access: 'Deny' }],
  };
  await Promise.all([
    client.networkSecurityGroups.createOrUpdate(GROUP, 'shut', { location, ...group }, QUICK),
    client.networkSecurityGroups.createOrUpdate(GROUP, 'far', { location: 'westeurope' }, QUICK),
    client.routeTables.createOrUpdate(GROUP, 'lost', { location, routes: [way('None')] }, QUICK),
    client.routeTables.createOrUpdate(
      GROUP,
      'around',
      { location, routes: [way('VirtualAppliance')] },
      QUICK,
    ),
    ...['far', 'resolving'].map((name) => {
      const place = { location: name === 'far' ? 'westeurope' : location };
      const addressSpace = { addressPrefixes: ['10.30.0.0/16'] };
      const subnets = [{ name: 'default', addressPrefix: '10.30.1.0/24' }];
      const dhcpOptions = { dnsServers: name === 'far' ? [] : ['192.168.0.2'] };
      return client.virtualNetworks.createOrUpdate(
        GROUP,
        name,
        { ...place, addressSpace, subnets, dhcpOptions },
        QUICK,
      );
    }),
  ]);
  const subnets = {
    tight: { addressPrefix: '10.20.9.0/29' },
    lost: { addressPrefix: '10.20.10.0/24', routeTable: { id: id('routeTables', 'lost') } },
    around: { addressPrefix: '10.20.11.0/24', routeTable: { id: id('routeTables', 'around') } },
    drills: {
      addressPrefix: '10.20.12.0/24',
      networkSecurityGroup: { id: id('networkSecurityGroups', 'shut') },
    },
    service: {
      addressPrefix: '10.20.13.0/24',
      delegations: [{ name: 'web', serviceName: 'Microsoft.Web/serverFarms' }],
    },
  };
  for (const [name, subnet] of Object.entries(subnets))
    await client.subnets.createOrUpdate(GROUP, 'standby-vnet', name, subnet, QUICK);
  for (const [name, subnet, privateIPAddress] of TENANTS) {
    const place = { subnet: { id: `${id('virtualNetworks', 'standby-vnet')}/subnets/${subnet}` } };
    const fixed = privateIPAddress ? { privateIPAddress, privateIPAllocationMethod: 'Static' } : {};
    const ipConfigurations = [{ name: 'main', ...place, ...fixed }];
    await client.networkInterfaces.createOrUpdate(GROUP, name, { location, ipConfigurations }, QUICK);
  }
}

const everything = {
  ...{ priority: 100, protocol: '*', sourceAddressPrefix: '*', sourcePortRange: '*' },
  ...{ destinationAddressPrefix: '*', destinationPortRange: '*' },
};

const way = (nextHopType: string) => ({
  name: 'all',
  addressPrefix: '0.0.0.0/0',
  nextHopType,
  ...(nextHopType === 'None' ? {} : { nextHopIpAddress: '10.20.0.9' }),
});

/** Whoever has an address already. The subnet `tight` has three, and they have them. */
const TENANTS: readonly (readonly [name: string, subnet: string, address?: string])[] = [
  ['printer', 'default', '10.20.1.88'],
  ...['one', 'two', 'three'].map((name) => [name, 'tight'] as const),
];

async function applianceVm(cloud: Cloud, location: string, networkId: string): Promise<string> {
  const tags = tagsOf('appliance/gate', 'deploy-1', 'appliance');
  const place = { resourceGroup: GROUP, location, tags };
  const { id: groupId } = await cloud.network.ensureSecurityGroup({ ...place, name: 'gate-nsg' });
  const nic = await cloud.network.createNetworkInterface({
    ...{ ...place, name: 'gate-nic', subnetId: `${networkId}/subnets/appliance`, securityGroupId: groupId },
  });
  const disk = { ...place, name: 'gate-journal', type: 'Standard_LRS', sizeGib: 1 } as const;
  const journal = await cloud.disks.createEmpty(disk);
  const machine = await cloud.machines.createFromImage({
    ...{ ...place, name: 'gate', size: 'Standard_B4ms', osDiskName: 'gate-os' },
    image: { publisher: 'Debian', offer: 'debian-12', sku: '12-gen2', version: 'latest' },
    ...{ adminUser: 'standby', sshPublicKey: KEY, userData: '#cloud-config\n' },
    dataDisks: [{ diskId: journal.id, lun: 0 }],
    nicIds: [nic.id],
  });
  return machine.id;
}
