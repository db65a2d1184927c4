import { holds, parseAddress, parsePrefix } from './addresses.ts';

/**
 * Which traffic the network security groups let in, as Azure decides it: the subnet's group first, then the NIC's;
 * in each the lowest priority number that matches decides, Azure's three default rules come last, both groups must
 * allow, and no group at all filters nothing. Pure.
 */
export interface Rule {
  readonly name: string;
  readonly priority: number;
  readonly direction: 'Inbound' | 'Outbound';
  readonly access: 'Allow' | 'Deny';
  /** `Tcp`, `Udp`, `Icmp`, `Esp`, `Ah` or `*`; case does not matter. */
  readonly protocol: string;
  readonly sources: readonly string[];
  readonly sourcePorts: readonly string[];
  readonly destinations: readonly string[];
  readonly destinationPorts: readonly string[];
}

export interface Flow {
  readonly protocol: 'Tcp' | 'Udp';
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

export interface Verdict {
  readonly allowed: boolean;
  /** The rule that decided; absent when no group is there. */
  readonly rule?: Rule;
  readonly by?: 'subnet' | 'nic';
}

export interface Filter {
  /** Undefined: no group on that level. */
  readonly subnetRules: readonly Rule[] | undefined;
  readonly nicRules: readonly Rule[] | undefined;
  /** The virtual network's address space; the tag VirtualNetwork means it. */
  readonly networkPrefixes: readonly string[];
}

const AZURE_PLATFORM_ADDRESS = '168.63.129.16';

function any(name: string, priority: number, direction: Rule['direction'], access: Rule['access']) {
  return { name, priority, direction, access, protocol: '*', sourcePorts: ['*'], destinationPorts: ['*'] };
}

export const DEFAULT_RULES: readonly (Rule & { readonly description: string })[] = [
  {
    ...any('AllowVnetInBound', 65000, 'Inbound', 'Allow'),
    sources: ['VirtualNetwork'],
    destinations: ['VirtualNetwork'],
    description: 'Allow inbound traffic from all VMs in VNET',
  },
  {
    ...any('AllowAzureLoadBalancerInBound', 65001, 'Inbound', 'Allow'),
    sources: ['AzureLoadBalancer'],
    destinations: ['*'],
    description: 'Allow inbound traffic from azure load balancer',
  },
  {
    ...any('DenyAllInBound', 65500, 'Inbound', 'Deny'),
    sources: ['*'],
    destinations: ['*'],
    description: 'Deny all inbound traffic',
  },
  {
    ...any('AllowVnetOutBound', 65000, 'Outbound', 'Allow'),
    sources: ['VirtualNetwork'],
    destinations: ['VirtualNetwork'],
    description: 'Allow outbound traffic from all VMs to all VMs in VNET',
  },
  {
    ...any('AllowInternetOutBound', 65001, 'Outbound', 'Allow'),
    sources: ['*'],
    destinations: ['Internet'],
    description: 'Allow outbound traffic from all VMs to Internet',
  },
  {
    ...any('DenyAllOutBound', 65500, 'Outbound', 'Deny'),
    sources: ['*'],
    destinations: ['*'],
    description: 'Deny all outbound traffic',
  },
];

function inNetwork(address: string, prefixes: readonly string[]): boolean {
  const value = parseAddress(address);
  if (value === undefined) return false;
  return prefixes.some((text) => {
    const prefix = parsePrefix(text);
    return prefix !== undefined && holds(prefix, value);
  });
}

/** Service tags other than these three name Azure's own services: nothing here has such an address. */
function addressMatches(pattern: string, address: string, networkPrefixes: readonly string[]): boolean {
  switch (pattern.toLowerCase()) {
    case '*':
    case 'any':
    case '0.0.0.0/0':
      return true;
    case 'virtualnetwork':
      return inNetwork(address, networkPrefixes);
    case 'azureloadbalancer':
      return address === AZURE_PLATFORM_ADDRESS;
    case 'internet':
      return address !== AZURE_PLATFORM_ADDRESS && !inNetwork(address, networkPrefixes);
  }
  if (pattern.includes('/')) return inNetwork(address, [pattern]);
  return parseAddress(pattern) !== undefined && parseAddress(pattern) === parseAddress(address);
}

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** `*`, `80` or `8000-8100`; undefined when it is none of them. */
export function parsePorts(text: string): PortRange | undefined {
  if (text === '*') return { from: 0, to: 65535 };
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (!match) return undefined;
  const from = Number(match[1]);
  const to = Number(match[2] ?? match[1]);
  return from <= to && to <= 65535 ? { from, to } : undefined;
}

function portMatches(patterns: readonly string[], port: number): boolean {
  return patterns.some((pattern) => {
    const range = parsePorts(pattern);
    return range !== undefined && port >= range.from && port <= range.to;
  });
}

function matches(rule: Rule, flow: Flow, networkPrefixes: readonly string[]): boolean {
  if (rule.direction !== 'Inbound') return false;
  if (rule.protocol !== '*' && rule.protocol.toLowerCase() !== flow.protocol.toLowerCase()) return false;
  return (
    portMatches(rule.destinationPorts, flow.destinationPort) &&
    portMatches(rule.sourcePorts, flow.sourcePort) &&
    rule.sources.some((source) => addressMatches(source, flow.sourceAddress, networkPrefixes)) &&
    rule.destinations.some((target) => addressMatches(target, flow.destinationAddress, networkPrefixes))
  );
}

function firstMatch(
  rules: readonly Rule[],
  flow: Flow,
  networkPrefixes: readonly string[],
): Rule | undefined {
  return [...rules, ...DEFAULT_RULES]
    .sort((one, other) => one.priority - other.priority)
    .find((rule) => matches(rule, flow, networkPrefixes));
}

/** May this flow reach the NIC from outside? */
export function decideInbound(filter: Filter, flow: Flow): Verdict {
  let verdict: Verdict = { allowed: true };
  for (const [by, rules] of [
    ['subnet', filter.subnetRules],
    ['nic', filter.nicRules],
  ] as const) {
    if (rules === undefined) continue;
    const rule = firstMatch(rules, flow, filter.networkPrefixes);
    verdict = { allowed: rule?.access === 'Allow', ...(rule ? { rule } : {}), by };
    if (!verdict.allowed) return verdict;
  }
  return verdict;
}

/** Every destination port range that some inbound TCP allow rule names: what could be reachable at all. */
export function admittedRanges(filter: Filter): PortRange[] {
  const groups = [filter.subnetRules, filter.nicRules].filter((rules) => rules !== undefined);
  if (groups.length === 0) return [{ from: 0, to: 65535 }];
  return groups.flat().flatMap((rule) => {
    const tcp = rule.protocol === '*' || rule.protocol.toLowerCase() === 'tcp';
    if (!tcp || rule.direction !== 'Inbound' || rule.access !== 'Allow') return [];
    return rule.destinationPorts.flatMap((text) => parsePorts(text) ?? []);
  });
}
