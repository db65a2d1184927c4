import { ArmError, notImplemented } from '../arm/arm-error.ts';
import type { ArmContext, Behaviour, Resource } from '../arm/behaviour.ts';
import { isObject, type JsonObject, listAt } from '../arm/json.ts';
import { networkCreate, networkDelete, networkUpdate } from '../arm/operation-shape.ts';
import {
  contains,
  formatAddress,
  freeAddresses,
  holds,
  isReserved,
  type Prefix,
  parseAddress,
  parsePrefix,
} from '../network/addresses.ts';
import { NETWORK_VERSIONS } from './api-versions.ts';
import { usersOfSubnet } from './network-interfaces.ts';
import { requiredMissing, TYPES } from './references.ts';
import { subnetPrefix, subnetUsedError } from './subnets.ts';

/** Virtual networks: the address space, and which addresses in it are free. */
function spaceOf(properties: JsonObject): readonly string[] {
  const prefixes = listAt(properties, 'addressSpace.addressPrefixes');
  if (prefixes.length === 0) throw requiredMissing('addressSpace.addressPrefixes');
  return prefixes.map((entry) => {
    if (typeof entry === 'string' && entry.includes(':')) throw notImplemented(`the IPv6 prefix '${entry}'`);
    if (typeof entry === 'string' && parsePrefix(entry)) return entry;
    throw new ArmError(
      400,
      'InvalidAddressPrefixFormat',
      `Address prefix ${String(entry)} of resource is not formatted correctly. It should follow CIDR notation, for example 10.0.0.0/24.`,
    );
  });
}

/** Subnets that are there must still lie in the space. */
function checkSubnetsStay(context: ArmContext, network: Resource, space: readonly string[]): void {
  for (const subnet of context.graph.childrenOf(network.id, TYPES.subnet)) {
    const prefix = subnetPrefix(subnet);
    if (prefix && space.some((text) => isWithin(text, prefix))) continue;
    if (usersOfSubnet(context, subnet.id).length > 0) {
      throw new ArmError(
        400,
        'InUsePrefixCannotBeDeleted',
        `IpPrefix ${String(subnet.properties.addressPrefix)} on Subnet ${subnet.name} has active allocations and cannot be deleted.`,
      );
    }
  }
}

function isWithin(spaceText: string, inner: Prefix): boolean {
  const outer = parsePrefix(spaceText);
  return outer !== undefined && contains(outer, inner);
}

function checkAddress(context: ArmContext, network: Resource, text: string | null): JsonObject {
  const address = text === null ? undefined : parseAddress(text);
  if (text === null || address === undefined) {
    throw new ArmError(400, 'InvalidIPAddress', `IP address ${text ?? ''} is not a valid IPv4 address.`);
  }
  for (const subnet of context.graph.childrenOf(network.id, TYPES.subnet)) {
    const prefix = subnetPrefix(subnet);
    if (!prefix || !holds(prefix, address)) continue;
    const taken = new Set(usersOfSubnet(context, subnet.id).map((user) => user.address));
    const reserved = isReserved(prefix, address);
    if (!reserved && !taken.has(address)) return { available: true, isPlatformReserved: false };
    const free = freeAddresses(prefix, taken, 5).map(formatAddress);
    return { available: false, availableIPAddresses: free, isPlatformReserved: reserved };
  }
  throw new ArmError(
    400,
    'PrivateIPAddressNotInAnySubnet',
    `Private static IP address ${text} does not belong to the range of any subnet in virtual network ${network.id}.`,
  );
}

/** How many addresses of each subnet are taken. */
function subnetUsages(context: ArmContext, network: Resource): JsonObject[] {
  return context.graph.childrenOf(network.id, TYPES.subnet).map((subnet) => {
    const prefix = subnetPrefix(subnet);
    return {
      currentValue: usersOfSubnet(context, subnet.id).length,
      id: subnet.id,
      limit: prefix === undefined ? 0 : 2 ** (32 - prefix.bits) - 5,
      name: { localizedValue: 'Subnet size and usage', value: 'SubnetSpace' },
      unit: 'Count',
    };
  });
}

export const virtualNetworks: Behaviour = {
  type: TYPES.network,
  apiVersions: NETWORK_VERSIONS,
  tracked: true,
  namePattern: /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?$/,
  embeds: [{ property: 'subnets', type: TYPES.subnet, whenAbsent: 'keep' }],
  putShape: ({ existing }) => (existing ? networkUpdate : networkCreate),
  patchShape: 'now',
  deleteShape: networkDelete,
  azureMs: { create: 4000, update: 3000, delete: 10_000 },

  beforePut(context, put) {
    const { properties } = put.resource;
    const space = spaceOf(properties);
    if (put.existing) checkSubnetsStay(context, put.resource, space);
    properties.resourceGuid = put.existing?.properties.resourceGuid ?? context.newGuid();
    properties.dhcpOptions = isObject(properties.dhcpOptions) ? properties.dhcpOptions : { dnsServers: [] };
    if (listAt(properties, 'virtualNetworkPeerings').length > 0) {
      throw notImplemented('virtualNetworkPeerings of a virtual network');
    }
    properties.virtualNetworkPeerings = [];
    properties.enableDdosProtection = properties.enableDdosProtection ?? false;
  },
  async afterPut(context) {
    await context.guests.networkChanged();
  },
  beforeDelete(context, resource, request) {
    if (request.wholeGroup) return;
    for (const subnet of context.graph.childrenOf(resource.id, TYPES.subnet)) {
      const [user] = usersOfSubnet(context, subnet.id);
      if (user) throw subnetUsedError(subnet.name, user.configurationId);
    }
  },
  reads: {
    usages: (context, resource) => ({ list: subnetUsages(context, resource) }),
    checkIPAddressAvailability: (context, resource, ask) => ({
      body: checkAddress(context, resource, ask.query.get('ipaddress')),
    }),
  },
};
