import { createHash } from 'node:crypto';
import { ArmError, notImplemented } from '../arm/arm-error.ts';
import type { ArmContext, Behaviour, Put, Resource } from '../arm/behaviour.ts';
import { type JsonObject, listAt, objectAt, textAt } from '../arm/json.ts';
import { networkCreate, networkDelete, networkUpdate } from '../arm/operation-shape.ts';
import { keyOf, sameId } from '../arm/resource-id.ts';
import { freeLoopbackAddress } from '../network/loopback.ts';
import { NETWORK_VERSIONS } from './api-versions.ts';
import { USUAL_NAME } from './names.ts';
import { userOfPublicIp } from './network-interfaces.ts';
import { checkNetworkQuota } from './network-usages.ts';
import { notChangeable, TYPES } from './references.ts';

/** Public IPs: Standard and static; each has a loopback address of its own, chosen once and kept for its life. */
function checkKind(context: ArmContext, put: Put): void {
  const { resource } = put;
  const { basicPublicIps } = context.settings;
  const sku = skuOf(context, put);
  const method = textAt(resource.properties, 'publicIPAllocationMethod') ?? 'Static';
  if (textAt(resource.properties, 'publicIPAddressVersion') === 'IPv6')
    throw notImplemented('an IPv6 public IP address');
  if (textAt(resource.top, 'sku.tier') === 'Global')
    throw notImplemented('a public IP address of the tier Global');
  if (sku === 'StandardV2') throw notImplemented('a public IP address of the SKU StandardV2');
  if (sku === 'Basic' && basicPublicIps) return;
  if (sku === 'Basic') {
    throw new ArmError(
      400,
      'BasicSkuPublicIpNotSupported',
      'Basic SKU public IP addresses can no longer be created. Use the Standard SKU.',
    );
  }
  if (sku !== 'Standard') {
    throw new ArmError(400, 'InvalidRequestFormat', `Public IP address SKU '${sku}' is not known.`);
  }
  if (method !== 'Static') {
    throw new ArmError(
      400,
      'PublicIPAddressAllocationMethodMustBeStatic',
      `Standard sku publicIp ${resource.id} must have AllocationMethod set to Static.`,
    );
  }
}

/** Basic was the default as long as it could be had. */
function skuOf(context: ArmContext, put: Put): string {
  const given = textAt(put.resource.top, 'sku.name') ?? textAt(put.existing?.top, 'sku.name');
  return given ?? (context.settings.basicPublicIps ? 'Basic' : 'Standard');
}

function takenAddresses(context: ArmContext): Set<string> {
  return new Set(
    context.graph.list(TYPES.publicIp).flatMap((other) => textAt(other.properties, 'ipAddress') ?? []),
  );
}

/** Azure makes a name of the label; nothing here answers to it. */
function dnsOf(resource: Resource): JsonObject {
  const given = objectAt(resource.properties, 'dnsSettings');
  const fqdn = nameOf(resource);
  if (given === undefined) return {};
  return { dnsSettings: fqdn === undefined ? given : { ...given, fqdn } };
}

/** Within a scope of its own a label need not be the only one: Azure puts a mark behind it. */
function nameOf({ id, location = '', properties }: Resource): string | undefined {
  const label = textAt(properties, 'dnsSettings.domainNameLabel');
  const scope = textAt(properties, 'dnsSettings.domainNameLabelScope');
  if (label === undefined || scope === undefined) return label && fqdnOf(label, location);
  const mark = createHash('sha256')
    .update(`${scope} ${keyOf(id)}`)
    .digest('hex')
    .slice(0, 16);
  return fqdnOf(`${label}.${mark}`, location);
}

export function fqdnOf(label: string, location: string): string {
  return `${label}.${location}.cloudapp.azure.com`.toLowerCase();
}

function checkLabel(context: ArmContext, put: Put): void {
  const { resource } = put;
  const fqdn = nameOf(resource);
  if (fqdn === undefined) return;
  const other = context.graph
    .list(TYPES.publicIp)
    .find((each) => textAt(each.properties, 'dnsSettings.fqdn') === fqdn && !sameId(each.id, resource.id));
  if (other === undefined) return;
  throw new ArmError(400, 'DnsRecordInUse', `DNS record ${fqdn} is already used by another public IP.`);
}

function beforePut(context: ArmContext, put: Put): void {
  const { resource, existing } = put;
  checkKind(context, put);
  checkLabel(context, put);
  const sku = skuOf(context, put);
  const method =
    textAt(resource.properties, 'publicIPAllocationMethod') ?? (sku === 'Basic' ? 'Dynamic' : 'Static');
  if (!existing) checkNetworkQuota(context, resource.location ?? '', 'PublicIPAddresses');
  if (existing && JSON.stringify(existing.top.zones) !== JSON.stringify(resource.top.zones)) {
    throw notChangeable('zones');
  }
  resource.top.sku = { name: sku, tier: 'Regional' };
  resource.properties = {
    resourceGuid: existing?.properties.resourceGuid ?? context.newGuid(),
    ipAddress: existing?.properties.ipAddress ?? freeLoopbackAddress('public', takenAddresses(context)),
    publicIPAddressVersion: 'IPv4',
    publicIPAllocationMethod: method,
    idleTimeoutInMinutes: resource.properties.idleTimeoutInMinutes ?? 4,
    ...dnsOf(resource),
    ...(resource.properties.deleteOption ? { deleteOption: resource.properties.deleteOption } : {}),
    ...(resource.properties.ddosSettings ? { ddosSettings: resource.properties.ddosSettings } : {}),
    ipTags: listAt(resource.properties, 'ipTags'),
  };
}

export const publicIpAddresses: Behaviour = {
  type: TYPES.publicIp,
  apiVersions: NETWORK_VERSIONS,
  tracked: true,
  namePattern: USUAL_NAME,
  putShape: ({ existing }) => (existing ? networkUpdate : networkCreate),
  patchShape: 'now',
  deleteShape: networkDelete,
  azureMs: { create: 3000, update: 3000, delete: 10_000 },
  beforePut,
  beforeDelete(context, resource, request) {
    const user = userOfPublicIp(context, resource.id);
    if (user === undefined || request.wholeGroup) return;
    throw new ArmError(
      400,
      'PublicIPAddressCannotBeDeleted',
      `Public IP address ${resource.id} can not be deleted since it is still allocated to resource ` +
        `${user.configurationId}. In order to delete the public IP, disassociate/detach the Public IP address ` +
        'from the resource.  To learn how to do this, see aka.ms/deletepublicip.',
    );
  },
  async afterDelete(context) {
    await context.guests.networkChanged();
  },
  present(context, resource, shown) {
    const user = userOfPublicIp(context, resource.id);
    if (user === undefined) return shown;
    const properties = objectAt(shown, 'properties');
    return { ...shown, properties: { ...properties, ipConfiguration: { id: user.configurationId } } };
  },
};
