import { describe, expect, it } from 'vitest';
import type { SecurityRule } from '../../src/ports/cloud.ts';
import { decideInbound, deniesAgainst, type Inbound, winningPriority } from '../../src/verify/inbound.ts';

function rule(name: string, priority: number, change: Partial<SecurityRule> = {}): SecurityRule {
  return {
    name,
    priority,
    direction: 'Inbound',
    access: 'Allow',
    protocol: 'Tcp',
    sourcePrefixes: ['*'],
    destinationPrefixes: ['*'],
    destinationPorts: ['25000'],
    ...change,
  };
}

const every = { protocol: '*', destinationPorts: ['*'] } as const;
const network = { sourcePrefixes: ['VirtualNetwork'], destinationPrefixes: ['VirtualNetwork'] };
const DEFAULTS: readonly SecurityRule[] = [
  rule('AllowVnetInBound', 65000, { ...every, ...network }),
  rule('AllowAzureLoadBalancerInBound', 65001, { ...every, sourcePrefixes: ['AzureLoadBalancer'] }),
  rule('DenyAllInBound', 65500, { ...every, access: 'Deny' }),
  rule('AllowVnetOutBound', 65000, { ...every, ...network, direction: 'Outbound' }),
];

const FROM: Inbound = {
  source: '203.0.113.5',
  destination: '10.1.0.4',
  port: 25000,
  protocol: 'Tcp',
  networkPrefixes: ['10.1.0.0/16'],
};

const deny = (name: string, priority: number, change: Partial<SecurityRule> = {}) =>
  rule(name, priority, { access: 'Deny', ...change });

describe('inbound decision', () => {
  const table: readonly [string, readonly SecurityRule[], Partial<Inbound>, string, string | undefined][] = [
    ['the defaults let nothing in from outside', [], {}, 'deny', 'DenyAllInBound'],
    ['the virtual network itself is let in', [], { source: '10.1.9.9' }, 'allow', 'AllowVnetInBound'],
    [
      'Azure’s load balancer is let in',
      [],
      { source: '168.63.129.16' },
      'allow',
      'AllowAzureLoadBalancerInBound',
    ],
    ['a rule for any source lets in', [rule('a', 300)], {}, 'allow', 'a'],
    ['the lower number decides', [rule('a', 300), deny('d', 200)], {}, 'deny', 'd'],
    ['the order in the list does not matter', [deny('d', 400), rule('a', 300)], {}, 'allow', 'a'],
    [
      'an outbound rule does not count',
      [rule('o', 100, { direction: 'Outbound' })],
      {},
      'deny',
      'DenyAllInBound',
    ],
    ['another protocol does not count', [rule('u', 100, { protocol: 'Udp' })], {}, 'deny', 'DenyAllInBound'],
    ['the protocol’s letters may be any case', [rule('t', 100, { protocol: 'TCP' })], {}, 'allow', 't'],
    [
      'another port does not count',
      [rule('p', 100, { destinationPorts: ['443'] })],
      {},
      'deny',
      'DenyAllInBound',
    ],
    [
      'a range of ports counts at its end',
      [rule('r', 100, { destinationPorts: ['80', '24000-25000'] })],
      {},
      'allow',
      'r',
    ],
    [
      'a range that ends before does not',
      [rule('r', 100, { destinationPorts: ['24000-24999'] })],
      {},
      'deny',
      'DenyAllInBound',
    ],
    ['the own address matches', [rule('s', 100, { sourcePrefixes: ['203.0.113.5'] })], {}, 'allow', 's'],
    ['a prefix matches', [rule('s', 100, { sourcePrefixes: ['203.0.113.0/29'] })], {}, 'allow', 's'],
    [
      'the prefix beside it does not',
      [rule('s', 100, { sourcePrefixes: ['203.0.113.8/29'] })],
      {},
      'deny',
      'DenyAllInBound',
    ],
    [
      'Internet means outside the network',
      [rule('i', 100, { sourcePrefixes: ['Internet'] })],
      {},
      'allow',
      'i',
    ],
    [
      'Internet does not mean the network',
      [deny('i', 100, { sourcePrefixes: ['Internet'] })],
      { source: '10.1.9.9' },
      'allow',
      'AllowVnetInBound',
    ],
    [
      'Internet means this very machine too',
      [rule('i', 100, { sourcePrefixes: ['Internet'] })],
      { source: '127.0.0.1' },
      'allow',
      'i',
    ],
    [
      'another machine’s rule does not count',
      [rule('d', 100, { destinationPrefixes: ['10.1.0.5'] })],
      {},
      'deny',
      'DenyAllInBound',
    ],
    [
      'the machine’s own address as target counts',
      [rule('d', 100, { destinationPrefixes: ['10.1.0.4'] })],
      {},
      'allow',
      'd',
    ],
    [
      'an IPv6 source is somebody else',
      [rule('6', 100, { sourcePrefixes: ['2001:db8::/32'] })],
      {},
      'deny',
      'DenyAllInBound',
    ],
    [
      'a service tag may or may not be us',
      [rule('t', 100, { sourcePrefixes: ['AzureCloud'] })],
      {},
      'unsure',
      'DenyAllInBound',
    ],
    [
      'a service tag is not this very machine',
      [rule('t', 100, { sourcePrefixes: ['AzureCloud'] })],
      { source: '127.0.0.1' },
      'deny',
      'DenyAllInBound',
    ],
    ['an unknown source is let in by any', [rule('a', 100)], { source: undefined }, 'allow', 'a'],
    ['an unknown source is stopped by the defaults', [], { source: undefined }, 'deny', 'DenyAllInBound'],
    [
      'an unknown source makes a prefix undecidable',
      [rule('s', 100, { sourcePrefixes: ['203.0.113.5'] })],
      { source: undefined },
      'unsure',
      'DenyAllInBound',
    ],
    [
      'two rules that agree are no question',
      [rule('s', 100, { sourcePrefixes: ['203.0.113.5'] }), rule('a', 200)],
      { source: undefined },
      'allow',
      'a',
    ],
    [
      'a prefix asked for must be let in whole',
      [rule('s', 100, { sourcePrefixes: ['203.0.113.5'] })],
      { source: '203.0.113.0/24' },
      'unsure',
      'DenyAllInBound',
    ],
    [
      'a wider rule lets a prefix in',
      [rule('s', 100, { sourcePrefixes: ['203.0.0.0/16'] })],
      { source: '203.0.113.0/24' },
      'allow',
      's',
    ],
    [
      'everybody asked for is let in by Internet',
      [rule('i', 100, { sourcePrefixes: ['Internet'] })],
      { source: '*' },
      'allow',
      'i',
    ],
  ];
  it.each(table)('%s', (_, own, change, access, decidedBy) => {
    const decision = decideInbound([...own, ...DEFAULTS], { ...FROM, ...change });
    expect([decision.access, decision.rule?.name]).toEqual([access, decidedBy]);
  });

  it('denies when a group has no rules at all', () => {
    expect(decideInbound([], FROM)).toEqual({ access: 'deny' });
  });
});

describe('a priority that wins', () => {
  const table: readonly [string, readonly SecurityRule[], number | undefined][] = [
    ['is 1000 when only the defaults deny', [], 1000],
    ['skips those that are taken', [rule('x', 1000, { destinationPorts: ['443'] })], 1010],
    ['comes before a deny that matches', [deny('d', 500)], 499],
    ['ignores a deny of another port', [deny('d', 500, { destinationPorts: ['22'] })], 1000],
    ['ignores a deny of another source', [deny('d', 500, { sourcePrefixes: ['198.51.100.0/24'] })], 1000],
    [
      'takes the next free one before the deny',
      [deny('d', 500), rule('x', 499, { destinationPorts: ['1'] })],
      498,
    ],
    ['may be the very first', [deny('d', 101)], 100],
    ['does not exist before 100', [deny('d', 100)], undefined],
  ];
  it.each(table)('%s', (_, own, priority) => {
    expect(winningPriority([...own, ...DEFAULTS], FROM)).toBe(priority);
  });

  it('is proven by deciding again', () => {
    const own = [deny('d', 700, { sourcePrefixes: ['203.0.0.0/8'] }), ...DEFAULTS];
    const priority = winningPriority(own, FROM) ?? 0;
    expect(decideInbound([...own, rule('new', priority)], FROM).rule?.name).toBe('new');
    expect(deniesAgainst(own, FROM).map((one) => one.name)).toEqual(['d', 'DenyAllInBound']);
  });
});
