import { createHash } from 'node:crypto';
import { CHUNK_BYTES, PAGE_BYTES, PAGES_PER_CHUNK } from './chunks.ts';
import { signerModule } from './page-signer-module.ts';

/**
 * Short signatures that tell which 4 KiB pages of two chunks differ. They are the NH hash of UMAC (RFC 4418) under a
 * key that the appliance draws and the master's users never see: whatever two pages hold, they share a signature with a
 * chance of about one in a thousand million. The proof at the end finds even that.
 * A signature of 0 means: all zeros, and no other page has it. Reads only; keeps nothing.
 */
export const SIGNATURE_BYTES = 4;

const WASM_PAGE_BYTES = 65_536;
/** Room before the chunk, where a frame's headers go, so that it is sent from where it was read. */
const CHUNK_AT = WASM_PAGE_BYTES;
const KEY_AT = 0;
const MULTIPLIER_AT = PAGE_BYTES;
const OUT_AT = PAGE_BYTES + 64;
const PAGES = 2 + CHUNK_BYTES / WASM_PAGE_BYTES;

interface SignerExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  sign(pages: number): void;
}

/** Of the runtime, which has it without types when the DOM is left out. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: object };
};

/** The words that a key stands for. */
export type SigningKey = Uint8Array;

export function signingKey(key: string): SigningKey {
  const words = createHash('shake256', { outputLength: PAGE_BYTES + 8 })
    .update(key)
    .digest();
  words[PAGE_BYTES] = (words[PAGE_BYTES] ?? 0) | 1; // The multiplier is odd.
  return words;
}

let compiled: object | undefined;

export class PageSigner {
  readonly #exports: SignerExports;
  readonly #memory: Buffer;
  readonly #out: Uint32Array;
  /** A chunk is read into it; what lies behind a short last chunk is made zero by `sign`. */
  readonly chunk: Buffer;

  constructor(key: string | SigningKey) {
    compiled ??= new WebAssembly.Module(
      signerModule({
        keyAt: KEY_AT,
        multiplierAt: MULTIPLIER_AT,
        chunkAt: CHUNK_AT,
        outAt: OUT_AT,
        pages: PAGES,
      }),
    );
    this.#exports = new WebAssembly.Instance(compiled).exports as SignerExports;
    this.#memory = Buffer.from(this.#exports.memory.buffer);
    this.#out = new Uint32Array(this.#exports.memory.buffer, OUT_AT, PAGES_PER_CHUNK);
    this.chunk = this.#memory.subarray(CHUNK_AT, CHUNK_AT + CHUNK_BYTES);
    this.use(typeof key === 'string' ? signingKey(key) : key);
  }

  /** From the next `sign` on. */
  use(key: SigningKey): void {
    this.#memory.set(key, KEY_AT);
  }

  /** Of the pages of `chunk`, of which `length` bytes count. The answer is overwritten by the next call. */
  sign(length: number): Uint32Array {
    const pages = Math.ceil(length / PAGE_BYTES);
    this.chunk.fill(0, length, pages * PAGE_BYTES);
    this.#exports.sign(pages);
    this.#out.fill(0, pages);
    return this.#out;
  }

  /** The `bytes` before the chunk and all of it: what a block is framed in. */
  withRoom(bytes: number): Buffer {
    return this.#memory.subarray(CHUNK_AT - bytes, CHUNK_AT + CHUNK_BYTES);
  }
}
