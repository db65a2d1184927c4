import { createXXHash128, type IHasher } from 'hash-wasm';
import { LONG_HASH_BYTES_MIN, LongHash } from '../block/long-hash.ts';
import { LIMITS } from './limits.ts';

/**
 * The checksum of a block (XXH128 over its page map and its packed data) and of a batch of changes. TLS already keeps bytes whole between the
 * kernels; this one catches what goes wrong in memory, in (de)compression and in our own code, before the disk is
 * touched. It is no proof against an enemy; the digests at the end are.
 */
export const CHECKSUM_BYTES = 16;

/** Over the parts as if they were one. */
export type Checksum = (...parts: readonly Uint8Array[]) => Uint8Array;

/** One hasher of each kind is used again and again: nothing is allocated for a block but its 16 bytes. */
export async function makeChecksum(): Promise<Checksum> {
  const hasher: IHasher = await createXXHash128();
  const long = new LongHash(LIMITS.changesBodyBytes);
  return (...parts) => {
    let length = 0;
    for (const part of parts) length += part.byteLength;
    if (length >= LONG_HASH_BYTES_MIN && length <= long.data.length) {
      let at = 0;
      for (const part of parts) {
        long.data.set(part, at);
        at += part.byteLength;
      }
      return long.digest(length);
    }
    hasher.init();
    for (const part of parts) hasher.update(part);
    return hasher.digest('binary');
  };
}
