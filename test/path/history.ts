import { crc32 } from 'node:zlib';

/**
 * Everything the master's disks ever were, as one number for each moment: what a replica is must be one of them. The
 * number is put together from those of the sectors, so that a write costs no more than what it touches.
 */
export const SECTOR_BYTES = 512;
const PAGE_BYTES = 4096;
export const SIZES = { disk0: 80 * 1024, disk1: 16 * 1024 + SECTOR_BYTES } as const;
export type DiskId = keyof typeof SIZES;
export const DISK_IDS = Object.keys(SIZES) as DiskId[];

export class History {
  readonly #sectors = new Map<DiskId, Uint32Array>();
  /** The last moment at which the disks were so. */
  readonly #moments = new Map<number, number>();
  #state = 0;
  #moment = 0;

  constructor() {
    this.begin((id) => Buffer.alloc(SIZES[id]));
  }

  get moment(): number {
    return this.#moment;
  }

  /** The disks are what they are: a power cut asks nobody. */
  begin(bytesOf: (id: DiskId) => Buffer): void {
    for (const id of DISK_IDS) this.#sectors.set(id, sectorsOf(bytesOf(id), id));
    this.#state = stateOf(this.#sectors);
    this.#note();
  }

  write(id: DiskId, offsetBytes: number, bytes: Buffer): void {
    const sectors = this.#sectors.get(id);
    if (!sectors) throw new Error(`no ${id}`);
    for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
      const index = (offsetBytes + at) / SECTOR_BYTES;
      this.#state = (this.#state ^ (sectors[index] ?? 0)) >>> 0;
      sectors[index] = sectorOf(bytes.subarray(at, at + SECTOR_BYTES), id, index);
      this.#state = (this.#state ^ (sectors[index] ?? 0)) >>> 0;
    }
    this.#note();
  }

  /** The last moment at which the master was this. */
  momentOf(state: number): number | undefined {
    return this.#moments.get(state);
  }

  #note(): void {
    this.#moments.set(this.#state, ++this.#moment);
  }
}

/** The number of disks that somebody else writes: only pages that are not what they were are looked at again. */
export class DiskStates {
  readonly #known = new Map(DISK_IDS.map((id) => [id, Buffer.alloc(SIZES[id])]));
  readonly #sectors = new Map(DISK_IDS.map((id) => [id, sectorsOf(Buffer.alloc(SIZES[id]), id)]));

  of(bytesOf: (id: DiskId) => Buffer): number {
    for (const id of DISK_IDS) this.#look(id, bytesOf(id));
    return stateOf(this.#sectors);
  }

  #look(id: DiskId, bytes: Buffer): void {
    const known = this.#known.get(id);
    const sectors = this.#sectors.get(id);
    if (!known || !sectors) throw new Error(`no ${id}`);
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      const end = Math.min(at + PAGE_BYTES, bytes.length);
      if (bytes.compare(known, at, end, at, end) === 0) continue;
      bytes.copy(known, at, at, end);
      for (let sector = at; sector < end; sector += SECTOR_BYTES) {
        const index = sector / SECTOR_BYTES;
        sectors[index] = sectorOf(bytes.subarray(sector, sector + SECTOR_BYTES), id, index);
      }
    }
  }
}

function stateOf(sectors: ReadonlyMap<DiskId, Uint32Array>): number {
  let state = 0;
  for (const each of sectors.values()) for (const one of each) state = (state ^ one) >>> 0;
  return state;
}

function sectorsOf(bytes: Buffer, id: DiskId): Uint32Array {
  return Uint32Array.from({ length: bytes.length / SECTOR_BYTES }, (_, index) =>
    sectorOf(bytes.subarray(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES), id, index),
  );
}

/** Mixed, so that equal contents at different places do not cancel each other out. */
function sectorOf(bytes: Buffer, id: DiskId, index: number): number {
  let mixed = crc32(bytes) ^ Math.imul(index + 1 + DISK_IDS.indexOf(id) * 4099, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
