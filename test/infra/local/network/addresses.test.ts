import { describe, expect, it } from 'vitest';
import {
  contains,
  formatAddress,
  freeAddresses,
  isReserved,
  overlaps,
  parseAddress,
  parsePrefix,
  usableCount,
} from '../../../../infra/local/network/addresses.ts';

function prefix(text: string) {
  const parsed = parsePrefix(text);
  if (!parsed) throw new Error(`not a prefix: ${text}`);
  return parsed;
}

describe('IPv4 addresses', () => {
  it('reads and writes addresses above 127 without a sign error', () => {
    expect(parseAddress('255.255.255.254')).toBe(4294967294);
    expect(formatAddress(4294967294)).toBe('255.255.255.254');
    for (const text of ['256.0.0.1', '1.2.3', '1.2.3.4.5', '', ' 1.2.3.4', 'a.b.c.d']) {
      expect(parseAddress(text)).toBeUndefined();
    }
  });

  it('takes only prefixes that begin at their own network address', () => {
    expect(parsePrefix('10.0.0.0/8')).toEqual({ first: 167772160, last: 184549375, bits: 8 });
    expect(parsePrefix('0.0.0.0/0')?.last).toBe(4294967295);
    for (const text of ['10.0.0.1/24', '10.0.0.0/33', '10.0.0.0', '10.0.0.0/24/1', '10.0.0.0/']) {
      expect(parsePrefix(text)).toBeUndefined();
    }
  });

  it('tells containment from mere overlap', () => {
    expect(contains(prefix('10.0.0.0/16'), prefix('10.0.255.0/24'))).toBe(true);
    expect(contains(prefix('10.0.0.0/16'), prefix('10.1.0.0/24'))).toBe(false);
    expect(contains(prefix('10.0.0.0/24'), prefix('10.0.0.0/16'))).toBe(false);
    expect(overlaps(prefix('10.0.0.0/24'), prefix('10.0.0.0/16'))).toBe(true);
    expect(overlaps(prefix('10.0.0.0/25'), prefix('10.0.0.128/25'))).toBe(false);
  });

  it('reserves the first four addresses and the last of a subnet', () => {
    const subnet = prefix('10.1.2.0/29');
    const reserved = [0, 1, 2, 3, 4, 5, 6, 7].filter((offset) => isReserved(subnet, subnet.first + offset));
    expect(reserved).toEqual([0, 1, 2, 3, 7]);
    expect(usableCount(subnet)).toBe(3);
    const taken = new Set([subnet.first + 4]);
    expect(freeAddresses(subnet, taken, 5).map(formatAddress)).toEqual(['10.1.2.5', '10.1.2.6']);
  });
});
