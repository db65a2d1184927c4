/** IPv4 arithmetic and the choice of addresses in a subnet. Pure; addresses are unsigned 32-bit numbers inside. */
export interface Prefix {
  readonly first: number;
  readonly last: number;
  readonly bits: number;
}

export function parseAddress(text: string): number | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!parts) return undefined;
  let value = 0;
  for (const part of parts.slice(1)) {
    const byte = Number(part);
    if (byte > 255) return undefined;
    value = value * 256 + byte;
  }
  return value;
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** A prefix in the form Azure takes: the address must be the network's own (`10.0.0.1/24` is none). */
export function parsePrefix(text: string): Prefix | undefined {
  const [address, bitsText, ...rest] = text.split('/');
  if (rest.length > 0 || address === undefined || !/^\d{1,2}$/.test(bitsText ?? '')) return undefined;
  const first = parseAddress(address);
  const bits = Number(bitsText);
  if (first === undefined || bits > 32) return undefined;
  const size = 2 ** (32 - bits);
  if (first % size !== 0) return undefined;
  return { first, last: first + size - 1, bits };
}

export function contains(outer: Prefix, inner: Prefix): boolean {
  return inner.first >= outer.first && inner.last <= outer.last;
}

export function overlaps(one: Prefix, other: Prefix): boolean {
  return one.first <= other.last && other.first <= one.last;
}

export function holds(prefix: Prefix, address: number): boolean {
  return address >= prefix.first && address <= prefix.last;
}

/** Azure keeps the first four addresses and the last one of each subnet for itself. */
export function isReserved(subnet: Prefix, address: number): boolean {
  return holds(subnet, address) && (address < subnet.first + 4 || address === subnet.last);
}

export function usableCount(subnet: Prefix): number {
  return Math.max(0, subnet.last - subnet.first + 1 - 5);
}

/** The lowest free addresses, at most `countMax`, in ascending order. */
export function freeAddresses(subnet: Prefix, taken: ReadonlySet<number>, countMax: number): number[] {
  const free: number[] = [];
  for (let address = subnet.first + 4; address < subnet.last && free.length < countMax; address += 1) {
    if (!taken.has(address)) free.push(address);
  }
  return free;
}
