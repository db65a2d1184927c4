import type { Clock } from '../../clock.ts';
import type { Cloud } from '../../ports/cloud.ts';

/** Long enough for members that verify together, too short for anything to be decided on what has long changed. */
const SHARED_MS = 10_000;

/**
 * A cloud that is asked once for what is the same for all members: the region's sizes, quotas and VMs, what the account
 * may do. Fifty members that verify at the same time would else read more than Azure lets one account read at once. What is
 * made, and whatever a step looks at, is never shared.
 */
export function sharingReads(cloud: Cloud, clock: Clock): Cloud {
  const { access, catalogue, machines } = cloud;
  const shared = sharedFor(clock);
  return {
    ...cloud,
    access: {
      ...access,
      subscription: () => shared('subscription', () => access.subscription()),
      permissions: (scope) => shared(`permissions ${scope}`, () => access.permissions(scope)),
      denials: (scope) => shared(`denials ${scope}`, () => access.denials(scope)),
      locks: (scope) => shared(`locks ${scope}`, () => access.locks(scope)),
      policies: (scope) => shared(`policies ${scope}`, () => access.policies(scope)),
      providers: () => shared('providers', () => access.providers()),
    },
    catalogue: {
      ...catalogue,
      sizes: (location) => shared(`sizes ${location}`, () => catalogue.sizes(location)),
      usages: (location) => shared(`usages ${location}`, () => catalogue.usages(location)),
    },
    machines: {
      ...machines,
      list: (location) => shared(`machines ${location}`, () => machines.list(location)),
    },
  };
}

/**
 * The same for what checks alone ask: the groups, networks and appliances that members have in common. Steps look for
 * themselves, so this cloud is for checks only.
 */
export function sharingChecks(cloud: Cloud, clock: Clock): Cloud {
  const { groups, network, machines } = cloud;
  const shared = sharedFor(clock);
  return {
    ...cloud,
    groups: { ...groups, get: (name) => shared(`group ${name}`, () => groups.get(name)) },
    network: {
      ...network,
      virtualNetwork: (id) => shared(`network ${id}`, () => network.virtualNetwork(id)),
      securityGroup: (id) => shared(`security group ${id}`, () => network.securityGroup(id)),
      routeTable: (id) => shared(`route table ${id}`, () => network.routeTable(id)),
      networkInterface: (id) => shared(`interface ${id}`, () => network.networkInterface(id)),
    },
    machines: { ...machines, instance: (id) => shared(`machine ${id}`, () => machines.instance(id)) },
  };
}

function sharedFor(clock: Clock): <T>(key: string, ask: () => Promise<T>) => Promise<T> {
  const known = new Map<string, { readonly answer: Promise<unknown>; readonly atMs: number }>();
  return <T>(key: string, ask: () => Promise<T>): Promise<T> => {
    const before = known.get(key);
    if (before && clock.now() - before.atMs < SHARED_MS) return before.answer as Promise<T>;
    const answer = ask();
    known.set(key, { answer, atMs: clock.now() });
    // A question that failed is asked again by the next one.
    answer.catch(() => known.delete(key));
    return answer;
  };
}
