/** IPv4 ranges, as Azure writes them: one address or a CIDR prefix. Pure arithmetic on unsigned 32-bit numbers. */
export interface IpRange {
  readonly first: number;
  readonly last: number;
}

const OCTETS = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

export function parseIp(text: string): number | undefined {
  const match = OCTETS.exec(text.trim());
  if (!match) return undefined;
  const bytes = match.slice(1).map(Number);
  if (bytes.some((byte) => byte > 255)) return undefined;
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

/** `10.0.0.0/8` or `10.1.2.3`; undefined for anything else. Host bits after the prefix are ignored, as Azure does for rules. */
export function parseIpRange(text: string): IpRange | undefined {
  const [address = '', bitsText, ...more] = text.trim().split('/');
  const value = parseIp(address);
  if (value === undefined || more.length > 0) return undefined;
  if (bitsText === undefined) return { first: value, last: value };
  if (!/^\d{1,2}$/.test(bitsText) || Number(bitsText) > 32) return undefined;
  const size = 2 ** (32 - Number(bitsText));
  const first = Math.floor(value / size) * size;
  return { first, last: first + size - 1 };
}

export function covers(outer: IpRange, inner: IpRange): boolean {
  return outer.first <= inner.first && inner.last <= outer.last;
}

export function overlap(one: IpRange, other: IpRange): boolean {
  return one.first <= other.last && other.first <= one.last;
}

const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16'];

/** `public` can be reached over the Internet under that very address. */
export function kindOfIp(text: string): 'loopback' | 'private' | 'public' | undefined {
  const value = parseIp(text);
  if (value === undefined) return undefined;
  const here = { first: value, last: value };
  const inside = (prefix: string) => {
    const range = parseIpRange(prefix);
    return range !== undefined && covers(range, here);
  };
  if (inside('127.0.0.0/8')) return 'loopback';
  return PRIVATE.some(inside) ? 'private' : 'public';
}
