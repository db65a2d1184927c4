import { PAGE_BYTES } from './chunks.ts';
import { advance, get, i32, op, set, unsigned, wasmModule } from './wasm-code.ts';

/**
 * The machine code of the page signer: a tenth of a second of processor time for a GiB is what a scan may cost.
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
  const words = HASH;
  const vectors = SECOND - HASH;
  return wasmModule({ name: 'sign', parameters: 1, words, vectors, pages: layout.pages, body: body(layout) });
}
