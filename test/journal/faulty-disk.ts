import type { QuickDevice } from '../../src/block/open-device.ts';
import type { JournalFile, JournalFiles } from '../../src/journal/files.ts';
import type { BlockDevice } from '../../src/ports/block-device.ts';
import type { Random } from './random.ts';

/**
 * A computer whose power and processes fail: files, names and disks in memory. What was written is on the medium only
 * after a sync; at a power cut any part of the rest may be there, sector by sector, torn and in any order. Every call is
 * a point at which the machine may stop.
 */
const SECTOR_BYTES = 512;

export class Stopped extends Error {
  constructor() {
    super('the machine stopped');
  }
}

/** What a test may take away, to prove that it would be noticed. */
export interface Sabotage {
  /** This sync does nothing: path of the file or disk. */
  skipsSync?(path: string): boolean;
  /** This sync is answered before it is done; it is done at the next one. */
  answersEarly?(path: string): boolean;
}

/** What happened to a machine: a simulation in which a kind of fault never occurs proves nothing about it. */
export interface MachineFaults {
  /** Sectors of which only a part was there after a power cut. */
  torn: number;
  /** Writes of which something was not there. */
  lost: number;
  /** Writes that were there though an earlier one, of the same file or disk, was not. */
  reordered: number;
  shortReads: number;
  noSpace: number;
  failedWrites: number;
  flippedBits: number;
  /** Stops in the middle of a call, and those that cost what was not synced. */
  stops: number;
  powerCuts: number;
}

function noFaults(): MachineFaults {
  const disk = { torn: 0, lost: 0, reordered: 0, shortReads: 0, noSpace: 0, failedWrites: 0 };
  return { ...disk, flippedBits: 0, stops: 0, powerCuts: 0 };
}

/** For all that is filled with them. */
let zeros = Buffer.alloc(0);

class Medium {
  durable: Buffer;
  current: Buffer;
  unsynced: { offset: number; bytes: Buffer }[] = [];

  constructor(sizeBytes: number) {
    this.durable = Buffer.alloc(sizeBytes);
    this.current = Buffer.alloc(sizeBytes);
  }

  write(bytes: Uint8Array, offset: number): void {
    const end = offset + bytes.length;
    if (end > this.current.length) this.current = Buffer.concat([this.current], end);
    this.current.set(bytes, offset);
    this.unsynced.push({ offset, bytes: Buffer.from(bytes) });
  }

  /** Zeros from the first byte on, where nothing was written before. */
  fill(sizeBytes: number): void {
    if (zeros.length < sizeBytes) zeros = Buffer.alloc(sizeBytes);
    this.current = Buffer.alloc(sizeBytes);
    this.unsynced.push({ offset: 0, bytes: zeros.subarray(0, sizeBytes) });
  }

  sync(): void {
    if (this.durable.length < this.current.length) {
      this.durable = Buffer.concat([this.durable], this.current.length);
    }
    for (const { offset, bytes } of this.unsynced) this.durable.set(bytes, offset);
    this.unsynced = [];
  }

  cutPower(random: Random, faults: MachineFaults): void {
    // Nothing was under way: the medium is what everybody saw.
    if (this.unsynced.length === 0) return;
    const keeps = random.pick([0, 0.3, 0.7, 1]);
    let isLost = false;
    for (const { offset, bytes } of this.unsynced) {
      const sectors = this.#land(bytes, offset, keeps, random);
      faults.torn += sectors.torn;
      if (isLost && sectors.kept > 0) faults.reordered++;
      if (sectors.lost + sectors.torn === 0) continue;
      faults.lost++;
      isLost = true;
    }
    this.unsynced = [];
    this.current = Buffer.from(this.durable);
  }

  #land(bytes: Buffer, offset: number, keeps: number, random: Random) {
    const end = offset + bytes.length;
    const sectors = { kept: 0, lost: 0, torn: 0 };
    if (end > this.durable.length) this.durable = Buffer.concat([this.durable], end);
    for (let start = offset; start < end; ) {
      const next = Math.min(end, (Math.floor(start / SECTOR_BYTES) + 1) * SECTOR_BYTES);
      const torn = random.chance(0.1) ? start + random.below(next - start) : next;
      const isKept = random.chance(keeps);
      if (isKept) bytes.copy(this.durable, start, start - offset, torn - offset);
      if (!isKept) sectors.lost++;
      else if (torn < next) sectors.torn++;
      else sectors.kept++;
      start = next;
    }
    return sectors;
  }
}

export class FaultyMachine {
  readonly random: Random;
  readonly sabotage: Sabotage;
  capacityBytes = Number.POSITIVE_INFINITY;
  /** How many calls until it stops; undefined: it does not. */
  stopsIn: number | undefined;
  failsWrites = 0;
  calls = 0;
  readonly faults = noFaults();
  /** Where the redo log was written last, and so may have been torn. */
  lastRedo: { path: string; start: number; end: number } | undefined;
  #names = new Map<string, Medium>();
  #durableNames = new Map<string, Medium>();
  #pendingNames: ((names: Map<string, Medium>) => void)[] = [];
  readonly #disks = new Map<string, Medium>();
  #boot = 0;
  #stopped = false;

  constructor(random: Random, sabotage: Sabotage = {}) {
    this.random = random;
    this.sabotage = sabotage;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  bytesOf(path: string): Buffer {
    const medium = this.#names.get(path) ?? this.#disks.get(path);
    if (!medium) throw new Error(`no ${path}`);
    return medium.current;
  }

  /** Begins again after the machine stopped; without `power` only the process died and the page cache is whole. */
  reboot(power: boolean): void {
    this.#boot++;
    this.#stopped = false;
    this.stopsIn = undefined;
    if (!power) return;
    this.faults.powerCuts++;
    const kept = this.random.below(this.#pendingNames.length + 1);
    for (const change of this.#pendingNames.slice(0, kept)) change(this.#durableNames);
    this.#pendingNames = [];
    this.#names = new Map(this.#durableNames);
    for (const medium of [...new Set(this.#names.values()), ...this.#disks.values()]) {
      medium.cutPower(this.random, this.faults);
    }
  }

  flipBit(path: string, bit: number): void {
    const medium = this.#names.get(path);
    if (!medium) throw new Error(`no ${path}`);
    this.faults.flippedBits++;
    for (const bytes of [medium.durable, medium.current]) {
      const at = bit >>> 3;
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    }
  }

  /** A call of this boot; a handle from an earlier one never works again. */
  async call(boot: number): Promise<void> {
    await Promise.resolve();
    this.callNow(boot);
  }

  callNow(boot: number): void {
    if (boot !== this.#boot || this.#stopped) throw new Stopped();
    this.calls++;
    if (this.stopsIn === undefined || --this.stopsIn > 0) return;
    this.#stopped = true;
    this.faults.stops++;
    // Otherwise it is done, and `answer` makes sure that nobody hears of it.
    if (this.random.chance(0.5)) throw new Stopped();
  }

  /** The point behind what a call did: it may be done, and nobody hears of it. */
  answer(boot: number): void {
    if (boot !== this.#boot || this.#stopped) throw new Stopped();
  }

  /** Each write asks; the one that was chosen fails. */
  mayFail(path: string): void {
    if (this.failsWrites === 0 || this.failsWrites-- > 1) return;
    this.faults.failedWrites++;
    throw errno('EIO', path);
  }

  get boot(): number {
    return this.#boot;
  }

  get usedBytes(): number {
    return [...this.#names.values()].reduce((sum, { current }) => sum + current.length, 0);
  }

  files(): JournalFiles {
    const boot = this.#boot;
    const rename = (names: Map<string, Medium>, from: string, to: string) => {
      const medium = names.get(from);
      if (!medium) return;
      names.delete(from);
      names.set(to, medium);
    };
    return {
      makeFolder: () => this.call(boot),
      list: async (folder) => {
        await this.call(boot);
        this.answer(boot);
        return this.paths().flatMap((path) =>
          path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1)] : [],
        );
      },
      open: async (path, how) => {
        await this.call(boot);
        this.answer(boot);
        const medium = this.#names.get(path);
        if (how === 'existing') {
          if (!medium) throw errno('ENOENT', path);
          return new FaultyFile(this, medium, path);
        }
        if (medium) throw errno('EEXIST', path);
        const made = new Medium(0);
        this.#change((names) => names.set(path, made));
        return new FaultyFile(this, made, path);
      },
      rename: async (from, to) => {
        await this.call(boot);
        if (!this.#names.has(from)) throw errno('ENOENT', from);
        this.#change((names) => rename(names, from, to));
        this.answer(boot);
      },
      unlink: async (path) => {
        await this.call(boot);
        if (!this.#names.has(path)) throw errno('ENOENT', path);
        this.#change((names) => names.delete(path));
        this.answer(boot);
      },
      syncFolder: async (path) => {
        await this.call(boot);
        if (!this.sabotage.skipsSync?.(path)) {
          for (const change of this.#pendingNames) change(this.#durableNames);
          this.#pendingNames = [];
        }
        this.answer(boot);
      },
    };
  }

  #change(change: (names: Map<string, Medium>) => void): void {
    change(this.#names);
    this.#pendingNames.push(change);
  }

  addDisk(path: string, sizeBytes: number): void {
    this.#disks.set(path, new Medium(sizeBytes));
  }

  /** Its short reads and writes may be made at once, and then stop the machine as any other call does. */
  disk(path: string): BlockDevice & Pick<QuickDevice, 'readNow' | 'writeNow'> {
    const medium = this.#disks.get(path);
    if (!medium) throw new Error(`no ${path}`);
    const boot = this.#boot;
    return {
      path,
      kind: 'file',
      sizeBytes: medium.current.length,
      read: async (target, offset) => {
        await this.call(boot);
        this.answer(boot);
        target.set(medium.current.subarray(offset, offset + target.length));
      },
      write: async (source, offset) => {
        await this.call(boot);
        if (offset + source.length > medium.current.length) throw new RangeError('beyond the disk');
        this.mayFail(path);
        medium.write(source, offset);
        this.answer(boot);
      },
      readNow: (target, offset) => {
        this.callNow(boot);
        this.answer(boot);
        target.set(medium.current.subarray(offset, offset + target.byteLength));
      },
      writeNow: (pieces, offset) => {
        this.callNow(boot);
        const source = Buffer.concat(pieces);
        if (offset + source.length > medium.current.length) throw new RangeError('beyond the disk');
        this.mayFail(path);
        medium.write(source, offset);
        this.answer(boot);
      },
      sync: async () => {
        await this.call(boot);
        if (!this.sabotage.skipsSync?.(path)) medium.sync();
        this.answer(boot);
      },
      identity: async () => path,
      close: async () => undefined,
    };
  }
}

class FaultyFile implements JournalFile {
  readonly #machine: FaultyMachine;
  readonly #medium: Medium;
  readonly #path: string;
  readonly #boot: number;

  constructor(machine: FaultyMachine, medium: Medium, path: string) {
    this.#machine = machine;
    this.#medium = medium;
    this.#path = path;
    this.#boot = machine.boot;
  }

  get sizeBytes(): number {
    return this.#medium.current.length;
  }

  async read(target: Uint8Array, offset: number): Promise<number> {
    await this.#machine.call(this.#boot);
    this.#machine.answer(this.#boot);
    const there = this.#medium.current.subarray(offset, offset + target.length);
    const short = there.length > 1 && this.#machine.random.chance(0.05);
    if (short) this.#machine.faults.shortReads++;
    const bytes = short ? there.subarray(0, 1 + this.#machine.random.below(there.length)) : there;
    target.set(bytes);
    return bytes.length;
  }

  async commit(buffers: readonly Uint8Array[], offset: number): Promise<void> {
    await this.#machine.call(this.#boot);
    this.#machine.mayFail(this.#path);
    const bytes = Buffer.concat(buffers);
    this.#medium.write(bytes, offset);
    if (this.#path.includes('/redo-')) {
      this.#machine.lastRedo = { path: this.#path, start: offset, end: offset + bytes.length };
    }
    this.#machine.answer(this.#boot);
    if (this.#machine.sabotage.answersEarly?.(this.#path)) return;
    await this.sync();
  }

  async preallocate(sizeBytes: number): Promise<void> {
    await this.#machine.call(this.#boot);
    const more = sizeBytes - this.#medium.current.length;
    if (this.#machine.usedBytes + more > this.#machine.capacityBytes) {
      this.#machine.faults.noSpace++;
      throw errno('ENOSPC', this.#path);
    }
    this.#medium.fill(sizeBytes);
    this.#machine.answer(this.#boot);
    await this.sync();
  }

  async sync(): Promise<void> {
    await this.#machine.call(this.#boot);
    if (!this.#machine.sabotage.skipsSync?.(this.#path)) this.#medium.sync();
    this.#machine.answer(this.#boot);
  }

  async close(): Promise<void> {
    // Also a machine that stopped lets go of its files.
  }
}

function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
