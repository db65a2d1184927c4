/** IPv4 arithmetic for the address checks. */
export function ipv4ToNumber(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return value;
}

/** First and last address of a prefix like 10.0.1.0/24, as numbers. */
export function rangeOfPrefix(prefix: string): { first: number; last: number } | undefined {
  const [base, bits] = prefix.split('/');
  const start = ipv4ToNumber(base ?? '');
  if (start === undefined || !/^\d{1,2}$/.test(bits ?? '') || Number(bits) > 32) return undefined;
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(start / size) * size;
  return { first, last: first + size - 1 };
}

/** Azure keeps the first four addresses of a subnet and its last one for itself. */
export function isReserved(ip: number, range: { first: number; last: number }): boolean {
  return ip < range.first + 4 || ip === range.last;
}
