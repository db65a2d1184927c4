import { PAGE_BYTES } from './chunks.ts';

/**
 * The machine code of the page signer, as a WebAssembly module that is put together here: 128-bit instructions do in
 * one step what takes JavaScript twenty, and a tenth of a second of processor time for a GiB is what a scan may cost.
 *
 *   sign(pages): for each page p of the chunk
 *     NH = sum over words (i, i + 4 in each 32 bytes) of (m[i] + k[i]) * (m[i + 4] + k[i + 4]), mod 2^64
 *     out[p] = all words are zero ? 0 : max(1, high 32 bits of NH * multiplier)
 */
export interface SignerLayout {
  readonly keyAt: number;
  readonly multiplierAt: number;
  readonly chunkAt: number;
  readonly outAt: number;
  /** Of the memory, 64 KiB each. */
  readonly pages: number;
}

const I32 = 0x7f;
const V128 = 0x7b;
const BLOCK_WITHOUT_RESULT = 0x40;

/** The binary format's little-endian base-128 numbers; constants are signed. */
function unsigned(value: number): number[] {
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
const get = (local: number) => [0x20, ...unsigned(local)];
const set = (local: number) => [0x21, ...unsigned(local)];
const i32 = (value: number) => [0x41, ...signed(value)];
const op = {
  loop: [0x03, BLOCK_WITHOUT_RESULT],
  if: [0x04, I32],
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
  zero: vector(0x0c, ...Array.from({ length: 16 }, () => 0)),
  or: vector(0x50),
  anyTrue: vector(0x53),
  addWords: vector(0xae),
  addLongs: vector(0xce),
  multiplyLow: vector(0xde),
  multiplyHigh: vector(0xdf),
  longOf: (lane: number) => vector(0x1d, lane),
};

/** Locals: 0 pages left of the call's argument, then ours. */
const ARGUMENT = 0;
const PAGE = 1;
const AT = 2;
const END = 3;
const KEY = 4;
const OUT = 5;
const HASH = 6;
const SUM_LOW = 7;
const SUM_HIGH = 8;
const ANY = 9;
const FIRST = 10;
const SECOND = 11;

/** 32 bytes of message and key. */
function step(offset: number): number[] {
  const word = (local: number, at: number) => [
    ...get(AT),
    ...op.load(at),
    ...set(local),
    ...get(ANY),
    ...get(local),
    ...op.or,
    ...set(ANY),
    ...get(local),
    ...get(KEY),
    ...op.load(at),
    ...op.addWords,
    ...set(local),
  ];
  const multiply = (sum: number, opcode: number[]) => [
    ...get(sum),
    ...get(FIRST),
    ...get(SECOND),
    ...opcode,
    ...op.addLongs,
    ...set(sum),
  ];
  return [
    ...word(FIRST, offset),
    ...word(SECOND, offset + 16),
    ...multiply(SUM_LOW, op.multiplyLow),
    ...multiply(SUM_HIGH, op.multiplyHigh),
  ];
}

const STEPS = [0, 32, 64, 96];
const STEP_BYTES = 128;

function body(layout: SignerLayout): number[] {
  const advance = (local: number, by: number) => [...get(local), ...i32(by), ...op.add32, ...set(local)];
  return [
    ...[...i32(layout.chunkAt), ...set(AT), ...i32(layout.outAt), ...set(OUT), ...i32(0), ...set(PAGE)],
    ...op.loop,
    ...[SUM_LOW, SUM_HIGH, ANY].flatMap((sum) => [...op.zero, ...set(sum)]),
    ...[...get(AT), ...i32(PAGE_BYTES), ...op.add32, ...set(END), ...i32(layout.keyAt), ...set(KEY)],
    ...op.loop,
    ...STEPS.flatMap(step),
    ...advance(KEY, STEP_BYTES),
    ...advance(AT, STEP_BYTES),
    ...[...get(AT), ...get(END), ...op.less32, ...op.branchIfToLoop],
    ...op.end,
    ...[...get(SUM_LOW), ...get(SUM_HIGH), ...op.addLongs, ...set(SUM_LOW)],
    // The address, then what goes there.
    ...get(OUT),
    ...[...get(ANY), ...op.anyTrue, ...op.if],
    ...[...get(SUM_LOW), ...op.longOf(0), ...get(SUM_LOW), ...op.longOf(1), ...op.add64],
    ...[...i32(0), ...op.load64, ...unsigned(layout.multiplierAt), ...op.multiply64],
    ...[...op.const64, 32, ...op.shiftRight64, ...op.wrap, ...set(HASH)],
    // A hash of 0 would say that the page is all zeros: 1 stands for it.
    ...[...get(HASH), ...i32(1), ...get(HASH), ...op.select],
    ...[...op.else, ...i32(0), ...op.end],
    ...op.store32,
    ...advance(OUT, 4),
    ...advance(PAGE, 1),
    ...[...get(PAGE), ...get(ARGUMENT), ...op.less32, ...op.branchIfToLoop],
    ...op.end,
    ...op.end,
  ];
}

export function signerModule(layout: SignerLayout): Uint8Array {
  const section = (id: number, content: number[]) => [id, ...unsigned(content.length), ...content];
  const name = (text: string) => [...unsigned(text.length), ...Buffer.from(text, 'latin1')];
  const locals = [2, ...unsigned(HASH), I32, ...unsigned(SECOND - HASH), V128];
  const code = [...locals, ...body(layout)];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, I32, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 1, ...unsigned(layout.pages), ...unsigned(layout.pages)]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('sign'), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
}
