import { describe, expect, it } from 'vitest';
import {
  admittedRanges,
  decideInbound,
  type Flow,
  parsePorts,
  type Rule,
} from '../../../../infra/local/network/security.ts';

const OUTSIDE: Flow = {
  protocol: 'Tcp',
  sourceAddress: '203.0.113.9',
  sourcePort: 50000,
  destinationAddress: '10.0.0.4',
  destinationPort: 25000,
};

function rule(priority: number, access: Rule['access'], change: Partial<Rule> = {}): Rule {
  return {
    name: `r${priority}`,
    priority,
    direction: 'Inbound',
    access,
    protocol: 'Tcp',
    sources: ['*'],
    sourcePorts: ['*'],
    destinations: ['*'],
    destinationPorts: ['25000'],
    ...change,
  };
}

function decide(subnetRules: Rule[] | undefined, nicRules: Rule[] | undefined, change: Partial<Flow> = {}) {
  const filter = { subnetRules, nicRules, networkPrefixes: ['10.0.0.0/16'] };
  return decideInbound(filter, { ...OUTSIDE, ...change });
}

describe('effective network security', () => {
  it('filters nothing where there is no group', () => {
    expect(decide(undefined, undefined)).toEqual({ allowed: true });
  });

  it('denies by default from outside, and lets in from inside the network and from the load balancer', () => {
    expect(decide(undefined, [])).toMatchObject({
      allowed: false,
      by: 'nic',
      rule: { name: 'DenyAllInBound' },
    });
    expect(decide([], undefined)).toMatchObject({ allowed: false, by: 'subnet' });
    expect(decide([], [], { sourceAddress: '10.0.9.9' })).toMatchObject({
      allowed: true,
      rule: { name: 'AllowVnetInBound' },
    });
    expect(decide([], [], { sourceAddress: '168.63.129.16' }).rule?.name).toBe(
      'AllowAzureLoadBalancerInBound',
    );
  });

  it('needs both groups to allow, and asks the subnet first', () => {
    const open = [rule(300, 'Allow')];
    expect(decide(open, open).allowed).toBe(true);
    expect(decide(open, [])).toMatchObject({ allowed: false, by: 'nic' });
    expect(decide([], open)).toMatchObject({ allowed: false, by: 'subnet' });
  });

  it('lets the lowest priority number decide, whatever the order in the list', () => {
    expect(decide(undefined, [rule(200, 'Allow'), rule(100, 'Deny')]).rule?.name).toBe('r100');
    expect(decide(undefined, [rule(200, 'Deny'), rule(100, 'Allow')]).allowed).toBe(true);
  });

  it('matches sources by tag, prefix, list and single address', () => {
    const from = (sources: string[], sourceAddress: string) =>
      decide(undefined, [rule(100, 'Allow', { sources })], { sourceAddress }).allowed;
    expect(from(['Internet'], '203.0.113.9')).toBe(true);
    expect(from(['Internet'], '127.0.0.1')).toBe(true);
    expect(from(['203.0.113.0/24'], '203.0.113.9')).toBe(true);
    expect(from(['203.0.114.0/24'], '203.0.113.9')).toBe(false);
    expect(from(['192.0.2.1', '203.0.113.9'], '203.0.113.9')).toBe(true);
    expect(from(['VirtualNetwork'], '203.0.113.9')).toBe(false);
    expect(from(['Storage'], '203.0.113.9')).toBe(false);
  });

  it('does not apply an Internet rule to traffic from inside the network', () => {
    const denied = decide(undefined, [rule(100, 'Deny', { sources: ['Internet'] })], {
      sourceAddress: '10.0.1.1',
    });
    expect(denied).toMatchObject({ allowed: true, rule: { name: 'AllowVnetInBound' } });
  });

  it('matches protocol, port lists and ranges, and ignores outbound rules', () => {
    const allowed = (change: Partial<Rule>, flow: Partial<Flow> = {}) =>
      decide(undefined, [rule(100, 'Allow', change)], flow).allowed;
    expect(allowed({ protocol: 'TCP' })).toBe(true);
    expect(allowed({ protocol: 'Udp' })).toBe(false);
    expect(allowed({ protocol: '*' }, { protocol: 'Udp' })).toBe(true);
    expect(allowed({ destinationPorts: ['80', '24999-25001'] })).toBe(true);
    expect(allowed({ destinationPorts: ['80'] })).toBe(false);
    expect(allowed({ direction: 'Outbound' })).toBe(false);
    expect(allowed({ sourcePorts: ['1-1024'] })).toBe(false);
  });

  it('lists the port ranges that could be reachable at all', () => {
    const filter = {
      subnetRules: undefined,
      nicRules: [
        rule(100, 'Allow', { destinationPorts: ['22', '8000-8002'] }),
        rule(110, 'Allow', { protocol: 'Udp', destinationPorts: ['53'] }),
        rule(120, 'Deny', { destinationPorts: ['443'] }),
      ],
      networkPrefixes: [],
    };
    expect(admittedRanges(filter)).toEqual([
      { from: 22, to: 22 },
      { from: 8000, to: 8002 },
    ]);
    expect(admittedRanges({ ...filter, nicRules: undefined })).toEqual([{ from: 0, to: 65535 }]);
    expect(parsePorts('90-80')).toBeUndefined();
    expect(parsePorts('65536')).toBeUndefined();
  });
});
