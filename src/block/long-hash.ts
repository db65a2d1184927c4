import { advance, get, i32, op, set, wasmModule } from './wasm-code.ts';

/**
 * XXH3 with 128 bits, as its specification defines it for more than 240 bytes with the usual secret and no seed: the same
 * sums as any other implementation, at several times the speed of one without vectors. Keeps nothing between calls.
 */
export const LONG_HASH_BYTES_MIN = 241;

const WASM_PAGE_BYTES = 65_536;
const SUMS_AT = 0;
const PRIME_AT = 64;
const SECRET_AT = 128;
const DATA_AT = WASM_PAGE_BYTES;
const STRIPE_BYTES = 64;
const SECRET_BYTES = 192;
const BLOCK_STRIPES = (SECRET_BYTES - STRIPE_BYTES) / 8;
const BLOCK_BYTES = BLOCK_STRIPES * STRIPE_BYTES;
const MASK = (1n << 64n) - 1n;

const PRIME32_1 = 0x9e3779b1n;
const PRIME64_1 = 0x9e3779b185ebca87n;
const PRIME64_2 = 0xc2b2ae3d27d4eb4fn;
/** Where the eight sums begin. */
const BEGINNINGS = [
  0xc2b2ae3dn,
  PRIME64_1,
  PRIME64_2,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x85ebca77n,
  0x27d4eb2f165667c5n,
  PRIME32_1,
];
const AVALANCHE = 0x165667919e3779f9n;
const SECRET = Buffer.from(
  'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221' +
    'b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8' +
    'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb' +
    '170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
  'hex',
);

/** Arguments of the machine code: where the data are, whole blocks, then stripes, and the secret of the first of those. */
const AT = 0;
const BLOCKS = 1;
const STRIPES = 2;
const KEY = 3;
/** Ours. */
const BLOCK_KEY = 4;
const SUMS = [5, 6, 7, 8] as const;
const DATA = 9;
const KEYED = 10;

const SWAPPED = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];
/** The lower halves of both longs side by side, and the upper ones. */
const LOWER = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11];
const UPPER = [4, 5, 6, 7, 12, 13, 14, 15, 4, 5, 6, 7, 12, 13, 14, 15];

function stripe(key: number): number[] {
  const twice = (local: number, bytes: readonly number[]) => [
    ...get(local),
    ...get(local),
    ...op.shuffle(bytes),
  ];
  return SUMS.flatMap((sum, index) => [
    ...[...get(AT), ...op.load(index * 16), ...set(DATA)],
    ...[...get(DATA), ...get(key), ...op.load(index * 16), ...op.xor, ...set(KEYED)],
    ...[...get(sum), ...twice(DATA, SWAPPED), ...op.addLongs],
    ...[...twice(KEYED, LOWER), ...twice(KEYED, UPPER), ...op.multiplyLow, ...op.addLongs, ...set(sum)],
  ]);
}

function scramble(): number[] {
  const secret = SECRET_AT + SECRET_BYTES - STRIPE_BYTES;
  return SUMS.flatMap((sum, index) => [
    ...[...get(sum), ...get(sum), ...i32(47), ...op.shiftRightLongs, ...op.xor],
    ...[...i32(0), ...op.load(secret + index * 16), ...op.xor],
    ...[...i32(0), ...op.load(PRIME_AT), ...op.multiplyLongs, ...set(sum)],
  ]);
}

function body(): number[] {
  const eachSum = (act: (sum: number, offset: number) => number[]) =>
    SUMS.flatMap((sum, index) => act(sum, SUMS_AT + index * 16));
  return [
    ...eachSum((sum, offset) => [...i32(0), ...op.load(offset), ...set(sum)]),
    ...[...get(BLOCKS), ...op.ifOnly, ...op.loop],
    ...[...i32(SECRET_AT), ...set(BLOCK_KEY), ...op.loop],
    ...[...stripe(BLOCK_KEY), ...advance(AT, STRIPE_BYTES), ...advance(BLOCK_KEY, 8)],
    ...[
      ...get(BLOCK_KEY),
      ...i32(SECRET_AT + BLOCK_STRIPES * 8),
      ...op.less32,
      ...op.branchIfToLoop,
      ...op.end,
    ],
    ...[...scramble(), ...advance(BLOCKS, -1), ...get(BLOCKS), ...op.branchIfToLoop, ...op.end, ...op.end],
    ...[...get(STRIPES), ...op.ifOnly, ...op.loop],
    ...[...stripe(KEY), ...advance(AT, STRIPE_BYTES), ...advance(KEY, 8)],
    ...[...advance(STRIPES, -1), ...get(STRIPES), ...op.branchIfToLoop, ...op.end, ...op.end],
    ...eachSum((sum, offset) => [...i32(0), ...get(sum), ...op.store(offset)]),
    ...op.end,
  ];
}

interface HashExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  add(at: number, blocks: number, stripes: number, key: number): void;
}

/** Of the runtime, which has it without types when the DOM is left out. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: object };
};

export class LongHash {
  readonly #exports: HashExports;
  readonly #sums: BigUint64Array;
  /** What is hashed is put here, from its beginning on. */
  readonly data: Buffer;

  constructor(bytesMax: number) {
    const pages = 1 + Math.ceil(bytesMax / WASM_PAGE_BYTES);
    const code = wasmModule({ name: 'add', parameters: 4, words: 1, vectors: 6, pages, body: body() });
    this.#exports = new WebAssembly.Instance(new WebAssembly.Module(code)).exports as HashExports;
    const { buffer } = this.#exports.memory;
    const memory = Buffer.from(buffer);
    memory.set(SECRET, SECRET_AT);
    memory.writeBigUInt64LE(PRIME32_1, PRIME_AT);
    memory.writeBigUInt64LE(PRIME32_1, PRIME_AT + 8);
    this.#sums = new BigUint64Array(buffer, SUMS_AT, BEGINNINGS.length);
    this.data = memory.subarray(DATA_AT, DATA_AT + bytesMax);
  }

  /** Of the first `length` bytes of `data`, at least LONG_HASH_BYTES_MIN. Sixteen bytes, in the canonical order. */
  digest(length: number): Uint8Array {
    if (length < LONG_HASH_BYTES_MIN || length > this.data.length) {
      throw new RangeError(`${length} bytes cannot be hashed here`);
    }
    this.#sums.set(BEGINNINGS);
    const blocks = Math.floor((length - 1) / BLOCK_BYTES);
    const stripes = Math.floor((length - 1 - blocks * BLOCK_BYTES) / STRIPE_BYTES);
    this.#exports.add(DATA_AT, blocks, stripes, SECRET_AT);
    const lastKey = SECRET_AT + SECRET_BYTES - STRIPE_BYTES - 7;
    this.#exports.add(DATA_AT + length - STRIPE_BYTES, 0, 1, lastKey);
    const bytes = BigInt(length);
    const result = Buffer.alloc(16);
    result.writeBigUInt64BE(this.#merge(SECRET_BYTES - STRIPE_BYTES - 11, ~(bytes * PRIME64_2) & MASK), 0);
    result.writeBigUInt64BE(this.#merge(11, (bytes * PRIME64_1) & MASK), 8);
    return result;
  }

  #merge(secretAt: number, start: bigint): bigint {
    let sum = start;
    for (let index = 0; index < 4; index++) {
      const key = SECRET.readBigUInt64LE(secretAt + index * 16);
      const nextKey = SECRET.readBigUInt64LE(secretAt + index * 16 + 8);
      const product = ((this.#sums[2 * index] ?? 0n) ^ key) * ((this.#sums[2 * index + 1] ?? 0n) ^ nextKey);
      sum = (sum + ((product & MASK) ^ (product >> 64n))) & MASK;
    }
    sum ^= sum >> 37n;
    sum = (sum * AVALANCHE) & MASK;
    return sum ^ (sum >> 32n);
  }
}
