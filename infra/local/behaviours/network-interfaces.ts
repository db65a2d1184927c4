import { createHash } from 'node:crypto';
import { ArmError, notImplemented } from '../arm/arm-error.ts';
import type { ArmContext, Behaviour, Put, Resource } from '../arm/behaviour.ts';
import { booleanAt, type JsonObject, listAt, numberAt, objectAt, objectsAt, textAt } from '../arm/json.ts';
import {
  networkCreate,
  networkCreateSettled,
  networkDelete,
  networkUpdate,
  networkUpdateSettled,
} from '../arm/operation-shape.ts';
import { keyOf, sameId } from '../arm/resource-id.ts';
import {
  formatAddress,
  freeAddresses,
  holds,
  isReserved,
  type Prefix,
  parseAddress,
  parsePrefix,
} from '../network/addresses.ts';
import { NETWORK_VERSIONS } from './api-versions.ts';
import { USUAL_NAME } from './names.ts';
import { checkNetworkQuota } from './network-usages.ts';
import { idOf, requiredMissing, requireReference, TYPES } from './references.ts';

/**
 * Network interfaces: they take an address of their subnet and keep it, name a public IP and a security group, and
 * belong to one VM (`hidden.machineId`, set and cleared by the VM's behaviour).
 */
export interface AddressUser {
  readonly nicId: string;
  readonly configurationId: string;
  readonly address: number;
  readonly publicIpId: string | undefined;
}

function usersOf(nic: Resource, subnetId?: string): AddressUser[] {
  return objectsAt(nic.properties, 'ipConfigurations').flatMap((entry) => {
    const address = parseAddress(textAt(entry, 'properties.privateIPAddress') ?? '');
    const subnet = textAt(entry, 'properties.subnet.id');
    if (address === undefined || (subnetId !== undefined && !sameId(subnet, subnetId))) return [];
    const publicIpId = textAt(entry, 'properties.publicIPAddress.id');
    return [{ nicId: nic.id, configurationId: textAt(entry, 'id') ?? '', address, publicIpId }];
  });
}

export function usersOfSubnet(context: ArmContext, subnetId: string): AddressUser[] {
  return context.graph.list(TYPES.nic).flatMap((nic) => usersOf(nic, subnetId));
}

export function userOfPublicIp(context: ArmContext, publicIpId: string): AddressUser | undefined {
  return context.graph
    .list(TYPES.nic)
    .flatMap((nic) => usersOf(nic))
    .find((user) => sameId(user.publicIpId, publicIpId));
}

export function nicsOfSecurityGroup(context: ArmContext, groupId: string): Resource[] {
  return context.graph
    .list(TYPES.nic)
    .filter((nic) => sameId(idOf(nic.properties.networkSecurityGroup), groupId));
}

function checkStatic(text: string, subnet: Resource, prefix: Prefix): number {
  const address = parseAddress(text);
  if (address === undefined) {
    throw new ArmError(400, 'InvalidIPAddress', `IP address ${text} is not a valid IPv4 address.`);
  }
  const prefixText = String(subnet.properties.addressPrefix);
  if (!holds(prefix, address)) {
    throw new ArmError(
      400,
      'PrivateIPAddressNotInSubnet',
      `Private static IP address ${text} does not belong to the range of subnet prefix ${prefixText}.`,
    );
  }
  if (isReserved(prefix, address)) {
    throw new ArmError(
      400,
      'PrivateIPAddressInReservedRange',
      `Private static IP address ${text} falls within reserved IP range of subnet prefix ${prefixText}.`,
    );
  }
  return address;
}

interface Wanted {
  readonly configurationId: string;
  readonly method: string;
  readonly address: string | undefined;
  readonly before: JsonObject | undefined;
}

/** A dynamic address stays what it was as long as the subnet stays. */
function chooseAddress(context: ArmContext, put: Put, subnet: Resource, wanted: Wanted): string {
  const prefix = parsePrefix(String(subnet.properties.addressPrefix));
  if (prefix === undefined) throw requiredMissing('addressPrefix');
  const others = usersOfSubnet(context, subnet.id).filter((user) => !sameId(user.nicId, put.resource.id));
  const taken = new Set(others.map((user) => user.address));
  if (wanted.method === 'Static') {
    if (wanted.address === undefined) throw requiredMissing('ipConfiguration.properties.privateIPAddress');
    const address = checkStatic(wanted.address, subnet, prefix);
    const holder = others.find((user) => user.address === address);
    if (holder === undefined) return formatAddress(address);
    throw new ArmError(
      400,
      'PrivateIPAddressIsAllocated',
      `IP configuration ${wanted.configurationId} is using the private IP address ${wanted.address} which is ` +
        `already allocated to resource ${holder.configurationId}.`,
    );
  }
  if (sameId(textAt(wanted.before, 'properties.subnet.id'), subnet.id)) {
    const before = textAt(wanted.before, 'properties.privateIPAddress');
    if (before !== undefined) return before;
  }
  const [free] = freeAddresses(prefix, taken, 1);
  if (free !== undefined) return formatAddress(free);
  throw new ArmError(
    400,
    'SubnetIsFull',
    `Subnet ${subnet.name} with address prefix ${String(subnet.properties.addressPrefix)} does not have ` +
      'enough capacity for 1 IP addresses.',
  );
}

function checkPublicIp(context: ArmContext, put: Put, publicIpId: string, configurationId: string): void {
  requireReference(context, put.resource, publicIpId, TYPES.publicIp);
  const user = userOfPublicIp(context, publicIpId);
  if (user === undefined || sameId(user.nicId, put.resource.id)) return;
  throw new ArmError(
    400,
    'PublicIPAddressInUse',
    `Resource ${configurationId} is referencing public IP address ${publicIpId} that is already allocated to ` +
      `resource ${user.configurationId}.`,
  );
}

function completeConfiguration(
  context: ArmContext,
  put: Put,
  entry: JsonObject,
  primary: boolean,
): JsonObject {
  const name = textAt(entry, 'name');
  if (name === undefined) throw requiredMissing('ipConfigurations.name');
  if (textAt(entry, 'properties.privateIPAddressVersion') === 'IPv6')
    throw notImplemented('an IPv6 address of a network interface');
  if (numberAt(entry, 'properties.privateIPAddressPrefixLength') !== undefined)
    throw notImplemented('a block of addresses of a network interface (privateIPAddressPrefixLength)');
  const subnetId = textAt(entry, 'properties.subnet.id');
  if (subnetId === undefined) {
    throw new ArmError(400, 'SubnetIsNotSpecified', `IP configuration ${name} does not name a subnet.`);
  }
  const configurationId = `${put.resource.id}/ipConfigurations/${name}`;
  const subnet = requireReference(context, put.resource, subnetId, TYPES.subnet);
  const before = objectsAt(put.existing?.properties, 'ipConfigurations').find(
    (other) => textAt(other, 'name')?.toLowerCase() === name.toLowerCase(),
  );
  const wantedAddress = textAt(entry, 'properties.privateIPAddress');
  const method = textAt(entry, 'properties.privateIPAllocationMethod') ?? 'Dynamic';
  if (!['Static', 'Dynamic'].includes(method)) {
    throw new ArmError(400, 'InvalidRequestFormat', `privateIPAllocationMethod '${method}' is not known.`);
  }
  const wanted = { configurationId, method, address: wantedAddress, before };
  const publicIpId = textAt(entry, 'properties.publicIPAddress.id');
  if (publicIpId !== undefined) checkPublicIp(context, put, publicIpId, configurationId);
  return {
    name,
    id: configurationId,
    type: 'Microsoft.Network/networkInterfaces/ipConfigurations',
    properties: {
      provisioningState: 'Succeeded',
      privateIPAddress: chooseAddress(context, put, subnet, wanted),
      privateIPAllocationMethod: method,
      ...(publicIpId === undefined ? {} : { publicIPAddress: objectAt(entry, 'properties.publicIPAddress') }),
      subnet: { id: subnet.id },
      primary,
      privateIPAddressVersion: 'IPv4',
    },
  };
}

function checkDistinct(configurations: readonly JsonObject[]): void {
  const names = new Set(configurations.map((entry) => textAt(entry, 'name')?.toLowerCase()));
  const addresses = new Set(configurations.map((entry) => textAt(entry, 'properties.privateIPAddress')));
  if (names.size === configurations.length && addresses.size === configurations.length) return;
  throw new ArmError(400, 'InvalidRequestFormat', 'IP configurations need names and addresses of their own.');
}

function beforePut(context: ArmContext, put: Put): void {
  const { resource } = put;
  if (!put.existing) checkNetworkQuota(context, resource.location ?? '', 'NetworkInterfaces');
  const entries = objectsAt(resource.properties, 'ipConfigurations');
  if (entries.length === 0) throw requiredMissing('ipConfigurations');
  const groupId = idOf(resource.properties.networkSecurityGroup);
  if (groupId !== undefined) requireReference(context, resource, groupId, TYPES.securityGroup);
  const marked = entries.findIndex((entry) => booleanAt(entry, 'properties.primary') === true);
  const configurations = entries.map((entry, index) =>
    completeConfiguration(context, put, entry, index === Math.max(0, marked)),
  );
  checkDistinct(configurations);
  const dnsServers = listAt(resource.properties, 'dnsSettings.dnsServers');
  resource.properties = {
    resourceGuid: put.existing?.properties.resourceGuid ?? context.newGuid(),
    ipConfigurations: configurations,
    dnsSettings: { dnsServers, appliedDnsServers: [] },
    enableAcceleratedNetworking: resource.properties.enableAcceleratedNetworking ?? false,
    enableIPForwarding: resource.properties.enableIPForwarding ?? false,
    disableTcpStateTracking: false,
    ...(groupId === undefined ? {} : { networkSecurityGroup: { id: groupId } }),
    hostedWorkloads: [],
    tapConfigurations: [],
    nicType: 'Standard',
    auxiliaryMode: 'None',
    auxiliarySku: 'None',
  };
}

/** Azure's own prefix for Ethernet addresses, then three bytes that belong to this NIC for ever. */
export function macAddressOf(nic: Resource): string {
  const digest = createHash('sha256')
    .update(`${keyOf(nic.id)} ${nic.createdAtMs}`)
    .digest('hex')
    .toUpperCase();
  return `00-0D-3A-${digest.slice(0, 2)}-${digest.slice(2, 4)}-${digest.slice(4, 6)}`;
}

export const networkInterfaces: Behaviour = {
  type: TYPES.nic,
  apiVersions: NETWORK_VERSIONS,
  tracked: true,
  namePattern: USUAL_NAME,
  // As recorded: a plain NIC is ready when it is answered; one that gets its first security group goes on.
  putShape: ({ existing, resource, apiVersion }) => {
    const group = idOf(resource.properties.networkSecurityGroup);
    const isOld = apiVersion < '2021';
    if (group === undefined && isOld) return existing ? networkUpdateSettled : networkCreateSettled;
    if (group === undefined) return undefined;
    if (existing === undefined) return networkCreate;
    return idOf(existing.properties.networkSecurityGroup) === undefined ? networkUpdate : undefined;
  },
  patchShape: 'now',
  deleteShape: networkDelete,
  azureMs: { create: 1500, update: 3000, delete: 10_000 },
  beforePut,
  async afterPut(context) {
    await context.guests.networkChanged();
  },
  beforeDelete(_context, resource, request) {
    const machineId = textAt(resource.hidden, 'machineId');
    if (machineId === undefined || request.wholeGroup) return;
    throw nicInUse(resource.id, machineId);
  },
  async afterDelete(context) {
    await context.guests.networkChanged();
  },
  present(_context, resource, shown) {
    const machineId = textAt(resource.hidden, 'machineId');
    const properties: JsonObject = { ...objectAt(shown, 'properties') };
    if (machineId !== undefined) {
      properties.virtualMachine = { id: machineId };
      properties.macAddress = macAddressOf(resource);
      properties.primary = booleanAt(resource.hidden, 'primary') ?? true;
    }
    return { ...shown, kind: 'Regular', properties };
  },
};

export function nicInUse(nicId: string, machineId: string): ArmError {
  return new ArmError(
    400,
    'NicInUse',
    `Network Interface ${nicId} is used by existing resource ${machineId}. In order to delete the network ` +
      'interface, it must be dissociated from the resource. To learn more, see aka.ms/deletenic.',
  );
}
