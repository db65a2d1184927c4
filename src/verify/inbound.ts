import { covers, type IpRange, overlap, parseIpRange } from '../model/ip-range.ts';
import type { SecurityRule } from '../ports/cloud.ts';

/**
 * Which rule of a network security group decides for inbound traffic, as Azure decides it: lowest priority number
 * first, the first match ends it. The source may be a whole prefix or unknown; then a rule may match only a part,
 * and the answer is honest about it. Pure; called by `check` and `open-port`.
 */
export interface Inbound {
  /** An address, a prefix, `*`, or undefined when this machine's public address is not known. */
  readonly source: string | undefined;
  /** The NIC's private address; undefined when not known (then only rules for any destination are sure). */
  readonly destination: string | undefined;
  readonly port: number;
  readonly protocol: 'Tcp' | 'Udp';
  /** What the service tag VirtualNetwork stands for. */
  readonly networkPrefixes: readonly string[];
}

export interface Decision {
  /** `unsure`: `rule` decides for some sources and `exception`, which comes before it, for others. */
  readonly access: 'allow' | 'deny' | 'unsure';
  /** Undefined only when a group has no default rules at all, which denies. */
  readonly rule?: SecurityRule;
  readonly exception?: SecurityRule;
}

type Match = 'all' | 'some' | 'none';

const EVERYWHERE: IpRange = { first: 0, last: 2 ** 32 - 1 };
const LOOPBACK: IpRange = { first: 0x7f000000, last: 0x7fffffff };
const PLATFORM: IpRange = { first: 0xa83f8110, last: 0xa83f8110 }; // 168.63.129.16, the tag AzureLoadBalancer

export function decideInbound(rules: readonly SecurityRule[], inbound: Inbound): Decision {
  let exception: SecurityRule | undefined;
  for (const rule of inboundByPriority(rules)) {
    const match = matchOf(rule, inbound);
    if (match === 'none') continue;
    if (match === 'all') {
      const access = rule.access === 'Allow' ? 'allow' : 'deny';
      if (exception && exception.access !== rule.access) return { access: 'unsure', rule, exception };
      return { access, rule };
    }
    exception ??= rule;
  }
  return { access: 'deny' };
}

/** Deny rules that would stop some of this traffic; a new Allow must come before all of them to win. */
export function deniesAgainst(rules: readonly SecurityRule[], inbound: Inbound): readonly SecurityRule[] {
  return inboundByPriority(rules).filter(
    (rule) => rule.access === 'Deny' && matchOf(rule, inbound) !== 'none',
  );
}

/** Custom rules may have 100 to 4096. Prefers round numbers from 1000 up, so that people's rules keep room before it. */
export function winningPriority(rules: readonly SecurityRule[], inbound: Inbound): number | undefined {
  const taken = new Set(inboundByPriority(rules).map((rule) => rule.priority));
  const below = Math.min(4097, ...deniesAgainst(rules, inbound).map((rule) => rule.priority));
  for (let priority = 1000; priority < below; priority += 10) if (!taken.has(priority)) return priority;
  for (let priority = below - 1; priority >= 100; priority -= 1) if (!taken.has(priority)) return priority;
  return undefined;
}

function inboundByPriority(rules: readonly SecurityRule[]): readonly SecurityRule[] {
  return rules.filter((rule) => rule.direction === 'Inbound').sort((a, b) => a.priority - b.priority);
}

function matchOf(rule: SecurityRule, inbound: Inbound): Match {
  if (rule.protocol !== '*' && rule.protocol.toLowerCase() !== inbound.protocol.toLowerCase()) return 'none';
  if (!rule.destinationPorts.some((text) => portMatches(text, inbound.port))) return 'none';
  const destination = best(rule.destinationPrefixes, inbound.destination, inbound.networkPrefixes);
  if (destination === 'none') return 'none';
  const source = best(rule.sourcePrefixes, inbound.source, inbound.networkPrefixes);
  if (source === 'none') return 'none';
  return source === 'all' && destination === 'all' ? 'all' : 'some';
}

function portMatches(text: string, port: number): boolean {
  if (text === '*') return true;
  const [from, to = from] = text.split('-').map(Number);
  return from !== undefined && to !== undefined && port >= from && port <= to;
}

function best(patterns: readonly string[], asked: string | undefined, network: readonly string[]): Match {
  const matches = patterns.map((pattern) => prefixMatch(pattern, asked, network));
  if (matches.includes('all')) return 'all';
  return matches.includes('some') ? 'some' : 'none';
}

function prefixMatch(pattern: string, asked: string | undefined, network: readonly string[]): Match {
  const tag = pattern.toLowerCase();
  if (tag === '*' || tag === 'any' || tag === '0.0.0.0/0') return 'all';
  const range = asked === undefined ? undefined : rangeOf(asked);
  // An unknown source is some machine on the Internet: not inside the virtual network, else it would be known.
  if (tag === 'internet') return range === undefined ? 'all' : internetMatch(range, network);
  if (tag === 'virtualnetwork') return range === undefined ? 'none' : bestRange(network, range);
  if (tag === 'azureloadbalancer') return range === undefined ? 'none' : rangeMatch(PLATFORM, range);
  const own = parseIpRange(pattern);
  if (own) return range === undefined ? 'some' : rangeMatch(own, range);
  if (pattern.includes(':') || (range && covers(LOOPBACK, range))) return 'none';
  // Another service tag (AzureCloud, Storage, ...): whose addresses those are is not ours to know.
  return 'some';
}

function rangeOf(asked: string): IpRange | undefined {
  return ['*', 'any', 'internet'].includes(asked.toLowerCase()) ? EVERYWHERE : parseIpRange(asked);
}

function bestRange(prefixes: readonly string[], range: IpRange): Match {
  const matches = prefixes.map((text) => {
    const own = parseIpRange(text);
    return own ? rangeMatch(own, range) : 'none';
  });
  if (matches.includes('all')) return 'all';
  return matches.includes('some') ? 'some' : 'none';
}

function rangeMatch(own: IpRange, range: IpRange): Match {
  if (covers(own, range)) return 'all';
  return overlap(own, range) ? 'some' : 'none';
}

/** Everything but the virtual network and the platform's address; asking for "everywhere" counts as the Internet. */
function internetMatch(range: IpRange, network: readonly string[]): Match {
  if (range === EVERYWHERE) return 'all';
  const inside = bestRange(network, range);
  if (inside === 'all' || covers(PLATFORM, range)) return 'none';
  return inside === 'some' ? 'some' : 'all';
}
