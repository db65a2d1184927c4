import { describe, expect, it } from 'vitest';
import type { ScenarioNic } from '../../src/model/scenario.ts';
import type { RouteTable, SecurityRule } from '../../src/ports/cloud.ts';
import { verifyScenario } from '../../src/verify/verify.ts';
import { NETWORK_ID, NSG_ID } from '../fakes/fake-cloud.ts';
import { inventory, rightCloud, scenario } from '../fakes/scene.ts';
import { DEFAULTS, rule, TABLE_ID } from './faults-of-network.ts';
import { facts, session } from './planted-facts.ts';

/**
 * Made-up networks with known faults. Every check of the product looks at every one of them, and finds each fault that
 * was planted and no other.
 */
interface Network {
  readonly where?: string;
  readonly spaces?: readonly string[];
  readonly subnet?: string;
  readonly used?: number;
  readonly delegated?: string;
  readonly dns?: readonly string[];
  readonly routes?: readonly (readonly [prefix: string, nextHop: string])[];
  /** Rules before Azure's own; absent: no group there. */
  readonly onSubnet?: readonly SecurityRule[];
  readonly onNic?: readonly SecurityRule[];
  readonly groupIn?: string;
  /** Addresses that somebody has. */
  readonly taken?: readonly string[];
  /** What the scenario wants of it. */
  readonly nics?: number;
  readonly address?: string;
  readonly publicIp?: boolean;
  readonly port?: number;
  readonly nic?: Partial<ScenarioNic>;
  /** Another scenario with this address, in this network or another one. */
  readonly rival?: readonly [address: string, network: string];
}

const open = (ports: string, from = '*') => rule('open', 100, 'Allow', { ports, from });
const closed = (ports: string, priority = 100) => rule('closed', priority, 'Deny', { ports });
const SITE = '192.168.0.10'; // the master itself
const FIREWALL = 'VirtualAppliance';
const SMALL = '10.0.1.16/28';

type Row = readonly [name: string, network: Network, ...faults: string[]];
const NETWORKS: readonly Row[] = [
  ['as it should be', {}],
  ['8 addresses, 3 for people, none free', { subnet: '10.0.1.0/29', used: 3 }, 'SUBNET_FULL'],
  ['8 addresses, one free for one NIC', { subnet: '10.0.1.0/29', used: 2 }],
  ['16 addresses, one free for two NICs', { subnet: SMALL, used: 10, nics: 2 }, 'SUBNET_FULL'],
  ['16 addresses, two free for two NICs', { subnet: SMALL, used: 9, nics: 2 }],
  ['given to a service', { delegated: 'Microsoft.Web/serverFarms' }, 'SUBNET_DELEGATED'],
  [
    'given to a service that fills it',
    { subnet: SMALL, used: 11, delegated: 'Microsoft.Sql/managedInstances' },
    ...['SUBNET_DELEGATED', 'SUBNET_FULL'],
  ],
  ['in another region', { where: 'westeurope' }, 'NETWORK_ELSEWHERE'],
  ['in the region, written for people', { where: 'Japan East' }],
  ['not there', { nic: { virtualNetworkId: `${NETWORK_ID}-2` } }, 'NETWORK_UNKNOWN'],
  ['without that subnet', { nic: { subnetName: 'guests' } }, 'SUBNET_UNKNOWN'],
  [
    'found under capital letters',
    { nic: { virtualNetworkId: NETWORK_ID.toUpperCase(), subnetName: 'SERVERS' } },
  ],
  ['the first address for people', { address: '10.0.1.4' }],
  ['the last one of Azure’s first four', { address: '10.0.1.3' }, 'ADDRESS_RESERVED'],
  ['the very last', { address: '10.0.1.255' }, 'ADDRESS_RESERVED'],
  ['the last but one', { address: '10.0.1.254' }],
  [
    'reserved in a small subnet, free in a large one',
    { subnet: SMALL, address: '10.0.1.19' },
    'ADDRESS_RESERVED',
  ],
  ['the first for people in a small subnet', { subnet: SMALL, address: '10.0.1.20' }],
  ['the last of a small subnet', { subnet: SMALL, address: '10.0.1.31' }, 'ADDRESS_RESERVED'],
  ['beside a small subnet', { subnet: SMALL, address: '10.0.1.32' }, 'ADDRESS_OUTSIDE_SUBNET'],
  ['an address of the site', { address: SITE }, 'ADDRESS_OUTSIDE_SUBNET'],
  ['an address that is none', { address: '10.0.1' }, 'ADDRESS_INVALID'],
  ['an address that a printer has', { address: '10.0.1.9', taken: ['10.0.1.9'] }, 'ADDRESS_TAKEN'],
  ['a printer beside it', { address: '10.0.1.9', taken: ['10.0.1.8'] }],
  ['wanted by two', { address: '10.0.1.9', rival: ['10.0.1.9', NETWORK_ID] }, 'CLASH_ADDRESS'],
  ['the same address elsewhere', { address: '10.0.1.9', rival: ['10.0.1.9', `${NETWORK_ID}-2`] }],
  ['resolving at the master', { dns: [SITE] }, 'DNS_IS_MASTER'],
  ['resolving at the site', { dns: ['192.168.0.2'] }, 'DNS_OUTSIDE'],
  ['resolving at the master and inside', { dns: [SITE, '10.0.9.4'] }],
  ['resolving in its second space', { spaces: ['10.0.0.0/16', '172.16.0.0/24'], dns: ['172.16.0.4'] }],
  ['resolving at Azure by its address', { dns: ['168.63.129.16'] }],
  ['no way out', { routes: [['0.0.0.0/0', 'None']] }, 'ROUTE_NOWHERE'],
  [
    'no way out, in two halves',
    {
      routes: [
        ['0.0.0.0/1', 'None'],
        ['128.0.0.0/1', 'None'],
        ['0.0.0.0/0', 'Internet'],
      ],
    },
    'ROUTE_NOWHERE',
  ],
  ['one prefix that goes nowhere', { routes: [['198.51.100.0/24', 'None']] }],
  [
    'out through a firewall, users come straight',
    { routes: [['0.0.0.0/0', FIREWALL]], publicIp: true },
    'ROUTE_AROUND',
  ],
  ['out through a firewall, as users come', { routes: [['0.0.0.0/0', FIREWALL]] }],
  [
    'out through the gateway to the site',
    { routes: [['0.0.0.0/0', 'VirtualNetworkGateway']], publicIp: true },
    'ROUTE_AROUND',
  ],
  ['port that nobody opened', { onNic: [], port: 443, publicIp: true }, 'PORT_CLOSED'],
  ['port that the network itself may ask', { onNic: [], port: 443 }],
  ['port in an open range', { onNic: [open('400-500')], port: 443, publicIp: true }],
  ['port beside an open range', { onNic: [open('400-442')], port: 443, publicIp: true }, 'PORT_CLOSED'],
  [
    'port that is closed before it is opened',
    { onNic: [closed('443', 90), open('443')], port: 443, publicIp: true },
    'PORT_CLOSED',
  ],
  [
    'port that is opened before it is closed',
    { onNic: [open('443'), closed('443', 200)], port: 443, publicIp: true },
  ],
  [
    'port that the NIC opens and the subnet does not',
    { onSubnet: [], onNic: [open('443')], port: 443, publicIp: true },
    'PORT_CLOSED',
  ],
  ['port that both open', { onSubnet: [open('*')], onNic: [open('443')], port: 443, publicIp: true }],
  ['port for the network closed by hand', { onSubnet: [closed('*')], port: 443 }, 'PORT_CLOSED'],
  [
    'port open to the office',
    { onNic: [open('443', '203.0.113.0/24')], port: 443, publicIp: true },
    'PORT_DOUBTFUL',
  ],
  ['port open to the Internet', { onNic: [open('443', 'Internet')], port: 443, publicIp: true }],
  ['port without any filter', { port: 443, publicIp: true }],
  ['a group in another region', { onNic: [], groupIn: 'westus2' }, 'NSG_ELSEWHERE'],
  ['a group that is gone', { nic: { networkSecurityGroupId: `${NSG_ID}-2` } }, 'NSG_UNKNOWN'],
  [
    'everything at once',
    {
      ...{ subnet: SMALL, used: 11, address: '10.0.1.25', taken: ['10.0.1.25'], dns: [SITE] },
      ...{
        routes: [['0.0.0.0/0', 'None']],
        onSubnet: [],
        onNic: [],
        groupIn: 'westus2',
        port: 22,
        publicIp: true,
      },
      rival: ['10.0.1.25', NETWORK_ID],
    },
    ...['SUBNET_FULL', 'ADDRESS_TAKEN', 'NSG_ELSEWHERE', 'PORT_CLOSED', 'DNS_IS_MASTER', 'ROUTE_NOWHERE'],
    'CLASH_ADDRESS',
  ],
];

const SUBNET_GROUP = `${NSG_ID}-subnet`;

function cloudWith(network: Network) {
  const cloud = rightCloud();
  const location = network.where ?? 'japaneast';
  const table: RouteTable = {
    id: TABLE_ID,
    name: 'table',
    routes: (network.routes ?? []).map(([prefix, nextHop], index) => ({
      name: `way${index}`,
      prefix,
      nextHop,
    })),
  };
  const subnet = {
    id: `${NETWORK_ID}/subnets/servers`,
    name: 'servers',
    prefix: network.subnet ?? '10.0.1.0/24',
    addressesUsed: network.used ?? 1,
    ...(network.delegated ? { delegatedTo: network.delegated } : {}),
    ...(network.onSubnet ? { securityGroupId: SUBNET_GROUP } : {}),
    ...(network.routes ? { routeTableId: TABLE_ID } : {}),
  };
  const common = { name: 'lan', resourceGroup: 'recovery', location, dnsServers: network.dns ?? [] };
  cloud.networks = [
    { id: NETWORK_ID, ...common, prefixes: network.spaces ?? ['10.0.0.0/16'], subnets: [subnet] },
  ];
  const group = (id: string, name: string, rules: readonly SecurityRule[] | undefined, at: string) =>
    rules ? [{ id, name, location: at, rules: [...rules, ...DEFAULTS], tags: {} }] : [];
  cloud.securityGroups = [
    ...group(NSG_ID, 'web', network.onNic, network.groupIn ?? 'japaneast'),
    ...group(SUBNET_GROUP, 'subnet', network.onSubnet, 'japaneast'),
  ];
  cloud.routeTables = network.routes ? [table] : [];
  cloud.takenAddresses = [...(network.taken ?? [])];
  return cloud;
}

function scenarioIn(network: Network) {
  const nics = Array.from({ length: network.nics ?? 1 }, (_, index): ScenarioNic => {
    const isFirst = index === 0;
    return {
      masterNicId: `nic${index}`,
      virtualNetworkId: NETWORK_ID,
      subnetName: 'servers',
      address: isFirst && network.address ? { kind: 'static', ip: network.address } : { kind: 'dynamic' },
      ...(isFirst && network.onNic ? { networkSecurityGroupId: NSG_ID } : {}),
      publicIp: isFirst && network.publicIp === true,
      ...(isFirst ? network.nic : {}),
    };
  });
  const healthChecks = network.port === undefined ? [] : [{ kind: 'tcp' as const, port: network.port }];
  return scenario({ nics, healthChecks });
}

function rivalOf({ rival }: Network) {
  if (!rival) return [];
  const [ip, virtualNetworkId] = rival;
  const subnet = { subnetName: 'servers', publicIp: false };
  const nics = [
    { masterNicId: 'nic0', virtualNetworkId, address: { kind: 'static' as const, ip }, ...subnet },
  ];
  const vm = { ...scenario().vm, name: 'rival' };
  return [scenario({ id: 'scenario-2', name: 'rival', masterId: 'master-2', vm, nics })];
}

describe('a made-up network', () => {
  it('is one of forty and more', () => {
    expect(NETWORKS.length).toBeGreaterThanOrEqual(40);
    expect(new Set(NETWORKS.map(([name]) => name)).size).toBe(NETWORKS.length);
  });

  it.each(NETWORKS.map(([name, network, ...faults]) => ({ name, network, faults })))(
    '$name: $faults',
    async ({ network, faults }) => {
      const given = { scenario: scenarioIn(network), otherScenarios: rivalOf(network), session: session() };
      const verdicts = await verifyScenario(facts({ ...given, inventory: inventory() }, cloudWith(network)));
      const found = verdicts.filter((one) => one.status === 'error' || one.status === 'warning');
      expect(found.map((one) => one.code)).toEqual(faults);
    },
  );
});
