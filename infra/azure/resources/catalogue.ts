import type { ResourceSku } from '@azure/arm-compute';
import type { CloudCatalogue, Usage, VmSize } from '../../../src/ports/cloud.ts';
import type { Azure } from '../azure.ts';

/** What a region offers this subscription. */
export function makeCatalogue(azure: Azure): CloudCatalogue {
  const { account, calls, clients } = azure;
  return {
    async locations() {
      const client = await clients.subscriptions();
      const found = await calls.collect('The regions of the subscription could not be read.', () =>
        client.subscriptions.listLocations(account.subscriptionId),
      );
      return found.flatMap((location) =>
        location.name ? [{ name: location.name, displayName: location.displayName ?? location.name }] : [],
      );
    },

    async sizes(location) {
      const client = await clients.compute();
      const skus = await calls.collect(`The VM sizes of ${location} could not be read.`, () =>
        client.resourceSkus.list({ filter: `location eq '${location.replaceAll("'", "''")}'` }),
      );
      const isHere = (sku: ResourceSku) =>
        sku.resourceType === 'virtualMachines' &&
        (sku.locations ?? []).some((name) => name.toLowerCase() === location.toLowerCase());
      return skus.filter(isHere).map((sku) => sizeOf(sku, location));
    },

    async usages(location) {
      const [compute, network] = await Promise.all([clients.compute(), clients.network()]);
      const what = `The quotas of ${location} could not be read.`;
      const lists = await Promise.all([
        calls.collect(what, () => compute.usage.list(location)),
        calls.collect(what, () => network.usages.list(location)),
      ]);
      return lists.flat().flatMap((usage): Usage[] => {
        const name = usage.name?.value;
        return name === undefined
          ? []
          : [{ name, current: Number(usage.currentValue ?? 0), limit: Number(usage.limit ?? 0) }];
      });
    },
  };
}

export function sizeOf(sku: ResourceSku, location: string): VmSize {
  const capability = (name: string) => sku.capabilities?.find((each) => each.name === name)?.value;
  const number = (name: string) => Number(capability(name) ?? 0);
  const restrictions = sku.restrictions ?? [];
  const wholeRegion = restrictions.find((each) => each.type === 'Location');
  const isArm = capability('CpuArchitectureType') === 'Arm64';
  const restricted = wholeRegion
    ? restrictionText(wholeRegion.reasonCode)
    : isArm
      ? 'Arm64 processor: an x64 server does not start on it'
      : undefined;
  const here = sku.locationInfo?.find((info) => info.location?.toLowerCase() === location.toLowerCase());
  const zones = [...(here?.zones ?? [])].sort();
  const restrictedZones = restrictions
    .filter((each) => each.type === 'Zone')
    .flatMap((each) => each.restrictionInfo?.zones ?? []);
  const controllers = capability('DiskControllerTypes');
  const architecture = capability('CpuArchitectureType');
  return {
    name: sku.name ?? '',
    family: sku.family ?? '',
    vCpus: number('vCPUsAvailable') || number('vCPUs'),
    memoryGib: number('MemoryGB'),
    dataDisksMax: number('MaxDataDiskCount'),
    nicsMax: number('MaxNetworkInterfaces') || 1,
    generations: (capability('HyperVGenerations') ?? 'V1')
      .split(',')
      .filter((each): each is 'V1' | 'V2' => each === 'V1' || each === 'V2'),
    premiumDisks: capability('PremiumIO') === 'True',
    zones: zones.filter((zone) => !restrictedZones.includes(zone)),
    ...(restricted === undefined ? {} : { restricted }),
    restrictedZones,
    ...(architecture === undefined ? {} : { architecture }),
    ...(controllers === undefined
      ? {}
      : { diskControllers: controllers.split(',').map((each) => each.trim()) }),
    ...(number('UncachedDiskBytesPerSecond') > 0
      ? { diskBytesPerSecond: number('UncachedDiskBytesPerSecond') }
      : {}),
  };
}

function restrictionText(reason: string | undefined): string {
  if (reason === 'QuotaId') return 'this kind of subscription cannot use it here';
  if (reason === 'NotAvailableForSubscription') return 'not available for this subscription in this region';
  return reason ?? 'restricted in this region';
}
