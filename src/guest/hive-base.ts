/** The base block of a hive or of its logs: 512 bytes that count, with a checksum over all but the last four of them. */
export const BASE_BYTES = 512;
const CHECKSUM_AT = 508;

export function baseChecksum(base: Buffer): number {
  let sum = 0;
  for (let at = 0; at < CHECKSUM_AT; at += 4) sum ^= base.readUInt32LE(at);
  sum >>>= 0;
  return sum === 0 ? 1 : sum === 0xffffffff ? 0xfffffffe : sum;
}

export function isWholeBase(base: Buffer): boolean {
  return (
    base.length >= BASE_BYTES &&
    base.toString('latin1', 0, 4) === 'regf' &&
    base.readUInt32LE(CHECKSUM_AT) === baseChecksum(base)
  );
}

export function sealBase(base: Buffer): void {
  base.writeUInt32LE(baseChecksum(base), CHECKSUM_AT);
}

/** A write of the hive began and did not end, or the block itself is torn. */
export function isDirtyBase(base: Buffer): boolean {
  return !isWholeBase(base) || base.readUInt32LE(4) !== base.readUInt32LE(8);
}
