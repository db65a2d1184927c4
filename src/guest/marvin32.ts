/** The hash that Windows seals log entries of a hive with: 64 bits from two halves of 32. */
export interface Halves {
  readonly low: number;
  readonly high: number;
}

export function marvin32({ low, high }: Halves, bytes: Buffer): Halves {
  let [lo, hi] = [low | 0, high | 0];
  const mix = (block: number) => {
    lo = (lo + block) | 0;
    hi ^= lo;
    lo = ((lo << 20) | (lo >>> 12)) + hi;
    hi = ((hi << 9) | (hi >>> 23)) ^ lo;
    lo = ((lo << 27) | (lo >>> 5)) + hi;
    hi = (hi << 19) | (hi >>> 13);
  };
  const whole = bytes.length - (bytes.length % 4);
  for (let at = 0; at < whole; at += 4) mix(bytes.readInt32LE(at));
  const last = Buffer.alloc(4);
  bytes.copy(last, 0, whole);
  last[bytes.length - whole] = 0x80;
  mix(last.readInt32LE(0));
  mix(0);
  return { low: lo >>> 0, high: hi >>> 0 };
}
