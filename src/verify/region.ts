import type { Appliance } from '../model/appliance.ts';
import type { Scenario } from '../model/scenario.ts';
import type {
  Cloud,
  CloudNic,
  PolicyAssignment,
  ResourceGroup,
  RolePermissions,
  RouteTable,
  SecurityGroup,
  Usage,
  VirtualNetwork,
  VmSize,
} from '../ports/cloud.ts';
import type { CloudMachine } from '../ports/cloud-machines.ts';

/** What the region and subscription really offer. Each question goes to the cloud once, whoever asks it. */
export interface Region {
  sizes(): Promise<readonly VmSize[]>;
  /** The scenario's size; names compare without regard to case. */
  size(): Promise<VmSize | undefined>;
  usages(): Promise<readonly Usage[]>;
  group(): Promise<ResourceGroup | undefined>;
  virtualNetwork(id: string): Promise<VirtualNetwork | undefined>;
  securityGroup(id: string): Promise<SecurityGroup | undefined>;
  /** The VMs of the subscription, in every region. */
  machines(): Promise<readonly CloudMachine[]>;
  networkInterface(id: string): Promise<CloudNic | undefined>;
  routeTable(id: string): Promise<RouteTable | undefined>;
  policies(scope: string): Promise<readonly PolicyAssignment[]>;
  /** The roles that we have at a scope. */
  roles(scope: string): Promise<readonly RolePermissions[]>;
  /** The appliance's VM with its power state; undefined for a server of one's own. */
  applianceMachine(): Promise<CloudMachine | undefined>;
}

export function regionOf(cloud: Cloud, scenario: Scenario, appliance: Appliance | undefined): Region {
  const answers = new Map<string, Promise<unknown>>();
  function once<Answer>(key: string, ask: () => Promise<Answer>): Promise<Answer> {
    let answer = answers.get(key);
    if (!answer) {
      answer = ask();
      answers.set(key, answer);
    }
    return answer as Promise<Answer>;
  }
  const sizes = () => once('sizes', () => cloud.catalogue.sizes(scenario.region));
  return {
    sizes,
    size: async () => (await sizes()).find((size) => sameName(size.name, scenario.vm.size)),
    usages: () => once('usages', () => cloud.catalogue.usages(scenario.region)),
    group: () => once('group', () => cloud.groups.get(scenario.vm.resourceGroup)),
    virtualNetwork: (id) => once(`vnet ${id}`, () => cloud.network.virtualNetwork(id)),
    securityGroup: (id) => once(`nsg ${id}`, () => cloud.network.securityGroup(id)),
    networkInterface: (id) => once(`nic ${id}`, () => cloud.network.networkInterface(id)),
    routeTable: (id) => once(`routes ${id}`, () => cloud.network.routeTable(id)),
    policies: (scope) => once(`policies ${scope}`, () => cloud.access.policies(scope)),
    roles: (scope) =>
      once(`roles ${scope}`, async () => {
        const found = await cloud.access.permissions(scope);
        return found.roles ?? [found];
      }),
    machines: () => once('machines', () => cloud.machines.list()),
    applianceMachine: async () => {
      const vmId = appliance?.azure?.vmId;
      return vmId === undefined ? undefined : once('appliance', () => cloud.machines.instance(vmId));
    },
  };
}

/** ARM compares names and ids without regard to case. */
export function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** `East US` and `eastus` are the same place. */
export function sameRegion(one: string, other: string): boolean {
  return one.toLowerCase().replaceAll(' ', '') === other.toLowerCase().replaceAll(' ', '');
}

/** What every master has; a size that does not tell is taken for one. */
export function isX64({ architecture }: Pick<VmSize, 'architecture'>): boolean {
  return architecture === undefined || architecture === 'x64';
}
