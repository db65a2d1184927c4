import { join } from 'node:path';
import { isoTime } from '../../../src/clock.ts';
import { ArmError } from '../arm/arm-error.ts';
import { type ArmContext, quotaLimit, type Resource } from '../arm/behaviour.ts';
import { type JsonObject, numberAt, objectAt, textAt } from '../arm/json.ts';
import { parseResourceId, resourceIdOf } from '../arm/resource-id.ts';
import { ensureEmptyDisk, removeDisk } from '../disk-files.ts';
import { zonesOf } from '../sizes.ts';
import { accessState } from './disk-access.ts';
import { TYPES } from './references.ts';

/** What disks and snapshots have in common: sizes, SKUs, files, and the fields Azure fills in. */
export const GIB = 1024 ** 3;

const DISK_SKUS: Readonly<Record<string, { readonly tier: string; readonly quota: string }>> = {
  Standard_LRS: { tier: 'Standard', quota: 'StandardDiskCount' },
  StandardSSD_LRS: { tier: 'Standard', quota: 'StandardSSDDiskCount' },
  Premium_LRS: { tier: 'Premium', quota: 'PremiumDiskCount' },
  PremiumV2_LRS: { tier: 'Premium', quota: 'PremiumV2DiskCount' },
  UltraSSD_LRS: { tier: 'Ultra', quota: 'UltraSSDDiskCount' },
  StandardSSD_ZRS: { tier: 'Standard', quota: 'StandardSSDZRSDiskCount' },
  Premium_ZRS: { tier: 'Premium', quota: 'PremiumZRSDiskCount' },
};
export const DISKS_LIMIT = 50_000;

export function skuOf(name: string | undefined): JsonObject {
  const given = name ?? 'Standard_LRS';
  const sku = DISK_SKUS[given];
  if (sku !== undefined) return { name: given, tier: sku.tier };
  throw new ArmError(
    400,
    'InvalidParameter',
    `SKU ${given} is not supported for resource type Disk in this region. Supported SKUs for this region are ${Object.keys(DISK_SKUS).join(', ')}`,
    'sku',
  );
}

export function isPremium(disk: Resource): boolean {
  return textAt(disk.top, 'sku.name')?.startsWith('Premium') ?? false;
}

export function isZoneRedundant(disk: Resource): boolean {
  return textAt(disk.top, 'sku.name')?.endsWith('_ZRS') ?? false;
}

export function diskQuotaName(sku: string): string {
  return DISK_SKUS[sku]?.quota ?? 'StandardDiskCount';
}

export function checkDiskQuota(context: ArmContext, location: string, sku: string): void {
  const name = diskQuotaName(sku);
  const limit = quotaLimit(context.settings, location, name, DISKS_LIMIT);
  const used = context.graph
    .list(TYPES.disk, { location })
    .filter((disk) => diskQuotaName(textAt(disk.top, 'sku.name') ?? '') === name).length;
  if (used < limit) return;
  throw new ArmError(
    409,
    'OperationNotAllowed',
    `Operation could not be completed as it results in exceeding approved ${name} quota. Additional details - ` +
      `Deployment Model: Resource Manager, Location: ${location}, Current Limit: ${limit}, Current Usage: ${used}, ` +
      `Additional Required: 1, (Minimum) New Limit Required: ${used + 1}.`,
  );
}

export function checkSizeGib(sizeGib: number, path: string): void {
  if (Number.isInteger(sizeGib) && sizeGib >= 1 && sizeGib <= 32767) return;
  throw new ArmError(
    400,
    'InvalidParameter',
    `The value '${sizeGib}' of parameter '${path}' is out of range. The value must be between '1' and '32767', inclusive.`,
    path,
  );
}

export function checkZones(location: string, type: string, name: string, zones: readonly unknown[]): void {
  const known = zonesOf(location);
  const wrong = zones.filter((zone) => !known.includes(String(zone)));
  if (wrong.length === 0 && zones.length <= 1) return;
  throw new ArmError(
    400,
    known.length === 0 ? 'LocationNotSupportAvailabilityZones' : 'InvalidAvailabilityZone',
    known.length === 0
      ? `The resource '${type}/${name}' does not support availability zones at location '${location}'.`
      : `The zone(s) '${zones.join(',')}' for resource '${type}/${name}' is not supported. The supported zones for location '${location}' are '${known.join(',')}'`,
  );
}

/** Fields Azure adds to a disk or a snapshot when it makes it, and keeps. */
export function bornProperties(
  context: ArmContext,
  folder: string,
): { shown: JsonObject; hidden: JsonObject } {
  const uniqueId = context.newGuid();
  return {
    shown: { uniqueId, timeCreated: isoTime(context.clock.now()) },
    hidden: { file: `${folder}/${uniqueId}.raw` },
  };
}

export const FIXED_PROPERTIES: JsonObject = {
  encryption: { type: 'EncryptionAtRestWithPlatformKey' },
  networkAccessPolicy: 'AllowAll',
  publicNetworkAccess: 'Enabled',
};

export function sizeGibOf(resource: Resource): number {
  return numberAt(resource.properties, 'diskSizeGB') ?? 0;
}

export function fileOf(context: Pick<ArmContext, 'dataFolder'>, resource: Resource): string {
  const file = textAt(resource.hidden, 'file');
  if (file === undefined) throw new Error(`${resource.id} has no file`);
  return join(context.dataFolder, file);
}

export async function removeFileOf(context: ArmContext, resource: Resource): Promise<void> {
  if (textAt(resource.hidden, 'file') !== undefined) await removeDisk(fileOf(context, resource));
}

/** The state Azure shows: Reserved while its VM is deallocated. */
export function diskStateOf(context: ArmContext, disk: Resource): string {
  const machineId = textAt(disk.hidden, 'machineId');
  if (machineId === undefined) return accessState(disk);
  const power = textAt(context.graph.get(machineId)?.hidden, 'power');
  return power === 'deallocated' ? 'Reserved' : 'Attached';
}

/** A disk that a VM's PUT makes by itself: the OS disk of an image, or an empty data disk. Its file comes with `ensureDiskFile`. */
export function insertDisk(
  context: ArmContext,
  machine: Resource,
  spec: {
    readonly name: string;
    readonly sizeGib: number;
    readonly sku: string | undefined;
    readonly properties: JsonObject;
  },
): Resource {
  const place = parseResourceId(machine.id);
  const id = resourceIdOf(place?.subscriptionId ?? '', place?.resourceGroup ?? '', TYPES.disk, [spec.name]);
  if (context.graph.get(id)) {
    throw new ArmError(
      409,
      'ConflictingUserInput',
      `Disk ${spec.name} already exists in resource group ${place?.resourceGroup ?? ''}. Only CreateOption.Attach is supported.`,
    );
  }
  checkSizeGib(spec.sizeGib, 'diskSizeGB');
  const location = machine.location ?? '';
  checkDiskQuota(context, location, spec.sku ?? 'Standard_LRS');
  const born = bornProperties(context, 'disks');
  return context.graph.insert({
    id,
    type: TYPES.disk,
    location,
    tags: machine.tags,
    top: { sku: skuOf(spec.sku), ...(machine.top.zones ? { zones: machine.top.zones } : {}) },
    properties: {
      ...spec.properties,
      diskSizeGB: spec.sizeGib,
      diskSizeBytes: spec.sizeGib * GIB,
      ...FIXED_PROPERTIES,
      ...born.shown,
    },
    hidden: { ...born.hidden, machineId: machine.id },
  });
}

/** Of an OS disk made of an image of this kind. */
export function imageSizeGib(osType: string): number {
  return osType === 'Windows' ? 127 : 30;
}

export async function ensureDiskFile(context: ArmContext, disk: Resource): Promise<void> {
  await ensureEmptyDisk(fileOf(context, disk), sizeGibOf(disk) * GIB);
}

export function withProperties(shown: JsonObject, extra: JsonObject): JsonObject {
  return { ...shown, properties: { ...objectAt(shown, 'properties'), ...extra } };
}
