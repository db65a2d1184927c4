/**
 * The pieces from which small WebAssembly modules are put together here: 128-bit instructions do in one step what takes
 * JavaScript twenty. Every piece is bytes of the binary format, in the order of the stack machine.
 */
const I32 = 0x7f;
const V128 = 0x7b;
const BLOCK_WITHOUT_RESULT = 0x40;

/** The binary format's little-endian base-128 numbers; constants are signed. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (; left > 0x7f; left = Math.floor(left / 128)) bytes.push((left & 0x7f) | 0x80);
  return [...bytes, left];
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (;;) {
    const low = left & 0x7f;
    left >>= 7;
    if ((left === 0 && !(low & 0x40)) || (left === -1 && low & 0x40)) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}

const vector = (opcode: number, ...rest: number[]) => [0xfd, ...unsigned(opcode), ...rest];
export const get = (local: number) => [0x20, ...unsigned(local)];
export const set = (local: number) => [0x21, ...unsigned(local)];
export const i32 = (value: number) => [0x41, ...signed(value)];
export const advance = (local: number, by: number) => [...get(local), ...i32(by), ...op.add32, ...set(local)];

export const op = {
  loop: [0x03, BLOCK_WITHOUT_RESULT],
  /** Leaves an i32. */
  if: [0x04, I32],
  ifOnly: [0x04, BLOCK_WITHOUT_RESULT],
  else: [0x05],
  end: [0x0b],
  branchIfToLoop: [0x0d, 0],
  add32: [0x6a],
  less32: [0x49],
  same32: [0x46],
  select: [0x1b],
  store32: [0x36, 2, 0],
  load64: [0x29, 3],
  add64: [0x7c],
  multiply64: [0x7e],
  shiftRight64: [0x88],
  wrap: [0xa7],
  const64: [0x42],
  load: (offset: number) => vector(0x00, 4, ...unsigned(offset)),
  store: (offset: number) => vector(0x0b, 4, ...unsigned(offset)),
  zero: vector(0x0c, ...Array.from({ length: 16 }, () => 0)),
  /** Of two vectors' bytes, these. */
  shuffle: (bytes: readonly number[]) => vector(0x0d, ...bytes),
  or: vector(0x50),
  xor: vector(0x51),
  anyTrue: vector(0x53),
  addWords: vector(0xae),
  shiftRightLongs: vector(0xcd),
  addLongs: vector(0xce),
  multiplyLongs: vector(0xd5),
  multiplyLow: vector(0xde),
  multiplyHigh: vector(0xdf),
  longOf: (lane: number) => vector(0x1d, lane),
};

/** One function of so many i32, and its memory. */
export function wasmModule(parts: {
  readonly name: string;
  readonly parameters: number;
  /** Behind the parameters: so many i32, then so many vectors. */
  readonly words: number;
  readonly vectors: number;
  /** 64 KiB each. */
  readonly pages: number;
  readonly body: readonly number[];
}): Uint8Array {
  const { parameters, words, vectors, pages, body } = parts;
  const section = (id: number, content: readonly number[]) => [id, ...unsigned(content.length), ...content];
  const name = (text: string) => [...unsigned(text.length), ...Buffer.from(text, 'latin1')];
  const locals = [2, ...unsigned(words), I32, ...unsigned(vectors), V128];
  const code = [...locals, ...body];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, ...unsigned(parameters), ...Array.from({ length: parameters }, () => I32), 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 1, ...unsigned(pages), ...unsigned(pages)]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name(parts.name), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
}
