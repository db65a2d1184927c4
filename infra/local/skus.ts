import { VM_SIZES, type VmSize } from './sizes.ts';

/** The documents of Microsoft.Compute/skus: what a region offers, and what the subscription may not use there. */
export interface LocationZones {
  readonly name: string;
  /** Empty: a region without availability zones. */
  readonly zones: readonly string[];
}

function capability(name: string, value: string | number | boolean) {
  const text = typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value);
  return { name, value: text };
}

function restrictionsOf(size: VmSize, location: LocationZones) {
  const { restriction } = size;
  if (restriction === undefined) return [];
  const whole = restriction === 'location';
  const zones = restriction === 'location' ? location.zones : restriction.zones;
  if (!whole && location.zones.length === 0) return [];
  return [
    {
      type: whole ? 'Location' : 'Zone',
      values: [location.name],
      restrictionInfo: { locations: [location.name], ...(zones.length > 0 ? { zones } : {}) },
      reasonCode: 'NotAvailableForSubscription',
    },
  ];
}

function sizeDocument(size: VmSize, location: LocationZones) {
  const zones = size.zones.filter((zone) => location.zones.includes(zone));
  return {
    resourceType: 'virtualMachines',
    name: size.name,
    tier: 'Standard',
    size: size.name.replace(/^Standard_/, ''),
    family: size.family,
    locations: [location.name],
    locationInfo: [{ location: location.name, zones, zoneDetails: [] }],
    capabilities: [
      capability('OSVhdSizeMB', 1047552),
      capability('vCPUs', size.vCpus),
      capability('MemoryPreservingMaintenanceSupported', true),
      capability('HyperVGenerations', size.generations.join(',')),
      capability('MemoryGB', size.memoryGib),
      capability('MaxDataDiskCount', size.dataDisksMax),
      capability('CpuArchitectureType', size.architecture),
      capability('DiskControllerTypes', size.controllers.join(', ')),
      capability('LowPriorityCapable', true),
      capability('PremiumIO', size.premium),
      capability('vCPUsAvailable', size.vCpus),
      capability('vCPUsPerCore', size.vCpus === 1 ? 1 : 2),
      capability('EphemeralOSDiskSupported', false),
      capability('EncryptionAtHostSupported', true),
      capability('AcceleratedNetworkingEnabled', size.vCpus > 1),
      capability('RdmaEnabled', false),
      capability('MaxNetworkInterfaces', size.nicsMax),
    ],
    restrictions: restrictionsOf(size, location),
  };
}

const DISK_SKUS = [
  ['Standard_LRS', 'Standard', 'S4'],
  ['StandardSSD_LRS', 'Standard', 'E4'],
  ['Premium_LRS', 'Premium', 'P4'],
] as const;

function diskDocument([name, tier, size]: (typeof DISK_SKUS)[number], location: LocationZones) {
  return {
    resourceType: 'disks',
    name,
    tier,
    size,
    locations: [location.name],
    locationInfo: [{ location: location.name, zones: location.zones, zoneDetails: [] }],
    capabilities: [capability('MaxSizeGiB', 32), capability('MinSizeGiB', 16)],
    restrictions: [],
  };
}

/** Every SKU of every given region; Azure lists one document for each size and region. */
export function skuDocuments(locations: readonly LocationZones[]): Record<string, unknown>[] {
  return locations.flatMap((location) => [
    ...VM_SIZES.filter((size) => !size.absentIn.includes(location.name)).map((size) =>
      sizeDocument(size, location),
    ),
    ...DISK_SKUS.map((sku) => diskDocument(sku, location)),
  ]);
}

/** `location eq 'westeurope'`: the only filter Azure takes. Undefined when the text is another one. */
export function parseLocationFilter(filter: string): string | undefined {
  return /^\s*location\s+eq\s+'([^']+)'\s*$/i.exec(filter)?.[1]?.toLowerCase();
}
