import { StandbyError } from '../errors.ts';
import { isWholeBase } from './hive-base.ts';

/**
 * A registry hive (regf 1.3 to 1.6) in memory, for reading. Nothing in it is trusted: offsets outside of it, cells of
 * another kind and circles are a named error, and no question takes more than a bounded number of steps.
 * Layout: "Windows registry file format specification" by M. Suhanov.
 */
export const HIVE_BYTES_MAX = 256 * 1024 ** 2;

export const VALUE_TYPE = { none: 0, text: 1, expandable: 2, binary: 3, number: 4, texts: 7 } as const;

export interface HiveKey {
  readonly name: string;
  readonly cell: number;
}

export interface HiveValue {
  readonly name: string;
  readonly type: number;
  readonly data: Buffer;
  /** Where the data lies in the file; undefined where it is in several pieces. */
  readonly at?: number;
}

const BINS_AT = 4096;
const NO_CELL = 0xffffffff;
/** More data than this lies in pieces of this length. */
const PIECE_BYTES = 16344;
const VALUE_BYTES_MAX = 64 * 1024 ** 2;
const STEPS_MAX = 20_000_000;
const NAME_IS_LATIN = { key: 0x20, value: 0x1 } as const;

export class Hive {
  readonly bytes: Buffer;
  readonly #what: string;
  readonly #end: number;
  #steps = 0;

  /** `bytes`: with its logs replayed where it was dirty. */
  constructor(bytes: Buffer, what: string) {
    this.bytes = bytes;
    this.#what = what;
    if (bytes.length < BINS_AT + 32 || bytes.length > HIVE_BYTES_MAX) throw this.#damaged('It has no bins.');
    if (!isWholeBase(bytes)) throw this.#damaged('The checksum of its base block is wrong.');
    const [major, minor] = [bytes.readUInt32LE(20), bytes.readUInt32LE(24)];
    if (major !== 1 || minor < 3 || minor > 6) throw this.#damaged(`It has the version ${major}.${minor}.`);
    this.#end = Math.min(bytes.length, BINS_AT + bytes.readUInt32LE(40));
  }

  get root(): HiveKey {
    return this.#key(this.bytes.readUInt32LE(36));
  }

  /** By names with `\` between them, from the root or from another key; undefined when it is not there. */
  key(path: string, from: HiveKey = this.root): HiveKey | undefined {
    let here: HiveKey | undefined = from;
    for (const name of path.split('\\').filter((each) => each !== '')) {
      here = here && this.#subkey(here, name);
    }
    return here;
  }

  subkeys(key: HiveKey): HiveKey[] {
    const cell = this.#cell(key.cell, 'nk', 76);
    if (cell.readUInt32LE(20) === 0) return [];
    return this.#listed(cell.readUInt32LE(28), true).map((at) => this.#key(at));
  }

  values(key: HiveKey): HiveValue[] {
    const cell = this.#cell(key.cell, 'nk', 76);
    const count = cell.readUInt32LE(36);
    if (count === 0) return [];
    const list = this.#raw(cell.readUInt32LE(40));
    if (count * 4 > list.length) throw this.#damaged('A list of values is longer than its cell.');
    return Array.from({ length: count }, (_, index) => this.#value(list.readUInt32LE(index * 4)));
  }

  value(key: HiveKey | undefined, name: string): HiveValue | undefined {
    return key && this.values(key).find((one) => isSame(one.name, name));
  }

  /** A number of 32 bits, or undefined when there is none of that name and kind. */
  number(key: HiveKey | undefined, name: string): number | undefined {
    const value = this.value(key, name);
    return value?.type === VALUE_TYPE.number && value.data.length === 4
      ? value.data.readUInt32LE(0)
      : undefined;
  }

  text(key: HiveKey | undefined, name: string): string | undefined {
    const value = this.value(key, name);
    return value && (value.type === VALUE_TYPE.text || value.type === VALUE_TYPE.expandable)
      ? textOfData(value.data)
      : undefined;
  }

  /** The lines of a list of texts; a single text is a list of one. */
  texts(key: HiveKey | undefined, name: string): string[] {
    const value = this.value(key, name);
    if (!value) return [];
    const whole = value.data.toString('utf16le', 0, value.data.length - (value.data.length % 2));
    return whole.split('\0').filter((line) => line !== '');
  }

  #subkey(key: HiveKey, name: string): HiveKey | undefined {
    return this.subkeys(key).find((one) => isSame(one.name, name));
  }

  #key(at: number): HiveKey {
    const cell = this.#cell(at, 'nk', 76);
    return {
      name: this.#name(cell, 76, cell.readUInt16LE(72), (cell.readUInt16LE(2) & NAME_IS_LATIN.key) !== 0),
      cell: at,
    };
  }

  #name(cell: Buffer, at: number, bytes: number, isLatin: boolean): string {
    if (at + bytes > cell.length) throw this.#damaged('A name is longer than its cell.');
    return cell.toString(isLatin ? 'latin1' : 'utf16le', at, at + bytes);
  }

  /** The keys of a list: of one with hashes or hints, of one without, or of a list of such lists. */
  #listed(at: number, mayNest: boolean): number[] {
    const cell = this.#raw(at);
    if (cell.length < 4) throw this.#damaged('A list of keys is shorter than its head.');
    const kind = cell.toString('latin1', 0, 2);
    const count = cell.readUInt16LE(2);
    const bytes = kind === 'lf' || kind === 'lh' ? 8 : 4;
    if (4 + count * bytes > cell.length) throw this.#damaged('A list of keys is longer than its cell.');
    const places = Array.from({ length: count }, (_, index) => cell.readUInt32LE(4 + index * bytes));
    this.#step(count);
    if (kind === 'lf' || kind === 'lh' || kind === 'li') return places;
    if (kind !== 'ri' || !mayNest) throw this.#damaged(`A list of keys has the unknown kind "${kind}".`);
    const keys: number[] = [];
    for (const place of places) {
      for (const key of this.#listed(place, false)) keys.push(key);
    }
    return keys;
  }

  #value(at: number): HiveValue {
    const cell = this.#cell(at, 'vk', 20);
    const name = this.#name(
      cell,
      20,
      cell.readUInt16LE(2),
      (cell.readUInt16LE(16) & NAME_IS_LATIN.value) !== 0,
    );
    const type = cell.readUInt32LE(12);
    const raw = cell.readUInt32LE(4);
    if (raw >= 0x80000000) {
      const length = raw - 0x80000000;
      if (length > 4) throw this.#damaged('A small value is longer than 4 bytes.');
      return { name, type, data: cell.subarray(8, 8 + length), at: BINS_AT + at + 4 + 8 };
    }
    if (raw === 0) return { name, type, data: Buffer.alloc(0) };
    if (raw > VALUE_BYTES_MAX) throw this.#damaged(`A value says that it has ${raw} bytes.`);
    const place = cell.readUInt32LE(8);
    const data = this.#raw(place);
    if (raw > PIECE_BYTES && data.toString('latin1', 0, 2) === 'db')
      return { name, type, data: this.#pieces(data, raw) };
    if (raw > data.length) throw this.#damaged('A value is longer than its cell.');
    return { name, type, data: data.subarray(0, raw), at: BINS_AT + place + 4 };
  }

  #pieces(head: Buffer, bytes: number): Buffer {
    if (head.length < 8) throw this.#damaged('A large value cannot be read.');
    const count = head.readUInt16LE(2);
    const list = this.#raw(head.readUInt32LE(4));
    if (count * 4 > list.length || count !== Math.ceil(bytes / PIECE_BYTES)) {
      throw this.#damaged('A large value has a wrong number of pieces.');
    }
    const pieces: Buffer[] = [];
    for (let index = 0; index < count; index++) {
      const length = Math.min(PIECE_BYTES, bytes - index * PIECE_BYTES);
      const piece = this.#raw(list.readUInt32LE(index * 4));
      if (piece.length < length) throw this.#damaged('A piece of a large value is too short.');
      pieces.push(piece.subarray(0, length));
    }
    return Buffer.concat(pieces);
  }

  #cell(at: number, kind: 'nk' | 'vk', bytesMin: number): Buffer {
    const cell = this.#raw(at);
    if (cell.length < bytesMin || cell.toString('latin1', 0, 2) !== kind) {
      throw this.#damaged(`There is no ${kind === 'nk' ? 'key' : 'value'} at ${at}.`);
    }
    return cell;
  }

  /** What is in a cell that is in use. */
  #raw(at: number): Buffer {
    this.#step(1);
    const from = BINS_AT + at;
    if (at === NO_CELL || at % 8 !== 0 || from + 8 > this.#end)
      throw this.#damaged(`There is no cell at ${at}.`);
    const size = -this.bytes.readInt32LE(from);
    if (size < 8 || from + size > this.#end)
      throw this.#damaged(`The cell at ${at} is not in use, or too long.`);
    return this.bytes.subarray(from + 4, from + size);
  }

  #step(count: number): void {
    this.#steps += count;
    if (this.#steps > STEPS_MAX) throw this.#damaged('It leads round and round.');
  }

  #damaged(why: string): StandbyError {
    return new StandbyError({
      code: 'HIVE_DAMAGED',
      what: `The registry hive ${this.#what} cannot be read.`,
      why,
      next: 'Start the master once and shut it down cleanly, or restore its registry there; then look again.',
    });
  }
}

export function textOfData(data: Buffer): string {
  return data.toString('utf16le', 0, data.length - (data.length % 2)).replace(/\0.*$/s, '');
}

function isSame(a: string, b: string): boolean {
  return a === b || (a.length === b.length && a.toUpperCase() === b.toUpperCase());
}
