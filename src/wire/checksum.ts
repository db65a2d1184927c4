import { createXXHash128, type IHasher } from 'hash-wasm';

/**
 * The checksum of a block (XXH128 over its page map and its packed data) and of a batch of changes. TLS already keeps bytes whole between the
 * kernels; this one catches what goes wrong in memory, in (de)compression and in our own code, before the disk is
 * touched. It is no proof against an enemy; the digests at the end are.
 */
export const CHECKSUM_BYTES = 16;

/** Over the parts as if they were one. */
export type Checksum = (...parts: readonly Uint8Array[]) => Uint8Array;

/** One hasher is used again and again: nothing is allocated for a block but its 16 bytes. */
export async function makeChecksum(): Promise<Checksum> {
  const hasher: IHasher = await createXXHash128();
  return (...parts) => {
    hasher.init();
    for (const part of parts) hasher.update(part);
    return hasher.digest('binary');
  };
}
