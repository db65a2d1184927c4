import type { FileFolder, StoredFile } from '../block/files.ts';
import { messageOf } from '../errors.ts';
import { makeInTurn } from '../in-turn.ts';
import type { Log } from '../log.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import { MapPages, PAGE_BODY_BYTES } from './map-pages.ts';

/**
 * What of one disk must be read and sent again, kept on the master. Two layers:
 * - a bit for each granule (64 KiB): its content is in no durable change of the spool;
 * - hot extents (4 MiB): somebody writes there now, and spool and disk may disagree if this machine stops here.
 * Promises: an extent is durably hot before a write reaches the disk there, so after a crash at any line the bits and
 * the hot extents together name every place where the disk may hold what no durable change tells. Only an extent that
 * turns hot costs a write of the map; `checkpoint` makes bits durable and lets extents cool.
 */
export const GRANULE_BYTES = 64 * 1024;
const EXTENT_BYTES = 4 * 1024 * 1024;
const GRANULES_PER_EXTENT = EXTENT_BYTES / GRANULE_BYTES;
/** More than this, and a checkpoint is made first: at most 2 GiB are sent again after a crash. */
const HOT_MAX = 512;

const VERSION = 1;
const BITS_PER_PAGE = PAGE_BODY_BYTES * 8;
const HOT_AT = 512;

export interface DirtyMapOptions {
  readonly folder: FileFolder;
  readonly name: string;
  readonly sizeBytes: number;
  /** What the disk says of itself now; compared with what it said at the last clean stop. */
  readonly identity: string;
  /** The newest sequence the spool still has, and the newest it ever spoke of. */
  readonly spoolSequence: number;
}

/** `clean`: nothing is unknown. Otherwise what is unknown was marked dirty, and the reason says why. */
export type Found =
  | { readonly kind: 'clean' | 'new' }
  | { readonly kind: 'crashed' | 'unknown'; readonly reason: string };

export interface CheckpointParts {
  /** Makes spool and disk durable for all writes that ended before; answers the spool's durable sequence. */
  syncAll(): Promise<number>;
  /** Extents of writes that did not end yet. */
  inFlight(): Iterable<number>;
}

export class DirtyMap {
  readonly found: Found;
  readonly #pages: MapPages;
  readonly #sizeBytes: number;
  readonly #bits: Uint8Array;
  readonly #changedPages = new Set<number>();
  #count = 0;
  #next = 0;
  #hot = new Set<number>();
  /** While a checkpoint runs: what was written to since it began, and so stays hot. */
  #touched: Set<number> | undefined;
  #wanted = new Set<number>();
  #heating: Promise<void> | undefined;
  readonly #inTurn = makeInTurn();
  #spoolSequence: number;

  private constructor(pages: MapPages, options: DirtyMapOptions, state: Loaded) {
    this.#pages = pages;
    this.#sizeBytes = options.sizeBytes;
    this.#bits = state.bits;
    this.#hot = state.hot;
    this.#spoolSequence = options.spoolSequence;
    this.found = state.found;
    for (let granule = 0; granule < this.granules; granule++) if (this.has(granule)) this.#count++;
    for (const extent of state.hot) this.#markExtent(extent);
    if (state.allDirty) this.markAll();
  }

  static async open(options: DirtyMapOptions): Promise<DirtyMap> {
    const file = await options.folder.open(options.name, 'make');
    if (!file) throw new RangeError(`${options.name} cannot be made`);
    const pages = new MapPages(file);
    const state = await load(file, pages, options);
    const map = new DirtyMap(pages, options, state);
    await options.folder.sync();
    await map.#begin(state);
    return map;
  }

  /** From here on a missing clean stop is a crash. What is unknown now is durably so first. */
  async #begin(state: Loaded): Promise<void> {
    if (state.found.kind !== 'clean') await this.#writeBits([...Array(this.#pageCount).keys()]);
    await this.#writeHeader('');
  }

  get granules(): number {
    return Math.ceil(this.#sizeBytes / GRANULE_BYTES);
  }

  get #pageCount(): number {
    return Math.ceil(this.granules / BITS_PER_PAGE);
  }

  /** Dirty granules. */
  get count(): number {
    return this.#count;
  }

  has(granule: number): boolean {
    return ((this.#bits[granule >>> 3] ?? 0) & (1 << (granule & 7))) !== 0;
  }

  mark(granule: number): void {
    if (granule >= this.granules || this.has(granule)) return;
    this.#bits[granule >>> 3] = (this.#bits[granule >>> 3] ?? 0) | (1 << (granule & 7));
    this.#changedPages.add(Math.floor(granule / BITS_PER_PAGE));
    this.#count++;
  }

  /** A change that holds its content has a place in the spool. */
  clear(granule: number): void {
    if (!this.has(granule)) return;
    this.#bits[granule >>> 3] = (this.#bits[granule >>> 3] ?? 0) & ~(1 << (granule & 7));
    this.#changedPages.add(Math.floor(granule / BITS_PER_PAGE));
    this.#count--;
  }

  markAll(): void {
    for (let granule = 0; granule < this.granules; granule++) this.mark(granule);
  }

  clearAll(): void {
    this.#bits.fill(0);
    this.#count = 0;
    for (let page = 0; page < this.#pageCount; page++) this.#changedPages.add(page);
  }

  /** The spool lost changes that were not durable: they lie in hot extents, all of them. */
  markHot(): void {
    for (const extent of this.#hot) this.#markExtent(extent);
    for (const extent of this.#wanted) this.#markExtent(extent);
  }

  #markExtent(extent: number): void {
    for (let index = 0; index < GRANULES_PER_EXTENT; index++) this.mark(extent * GRANULES_PER_EXTENT + index);
  }

  /** Dirty granules from where the last call ended, round and round; `skip` are left out. */
  take(limit: number, skip: (granule: number) => boolean): number[] {
    const taken: number[] = [];
    for (let seen = 0; seen < this.granules && taken.length < limit; ) {
      const granule = this.#next;
      const wide = (granule & 7) === 0 && this.#bits[granule >>> 3] === 0 ? 8 : 1;
      if (wide === 1 && this.has(granule) && !skip(granule)) taken.push(granule);
      seen += wide;
      this.#next = granule + wide >= this.granules ? 0 : granule + wide;
    }
    return taken;
  }

  get hotCount(): number {
    return this.#hot.size;
  }

  /**
   * Before a write to this range reaches the disk: undefined when it may at once, otherwise when it may. A write that
   * began must be among the checkpoint's `inFlight` from this very moment.
   */
  heat(offsetBytes: number, lengthBytes: number): Promise<void> | undefined {
    const last = Math.floor((offsetBytes + lengthBytes - 1) / EXTENT_BYTES);
    let cold = false;
    for (let extent = Math.floor(offsetBytes / EXTENT_BYTES); extent <= last; extent++) {
      this.#touched?.add(extent);
      if (this.#hot.has(extent)) continue;
      this.#wanted.add(extent);
      cold = true;
    }
    return cold ? this.#heat() : undefined;
  }

  static extents(offsetBytes: number, lengthBytes: number): number[] {
    const first = Math.floor(offsetBytes / EXTENT_BYTES);
    const last = Math.floor((offsetBytes + lengthBytes - 1) / EXTENT_BYTES);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  }

  get isFull(): boolean {
    return this.#hot.size + this.#wanted.size > HOT_MAX;
  }

  /** All who ask before the header is written share one write of it. */
  #heat(): Promise<void> {
    this.#heating ??= this.#inTurn(async () => {
      this.#heating = undefined;
      const wanted = this.#wanted;
      this.#wanted = new Set();
      const hot = new Set([...this.#hot, ...wanted]);
      await this.#writeHeader('', hot);
      for (const extent of wanted) this.#hot.add(extent);
      // A checkpoint that begins later asks for what is in flight; one that runs must keep these.
      if (this.#touched) for (const extent of wanted) this.#touched.add(extent);
    });
    return this.#heating;
  }

  /** Makes the bits durable and lets extents cool that nobody writes to any more. */
  checkpoint(parts: CheckpointParts): Promise<void> {
    return this.#inTurn(async () => {
      this.#touched = new Set(parts.inFlight());
      try {
        const pages = [...this.#changedPages];
        const bodies = pages.map((page) => ({ page: page + 1, body: this.#pageBody(page) }));
        this.#changedPages.clear();
        try {
          this.#spoolSequence = await parts.syncAll();
          if (bodies.length > 0) await this.#pages.write(bodies);
        } catch (error) {
          for (const page of pages) this.#changedPages.add(page);
          throw error;
        }
        this.#hot = this.#touched;
      } finally {
        this.#touched = undefined;
      }
      await this.#writeHeader('');
    });
  }

  /** After everything was synced and nobody writes any more. */
  async close(identity: string): Promise<void> {
    await this.#inTurn(async () => {
      this.#hot = new Set();
      if (identity !== '') await this.#writeHeader(identity);
      await this.#pages.close();
    });
  }

  async #writeBits(pages: readonly number[]): Promise<void> {
    for (const page of pages) this.#changedPages.delete(page);
    await this.#pages.write(pages.map((page) => ({ page: page + 1, body: this.#pageBody(page) })));
  }

  #pageBody(page: number): Uint8Array {
    return this.#bits.slice(page * PAGE_BODY_BYTES, (page + 1) * PAGE_BODY_BYTES);
  }

  async #writeHeader(cleanIdentity: string, hot: ReadonlySet<number> = this.#hot): Promise<void> {
    if (hot.size > (PAGE_BODY_BYTES - HOT_AT) / 4) throw new RangeError('too many hot extents');
    const body = Buffer.alloc(PAGE_BODY_BYTES);
    body.writeUInt32LE(VERSION, 0);
    body.writeUInt32LE(GRANULE_BYTES, 4);
    body.writeBigUInt64LE(BigInt(this.#sizeBytes), 8);
    body.writeDoubleLE(this.#spoolSequence, 16);
    body.writeUInt16LE(hot.size, 24);
    body.writeUInt16LE(body.write(cleanIdentity, 64, HOT_AT - 64), 26);
    let at = HOT_AT;
    for (const extent of hot) at = body.writeUInt32LE(extent, at);
    await this.#pages.write([{ page: 0, body }]);
  }
}

/** The maps of several disks of one order. */
export async function openMaps(
  folder: FileFolder,
  disks: readonly { readonly id: string; readonly device: Pick<BlockDevice, 'sizeBytes' | 'identity'> }[],
  spoolSequence: number,
): Promise<DirtyMap[]> {
  const maps: DirtyMap[] = [];
  for (const { id, device } of disks) {
    const [name, identity] = [`${id}.map`, await device.identity()];
    const { sizeBytes } = device;
    maps.push(await DirtyMap.open({ folder, name, sizeBytes, identity, spoolSequence }));
  }
  return maps;
}

/** Without a map, the whole disk counts as changed at the next start. */
export async function removeMap(folder: FileFolder, id: string, log: Log): Promise<void> {
  try {
    await folder.remove(`${id}.map`);
    await folder.sync();
  } catch (failure) {
    const error = messageOf(failure);
    log.error('the map can be neither written nor removed', { disk: id, error });
  }
}

interface Loaded {
  readonly found: Found;
  readonly bits: Uint8Array;
  readonly hot: Set<number>;
  readonly allDirty: boolean;
}

async function load(file: StoredFile, pages: MapPages, options: DirtyMapOptions): Promise<Loaded> {
  const granules = Math.ceil(options.sizeBytes / GRANULE_BYTES);
  const pageCount = Math.ceil(granules / BITS_PER_PAGE);
  const bits = new Uint8Array(pageCount * PAGE_BODY_BYTES);
  const all = (found: Found): Loaded => ({ found, bits, hot: new Set(), allDirty: true });
  const isNew = (await file.sizeBytes()) === 0;
  const header = await pages.read(0);
  let torn = 0;
  for (let page = 0; page < pageCount; page++) {
    const body = await pages.read(page + 1);
    if (!body) torn++;
    bits.set(body ?? new Uint8Array(PAGE_BODY_BYTES).fill(255), page * PAGE_BODY_BYTES);
  }
  if (isNew) return all({ kind: 'new' });
  const unknown = (reason: string) => all({ kind: 'unknown', reason });
  if (!header || header.readUInt32LE(0) !== VERSION || header.readUInt32LE(4) !== GRANULE_BYTES)
    return unknown('The map of changes cannot be read.');
  if (Number(header.readBigUInt64LE(8)) !== options.sizeBytes) return unknown('The disk’s size changed.');
  if (header.readDoubleLE(16) > options.spoolSequence)
    return unknown('The spool lost changes that were durable.');
  const identity = header.toString('utf8', 64, 64 + header.readUInt16LE(26));
  if (identity !== '' && identity !== options.identity)
    return unknown('The disk was written to while its changes were not captured.');
  const hot = new Set<number>();
  for (let index = 0; index < header.readUInt16LE(24); index++)
    hot.add(header.readUInt32LE(HOT_AT + index * 4));
  if (torn > 0)
    return { found: { kind: 'crashed', reason: 'Parts of the map were torn.' }, bits, hot, allDirty: false };
  if (identity !== '') return { found: { kind: 'clean' }, bits, hot, allDirty: false };
  return {
    found: { kind: 'crashed', reason: 'The engine or the machine stopped without a clean stop.' },
    bits,
    hot,
    allDirty: false,
  };
}
