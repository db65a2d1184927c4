import { setTimeout as pause } from 'node:timers/promises';
import { StandbyError } from '../../src/errors.ts';
import type {
  Cloud,
  CloudDisk,
  CloudNic,
  CloudPublicIp,
  CloudSnapshot,
  Operation,
  PolicyAssignment,
  RolePermissions,
  RouteTable,
  ScopeLock,
  SecurityGroup,
  Usage,
  VirtualNetwork,
  VmSize,
} from '../../src/ports/cloud.ts';
import type { CloudMachine } from '../../src/ports/cloud-machines.ts';

/**
 * A cloud in memory that keeps the port's promises: idempotent creation, tag-checked deletion, nothing deleted while
 * in use. It outlives the "processes" of a test, counts what was really made, and fails where a test says.
 */
export const SUBSCRIPTION = '/subscriptions/00000000-0000-4000-8000-000000000001';
export const GROUP = 'recovery';
export const REGION = 'japaneast';
const GROUP_ID = `${SUBSCRIPTION}/resourceGroups/${GROUP}`;
export const NETWORK_ID = `${GROUP_ID}/providers/Microsoft.Network/virtualNetworks/lan`;
export const NSG_ID = `${GROUP_ID}/providers/Microsoft.Network/networkSecurityGroups/web`;
export const APPLIANCE_VM_ID = `${GROUP_ID}/providers/Microsoft.Compute/virtualMachines/appliance`;

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };
type Tags = Readonly<Record<string, string>>;

export class FakeCloud {
  readonly groups = new Map<string, { id: string; name: string; location: string }>();
  readonly disks = new Map<string, Mutable<CloudDisk>>();
  readonly snapshots = new Map<string, Mutable<CloudSnapshot>>();
  readonly nics = new Map<string, Mutable<CloudNic>>();
  readonly publicIps = new Map<string, Mutable<CloudPublicIp>>();
  /** Of every public IP that is made from now on; unless told, one of its own that nobody answers at. */
  publicAddress: string | undefined;
  readonly machines = new Map<string, Mutable<CloudMachine>>();
  sizes: VmSize[] = [];
  usages: Usage[] = [];
  networks: VirtualNetwork[] = [];
  securityGroups: SecurityGroup[] = [];
  /** Those that were made here; `networks` and `securityGroups` were there before. */
  readonly ownNetworks = new Map<string, Mutable<VirtualNetwork & { tags: Tags }>>();
  readonly ownGroups = new Map<string, Mutable<SecurityGroup>>();
  takenAddresses: string[] = [];
  /** Roles on everything; `rolesAt` wins for scopes that begin with its key. */
  roles: RolePermissions[] = [{ actions: ['*'], notActions: [] }];
  readonly rolesAt = new Map<string, RolePermissions[]>();
  denials: (RolePermissions & { name: string })[] = [];
  locks: ScopeLock[] = [];
  policies: PolicyAssignment[] = [];
  routeTables: RouteTable[] = [];
  unregistered: string[] = [];
  picture: Uint8Array | undefined;
  serial: string | undefined = 'boot skipped: guests are off (--guests none)\n';
  /** Ids of everything that was ever made: a second one of the same kind would show. */
  readonly made: string[] = [];
  /** Azure's word when it has no room for such a VM. */
  noRoom: (size: string, zone: string | undefined) => string | undefined = () => undefined;
  /** Called before each change with its name, e.g. `disks.createFromSnapshot`; may throw. */
  beforeChange: (name: string, resource: string) => void = () => undefined;
  /** Called when a resource has been made and nobody has been told yet; may throw. */
  afterMade: (resource: string) => void = () => undefined;
  readonly cloud: Cloud = makeCloud(this);

  all(): string[] {
    const compute = [this.disks, this.snapshots, this.machines];
    const maps = [...compute, this.nics, this.publicIps, this.ownNetworks, this.ownGroups];
    return maps.flatMap((map) => [...map.values()].map((one) => one.id)).sort();
  }
}

export function notFound(what: string): StandbyError {
  return new StandbyError({ code: 'RESOURCE_NOT_FOUND', what });
}

function makeCloud(fake: FakeCloud): Cloud {
  const idOf = (type: string, name: string) => `${GROUP_ID}/providers/${type}/${name}`;

  async function make<Resource extends { id: string; tags: Tags; provisioning?: string }>(
    kind: string,
    map: Map<string, Resource>,
    resource: Resource,
    operation: Operation | undefined,
  ): Promise<Resource> {
    const known = map.get(resource.id.toLowerCase());
    if (known && known.tags['standby-scenario'] !== resource.tags['standby-scenario']) {
      throw new StandbyError({ code: 'NOT_OURS', what: `${resource.id} is not ours.` });
    }
    if (known && known.provisioning !== 'Failed') return known;
    fake.beforeChange(kind, resource.id);
    map.set(resource.id.toLowerCase(), resource);
    fake.made.push(resource.id);
    fake.afterMade(resource.id);
    await operation?.save?.({ kind, id: resource.id });
    await pause(0);
    operation?.signal?.throwIfAborted();
    return resource;
  }

  async function remove<Resource extends { tags: Tags }>(
    kind: string,
    map: Map<string, Resource>,
    id: string,
    scenario: string,
  ): Promise<void> {
    const known = map.get(id.toLowerCase());
    if (!known) return;
    if (known.tags['standby-scenario'] !== scenario)
      throw new StandbyError({ code: 'NOT_OURS', what: `${id} is not ours.` });
    fake.beforeChange(kind, id);
    map.delete(id.toLowerCase());
  }

  const refuseInUse = (id: string, used: boolean) => {
    if (used) throw new StandbyError({ code: 'OperationNotAllowed', what: `${id} is in use.` });
  };
  const notUsed = async (): Promise<never> => {
    throw new Error('this fake does not do that');
  };

  return {
    access: {
      signIn: async () => ({ expiresAtMs: 0 }),
      subscription: async () => ({ id: SUBSCRIPTION.split('/')[2] ?? '', name: 'fake', state: 'Enabled' }),
      async permissions(scope = SUBSCRIPTION) {
        const key = [...fake.rolesAt.keys()].find((one) => scope.toLowerCase().startsWith(one.toLowerCase()));
        const roles = key === undefined ? fake.roles : (fake.rolesAt.get(key) ?? []);
        const all = (part: 'actions' | 'notActions') => roles.flatMap((role) => role[part]);
        return { actions: all('actions'), notActions: all('notActions'), roles };
      },
      denials: async () => fake.denials,
      locks: async () => fake.locks,
      policies: async () => fake.policies,
      providers: async () =>
        ['Microsoft.Compute', 'Microsoft.Network', 'Microsoft.Storage'].map((namespace) => ({
          namespace,
          registered: !fake.unregistered.includes(namespace),
        })),
    },
    catalogue: { locations: notUsed, sizes: async () => fake.sizes, usages: async () => fake.usages },
    groups: {
      list: async () => [...fake.groups.values()],
      get: async (name) => fake.groups.get(name.toLowerCase()),
      async ensure(name, location) {
        const known = fake.groups.get(name.toLowerCase());
        if (known) return known;
        fake.beforeChange('groups.ensure', name);
        const group = { id: `${SUBSCRIPTION}/resourceGroups/${name}`, name, location };
        fake.groups.set(name.toLowerCase(), group);
        return group;
      },
    },
    disks: {
      get: async (_group, name) => fake.disks.get(idOf('Microsoft.Compute/disks', name).toLowerCase()),
      createEmpty: (spec, operation) =>
        make('disks.createEmpty', fake.disks, diskOf(spec, spec.sizeGib, spec.os), operation),
      createFromSnapshot(spec, operation) {
        if (!fake.snapshots.has(spec.snapshotId.toLowerCase())) throw notFound(spec.snapshotId);
        return make('disks.createFromSnapshot', fake.disks, diskOf(spec, 1, spec.os), operation);
      },
      async delete(id, scenario) {
        refuseInUse(id, fake.disks.get(id.toLowerCase())?.attachedTo !== undefined);
        await remove('disks.delete', fake.disks, id, scenario);
      },
      getSnapshot: async (_group, name) =>
        fake.snapshots.get(idOf('Microsoft.Compute/snapshots', name).toLowerCase()),
      createSnapshot(spec, operation) {
        if (!fake.disks.has(spec.sourceDiskId.toLowerCase())) throw notFound(spec.sourceDiskId);
        const id = idOf('Microsoft.Compute/snapshots', spec.name);
        const { name, tags, sourceDiskId: sourceId } = spec;
        const incremental = spec.full !== true;
        const snapshot = { id, name, provisioning: 'Succeeded', sourceId, incremental, tags: { ...tags } };
        return make('disks.createSnapshot', fake.snapshots, snapshot, operation);
      },
      deleteSnapshot: (id, scenario) => remove('disks.deleteSnapshot', fake.snapshots, id, scenario),
    },
    network: {
      virtualNetworks: async () => fake.networks,
      virtualNetwork: async (id) =>
        fake.ownNetworks.get(id.toLowerCase()) ??
        fake.networks.find((one) => one.id.toLowerCase() === id.toLowerCase()),
      async ensureVirtualNetwork(spec, operation) {
        const id = idOf('Microsoft.Network/virtualNetworks', spec.name);
        const { name, resourceGroup, location, prefix, subnetName, subnetPrefix, tags } = spec;
        const subnets = [{ id: `${id}/subnets/${subnetName}`, name: subnetName, prefix: subnetPrefix }];
        const facts = { id, name, resourceGroup, location, prefixes: [prefix], dnsServers: [], subnets };
        return make(
          'network.ensureVirtualNetwork',
          fake.ownNetworks,
          { ...facts, tags: { ...tags } },
          operation,
        );
      },
      async deleteVirtualNetwork(id, scenario) {
        refuseInUse(
          id,
          [...fake.nics.values()].some((nic) => nic.subnetId.toLowerCase().startsWith(id.toLowerCase())),
        );
        await remove('network.deleteVirtualNetwork', fake.ownNetworks, id, scenario);
      },
      addressAvailable: async (_id, ip) => ({
        available: !fake.takenAddresses.includes(ip),
        free: ['10.0.1.4'],
      }),
      networkInterface: async (id) => fake.nics.get(id.toLowerCase()),
      createNetworkInterface(spec, operation) {
        const id = idOf('Microsoft.Network/networkInterfaces', spec.name);
        const { resourceGroup: _, location: __, staticIp, ...rest } = spec;
        const nic = {
          ...rest,
          id,
          privateIp: staticIp ?? `10.0.1.${4 + fake.nics.size}`,
          tags: { ...spec.tags },
        };
        return make('network.createNetworkInterface', fake.nics, nic, operation);
      },
      async deleteNetworkInterface(id, scenario) {
        refuseInUse(
          id,
          [...fake.machines.values()].some((machine) => machine.nicIds.includes(id)),
        );
        await remove('network.deleteNetworkInterface', fake.nics, id, scenario);
      },
      publicIp: async (id) => fake.publicIps.get(id.toLowerCase()),
      createPublicIp(spec, operation) {
        const id = idOf('Microsoft.Network/publicIPAddresses', spec.name);
        const address = fake.publicAddress ?? `20.0.0.${4 + fake.publicIps.size}`;
        const ip = { id, name: spec.name, address, tags: { ...spec.tags } };
        return make('network.createPublicIp', fake.publicIps, ip, operation);
      },
      async deletePublicIp(id, scenario) {
        refuseInUse(
          id,
          [...fake.nics.values()].some((nic) => nic.publicIpId === id),
        );
        await remove('network.deletePublicIp', fake.publicIps, id, scenario);
      },
      securityGroups: async () => fake.securityGroups,
      securityGroup: async (id) =>
        fake.ownGroups.get(id.toLowerCase()) ??
        fake.securityGroups.find((one) => one.id.toLowerCase() === id.toLowerCase()),
      ensureSecurityGroup(spec, operation) {
        const id = idOf('Microsoft.Network/networkSecurityGroups', spec.name);
        const { name, location, tags } = spec;
        return make(
          'network.ensureSecurityGroup',
          fake.ownGroups,
          { id, name, location, rules: [], tags: { ...tags } },
          operation,
        );
      },
      async addSecurityRule(id, rule) {
        const group = fake.ownGroups.get(id.toLowerCase());
        if (!group) throw notFound(id);
        if (group.rules.some((one) => one.name === rule.name)) return group;
        fake.beforeChange('network.addSecurityRule', id);
        group.rules = [...group.rules, rule];
        return group;
      },
      async deleteSecurityGroup(id, scenario) {
        refuseInUse(
          id,
          [...fake.nics.values()].some((nic) => nic.securityGroupId?.toLowerCase() === id.toLowerCase()),
        );
        await remove('network.deleteSecurityGroup', fake.ownGroups, id, scenario);
      },
      routeTable: async (id) => fake.routeTables.find((one) => one.id.toLowerCase() === id.toLowerCase()),
    },
    machines: {
      list: async () => [...fake.machines.values()].map(({ power: _, ...machine }) => machine),
      async get(id) {
        const machine = fake.machines.get(id.toLowerCase());
        if (!machine) return undefined;
        const { power: _, ...rest } = machine;
        return rest;
      },
      instance: async (id) => fake.machines.get(id.toLowerCase()),
      async createFromDisks(spec, operation) {
        const id = idOf('Microsoft.Compute/virtualMachines', spec.name);
        const machine = {
          ...spec,
          id,
          provisioning: 'Succeeded',
          power: 'running',
          tags: { ...spec.tags } as Record<string, string>,
        };
        const diskIds = [spec.osDiskId, ...spec.dataDisks.map((disk) => disk.diskId)];
        const elsewhere = diskIds.find((one) => fake.disks.get(one.toLowerCase())?.zone !== spec.zone);
        if (elsewhere)
          throw new StandbyError({ code: 'BadRequest', what: `${elsewhere} is not in zone ${spec.zone}.` });
        try {
          const full = fake.machines.has(id.toLowerCase()) ? undefined : fake.noRoom(spec.size, spec.zone);
          if (full) throw new StandbyError({ code: full, what: `No room for ${spec.size}.`, retry: 'later' });
          await make('machines.createFromDisks', fake.machines, machine, operation);
        } catch (error) {
          // Azure keeps a VM that it could not place.
          if (error instanceof StandbyError && /AllocationFailed$/.test(error.code)) {
            fake.machines.set(id.toLowerCase(), { ...machine, provisioning: 'Failed' });
          }
          throw error;
        }
        for (const diskId of diskIds) {
          const disk = fake.disks.get(diskId.toLowerCase());
          if (!disk) throw notFound(diskId);
          disk.attachedTo = id;
        }
        return machine;
      },
      createFromImage: notUsed,
      start: async (id) => void Object.assign(machineAt(fake, id), { power: 'running' }),
      powerOff: async (id) => void Object.assign(machineAt(fake, id), { power: 'stopped' }),
      deallocate: async (id) => void Object.assign(machineAt(fake, id), { power: 'deallocated' }),
      async delete(id, scenario) {
        await remove('machines.delete', fake.machines, id, scenario);
        for (const disk of fake.disks.values()) if (disk.attachedTo === id) delete disk.attachedTo;
      },
      async attachDisks(id, disks, operation) {
        const machine = machineAt(fake, id);
        const missing = disks.filter((disk) => !machine.dataDisks.some((one) => one.diskId === disk.diskId));
        if (missing.length > 0) fake.beforeChange('machines.attachDisks', id);
        const clash = missing.find((disk) => machine.dataDisks.some((one) => one.lun === disk.lun));
        if (clash)
          throw new StandbyError({
            code: 'LUN_TAKEN',
            what: `LUN ${clash.lun} is taken.`,
            retry: 'later',
          });
        machine.dataDisks = [...machine.dataDisks, ...missing];
        for (const { diskId } of missing) {
          const disk = fake.disks.get(diskId.toLowerCase());
          if (!disk) throw notFound(diskId);
          disk.attachedTo = id;
        }
        await operation?.save?.({ kind: 'attach' });
        return machine;
      },
      async detachDisks(id, diskIds) {
        const machine = machineAt(fake, id);
        machine.dataDisks = machine.dataDisks.filter((disk) => !diskIds.includes(disk.diskId));
        for (const diskId of diskIds) delete fake.disks.get(diskId.toLowerCase())?.attachedTo;
        return machine;
      },
      serialLog: async () => fake.serial,
      screenshot: async () => fake.picture,
    },
    bundles: { publish: notUsed },
    dns: { hasZone: notUsed, aRecord: notUsed, setARecord: notUsed, removeARecord: notUsed },
    async listTagged(tag, value) {
      const kinds = [
        ['Microsoft.Compute/disks', fake.disks],
        ['Microsoft.Compute/snapshots', fake.snapshots],
        ['Microsoft.Network/networkInterfaces', fake.nics],
        ['Microsoft.Network/publicIPAddresses', fake.publicIps],
        ['Microsoft.Compute/virtualMachines', fake.machines],
        ['Microsoft.Network/virtualNetworks', fake.ownNetworks],
        ['Microsoft.Network/networkSecurityGroups', fake.ownGroups],
      ] as const;
      return kinds.flatMap(([type, map]) =>
        [...map.values()]
          .filter((one) => one.tags[tag] === value)
          .map(({ id, name, tags }) => ({ id, type, name, tags })),
      );
    },
  };

  function diskOf(
    spec: { name: string; location: string; type: string; zone?: string; tags: object },
    sizeGib: number,
    os: { generation: 'V1' | 'V2' } | undefined,
  ): Mutable<CloudDisk> {
    return {
      id: idOf('Microsoft.Compute/disks', spec.name),
      name: spec.name,
      location: spec.location,
      sizeGib,
      type: spec.type,
      state: 'Unattached',
      ...(os ? { generation: os.generation } : {}),
      ...(spec.zone ? { zone: spec.zone } : {}),
      tags: { ...spec.tags },
      provisioning: 'Succeeded',
    };
  }
}

function machineAt(fake: FakeCloud, id: string) {
  const machine = fake.machines.get(id.toLowerCase());
  if (!machine) throw notFound(id);
  return machine;
}
