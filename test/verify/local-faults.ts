import type { SettingsChange } from '../../infra/local/settings.ts';
import { scenarioActions } from '../../src/control/role.ts';
import { replicaDiskName } from '../../src/model/names.ts';
import type { Scenario, ScenarioNic } from '../../src/model/scenario.ts';
import { tagsOf } from '../../src/model/tags.ts';
import type { VerifyFacts } from '../../src/verify/check.ts';
import { masterDisk } from '../fakes/scene.ts';
import { GROUP } from '../infra/azure/local-account.ts';
import { type LocalWorld, master } from './local-world.ts';
import { status } from './planted-facts.ts';

/** A fault planted in Local Azure: what it is, what is planted, what is looked at, and what must be found. */
export interface LocalFault {
  readonly fault: string;
  readonly found: readonly string[];
  /** Undone by itself. */
  settings?(world: LocalWorld): SettingsChange;
  /** Gives what takes it away again. */
  plant?(world: LocalWorld): Promise<() => Promise<unknown>>;
  facts?(world: LocalWorld): Partial<VerifyFacts>;
}

const subscription = ({ local }: LocalWorld) => `/subscriptions/${local.azure.endpoint.subscriptionId}`;
const group = (world: LocalWorld) => `${subscription(world)}/resourceGroups/${GROUP}`;

function role(...notActions: string[]): LocalFault['settings'] {
  return (world) => ({
    permissions: { actions: [], notActions: [] },
    roleAssignments: [{ name: 'own', scope: subscription(world), actions: ['*'], notActions }],
  });
}

function policy(guid: string, parameter: string, value: readonly string[]): LocalFault['settings'] {
  return (world) => ({
    policyAssignments: [
      {
        ...{ name: 'rules of the house', scope: subscription(world) },
        policyDefinitionId: `/providers/Microsoft.Authorization/policyDefinitions/${guid}`,
        parameters: { [parameter]: { value: [...value] } },
      },
    ],
  });
}

const locked = (level: 'ReadOnly' | 'CanNotDelete'): LocalFault['settings'] => {
  return (world) => ({ locks: [{ name: 'kept', scope: group(world), level }] });
};

const quota = (name: string, limit: number): LocalFault => ({
  fault: `a quota of ${limit} for ${name}`,
  found: ['error QUOTA_EXCEEDED'],
  settings: () => ({ quotas: { [name]: limit } }),
});

const vm = (change: Partial<Scenario['vm']>, more: Partial<VerifyFacts> = {}): LocalFault['facts'] => {
  return ({ scenario }) => ({ scenario: scenario({ vm: { ...scenario().vm, ...change } }), ...more });
};

const nic = (change: (world: LocalWorld) => Partial<ScenarioNic>): LocalFault['facts'] => {
  return (world) => ({ scenario: world.scenario({ nics: [world.nic(change(world))] }) });
};

const inSubnet = (subnetName: string) => nic(() => ({ subnetName, address: { kind: 'dynamic' } }));
const at = (ip: string) => nic(() => ({ address: { kind: 'static', ip } }));

const UEFI = { inventory: master({ firmware: 'uefi' }) };
const disks = (count: number) => ({
  inventory: master({ disks: Array.from({ length: count }, (_, index) => masterDisk(`disk${index}`)) }),
});

const identity: readonly LocalFault[] = [
  {
    fault: 'a role without one action',
    found: ['error ACTION_MISSING'],
    settings: role('Microsoft.Compute/snapshots/write'),
  },
  {
    fault: 'a role without an action that only a check needs',
    found: ['warning LOOK_NOT_ALLOWED'],
    settings: role('Microsoft.Authorization/locks/read'),
  },
  {
    fault: 'a deny assignment',
    found: ['error ACTION_DENIED'],
    settings: (world) => ({
      denyAssignments: [
        {
          ...{ name: 'managed', scope: group(world) },
          ...{ actions: ['Microsoft.Compute/disks/write'], notActions: [] },
        },
      ],
    }),
  },
  { fault: 'a read-only lock', found: ['error LOCK_READ_ONLY'], settings: locked('ReadOnly') },
  { fault: 'a delete lock', found: ['warning LOCK_DELETE'], settings: locked('CanNotDelete') },
  {
    fault: 'a policy for other regions',
    found: ['error POLICY_LOCATION'],
    settings: policy('e56962a6-4747-49cd-b67b-bf8b01975c4c', 'listOfAllowedLocations', ['westeurope']),
  },
  {
    fault: 'a policy for other sizes',
    found: ['error POLICY_SIZE'],
    settings: policy('cccc23c7-8427-4f53-ad12-b6a63eb452b3', 'listOfAllowedSKUs', ['Standard_B1s']),
  },
  {
    fault: 'a policy against public addresses',
    found: ['error POLICY_TYPE'],
    settings: policy('6c112d4e-5bc7-47ae-a041-ea2d9dccd749', 'listOfResourceTypesNotAllowed', [
      'Microsoft.Network/publicIPAddresses',
    ]),
  },
  {
    fault: 'a provider that is not registered',
    found: ['error PROVIDER_NOT_REGISTERED'],
    async plant({ clients }) {
      await clients.resources.providers.unregister('Microsoft.Storage');
      return () => clients.resources.providers.register('Microsoft.Storage');
    },
  },
];

const capacity: readonly LocalFault[] = [
  // The appliance has four vCPUs of that family, one VM, one disk of that type and no snapshot.
  ...[quota('cores', 5), quota('standardBSFamily', 5), quota('virtualMachines', 1)],
  ...[quota('PublicIPAddresses', 0), quota('StandardSSDDiskCount', 1), quota('StandardSnapshotCount', 1)],
  { fault: 'a size that is not there', found: ['error SIZE_UNKNOWN'], facts: vm({ size: 'Standard_X99' }) },
  {
    fault: 'a size that is restricted',
    found: ['error SIZE_RESTRICTED'],
    facts: vm({ size: 'Standard_NC6s_v3' }),
  },
  { fault: 'a zone that is not there', found: ['error SIZE_NOT_IN_ZONE'], facts: vm({ zone: '4' }) },
  {
    fault: 'a zone in which the size is restricted',
    found: ['error SIZE_RESTRICTED_IN_ZONE'],
    facts: vm({ size: 'Standard_E8s_v5', zone: '3' }),
  },
  {
    fault: 'a size of generation 1 for a UEFI master',
    found: ['error GENERATION_NOT_OFFERED'],
    facts: vm({ size: 'Standard_A2_v2' }, UEFI),
  },
  {
    fault: 'a size without premium disks',
    found: ['error PREMIUM_NOT_OFFERED'],
    facts: vm({ size: 'Standard_A2_v2', diskType: 'Premium_LRS' }),
  },
  {
    fault: 'a size for another processor',
    found: ['error ARCHITECTURE_DIFFERS'],
    facts: vm({ size: 'Standard_D2ps_v5' }, UEFI),
  },
  {
    fault: 'a size with NVMe only',
    found: ['error NVME_ONLY'],
    facts: vm({ size: 'Standard_D2s_v6' }, UEFI),
  },
  {
    fault: 'more disks than the size takes',
    found: ['error TOO_MANY_DATA_DISKS'],
    facts: vm({ size: 'Standard_B1s' }, disks(4)),
  },
  {
    fault: 'a size to fall back on that is restricted',
    found: ['warning RUNG_UNFIT'],
    facts: () => ({ rungs: ['Standard_B2s', 'Standard_B2ms', 'Standard_NC6s_v3'].map((size) => ({ size })) }),
  },
];

const network: readonly LocalFault[] = [
  {
    fault: 'a network that is not there',
    found: ['error NETWORK_UNKNOWN'],
    facts: nic(({ id }) => ({ virtualNetworkId: id('virtualNetworks', 'gone') })),
  },
  {
    fault: 'a network in another region',
    found: ['error NETWORK_ELSEWHERE'],
    facts: nic(({ id }) => ({
      virtualNetworkId: id('virtualNetworks', 'far'),
      address: { kind: 'dynamic' },
    })),
  },
  { fault: 'a subnet that is not there', found: ['error SUBNET_UNKNOWN'], facts: inSubnet('gone') },
  { fault: 'a subnet that is full', found: ['error SUBNET_FULL'], facts: inSubnet('tight') },
  { fault: 'a subnet of a service', found: ['error SUBNET_DELEGATED'], facts: inSubnet('service') },
  { fault: 'an address that a printer has', found: ['error ADDRESS_TAKEN'], facts: at('10.20.1.88') },
  { fault: 'an address that Azure keeps', found: ['error ADDRESS_RESERVED'], facts: at('10.20.1.3') },
  { fault: 'an address beside the subnet', found: ['error ADDRESS_OUTSIDE_SUBNET'], facts: at('10.20.2.4') },
  {
    fault: 'a security group that is not there',
    found: ['error NSG_UNKNOWN'],
    facts: nic(({ id }) => ({ networkSecurityGroupId: id('networkSecurityGroups', 'gone') })),
  },
  {
    fault: 'a security group in another region, which opens nothing',
    found: ['error NSG_ELSEWHERE', 'error PORT_CLOSED'],
    facts: nic(({ id }) => ({ networkSecurityGroupId: id('networkSecurityGroups', 'far') })),
  },
  {
    fault: 'a port that nobody opened',
    found: ['error PORT_CLOSED'],
    facts: ({ scenario }) => ({ scenario: scenario({ healthChecks: [{ kind: 'tcp', port: 22 }] }) }),
  },
  {
    fault: 'a network that resolves at the site',
    found: ['warning DNS_OUTSIDE'],
    facts: nic(({ id }) => ({
      ...{ virtualNetworkId: id('virtualNetworks', 'resolving'), address: { kind: 'dynamic' } },
    })),
  },
  { fault: 'a route to nowhere', found: ['error ROUTE_NOWHERE'], facts: inSubnet('lost') },
  { fault: 'a route through a firewall', found: ['warning ROUTE_AROUND'], facts: inSubnet('around') },
  {
    fault: 'an appliance whose port is closed',
    found: ['error ENGINE_PORT_CLOSED'],
    facts: ({ gate }) => ({ appliance: { ...gate, address: '20.1.2.3' }, session: undefined }),
  },
  {
    fault: 'a subnet for drills that something leaves',
    found: ['warning DRILL_NOT_ISOLATED'],
    facts: ({ id, scenario }) => ({
      scenario: scenario({
        drill: { virtualNetworkId: id('virtualNetworks', 'standby-vnet'), subnetName: 'appliance' },
      }),
    }),
  },
  {
    fault: 'a subnet for drills that nothing leaves',
    found: [],
    facts: ({ id, scenario }) => ({
      scenario: scenario({
        drill: { virtualNetworkId: id('virtualNetworks', 'standby-vnet'), subnetName: 'drills' },
      }),
    }),
  },
];

const ours = tagsOf('scenario-1', 'run-old', 'snapshot');

const names: readonly LocalFault[] = [
  { fault: 'a VM of that name', found: ['error VM_NAME_TAKEN'], facts: vm({ name: 'GATE' }) },
  {
    fault: 'another VM that calls itself as the master does',
    found: ['warning GUEST_NAME_ALIVE'],
    facts: () => ({ inventory: master({ hostName: 'gate.example.com' }) }),
  },
  {
    fault: 'somebody’s disk under the name of a replica disk',
    found: ['error DISK_NAME_TAKEN'],
    async plant({ clients, scenario, local }) {
      const name = replicaDiskName(scenario(), 'disk0');
      const { location } = local.azure.endpoint;
      const body = {
        location,
        sku: { name: 'Standard_LRS' },
        diskSizeGB: 1,
        creationData: { createOption: 'Empty' },
      };
      await clients.compute.disks.createOrUpdate(GROUP, name, body, { updateIntervalInMs: 10 });
      return () => clients.compute.disks.delete(GROUP, name, { updateIntervalInMs: 10 });
    },
  },
  {
    fault: 'a snapshot of an old run',
    found: ['warning LEFTOVERS'],
    async plant({ cloud, gate, local }) {
      const sourceDiskId = (await cloud.machines.get(gate.azure?.vmId ?? ''))?.dataDisks[0]?.diskId ?? '';
      const { location } = local.azure.endpoint;
      const spec = { resourceGroup: GROUP, name: 'old', location, sourceDiskId, tags: ours };
      const { id } = await cloud.disks.createSnapshot(spec);
      return () => cloud.disks.deleteSnapshot(id, 'scenario-1');
    },
  },
];

const appliances: readonly LocalFault[] = [
  {
    fault: 'an appliance whose VM is gone',
    found: ['error APPLIANCE_GONE'],
    facts: ({ gate }) => ({
      appliance: gate.azure && { ...gate, azure: { ...gate.azure, vmId: `${gate.azure.vmId}-2` } },
    }),
  },
  {
    fault: 'more disks than the appliance has slots for',
    found: ['error LUNS_EXHAUSTED'],
    facts: vm({ size: 'Standard_D8s_v5' }, disks(8)),
  },
  {
    fault: 'an appliance whose VM is deallocated',
    found: ['error APPLIANCE_NOT_RUNNING'],
    async plant({ cloud, gate }) {
      const vmId = gate.azure?.vmId ?? '';
      await cloud.machines.deallocate(vmId);
      return () => cloud.machines.start(vmId);
    },
  },
];

export const LOCAL_FAULTS: readonly LocalFault[] = [
  { fault: 'nothing', found: [] },
  ...[...identity, ...capacity, ...network, ...names, ...appliances],
];

/** What the plans of this very scenario need, and a copy that was finished an hour ago. */
export function lookedAt(world: LocalWorld, { facts }: LocalFault): VerifyFacts {
  const given = world.facts(facts?.(world));
  const actions = scenarioActions(given.scenario, given.inventory, given.appliance);
  return { ...given, actions, status: status() };
}
