/**
 * ARM ids: case-insensitive, compared by `keyOf`, stored as first written.
 * /subscriptions/{s}/resourceGroups/{rg}/providers/{namespace}/{type}/{name}[/{type}/{name}...]
 */
export interface ResourceId {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  /** `Microsoft.Network/virtualNetworks/subnets`, as written in the id. */
  readonly type: string;
  /** The last name. */
  readonly name: string;
  /** All names: `['vnet1', 'default']` for a subnet. */
  readonly names: readonly string[];
}

export function keyOf(id: string): string {
  return id
    .replace(/\/{2,}/g, '/')
    .replace(/\/+$/, '')
    .toLowerCase();
}

export function sameId(left: string | undefined, right: string | undefined): boolean {
  return left !== undefined && right !== undefined && keyOf(left) === keyOf(right);
}

/** Undefined when it is not the id of a resource within a resource group. */
export function parseResourceId(id: string): ResourceId | undefined {
  const parts = id.split('/').filter((part) => part !== '');
  const [subscriptions, subscriptionId, groups, resourceGroup, providers, namespace, ...rest] = parts;
  if (subscriptions?.toLowerCase() !== 'subscriptions' || groups?.toLowerCase() !== 'resourcegroups')
    return undefined;
  if (providers?.toLowerCase() !== 'providers' || namespace === undefined) return undefined;
  if (subscriptionId === undefined || resourceGroup === undefined) return undefined;
  if (rest.length === 0 || rest.length % 2 !== 0) return undefined;
  const types = rest.filter((_, index) => index % 2 === 0);
  const names = rest.filter((_, index) => index % 2 === 1);
  return {
    subscriptionId,
    resourceGroup,
    type: [namespace, ...types].join('/'),
    name: names.at(-1) ?? '',
    names,
  };
}

export function groupIdOf(subscriptionId: string, resourceGroup: string): string {
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}`;
}

export function resourceIdOf(
  subscriptionId: string,
  resourceGroup: string,
  type: string,
  names: readonly string[],
): string {
  const [namespace, ...types] = type.split('/');
  const path = types.map((part, index) => `${part}/${names[index] ?? ''}`).join('/');
  return `${groupIdOf(subscriptionId, resourceGroup)}/providers/${namespace}/${path}`;
}

/** The id one pair shorter: a subnet's virtual network. Undefined for a resource that has no parent. */
export function parentIdOf(id: string): string | undefined {
  const parsed = parseResourceId(id);
  if (parsed === undefined || parsed.names.length < 2) return undefined;
  return id.replace(/\/+$/, '').split('/').slice(0, -2).join('/');
}
