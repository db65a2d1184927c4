import { marvin32 } from '../../src/guest/marvin32.ts';

/** Hives and their logs, written from the description of the format; hivex judges them before anything else does. */
export interface KeySpec {
  readonly values?: Readonly<Record<string, ValueSpec>>;
  readonly keys?: Readonly<Record<string, KeySpec>>;
}

export interface ValueSpec {
  readonly type: number;
  readonly data: Buffer;
}

export const dword = (value: number): ValueSpec => {
  const data = Buffer.alloc(4);
  data.writeUInt32LE(value);
  return { type: 4, data };
};
export const text = (value: string): ValueSpec => ({ type: 1, data: Buffer.from(`${value}\0`, 'utf16le') });
export const texts = (...lines: string[]): ValueSpec => ({
  type: 7,
  data: Buffer.from(`${lines.map((line) => `${line}\0`).join('')}\0`, 'utf16le'),
});
export const binary = (data: Buffer): ValueSpec => ({ type: 3, data });

type ListKind = 'lf' | 'lh' | 'li' | 'ri';

export interface HiveOptions {
  readonly list?: ListKind;
  readonly sequence?: number;
  /** The bins are filled up to this length. */
  readonly binsBytes?: number;
}

const NONE = 0xffffffff;
const PIECE_BYTES = 16344;

/** All cells lie in one bin. */
export function hiveOf(root: KeySpec, { list = 'lh', sequence = 1, binsBytes }: HiveOptions = {}): Buffer {
  const cells = new Cells(list);
  const security = cells.add(securityCell());
  const rootAt = cells.key('ROOT', root, 0, security);
  const bins = cells.bin(binsBytes);
  const base = Buffer.alloc(4096);
  base.write('regf', 0, 'latin1');
  base.writeUInt32LE(sequence, 4);
  base.writeUInt32LE(sequence, 8);
  base.writeBigUInt64LE(133_000_000_000_000_000n, 12);
  for (const [at, value] of [
    [20, 1],
    [24, 5],
    [32, 1],
    [36, rootAt],
    [40, bins.length],
    [44, 1],
  ] as const) {
    base.writeUInt32LE(value, at);
  }
  base.write('SYSTEM', 48, 'utf16le');
  seal(base);
  return Buffer.concat([base, bins]);
}

export function seal(base: Buffer): void {
  let sum = 0;
  for (let at = 0; at < 508; at += 4) sum = (sum ^ base.readUInt32LE(at)) >>> 0;
  base.writeUInt32LE(sum === 0 ? 1 : sum === 0xffffffff ? 0xfffffffe : sum, 508);
}

class Cells {
  readonly #list: ListKind;
  readonly #cells: Buffer[] = [];
  #at = 32;

  constructor(list: ListKind) {
    this.#list = list;
  }

  add(content: Buffer): number {
    const at = this.#at;
    const cell = Buffer.alloc(Math.ceil((content.length + 4) / 8) * 8);
    cell.writeInt32LE(-cell.length, 0);
    content.copy(cell, 4);
    this.#cells.push(cell);
    this.#at += cell.length;
    return at;
  }

  bin(binsBytes = 0): Buffer {
    const length = Math.max(binsBytes, Math.ceil((this.#at + 8) / 4096) * 4096);
    const head = Buffer.alloc(32);
    head.write('hbin', 0, 'latin1');
    head.writeUInt32LE(length, 8);
    const free = Buffer.alloc(length - this.#at);
    free.writeInt32LE(free.length, 0);
    return Buffer.concat([head, ...this.#cells, free]);
  }

  key(name: string, { values = {}, keys = {} }: KeySpec, parent: number, security: number): number {
    const isLatin = /^[\x20-\xff]*$/.test(name);
    const raw = Buffer.from(name, isLatin ? 'latin1' : 'utf16le');
    const node = Buffer.alloc(76 + raw.length);
    const at = this.add(node);
    const cell = this.#cells.at(-1) ?? node;
    const subkeys = Object.entries(keys).sort(([a], [b]) => (a.toUpperCase() < b.toUpperCase() ? -1 : 1));
    const places = subkeys.map(([each, spec]) => ({ name: each, at: this.key(each, spec, at, security) }));
    const valueList = Object.entries(values).map(([each, spec]) => this.#value(each, spec));
    node.write('nk', 0, 'latin1');
    node.writeUInt16LE((isLatin ? 0x20 : 0) | (parent === 0 ? 0x0c : 0), 2);
    node.writeUInt32LE(parent === 0 ? NONE : parent, 16);
    node.writeUInt32LE(places.length, 20);
    node.writeUInt32LE(places.length ? this.#keyList(places) : NONE, 28);
    node.writeUInt32LE(NONE, 32);
    node.writeUInt32LE(valueList.length, 36);
    node.writeUInt32LE(valueList.length ? this.add(numbers(valueList)) : NONE, 40);
    node.writeUInt32LE(security, 44);
    node.writeUInt32LE(NONE, 48);
    node.writeUInt16LE(raw.length, 72);
    raw.copy(node, 76);
    node.copy(cell, 4);
    return at;
  }

  #keyList(places: readonly { name: string; at: number }[]): number {
    if (this.#list !== 'ri') return this.add(listCell(this.#list, places));
    const parts: number[] = [];
    for (let from = 0; from < places.length; from += 3) {
      parts.push(this.add(listCell(from % 2 ? 'lf' : 'lh', places.slice(from, from + 3))));
    }
    return this.add(Buffer.concat([head('ri', parts.length), numbers(parts)]));
  }

  #value(name: string, { type, data }: ValueSpec): number {
    const isLatin = /^[\x20-\xff]*$/.test(name);
    const raw = Buffer.from(name, isLatin ? 'latin1' : 'utf16le');
    const cell = Buffer.alloc(20 + raw.length);
    cell.write('vk', 0, 'latin1');
    cell.writeUInt16LE(raw.length, 2);
    cell.writeUInt32LE(data.length, 4);
    cell.writeUInt32LE(type, 12);
    cell.writeUInt16LE(isLatin ? 1 : 0, 16);
    raw.copy(cell, 20);
    if (data.length <= 4) {
      cell.writeUInt32LE(data.length + 0x80000000, 4);
      data.copy(cell, 8);
    } else {
      cell.writeUInt32LE(data.length > PIECE_BYTES ? this.#large(data) : this.add(data), 8);
    }
    return this.add(cell);
  }

  #large(data: Buffer): number {
    const pieces: number[] = [];
    for (let at = 0; at < data.length; at += PIECE_BYTES) {
      pieces.push(this.add(Buffer.concat([data.subarray(at, at + PIECE_BYTES), Buffer.alloc(4)])));
    }
    return this.add(Buffer.concat([head('db', pieces.length), numbers([this.add(numbers(pieces))])]));
  }
}

function listCell(kind: 'lf' | 'lh' | 'li', places: readonly { name: string; at: number }[]): Buffer {
  const rest = places.flatMap(({ name, at }) => (kind === 'li' ? [at] : [at, hintOf(kind, name)]));
  return Buffer.concat([head(kind, places.length), numbers(rest)]);
}

function hintOf(kind: 'lf' | 'lh', name: string): number {
  if (kind === 'lf') return Buffer.concat([Buffer.from(name, 'latin1'), Buffer.alloc(4)]).readUInt32LE(0);
  return [...name.toUpperCase()].reduce(
    (sum, letter) => (Math.imul(sum, 37) + letter.charCodeAt(0)) >>> 0,
    0,
  );
}

function head(kind: string, count: number): Buffer {
  const raw = Buffer.alloc(4);
  raw.write(kind, 0, 'latin1');
  raw.writeUInt16LE(count, 2);
  return raw;
}

function numbers(values: readonly number[]): Buffer {
  const raw = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) raw.writeUInt32LE(value, index * 4);
  return raw;
}

function securityCell(): Buffer {
  const cell = Buffer.alloc(40);
  cell.write('sk', 0, 'latin1');
  cell.writeUInt32LE(32, 4);
  cell.writeUInt32LE(32, 8);
  cell.writeUInt32LE(1, 12);
  cell.writeUInt32LE(20, 16);
  cell.writeUInt8(1, 20);
  cell.writeUInt16LE(0x8000, 22);
  return cell;
}

export interface LogSpec {
  /** Of its base block. */
  readonly sequence: number;
  readonly entries: readonly { readonly sequence: number; readonly from: Buffer; readonly to: Buffer }[];
}

/** A log in the format of Windows 8.1 and later: each entry carries the pages in which two states of a hive differ. */
export function logOf(hive: Buffer, { sequence, entries }: LogSpec): Buffer {
  const base = Buffer.from(hive.subarray(0, 512));
  base.writeUInt32LE(sequence, 4);
  base.writeUInt32LE(sequence, 8);
  base.writeUInt32LE(6, 28);
  seal(base);
  return Buffer.concat([base, ...entries.map(entryOf)]);
}

function entryOf({ sequence, from, to }: LogSpec['entries'][number]): Buffer {
  const pages: number[] = [];
  for (let at = 4096; at < to.length; at += 4096) {
    if (!to.subarray(at, at + 4096).equals(from.subarray(at, at + 4096))) pages.push(at);
  }
  const references = numbers(pages.flatMap((at) => [at - 4096, 4096]));
  const length = Math.ceil((40 + references.length + pages.length * 4096) / 512) * 512;
  const raw = Buffer.alloc(length);
  raw.write('HvLE', 0, 'latin1');
  for (const [at, value] of [
    [4, length],
    [12, sequence],
    [16, to.length - 4096],
    [20, pages.length],
  ] as const) {
    raw.writeUInt32LE(value, at);
  }
  references.copy(raw, 40);
  for (const [index, at] of pages.entries())
    to.copy(raw, 40 + references.length + index * 4096, at, at + 4096);
  for (const [at, over] of [
    [24, raw.subarray(40)],
    [32, raw.subarray(0, 32)],
  ] as const) {
    const { low, high } = marvin32({ low: 0x884def82, high: 0xc5554e7a }, over);
    raw.writeUInt32LE(low, at);
    raw.writeUInt32LE(high, at + 4);
  }
  return raw;
}
