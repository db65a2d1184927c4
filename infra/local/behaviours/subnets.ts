import { ArmError, notImplemented } from '../arm/arm-error.ts';
import type { ArmContext, Behaviour, Put, Resource } from '../arm/behaviour.ts';
import { listAt, textAt } from '../arm/json.ts';
import { networkCreate, networkDelete, networkUpdate } from '../arm/operation-shape.ts';
import { keyOf } from '../arm/resource-id.ts';
import { contains, holds, overlaps, type Prefix, parsePrefix } from '../network/addresses.ts';
import { NETWORK_VERSIONS } from './api-versions.ts';
import { USUAL_NAME } from './names.ts';
import { usersOfSubnet } from './network-interfaces.ts';
import { idOf, requiredMissing, requireReference, TYPES } from './references.ts';

/** Subnets: inside their network's space, beside each other, and not to be deleted while something lives in them. */
export function subnetPrefix(subnet: Resource): Prefix | undefined {
  const text = textAt(subnet.properties, 'addressPrefix');
  return text === undefined ? undefined : parsePrefix(text);
}

export function subnetUsedError(name: string, user: string): ArmError {
  return new ArmError(
    400,
    'InUseSubnetCannotBeDeleted',
    `Subnet ${name} is in use by ${user} and cannot be deleted. In order to delete the subnet, delete all ` +
      'the resources within the subnet. See aka.ms/deletesubnet.',
  );
}

function requestedPrefix(put: Put): { text: string; prefix: Prefix } {
  const { properties } = put.resource;
  const text = textAt(properties, 'addressPrefix') ?? listAt(properties, 'addressPrefixes')[0];
  if (typeof text !== 'string') throw requiredMissing('addressPrefix');
  if (text.includes(':')) throw notImplemented(`the IPv6 prefix '${text}'`);
  if (listAt(properties, 'addressPrefixes').length > 1)
    throw notImplemented('a subnet with several address prefixes');
  const prefix = parsePrefix(text);
  if (prefix === undefined || prefix.bits > 29) {
    throw new ArmError(
      400,
      prefix === undefined ? 'InvalidCIDRNotation' : 'NetcfgInvalidSubnet',
      prefix === undefined
        ? `The address prefix ${text} in resource ${put.resource.id} has an invalid CIDR notation. For the given prefix length, the address prefix should be a network address.`
        : `Subnet '${put.resource.name}' is not valid in virtual network '${put.parent?.name ?? ''}'.`,
    );
  }
  return { text, prefix };
}

function checkPlace(context: ArmContext, put: Put, prefix: Prefix): void {
  const { parent, resource } = put;
  if (parent === undefined) return;
  const space = listAt(parent.properties, 'addressSpace.addressPrefixes');
  const inside = space.some((text) => {
    const outer = typeof text === 'string' ? parsePrefix(text) : undefined;
    return outer !== undefined && contains(outer, prefix);
  });
  if (!inside) {
    throw new ArmError(
      400,
      'NetcfgInvalidSubnet',
      `Subnet '${resource.name}' is not valid in virtual network '${parent.name}'.`,
    );
  }
  for (const sibling of context.graph.childrenOf(parent.id, TYPES.subnet)) {
    if (keyOf(sibling.id) === keyOf(resource.id)) continue;
    const other = subnetPrefix(sibling);
    if (other && overlaps(other, prefix)) {
      throw new ArmError(
        400,
        'NetcfgSubnetRangesOverlap',
        `Subnet '${resource.name}' is not valid because its IP address range overlaps with that of an ` +
          `existing subnet in virtual network '${parent.name}'.`,
      );
    }
  }
}

function checkUsersStay(context: ArmContext, put: Put, prefix: Prefix): void {
  const before = put.existing && subnetPrefix(put.existing);
  if (!before || (before.first === prefix.first && before.bits === prefix.bits)) return;
  for (const user of usersOfSubnet(context, put.resource.id)) {
    if (holds(prefix, user.address)) continue;
    throw new ArmError(
      400,
      'InUsePrefixCannotBeDeleted',
      `IpPrefix ${String(put.existing?.properties.addressPrefix)} on Subnet ${put.resource.name} has active allocations and cannot be deleted.`,
    );
  }
}

export const subnets: Behaviour = {
  type: TYPES.subnet,
  apiVersions: NETWORK_VERSIONS,
  tracked: false,
  namePattern: USUAL_NAME,
  putShape: ({ existing }) => (existing ? networkUpdate : networkCreate),
  deleteShape: networkDelete,
  azureMs: { create: 4000, update: 4000, delete: 10_000 },

  beforePut(context, put) {
    const { properties } = put.resource;
    const { text, prefix } = requestedPrefix(put);
    checkPlace(context, put, prefix);
    checkUsersStay(context, put, prefix);
    const group = idOf(properties.networkSecurityGroup);
    if (group !== undefined && put.parent) {
      requireReference(
        context,
        { ...put.resource, location: put.parent.location },
        group,
        TYPES.securityGroup,
      );
    }
    delete properties.addressPrefixes;
    delete properties.ipConfigurations;
    properties.addressPrefix = text;
    properties.delegations = properties.delegations ?? [];
    properties.privateEndpointNetworkPolicies = properties.privateEndpointNetworkPolicies ?? 'Disabled';
    properties.privateLinkServiceNetworkPolicies = properties.privateLinkServiceNetworkPolicies ?? 'Enabled';
  },
  async afterPut(context) {
    await context.guests.networkChanged();
  },
  beforeDelete(context, resource, request) {
    const [user] = usersOfSubnet(context, resource.id);
    if (user && !request.wholeGroup) throw subnetUsedError(resource.name, user.configurationId);
  },
  async afterDelete(context) {
    await context.guests.networkChanged();
  },
  present(context, resource, shown) {
    const users = usersOfSubnet(context, resource.id);
    if (users.length === 0) return shown;
    const ipConfigurations = users.map((user) => ({ id: user.configurationId }));
    return { ...shown, properties: { ...(shown.properties as object), ipConfigurations } };
  },
};
