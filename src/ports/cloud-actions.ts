import type {
  Cloud,
  CloudAccess,
  CloudBundles,
  CloudCatalogue,
  CloudDisks,
  CloudDns,
  CloudGroups,
  CloudNetwork,
} from './cloud.ts';
import type { CloudMachines } from './cloud-machines.ts';

/**
 * What Azure must allow for each verb of the port. Whoever adds a verb adds its actions here: the types see to it.
 * test/infra/azure/actions.test.ts holds each line against the requests that the verb really sends.
 */
type Actions<Area> = { readonly [Verb in keyof Area]-?: readonly string[] };

const SUBSCRIPTION = 'Microsoft.Resources/subscriptions';
const COMPUTE_END = 'Microsoft.Compute/locations/operations/read';
const DISK_END = 'Microsoft.Compute/locations/diskOperations/read';
const NETWORK_END = 'Microsoft.Network/locations/operations/read';

const disk = (verb: string) => `Microsoft.Compute/disks/${verb}`;
const snapshot = (verb: string) => `Microsoft.Compute/snapshots/${verb}`;
const machine = (verb: string) => `Microsoft.Compute/virtualMachines/${verb}`;
const network = (verb: string) => `Microsoft.Network/virtualNetworks/${verb}`;
const nic = (verb: string) => `Microsoft.Network/networkInterfaces/${verb}`;
const publicIp = (verb: string) => `Microsoft.Network/publicIPAddresses/${verb}`;
const nsg = (verb: string) => `Microsoft.Network/networkSecurityGroups/${verb}`;
const storage = (verb: string) => `Microsoft.Storage/storageAccounts/${verb}`;
const rights = (verb: string) => `Microsoft.Authorization/${verb}`;

const createMachine = [machine('read'), machine('write'), nic('join/action'), COMPUTE_END];

const access: Actions<CloudAccess> = {
  signIn: [],
  subscription: [`${SUBSCRIPTION}/read`],
  permissions: [rights('permissions/read')],
  denials: [rights('denyAssignments/read')],
  locks: [rights('locks/read')],
  policies: [rights('policyAssignments/read')],
  providers: [`${SUBSCRIPTION}/providers/read`],
};

const catalogue: Actions<CloudCatalogue> = {
  locations: [`${SUBSCRIPTION}/locations/read`],
  sizes: ['Microsoft.Compute/skus/read'],
  usages: ['Microsoft.Compute/locations/usages/read', 'Microsoft.Network/locations/usages/read'],
};

const groups: Actions<CloudGroups> = {
  list: [`${SUBSCRIPTION}/resourceGroups/read`],
  get: [`${SUBSCRIPTION}/resourceGroups/read`],
  ensure: [`${SUBSCRIPTION}/resourceGroups/read`, `${SUBSCRIPTION}/resourceGroups/write`],
};

const disks: Actions<CloudDisks> = {
  get: [disk('read')],
  createEmpty: [disk('read'), disk('write'), DISK_END],
  createFromSnapshot: [disk('read'), disk('write'), DISK_END],
  delete: [disk('read'), disk('delete'), DISK_END],
  getSnapshot: [snapshot('read')],
  createSnapshot: [snapshot('read'), snapshot('write'), DISK_END],
  deleteSnapshot: [snapshot('read'), snapshot('delete'), DISK_END],
};

const networks: Actions<CloudNetwork> = {
  virtualNetworks: [network('read')],
  virtualNetwork: [network('read')],
  ensureVirtualNetwork: [network('read'), network('write'), NETWORK_END],
  deleteVirtualNetwork: [network('read'), network('delete'), NETWORK_END],
  addressAvailable: [network('checkIPAddressAvailability/read')],
  networkInterface: [nic('read')],
  createNetworkInterface: [
    nic('read'),
    nic('write'),
    network('subnets/join/action'),
    nsg('join/action'),
    publicIp('join/action'),
    NETWORK_END,
  ],
  deleteNetworkInterface: [nic('read'), nic('delete'), NETWORK_END],
  publicIp: [publicIp('read')],
  createPublicIp: [publicIp('read'), publicIp('write'), NETWORK_END],
  deletePublicIp: [publicIp('read'), publicIp('delete'), NETWORK_END],
  securityGroups: [nsg('read')],
  securityGroup: [nsg('read')],
  ensureSecurityGroup: [nsg('read'), nsg('write'), NETWORK_END],
  addSecurityRule: [nsg('read'), nsg('securityRules/read'), nsg('securityRules/write'), NETWORK_END],
  deleteSecurityGroup: [nsg('read'), nsg('delete'), NETWORK_END],
  routeTable: ['Microsoft.Network/routeTables/read'],
};

const machines: Actions<CloudMachines> = {
  list: [machine('read')],
  get: [machine('read')],
  instance: [machine('read')],
  createFromDisks: createMachine,
  createFromImage: createMachine,
  start: [machine('start/action'), COMPUTE_END],
  powerOff: [machine('powerOff/action'), COMPUTE_END],
  deallocate: [machine('deallocate/action'), COMPUTE_END],
  delete: [machine('read'), machine('delete'), COMPUTE_END],
  attachDisks: [machine('read'), machine('write'), machine('attachDetachDataDisks/action'), COMPUTE_END],
  detachDisks: [machine('read'), machine('write'), machine('attachDetachDataDisks/action'), COMPUTE_END],
  serialLog: [machine('retrieveBootDiagnosticsData/action')],
  screenshot: [machine('retrieveBootDiagnosticsData/action')],
};

const bundles: Actions<CloudBundles> = {
  publish: [
    storage('read'),
    storage('write'),
    storage('listKeys/action'),
    'Microsoft.Storage/checknameavailability/read',
    'Microsoft.Storage/locations/asyncoperations/read',
  ],
};

const zone = (verb: string) => [
  `Microsoft.Network/dnsZones/${verb}`,
  `Microsoft.Network/privateDnsZones/${verb}`,
];

const dns: Actions<CloudDns> = {
  hasZone: zone('read'),
  aRecord: zone('A/read'),
  setARecord: zone('A/write'),
  removeARecord: zone('A/delete'),
};

const AREAS = { access, catalogue, groups, disks, network: networks, machines, bundles, dns } as const;
type Areas = typeof AREAS;
type VerbOf<Area extends keyof Areas> = `${Area}.${keyof Areas[Area] & string}`;

/** `disks.createEmpty`, `network.publicIp`, ...; `listTagged`. */
export type CloudVerb = { [Area in keyof Areas]: VerbOf<Area> }[keyof Areas] | 'listTagged';

export const CLOUD_ACTIONS: Readonly<Record<CloudVerb, readonly string[]>> = {
  ...flat('access', access),
  ...flat('catalogue', catalogue),
  ...flat('groups', groups),
  ...flat('disks', disks),
  ...flat('network', networks),
  ...flat('machines', machines),
  ...flat('bundles', bundles),
  ...flat('dns', dns),
  listTagged: [`${SUBSCRIPTION}/resources/read`],
};

function flat<Name extends keyof Areas>(
  name: Name,
  area: Readonly<Record<string, readonly string[]>>,
): Record<VerbOf<Name>, readonly string[]> {
  const entries = Object.entries(area).map(([verb, actions]) => [`${name}.${verb}`, actions]);
  return Object.fromEntries(entries) as Record<VerbOf<Name>, readonly string[]>;
}

/** What Azure must allow so that these verbs work; each action once, in order of the alphabet. */
export function actionsOf(...verbs: readonly CloudVerb[]): readonly string[] {
  return [...new Set(verbs.flatMap((verb) => CLOUD_ACTIONS[verb]))].sort();
}

/** The cloud with somebody listening at each verb that is used. */
export function watchedCloud(cloud: Cloud, onVerb: (verb: CloudVerb) => void): Cloud {
  const area = (name: keyof Areas) =>
    new Proxy(cloud[name], {
      get(target, verb: string) {
        onVerb(`${name}.${verb}` as CloudVerb);
        return Reflect.get(target, verb);
      },
    });
  const watched = Object.keys(AREAS).map((name) => [name, area(name as keyof Areas)]);
  const listTagged: Cloud['listTagged'] = (tag, value) => {
    onVerb('listTagged');
    return cloud.listTagged(tag, value);
  };
  return { ...(Object.fromEntries(watched) as unknown as Cloud), listTagged };
}
