import { ArmError } from '../arm/arm-error.ts';
import { type ArmContext, type ProviderRoute, quotaLimit } from '../arm/behaviour.ts';
import type { JsonObject } from '../arm/json.ts';
import { NETWORK_VERSIONS } from './api-versions.ts';
import { TYPES } from './references.ts';

/** What a subscription uses of its network quotas in a region, counted from what is there. */
interface Kind {
  readonly value: string;
  readonly localizedValue: string;
  readonly limit: number;
  readonly type?: string;
  readonly refusal?: string;
}

const KINDS: readonly Kind[] = [
  { value: 'VirtualNetworks', localizedValue: 'Virtual Networks', limit: 1000, type: TYPES.network },
  {
    value: 'PublicIPAddresses',
    localizedValue: 'Public IP Addresses',
    limit: 1000,
    type: TYPES.publicIp,
    refusal: 'PublicIPCountLimitReached',
  },
  {
    value: 'StaticPublicIPAddresses',
    localizedValue: 'Static Public IP Addresses',
    limit: 1000,
    type: TYPES.publicIp,
  },
  {
    value: 'StandardSkuPublicIpAddresses',
    localizedValue: 'Public IP Addresses - Standard',
    limit: 1000,
    type: TYPES.publicIp,
  },
  {
    value: 'NetworkSecurityGroups',
    localizedValue: 'Network Security Groups',
    limit: 5000,
    type: TYPES.securityGroup,
    refusal: 'NetworkSecurityGroupCountLimitReached',
  },
  {
    value: 'NetworkInterfaces',
    localizedValue: 'Network Interfaces',
    limit: 65536,
    type: TYPES.nic,
    refusal: 'NetworkInterfaceCountLimitReached',
  },
  { value: 'LoadBalancers', localizedValue: 'Load Balancers', limit: 1000 },
  { value: 'RouteTables', localizedValue: 'Route Tables', limit: 200 },
];

function countOf(context: ArmContext, location: string, kind: Kind): number {
  return kind.type === undefined ? 0 : context.graph.list(kind.type, { location }).length;
}

/** Before one more of this kind is made. */
export function checkNetworkQuota(context: ArmContext, location: string, value: string): void {
  const kind = KINDS.find((candidate) => candidate.value === value);
  if (kind === undefined) return;
  const limit = quotaLimit(context.settings, location, kind.value, kind.limit);
  if (countOf(context, location, kind) < limit) return;
  throw new ArmError(
    400,
    kind.refusal ?? `${value}CountLimitReached`,
    `Cannot create more than ${limit} ${kind.localizedValue.toLowerCase()} for this subscription in this region.`,
  );
}

export const networkUsages: ProviderRoute = {
  method: 'GET',
  path: 'Microsoft.Network/locations/{location}/usages',
  apiVersions: NETWORK_VERSIONS,
  action: 'Microsoft.Network/locations/usages/read',
  answer(context, ask) {
    const location = ask.params.location ?? '';
    const list = KINDS.map(
      (kind): JsonObject => ({
        currentValue: countOf(context, location, kind),
        id: `/subscriptions/${context.settings.subscriptionId}/providers/Microsoft.Network/locations/${location}/usages/${kind.value}`,
        limit: quotaLimit(context.settings, location, kind.value, kind.limit),
        name: { localizedValue: kind.localizedValue, value: kind.value },
        unit: 'Count',
      }),
    );
    return { list };
  },
};
