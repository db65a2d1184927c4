import { setImmediate as turn } from 'node:timers/promises';
import type { FileFolder, StoredFile } from '../../src/block/files.ts';
import type { QuickDevice } from '../../src/block/open-device.ts';
import type { Clock } from '../../src/clock.ts';

/**
 * A machine's files and disks in memory, with what real ones do when the power goes: writes that were not synced are
 * there, or not, or torn at a sector, each on its own; files that were made and not synced may be gone.
 * After `crash` the old machine is dead: whoever still works on it waits for ever, and changes nothing any more.
 */
const SECTOR = 512;
type Random = (below: number) => number;

interface Content {
  now: Buffer;
  durable: Buffer;
  pending: { atBytes: number; bytes: Buffer }[];
  named: boolean;
}

/** What power cuts did, over all the lives of a machine. */
export interface StorageFaults {
  lost: number;
  torn: number;
  /** Writes that were there though an earlier one, of the same file or disk, was not. */
  reordered: number;
}

export class Machine {
  readonly faults: StorageFaults;
  readonly files = new Map<string, Content>();
  readonly disks = new Map<string, Content>();
  readonly clock: Clock;
  readonly #random: Random;
  #dead = false;
  #ms = 1_000;
  /** Writes and syncs left before the state folder's disk breaks. */
  breaksAfter = Number.POSITIVE_INFINITY;

  constructor(random: Random, faults: StorageFaults = { lost: 0, torn: 0, reordered: 0 }) {
    this.#random = random;
    this.faults = faults;
    this.clock = {
      now: () => this.#ms++,
      sleep: async (ms, signal) => {
        for (let turns = 0; turns < ms || this.#dead; turns++) {
          signal?.throwIfAborted();
          await (this.#dead ? new Promise(() => undefined) : turn());
        }
      },
    };
  }

  addDisk(id: string, bytes: Buffer): void {
    this.disks.set(id, { now: Buffer.from(bytes), durable: Buffer.from(bytes), pending: [], named: true });
  }

  /** The power goes, or only the process dies: then the kernel still has every write. */
  crash(kind: 'power' | 'process'): Machine {
    this.#dead = true;
    const next = new Machine(this.#random, this.faults);
    next.#ms = this.#ms + 1_000_000;
    const survive = (content: Content): Content => {
      const now = kind === 'process' ? Buffer.from(content.now) : this.#afterPowerLoss(content);
      const pending = kind === 'process' ? [...content.pending] : [];
      return {
        now,
        durable: kind === 'process' ? Buffer.from(content.durable) : Buffer.from(now),
        pending,
        named: true,
      };
    };
    for (const [id, content] of this.disks) next.disks.set(id, survive(content));
    for (const [name, content] of this.files) {
      if (kind === 'process' || content.named || this.#random(2) === 0)
        next.files.set(name, survive(content));
    }
    return next;
  }

  #afterPowerLoss(content: Content): Buffer {
    let bytes: Buffer = Buffer.from(content.durable);
    const { faults } = this;
    let isLost = false;
    for (const write of content.pending) {
      const fate = this.#random(3);
      if (fate === 0) {
        faults.lost++;
        isLost = true;
        continue;
      }
      const sectors = Math.ceil(write.bytes.length / SECTOR);
      const kept = fate === 1 ? write.bytes : write.bytes.subarray(0, this.#random(sectors + 1) * SECTOR);
      if (kept.length < write.bytes.length) faults.torn++;
      if (isLost && kept.length > 0) faults.reordered++;
      bytes = grown(bytes, write.atBytes + kept.length);
      kept.copy(bytes, write.atBytes);
    }
    return bytes;
  }

  folder(): FileFolder {
    return {
      list: async () => [...this.files.keys()].sort(),
      open: async (name, mode) => {
        await this.#wait();
        let content = this.files.get(name);
        if (!content && mode === 'existing') return undefined;
        content ??= { now: Buffer.alloc(0), durable: Buffer.alloc(0), pending: [], named: false };
        this.files.set(name, content);
        return this.#file(content);
      },
      remove: async (name) => void this.files.delete(name),
      sync: async () => {
        await this.#wait();
        for (const content of this.files.values()) content.named = true;
      },
    };
  }

  #file(content: Content): StoredFile {
    return {
      sizeBytes: async () => content.now.length,
      read: async (target, atBytes) => {
        await this.#wait();
        const part = content.now.subarray(atBytes, atBytes + target.byteLength);
        target.set(part);
        return part.length;
      },
      write: async (pieces, atBytes) => {
        await this.#wait();
        this.#mayBreak();
        this.#put(content, pieces, atBytes);
        await this.#wait();
      },
      writeNow: (pieces, atBytes) => {
        this.#mayBreak();
        this.#put(content, pieces, atBytes);
      },
      sync: () => this.#sync(content, true),
      close: async () => undefined,
    };
  }

  device(id: string): QuickDevice {
    const content = this.disks.get(id);
    if (!content) throw new Error(`no disk ${id}`);
    const put = (pieces: readonly Uint8Array[], atBytes: number) => this.#put(content, pieces, atBytes);
    return {
      path: id,
      kind: 'file',
      sizeBytes: content.now.length,
      read: async (target, atBytes) => {
        await this.#wait();
        target.set(content.now.subarray(atBytes, atBytes + target.byteLength));
        await this.#wait();
      },
      readNow: (target, atBytes) => target.set(content.now.subarray(atBytes, atBytes + target.byteLength)),
      write: async (source, atBytes) => put([source], atBytes),
      writePieces: async (pieces, atBytes) => {
        await this.#wait();
        put(pieces, atBytes);
        await this.#wait();
      },
      writeNow: put,
      sync: () => this.#sync(content, false),
      identity: async () => `disk ${id}`,
      close: async () => undefined,
    };
  }

  #put(content: Content, pieces: readonly Uint8Array[], atBytes: number): void {
    if (this.#dead) throw new Error('this machine is dead');
    const bytes = Buffer.concat(pieces);
    content.now = grown(content.now, atBytes + bytes.length);
    bytes.copy(content.now, atBytes);
    content.pending.push({ atBytes, bytes });
  }

  /** Makes durable what was written before it began; what is written meanwhile may be, or not. */
  async #sync(content: Content, breaks: boolean): Promise<void> {
    const held = [...content.pending];
    await this.#wait();
    if (breaks) this.#mayBreak();
    await this.#wait();
    if (this.#dead) throw new Error('this machine is dead');
    for (const write of held) {
      content.durable = grown(content.durable, write.atBytes + write.bytes.length);
      write.bytes.copy(content.durable, write.atBytes);
    }
    content.pending = content.pending.filter((write) => !held.includes(write));
  }

  #mayBreak(): void {
    if (--this.breaksAfter < 0) throw Object.assign(new Error('EIO: planted'), { code: 'EIO' });
  }

  async #wait(): Promise<void> {
    for (let turns = this.#random(3); turns > 0; turns--) await turn();
    if (this.#dead) await new Promise(() => undefined);
  }
}

function grown(bytes: Buffer, length: number): Buffer {
  return bytes.length >= length ? bytes : Buffer.concat([bytes, Buffer.alloc(length - bytes.length)]);
}
