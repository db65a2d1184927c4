import { CHUNK_BYTES } from '../block/chunks.ts';
import type { QuickDevice } from '../block/open-device.ts';
import { Pace } from '../block/pace.ts';
import { isZero, zeros } from '../block/zeros.ts';
import { DirtyMap, GRANULE_BYTES } from './dirty-map.ts';
import type { DiskGuard } from './disk-guard.ts';
import { hideExcluded, includedParts, type Range, slicePieces } from './excluded.ts';
import { GroupSync } from './group-sync.ts';
import type { NewRecord } from './spool-format.ts';

/**
 * One disk whose writes are recorded. Promises: the map is durably hot before a write reaches the disk; a write has
 * its place in the spool's order before it does; two writes to the same place reach disk and spool in the same order.
 * `done` says that the write is on the disk as any other reader sees it; only a flush makes it durable.
 */
export interface DiskWrite {
  readonly kind: 'data' | 'zero';
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly pieces: readonly Uint8Array[];
  done(error?: unknown): void;
}

/** What the disk needs of the recorder that owns it and the spool. */
export interface DiskOwner {
  /** Takes the change into the spool, or answers false: then its granules are dirty. */
  append(change: NewRecord): boolean;
  writeSpool(): Promise<void> | undefined;
  /** Order is lost here: see the reason. */
  onDirty(reason: string): void;
  /** Writes ended, and something is dirty here. */
  onWritten(): void;
  syncSpool(): Promise<number>;
  onMapBroken(disk: RecordedDisk, error: unknown): Promise<void>;
}

const GROUP_WRITES = 128;
const GROUP_BYTES = 8 * 1024 * 1024;
const QUICK_BYTES = 256 * 1024;
/** One step of the pump. */
const STEP_GRANULES = 16;

export class RecordedDisk {
  readonly index: number;
  readonly id: string;
  readonly device: QuickDevice;
  readonly map: DirtyMap;
  /** Changes only while the disk is paused. */
  excluded: readonly Range[];
  readonly #owner: DiskOwner;
  readonly #commit: GroupSync;
  readonly #writePace = new Pace();
  readonly #readPace = new Pace();
  #queue: DiskWrite[] = [];
  /** Being carried out. */
  #group: readonly DiskWrite[] = [];
  #paused = false;
  #mapBroken = false;
  #guard: DiskGuard | undefined;
  readonly #idle = new Set<() => void>();
  /** Dirty granules that the pump reads now; a write takes them out. */
  readonly #reading = new Set<number>();

  constructor(parts: Pick<RecordedDisk, 'index' | 'id' | 'device' | 'map' | 'excluded'>, owner: DiskOwner) {
    this.index = parts.index;
    this.id = parts.id;
    this.device = parts.device;
    this.map = parts.map;
    this.excluded = parts.excluded;
    this.#owner = owner;
    this.#commit = new GroupSync(() => this.device.sync());
  }

  /** Undefined when it is done already. */
  read(target: Uint8Array, offsetBytes: number): Promise<void> | undefined {
    if (target.byteLength > QUICK_BYTES || !this.#readPace.isQuick())
      return this.device.read(target, offsetBytes);
    this.#readPace.make(() => this.device.readNow(target, offsetBytes));
    return undefined;
  }

  submit(write: DiskWrite): void {
    this.#guard?.hurry(write);
    this.#queue.push(write);
    this.#run();
  }

  /** While a guard is set, writes wait for it. To be set while the disk is paused. */
  guard(guard: DiskGuard | undefined): void {
    this.#guard = guard;
    this.#run();
  }

  /** The disk itself; the spool is synced by who owns it. */
  sync(): Promise<void> {
    return this.#commit.sync();
  }

  #run(): void {
    while (this.#group.length === 0 && this.#queue.length > 0 && !this.#paused) {
      const group = this.#takeGroup();
      this.#group = group;
      const wait = together(this.#heat(group), group[0] && this.#guard?.wait(group[0]));
      if (wait) {
        void wait.then(() => {
          this.#carryOut(group);
          this.#run();
        });
        return;
      }
      this.#carryOut(group);
    }
    if (this.#group.length === 0) {
      for (const wake of this.#idle) wake();
      this.#idle.clear();
    }
  }

  /** As many as may go side by side: none overlaps another, and none but the first has to wait for the guard. */
  #takeGroup(): DiskWrite[] {
    const group: DiskWrite[] = [];
    let bytes = 0;
    for (const write of this.#queue) {
      if (group.length === GROUP_WRITES || (bytes > 0 && bytes + write.lengthBytes > GROUP_BYTES)) break;
      if (group.some((other) => overlap(write, other))) break;
      if (group.length > 0 && !(this.#guard?.isHashed(write) ?? true)) break;
      group.push(write);
      bytes += write.lengthBytes;
    }
    this.#queue = this.#queue.slice(group.length);
    return group;
  }

  #heat(group: readonly DiskWrite[]): Promise<void> | undefined {
    if (this.#mapBroken) return undefined;
    const waits: Promise<void>[] = [];
    if (this.map.isFull) waits.push(this.checkpoint());
    for (const { offsetBytes, lengthBytes } of group) {
      const wait = this.map.heat(offsetBytes, lengthBytes);
      if (wait) waits.push(wait);
    }
    if (waits.length === 0) return undefined;
    return Promise.all(waits).then(
      () => undefined,
      async (error: unknown) => {
        this.#mapBroken = true;
        await this.#owner.onMapBroken(this, error);
      },
    );
  }

  #carryOut(group: readonly DiskWrite[]): void {
    let bytes = 0;
    let quick = true;
    for (const write of group) {
      this.#record(write);
      bytes += write.lengthBytes;
      if (write.kind === 'zero') quick = false;
    }
    const spool = this.#owner.writeSpool();
    if (quick && bytes <= QUICK_BYTES && this.#writePace.isQuick()) {
      const errors = group.map((write) => this.#writeNow(write));
      if (!spool) this.#settle(group, errors);
      else void spool.then(() => this.#settleAndRun(group, errors));
      return;
    }
    const writes = group.map((write) =>
      this.#write(write).then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    void Promise.all([spool, ...writes]).then(([, ...errors]) => this.#settleAndRun(group, errors));
  }

  /** Gives the write its place in the order, or marks where it goes. */
  #record({ kind, offsetBytes, lengthBytes, pieces }: DiskWrite): void {
    for (const part of includedParts(offsetBytes, lengthBytes, this.excluded)) {
      const isWhole = part.sizeBytes === lengthBytes;
      const inside = isWhole ? pieces : slicePieces(pieces, part.offsetBytes - offsetBytes, part.sizeBytes);
      this.#recordPart(kind, part.offsetBytes, part.sizeBytes, inside);
    }
  }

  #recordPart(
    kind: 'data' | 'zero',
    offsetBytes: number,
    lengthBytes: number,
    pieces: readonly Uint8Array[],
  ): void {
    const first = Math.floor(offsetBytes / GRANULE_BYTES);
    const last = Math.floor((offsetBytes + lengthBytes - 1) / GRANULE_BYTES);
    let dirty = false;
    for (let granule = first; granule <= last; granule++) if (this.map.has(granule)) dirty = true;
    if (!dirty && this.#owner.append({ kind, disk: this.index, offsetBytes, lengthBytes, pieces })) return;
    for (let granule = first; granule <= last; granule++) {
      this.#reading.delete(granule);
      this.map.mark(granule);
    }
    if (!dirty) this.#owner.onDirty('The spool is full: changes come faster than they leave.');
  }

  #writeNow(write: DiskWrite): unknown {
    try {
      this.#writePace.make(() => this.device.writeNow(write.pieces, write.offsetBytes));
      return undefined;
    } catch (error) {
      return error;
    }
  }

  async #write(write: DiskWrite): Promise<void> {
    if (write.kind === 'data') return await this.device.writePieces(write.pieces, write.offsetBytes);
    // What is zero already stays as it is: a sparse image stays sparse.
    const buffer = Buffer.allocUnsafe(Math.min(write.lengthBytes, CHUNK_BYTES));
    for (let at = 0; at < write.lengthBytes; at += buffer.length) {
      const length = Math.min(buffer.length, write.lengthBytes - at);
      const part = buffer.subarray(0, length);
      await this.device.read(part, write.offsetBytes + at);
      if (!isZero(part)) await this.device.writePieces([zeros(length)], write.offsetBytes + at);
    }
  }

  #settle(group: readonly DiskWrite[], errors: readonly unknown[]): void {
    for (const [index, write] of group.entries()) {
      // Nobody knows what a failed write left behind; the disk has to be read there.
      if (errors[index] !== undefined)
        this.markRange(write.offsetBytes, write.lengthBytes, 'A write to the disk failed.');
    }
    this.#group = [];
    if (this.map.count > 0) this.#owner.onWritten();
    for (const [index, write] of group.entries()) write.done(errors[index]);
  }

  #settleAndRun(group: readonly DiskWrite[], errors: readonly unknown[]): void {
    this.#settle(group, errors);
    this.#run();
  }

  markRange(offsetBytes: number, lengthBytes: number, reason: string): void {
    const last = Math.floor((offsetBytes + lengthBytes - 1) / GRANULE_BYTES);
    for (let granule = Math.floor(offsetBytes / GRANULE_BYTES); granule <= last; granule++) {
      this.#reading.delete(granule);
      this.map.mark(granule);
    }
    this.#owner.onDirty(reason);
  }

  markAll(reason: string): void {
    this.markRange(0, this.device.sizeBytes, reason);
  }

  /** Nothing is under way when it resolves, and nothing begins before `resume`. */
  async pause(): Promise<void> {
    this.#paused = true;
    if (this.#group.length > 0) await new Promise<void>((resolve) => this.#idle.add(resolve));
  }

  resume(): void {
    this.#paused = false;
    this.#run();
  }

  forgetAll(): void {
    this.#reading.clear();
    this.map.clearAll();
  }

  async checkpoint(): Promise<void> {
    if (this.#mapBroken) return;
    await this.map.checkpoint({
      inFlight: () => this.#group.flatMap((write) => DirtyMap.extents(write.offsetBytes, write.lengthBytes)),
      syncAll: async () => (await Promise.all([this.#owner.syncSpool(), this.sync()]))[0],
    });
  }

  /** Moves some dirty granules from the disk into the spool. Answers whether there was anything to move. */
  async pump(): Promise<boolean> {
    const busy = new Set(this.#group.flatMap((write) => granulesOf(write)));
    const granules = this.map.take(STEP_GRANULES, (granule) => busy.has(granule));
    if (granules.length === 0) return false;
    const contents = new Map<number, Buffer>();
    for (const granule of granules) this.#reading.add(granule);
    try {
      for (const granule of granules) contents.set(granule, await this.#readGranule(granule));
      for (const [granule, content] of contents) {
        // Somebody wrote there while we read: what we hold may be half of it. Its turn comes again.
        if (this.#reading.has(granule)) this.#appendGranule(granule, content);
      }
    } finally {
      for (const granule of granules) this.#reading.delete(granule);
    }
    await this.#owner.writeSpool();
    return true;
  }

  async #readGranule(granule: number): Promise<Buffer> {
    const offsetBytes = granule * GRANULE_BYTES;
    const content = Buffer.allocUnsafe(Math.min(GRANULE_BYTES, this.device.sizeBytes - offsetBytes));
    await this.device.read(content, offsetBytes);
    hideExcluded(content, offsetBytes, this.excluded);
    return content;
  }

  #appendGranule(granule: number, content: Buffer): void {
    const kind = isZero(content) ? 'zero' : 'data';
    const pieces = kind === 'data' ? [content] : [];
    if (
      this.#owner.append({
        kind,
        disk: this.index,
        offsetBytes: granule * GRANULE_BYTES,
        lengthBytes: content.length,
        pieces,
      })
    )
      this.map.clear(granule);
  }
}

function together(a: Promise<void> | undefined, b: Promise<void> | undefined): Promise<void> | undefined {
  return a && b ? Promise.all([a, b]).then(() => undefined) : (a ?? b);
}

function overlap(a: DiskWrite, b: DiskWrite): boolean {
  return a.offsetBytes < b.offsetBytes + b.lengthBytes && b.offsetBytes < a.offsetBytes + a.lengthBytes;
}

function granulesOf({ offsetBytes, lengthBytes }: DiskWrite): number[] {
  const first = Math.floor(offsetBytes / GRANULE_BYTES);
  const last = Math.floor((offsetBytes + lengthBytes - 1) / GRANULE_BYTES);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
