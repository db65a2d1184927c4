import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkAppliance } from '../../../src/control/appliance/check.ts';
import { openPort, prefixWarning, proposeOpenPort } from '../../../src/control/appliance/open-port.ts';
import { ownAddressTowards } from '../../../src/control/appliance/own-address.ts';
import { addOwnAppliance } from '../../../src/control/appliance/records.ts';
import { kindOfIp } from '../../../src/model/ip-range.ts';
import type { SecurityGroup } from '../../../src/ports/cloud.ts';
import { makeContext, partOfCloud, type TestContext } from '../make-context.ts';

/** What Local Azure's own deployment does not have: a group on the subnet, or the same one twice, or none. */
const VM = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/gate';
const NET = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/net';
const ADDRESS = '203.0.113.200';

let groups: Map<string, SecurityGroup>;
let place: { subnet?: string; nic?: string };
let context: TestContext;

function group(id: string): SecurityGroup {
  const rules = [
    {
      name: 'DenyAllInBound',
      priority: 65500,
      direction: 'Inbound',
      access: 'Deny',
      protocol: '*',
      sourcePrefixes: ['*'],
      destinationPrefixes: ['*'],
      destinationPorts: ['*'],
    } as const,
  ];
  return { id, name: id, location: 'here', rules, tags: {} };
}

const cloud = partOfCloud({
  machines: {
    instance: async () => ({
      id: VM,
      name: 'gate',
      resourceGroup: 'rg',
      location: 'here',
      size: 'x',
      provisioning: 'Succeeded',
      power: 'running',
      nicIds: ['nic'],
      dataDisks: [],
      tags: {},
    }),
  },
  network: {
    networkInterface: async () => ({
      id: 'nic',
      name: 'gate-nic',
      privateIp: '10.1.0.4',
      subnetId: `${NET}/subnets/inner`,
      publicIpId: 'pip',
      ...(place.nic ? { securityGroupId: place.nic } : {}),
      tags: {},
    }),
    virtualNetwork: async () => {
      const subnet = { id: `${NET}/subnets/inner`, name: 'inner', prefix: '10.1.0.0/24' };
      const guarded = place.subnet ? { ...subnet, securityGroupId: place.subnet } : subnet;
      const rest = { prefixes: ['10.1.0.0/16'], dnsServers: [], subnets: [guarded] };
      return { id: NET, name: 'net', resourceGroup: 'rg', location: 'here', ...rest };
    },
    publicIp: async () => ({ id: 'pip', name: 'pip', address: ADDRESS, tags: {} }),
    securityGroup: async (id) => groups.get(id),
    addSecurityRule: async (id, rule) => {
      const before = groups.get(id) ?? group(id);
      const after = { ...before, rules: [...before.rules, rule] };
      groups.set(id, after);
      return after;
    },
  },
});

beforeEach(async () => {
  groups = new Map(['on-subnet', 'on-nic'].map((id) => [id, group(id)]));
  context = await makeContext({ cloudFor: async () => cloud });
  await context.store.accounts.insert({
    id: 'a1',
    name: 'ops@example.com',
    subscriptionId: 's',
    tenantId: 't',
    applicationId: 'p',
    environment: 'public',
    createdAtMs: 0,
  });
  await context.store.appliances.insert({
    id: 'v1',
    name: 'gate',
    address: ADDRESS,
    port: 25000,
    azure: { accountId: 'a1', vmId: VM, resourceGroup: 'rg', region: 'here' },
    enrolment: 'enrolled',
    createdAtMs: 0,
  });
});
afterEach(() => context.close());

const rulesOf = (id: string) => groups.get(id)?.rules.filter((rule) => rule.access === 'Allow') ?? [];
const ask = { name: 'gate', sourcePrefix: '198.51.100.7' };

it('opens both the group on the subnet, for the appliance alone, and the one on the NIC', async () => {
  place = { subnet: 'on-subnet', nic: 'on-nic' };
  const { added } = await openPort(context, ask);
  expect(added.map((one) => one.groupName)).toEqual(['on-subnet', 'on-nic']);
  expect(rulesOf('on-subnet').map((rule) => rule.destinationPrefixes)).toEqual([['10.1.0.4']]);
  expect(rulesOf('on-nic').map((rule) => rule.destinationPrefixes)).toEqual([['*']]);
  const lines = await checkAppliance(context, 'gate', { sourceAddress: '198.51.100.7', probeTimeoutMs: 50 });
  expect(lines.slice(1, 3).map((line) => line.status)).toEqual(['ok', 'ok']);
  const other = await checkAppliance(context, 'gate', { sourceAddress: '198.51.100.8', probeTimeoutMs: 50 });
  expect(other.slice(1, 3).map((line) => line.status)).toEqual(['error', 'error']);
});

it('adds what is missing when it died between two groups', async () => {
  place = { subnet: 'on-subnet', nic: 'on-nic' };
  const proposal = await proposeOpenPort(context, ask);
  const first = proposal.groups[0]?.rule;
  if (!first) throw new Error('The subnet’s group is closed');
  await cloud.network.addSecurityRule('on-subnet', first);
  expect((await openPort(context, ask)).added.map((one) => one.groupName)).toEqual(['on-nic']);
  expect([rulesOf('on-subnet').length, rulesOf('on-nic').length]).toEqual([1, 1]);
});

it('adds one rule to a group that guards both', async () => {
  place = { subnet: 'on-nic', nic: 'on-nic' };
  const proposal = await proposeOpenPort(context, ask);
  expect(proposal.groups.map((one) => one.place)).toEqual(['subnet and NIC']);
  await openPort(context, ask);
  expect(rulesOf('on-nic')).toHaveLength(1);
});

it('has nothing to open where there is no group, and says what a public address does then', async () => {
  place = {};
  await expect(openPort(context, ask)).rejects.toMatchObject({ code: 'NSG_MISSING', kind: 'input' });
  const lines = await checkAppliance(context, 'gate', { probeTimeoutMs: 50 });
  expect(lines.slice(1, 3).map((line) => [line.code, line.status])).toEqual([
    ['NSG_SUBNET', 'ok'],
    ['NSG_MISSING', 'warning'],
  ]);
});

it('is refused for a server of one’s own', async () => {
  await addOwnAppliance(context, { name: 'own', address: 'replica.example.com' });
  await expect(proposeOpenPort(context, { name: 'own' })).rejects.toMatchObject({ code: 'NO_AZURE_PART' });
});

it('proposes an address only when it is the one that the appliance sees', async () => {
  expect(await ownAddressTowards('127.9.9.9')).toBe('127.0.0.1');
  expect(await ownAddressTowards('replica.example.com')).toBeUndefined();
  // Whatever network this runs in: never a private address towards a public one.
  const seen = await ownAddressTowards(ADDRESS);
  expect([undefined, 'public']).toContain(seen && kindOfIp(seen));
});

it.each([
  ['*', true],
  ['Internet', true],
  ['0.0.0.0/0', true],
  ['11.0.0.0/8', true],
  ['11.0.0.0/9', false],
  ['198.51.100.7', false],
])('warns of %s: %s', (prefix, warned) => {
  expect(prefixWarning(prefix) !== undefined).toBe(warned);
});
