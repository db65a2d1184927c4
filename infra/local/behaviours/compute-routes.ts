import { ArmError } from '../arm/arm-error.ts';
import { type ArmContext, type ProviderRoute, quotaLimit } from '../arm/behaviour.ts';
import { type JsonObject, textAt } from '../arm/json.ts';
import {
  CORES_LIMIT,
  FAMILY_CORES_LIMIT,
  MACHINES_LIMIT,
  sizeDocuments,
  sizeFamilies,
  zonesOf,
} from '../sizes.ts';
import { parseLocationFilter, skuDocuments } from '../skus.ts';
import { COMPUTE_VERSIONS, SKU_VERSIONS } from './api-versions.ts';
import { DISKS_LIMIT, diskQuotaName } from './disk-model.ts';
import { coreUse } from './machine-quota.ts';
import { presentMachine } from './machine-view.ts';
import { TYPES } from './references.ts';

/** What hangs below Microsoft.Compute itself: SKUs, usages, the sizes and VMs of a region. */
const skus: ProviderRoute = {
  method: 'GET',
  path: 'Microsoft.Compute/skus',
  apiVersions: SKU_VERSIONS,
  action: 'Microsoft.Compute/skus/read',
  answer(context, ask) {
    const filter = ask.query.get('$filter');
    const wanted = filter === null || filter === '' ? undefined : parseLocationFilter(filter);
    if (filter && wanted === undefined) {
      throw new ArmError(
        400,
        'InvalidParameter',
        `The filter '${filter}' is not supported. Only 'location eq' is.`,
        '$filter',
      );
    }
    const locations = context.settings.locations
      .filter((location) => wanted === undefined || location.name === wanted)
      .map(({ name }) => ({ name, zones: zonesOf(name) }));
    return { list: skuDocuments(locations) as JsonObject[] };
  },
};

const DISK_COUNTS = [
  ['StandardDiskCount', 'Standard Storage Managed Disks'],
  ['StandardSSDDiskCount', 'StandardSSDStorageDisks'],
  ['PremiumDiskCount', 'Premium Storage Managed Disks'],
] as const;

function computeUsages(context: ArmContext, location: string): JsonObject[] {
  const used = coreUse(context, location);
  const disks = context.graph
    .list(TYPES.disk, { location })
    .map((disk) => diskQuotaName(textAt(disk.top, 'sku.name') ?? ''));
  const snapshots = context.graph.list(TYPES.snapshot, { location }).length;
  const row = (value: string, localizedValue: string, currentValue: number, usual: number): JsonObject => ({
    limit: quotaLimit(context.settings, location, value, usual),
    unit: 'Count',
    currentValue,
    name: { value, localizedValue },
  });
  return [
    row('availabilitySets', 'Availability Sets', 0, 2500),
    row('cores', 'Total Regional vCPUs', used.cores, CORES_LIMIT),
    row('virtualMachines', 'Virtual Machines', used.machines, MACHINES_LIMIT),
    row('lowPriorityCores', 'Total Regional Low-priority vCPUs', 0, 100),
    ...[...sizeFamilies()].map(([family, title]) =>
      row(family, title, used.byFamily.get(family) ?? 0, FAMILY_CORES_LIMIT),
    ),
    ...DISK_COUNTS.map(([name, title]) =>
      row(name, title, disks.filter((other) => other === name).length, DISKS_LIMIT),
    ),
    row('StandardSnapshotCount', 'StandardStorageSnapshots', snapshots, 75_000),
  ];
}

const usages: ProviderRoute = {
  method: 'GET',
  path: 'Microsoft.Compute/locations/{location}/usages',
  apiVersions: COMPUTE_VERSIONS,
  action: 'Microsoft.Compute/locations/usages/read',
  answer: (context, ask) => ({ list: computeUsages(context, ask.params.location ?? '') }),
};

const sizes: ProviderRoute = {
  method: 'GET',
  path: 'Microsoft.Compute/locations/{location}/vmSizes',
  apiVersions: COMPUTE_VERSIONS,
  action: 'Microsoft.Compute/locations/vmSizes/read',
  answer: (_context, ask) => ({ list: sizeDocuments(ask.params.location ?? '') }),
};

const machinesOfLocation: ProviderRoute = {
  method: 'GET',
  path: 'Microsoft.Compute/locations/{location}/virtualMachines',
  apiVersions: COMPUTE_VERSIONS,
  action: 'Microsoft.Compute/locations/virtualMachines/read',
  answer(context, ask) {
    const list = context.graph.list(TYPES.machine, { location: ask.params.location ?? '' }).map((machine) =>
      presentMachine(
        context,
        machine,
        {
          id: machine.id,
          name: machine.name,
          type: machine.type,
          location: machine.location,
          tags: machine.tags,
          ...machine.top,
          properties: { ...machine.properties, provisioningState: machine.provisioningState },
        },
        { query: ask.query, from: 'list' },
      ),
    );
    return { list };
  },
};

export const computeRoutes: readonly ProviderRoute[] = [skus, usages, sizes, machinesOfLocation];
