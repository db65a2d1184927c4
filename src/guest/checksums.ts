/** The checksums of ext4's metadata, as the kernel computes them: no inversion at either end. */
export function crc32c(seed: number, bytes: Uint8Array): number {
  let sum = seed;
  for (const byte of bytes) sum = (CRC32C[(sum ^ byte) & 0xff] ?? 0) ^ (sum >>> 8);
  return sum >>> 0;
}

export function crc16(seed: number, bytes: Uint8Array): number {
  let sum = seed;
  for (const byte of bytes) sum = (CRC16[(sum ^ byte) & 0xff] ?? 0) ^ (sum >>> 8);
  return sum & 0xffff;
}

const CRC32C = reflectedTable(0x82f63b78);
const CRC16 = reflectedTable(0xa001);

function reflectedTable(polynomial: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, index) => {
    let sum = index;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ polynomial : sum >>> 1;
    return sum;
  });
}
