import type { Appliance } from '../../src/model/appliance.ts';
import type { HealthCheck, Scenario } from '../../src/model/scenario.ts';
import type { SecurityRule, Subnet, VirtualNetwork } from '../../src/ports/cloud.ts';
import type { VerifyFacts } from '../../src/verify/check.ts';
import { APPLIANCE_VM_ID, type FakeCloud, NETWORK_ID, NSG_ID, SUBSCRIPTION } from '../fakes/fake-cloud.ts';
import { appliance, inventory, rightCloud, scenario } from '../fakes/scene.ts';
import { facts, type PlantedFault, session, status, withNic } from './planted-facts.ts';

export const TABLE_ID = `${SUBSCRIPTION}/resourceGroups/x/providers/Microsoft.Network/routeTables/table`;
const NIC_ID = `${SUBSCRIPTION}/resourceGroups/x/providers/Microsoft.Network/networkInterfaces/gate`;
const APPLIANCE_NSG = `${SUBSCRIPTION}/resourceGroups/x/providers/Microsoft.Network/networkSecurityGroups/gate`;

export function rule(
  name: string,
  priority: number,
  access: 'Allow' | 'Deny',
  facts: { readonly ports?: string; readonly from?: string } = {},
): SecurityRule {
  return {
    name,
    priority,
    access,
    direction: 'Inbound',
    protocol: '*',
    sourcePrefixes: [facts.from ?? '*'],
    destinationPrefixes: ['*'],
    destinationPorts: [facts.ports ?? '*'],
  };
}

/** Azure's own, as each group has them. */
export const DEFAULTS = [
  rule('AllowVnetInBound', 65_000, 'Allow', { from: 'VirtualNetwork' }),
  rule('DenyAllInBound', 65_500, 'Deny'),
];

export function setSubnet(
  cloud: FakeCloud,
  change: Partial<Subnet>,
  network: Partial<VirtualNetwork> = {},
): void {
  cloud.networks = cloud.networks.map((one) => ({
    ...one,
    ...network,
    subnets: one.subnets.map((subnet) => ({ ...subnet, ...change })),
  }));
}

function inNetwork(
  change: (cloud: FakeCloud) => void,
  more: Partial<VerifyFacts> = {},
): PlantedFault['given'] {
  return () => {
    const cloud = rightCloud();
    change(cloud);
    return facts(more, cloud);
  };
}

const WEB: HealthCheck = { kind: 'tcp', port: 443 };
const asked = { scenario: scenario({ healthChecks: [WEB] }) };

function rules(...own: SecurityRule[]) {
  return (cloud: FakeCloud) => {
    cloud.securityGroups = [
      { id: NSG_ID, name: 'web', location: 'japaneast', rules: [...own, ...DEFAULTS], tags: {} },
    ];
  };
}

const remote: Appliance = appliance({ address: '20.1.2.3' });

function gate(...own: SecurityRule[]) {
  return (cloud: FakeCloud) => {
    const machine = cloud.machines.get(APPLIANCE_VM_ID.toLowerCase());
    if (machine) machine.nicIds = [NIC_ID];
    const subnetId = `${NETWORK_ID}/subnets/servers`;
    cloud.nics.set(NIC_ID.toLowerCase(), {
      id: NIC_ID,
      name: 'gate',
      subnetId,
      privateIp: '10.0.1.5',
      securityGroupId: APPLIANCE_NSG,
      tags: {},
    });
    const group = { id: APPLIANCE_NSG, name: 'gate', location: 'japaneast', tags: {} };
    cloud.securityGroups = [...cloud.securityGroups, { ...group, rules: [...own, ...DEFAULTS] }];
  };
}

function routed(nextHop: string) {
  return (cloud: FakeCloud) => {
    setSubnet(cloud, { routeTableId: TABLE_ID });
    const route = { name: 'all', prefix: '0.0.0.0/0', nextHop, nextHopIp: '10.9.9.9' };
    cloud.routeTables = [{ id: TABLE_ID, name: 'table', routes: [route] }];
  };
}

/** What no session makes unseen. */
const SILENT = ['skipped MASTER_NOT_ASKED'];

export const faultsOfNetwork: readonly PlantedFault[] = [
  {
    fault: 'a subnet that is full',
    found: ['error SUBNET_FULL'],
    given: inNetwork((cloud) => setSubnet(cloud, { addressesUsed: 250 })),
  },
  {
    fault: 'a subnet with room for both NICs and no more',
    found: [],
    given: inNetwork((cloud) => setSubnet(cloud, { addressesUsed: 249 })),
  },
  {
    fault: 'a subnet that belongs to a service',
    found: ['error SUBNET_DELEGATED'],
    given: inNetwork((cloud) =>
      setSubnet(cloud, { addressesUsed: 0, delegatedTo: 'Microsoft.Web/serverFarms' }),
    ),
  },
  {
    fault: 'a health check’s port that is open',
    found: [],
    given: inNetwork(rules(rule('web', 100, 'Allow', { ports: '443' })), asked),
  },
  {
    fault: 'a health check in a network that is not there',
    found: [
      ...['error NETWORK_UNKNOWN', 'skipped SUBNET_SPACE_UNKNOWN', 'skipped ADDRESS_UNKNOWN'],
      ...['skipped PORTS_UNKNOWN', 'skipped ROUTES_UNKNOWN'],
    ],
    given: () => {
      const { nics } = scenario();
      const [first, second] = nics.map((nic, index) =>
        index === 0 ? { ...nic, virtualNetworkId: '/nowhere' } : nic,
      );
      if (!first || !second) throw new Error('the scene has NICs');
      return facts({ scenario: scenario({ nics: [first, second], healthChecks: [WEB] }) });
    },
  },
  {
    fault: 'a health check’s port that no rule opens',
    found: ['error PORT_CLOSED'],
    given: inNetwork(rules(), asked),
  },
  {
    fault: 'a health check’s port that the subnet’s group closes',
    found: ['error PORT_CLOSED'],
    given: inNetwork((cloud) => {
      rules(rule('web', 100, 'Allow'))(cloud);
      const id = `${NSG_ID}-subnet`;
      cloud.securityGroups.push({ id, name: 'subnet', location: 'japaneast', rules: DEFAULTS, tags: {} });
      setSubnet(cloud, { securityGroupId: id });
    }, asked),
  },
  {
    fault: 'a health check’s port that is open to some addresses',
    found: ['warning PORT_DOUBTFUL'],
    given: inNetwork(rules(rule('office', 100, 'Allow', { from: '203.0.113.0/24' })), asked),
  },
  {
    fault: 'a network that resolves with the protected server',
    found: ['error DNS_IS_MASTER'],
    given: inNetwork((cloud) => setSubnet(cloud, {}, { dnsServers: ['192.168.0.10'] })),
  },
  {
    fault: 'a network that resolves with servers of the site',
    found: ['warning DNS_OUTSIDE'],
    given: inNetwork((cloud) => setSubnet(cloud, {}, { dnsServers: ['192.168.0.2', '192.168.0.10'] })),
  },
  {
    fault: 'a NIC that resolves with the protected server, in a network that does not',
    found: ['error DNS_IS_MASTER'],
    given: () => facts({ scenario: withNic({ dnsServers: ['192.168.0.10'] }) }),
  },
  {
    fault: 'a NIC that resolves with servers of the site',
    found: ['warning DNS_OUTSIDE'],
    given: () => facts({ scenario: withNic({ dnsServers: ['192.168.0.2'] }) }),
  },
  {
    fault: 'a route to nowhere',
    found: ['error ROUTE_NOWHERE', 'error ROUTE_NOWHERE'],
    given: inNetwork(routed('None')),
  },
  {
    fault: 'a route through a firewall',
    found: ['warning ROUTE_AROUND'],
    given: inNetwork(routed('VirtualAppliance')),
  },
  {
    fault: 'an appliance whose port is closed',
    silent: true,
    found: [...SILENT, 'error ENGINE_PORT_CLOSED'],
    given: inNetwork(gate(), { appliance: remote, moment: 'run' }),
  },
  {
    fault: 'an appliance that does not answer at an open port',
    silent: true,
    found: [...SILENT, 'error APPLIANCE_SILENT'],
    given: inNetwork(gate(rule('engine', 100, 'Allow', { ports: '25000' })), {
      appliance: remote,
      session: undefined,
    }),
  },
  {
    fault: 'an appliance that answers here and perhaps not everywhere',
    found: ['warning ENGINE_PORT_DOUBTFUL'],
    given: inNetwork(gate(rule('office', 100, 'Allow', { from: '203.0.113.0/24' })), {
      appliance: remote,
      session: session(),
    }),
  },
  {
    fault: 'an appliance whose answers go nowhere',
    found: ['error ROUTE_NOWHERE', 'error ROUTE_NOWHERE', 'error APPLIANCE_ROUTE_NOWHERE'],
    given: inNetwork(
      (cloud) => {
        gate(rule('engine', 100, 'Allow'))(cloud);
        routed('None')(cloud);
      },
      { appliance: remote, session: session() },
    ),
  },
  {
    fault: 'a snapshot of an earlier run',
    found: ['warning LEFTOVERS'],
    given: inNetwork(
      (cloud) => {
        const tags = { 'standby-scenario': 'scenario-1', 'standby-run': 'old', 'standby-role': 'snapshot' };
        cloud.snapshots.set('old', { id: 'old', name: 'old', provisioning: 'Succeeded', tags });
      },
      { moment: 'watch', status: status() },
    ),
  },
  {
    fault: 'a run that is under way',
    found: ['skipped LEFTOVERS_UNKNOWN'],
    given: inNetwork(() => undefined, { moment: 'watch', status: status({ activeRunId: 'run-1' }) }),
  },
  {
    fault: 'addresses of the master written as prefixes',
    found: ['error DNS_IS_MASTER'],
    given: inNetwork((cloud) => setSubnet(cloud, {}, { dnsServers: ['192.168.7.7'] }), {
      inventory: inventory({
        nics: [
          { id: 'nic0', name: 'eth0', addresses: ['192.168.7.7/24'] },
          { id: 'nic1', name: 'eth1', addresses: [] },
        ],
      }),
    }),
  },
];

const DRILL_ID = `${NETWORK_ID}/subnets/drills`;
const DRILL_GROUP = `${NSG_ID}-drills`;
const everything = { ports: '*' };
const out = (own: SecurityRule): SecurityRule => ({ ...own, direction: 'Outbound' });
const AZURE_OUT = [
  out(rule('AllowVnetOutBound', 65_000, 'Allow')),
  out(rule('DenyAllOutBound', 65_500, 'Deny')),
];

function drills(subnetName: string, own: readonly SecurityRule[] | undefined): PlantedFault['given'] {
  return () => {
    const cloud = rightCloud();
    const subnet = { id: DRILL_ID, name: 'drills', prefix: '10.0.9.0/28', addressesUsed: 0 };
    const guarded = own ? { ...subnet, securityGroupId: DRILL_GROUP } : subnet;
    cloud.networks = cloud.networks.map((one) => ({ ...one, subnets: [...one.subnets, guarded] }));
    const group = { id: DRILL_GROUP, name: 'drills', location: 'japaneast', tags: {} };
    cloud.securityGroups.push({ ...group, rules: [...(own ?? []), ...DEFAULTS, ...AZURE_OUT] });
    const drill = { virtualNetworkId: NETWORK_ID, subnetName };
    return facts({ scenario: scenario({ drill }), moment: 'watch' }, cloud);
  };
}

const drilled = (outcome: 'passed' | 'failed' | 'skipped'): PlantedFault['given'] => {
  const found = { runId: 'drill-1', atMs: 0, outcome, sha256: 'a' };
  return () => facts({ moment: 'watch', status: status({ drilled: found }) });
};

const healthChecked = (drill?: Scenario['drill']): PlantedFault['given'] => {
  const healthChecks = [{ kind: 'tcp', port: 80 }] as const;
  return () => facts({ scenario: scenario({ healthChecks, ...(drill ? { drill } : {}) }), moment: 'watch' });
};

export const faultsOfDrills: readonly PlantedFault[] = [
  { fault: 'a drill that passed', found: [], given: drilled('passed') },
  { fault: 'a drill without a guest', found: [], given: drilled('skipped') },
  { fault: 'a drill that failed', found: ['warning DRILL_NOT_PASSED'], given: drilled('failed') },
  {
    fault: 'a health check that nobody may ask in a drill',
    found: ['skipped DRILL_HEALTH_NOT_ASKED'],
    given: healthChecked(),
  },
  {
    fault: 'a health check that somebody may ask in a drill',
    found: [],
    given: healthChecked({ askFrom: '203.0.113.7' }),
  },
  {
    fault: 'a subnet for drills that nothing leaves',
    found: [],
    given: drills('drills', [out(rule('nothing', 100, 'Deny', everything))]),
  },
  {
    fault: 'a subnet for drills without a group',
    found: ['warning DRILL_NOT_ISOLATED'],
    given: drills('drills', undefined),
  },
  {
    fault: 'a subnet for drills with Azure’s own rules',
    found: ['warning DRILL_NOT_ISOLATED'],
    given: drills('drills', []),
  },
  {
    fault: 'a subnet for drills that lets one port out before it denies everything',
    found: ['warning DRILL_NOT_ISOLATED'],
    given: drills('drills', [
      out(rule('dns', 100, 'Allow', { ports: '53' })),
      out(rule('nothing', 200, 'Deny', everything)),
    ]),
  },
  {
    fault: 'a subnet for drills that denies one port only',
    found: ['warning DRILL_NOT_ISOLATED'],
    given: drills('drills', [out(rule('smtp', 100, 'Deny', { ports: '25' }))]),
  },
  {
    fault: 'a subnet for drills that does not exist',
    found: ['warning DRILL_SUBNET_UNKNOWN'],
    given: drills('elsewhere', undefined),
  },
  {
    fault: 'drills in the subnet of the standby itself',
    found: ['warning DRILL_SUBNET_IN_USE', 'warning DRILL_NOT_ISOLATED'],
    given: drills('servers', []),
  },
];
