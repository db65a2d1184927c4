import { type FileTree, namesOf, type TreeFile } from './file-tree.ts';
import { doubt, type VolumeBytes } from './volume.ts';

/**
 * Files of a FAT12, FAT16 or FAT32 volume, as an EFI system partition has them. Read-only; a folder of 2 MiB at most
 * and one page of the table are held. Chains are bounded by the size they are read for, so a loop has an end.
 * Layout: Microsoft FAT specification, 2005.
 */
interface FatShape {
  readonly kind: 12 | 16 | 32;
  readonly clusterBytes: number;
  readonly clusters: number;
  readonly tableAt: number;
  readonly tableBytes: number;
  readonly dataAt: number;
  /** FAT32: the first cluster of the root; else where it lies. */
  readonly root: { readonly cluster: number } | { readonly at: number; readonly bytes: number };
}

interface Entry {
  readonly name: string;
  readonly shortName: string;
  readonly isFolder: boolean;
  readonly cluster: number;
  readonly sizeBytes: number;
}

const FOLDER_BYTES_MAX = 2 * 1024 ** 2;
const FILE_BYTES_MAX = 256 * 1024 ** 2;
const ATTRIBUTE = { label: 0x08, folder: 0x10, longName: 0x0f } as const;
const TABLE_PAGE_BYTES = 4096;

export class FatTree implements FileTree {
  readonly #volume: VolumeBytes;
  readonly #shape: FatShape;
  #page: { readonly at: number; readonly bytes: Buffer } = { at: -1, bytes: Buffer.alloc(0) };

  private constructor(volume: VolumeBytes, shape: FatShape) {
    this.#volume = volume;
    this.#shape = shape;
  }

  static async open(volume: VolumeBytes): Promise<FatTree> {
    return new FatTree(volume, await readShape(volume));
  }

  async find(path: string): Promise<TreeFile | undefined> {
    const found = await this.#resolve(path);
    if (!found) return undefined;
    if (found === 'root') return folder();
    return found.isFolder ? folder() : this.#file(found);
  }

  async list(path: string): Promise<readonly string[] | undefined> {
    const found = await this.#resolve(path);
    if (!found || (found !== 'root' && !found.isFolder)) return undefined;
    return (await this.#entries(found)).map(({ name }) => name);
  }

  async #resolve(path: string): Promise<Entry | 'root' | undefined> {
    let here: Entry | 'root' = 'root';
    for (const name of namesOf(path)) {
      if (here !== 'root' && !here.isFolder) return undefined;
      const wanted = name.toUpperCase();
      const entries: Entry[] = await this.#entries(here);
      const next = entries.find(
        (one) => one.name.toUpperCase() === wanted || one.shortName.toUpperCase() === wanted,
      );
      if (!next) return undefined;
      here = next;
    }
    return here;
  }

  async #entries(of: Entry | 'root'): Promise<Entry[]> {
    const { root, clusterBytes } = this.#shape;
    if (of === 'root' && 'at' in root) return entriesIn(await this.#volume.read(root.at, root.bytes));
    const first = of === 'root' && 'cluster' in root ? root.cluster : (of as Entry).cluster;
    const chain = await this.#chain(first, Math.ceil(FOLDER_BYTES_MAX / clusterBytes), 'to its end');
    const pieces: Buffer[] = [];
    for (const cluster of chain) pieces.push(await this.#cluster(cluster, 0, clusterBytes));
    return entriesIn(Buffer.concat(pieces));
  }

  #file({ cluster, sizeBytes }: Entry): TreeFile {
    const { clusterBytes } = this.#shape;
    let chain: number[] | undefined;
    const read = async (at: number, length: number) => {
      if (sizeBytes > FILE_BYTES_MAX) throw doubt(`It has ${sizeBytes} bytes, more than a boot file has.`);
      const end = Math.min(sizeBytes, at + length);
      chain ??= await this.#chain(cluster, Math.ceil(sizeBytes / clusterBytes), 'exactly');
      const pieces: Buffer[] = [];
      for (let from = at; from < end; ) {
        const within = from % clusterBytes;
        const bytes = Math.min(end - from, clusterBytes - within);
        pieces.push(await this.#cluster(chain[Math.floor(from / clusterBytes)] ?? 0, within, bytes));
        from += bytes;
      }
      return Buffer.concat(pieces);
    };
    return { kind: 'file', sizeBytes, read };
  }

  /** `exactly`: so many clusters and no fewer; `to its end`: as many as there are, but never more than so many. */
  async #chain(first: number, most: number, how: 'exactly' | 'to its end'): Promise<number[]> {
    const chain: number[] = [];
    let cluster = first;
    while (chain.length < most) {
      if (this.#isEnd(cluster)) {
        if (how === 'to its end') return chain;
        throw doubt('A file of it is shorter than its folder says.');
      }
      if (cluster < 2 || cluster >= this.#shape.clusters + 2) throw doubt('A chain of it leads outside.');
      chain.push(cluster);
      cluster = await this.#next(cluster);
    }
    if (how === 'to its end' && !this.#isEnd(cluster)) throw doubt('A folder of it has no end.');
    return chain;
  }

  #isEnd(cluster: number): boolean {
    return cluster >= { 12: 0xff8, 16: 0xfff8, 32: 0xffffff8 }[this.#shape.kind];
  }

  async #next(cluster: number): Promise<number> {
    const { kind } = this.#shape;
    if (kind === 12) {
      const at = cluster + Math.floor(cluster / 2);
      const pair = (await this.#tableByte(at)) + (await this.#tableByte(at + 1)) * 256;
      return cluster % 2 === 0 ? pair & 0xfff : pair >>> 4;
    }
    const bytes = kind / 8;
    const at = cluster * bytes;
    const page = await this.#tablePage(at);
    const within = at % TABLE_PAGE_BYTES;
    if (within + bytes > page.length) throw doubt('Its table is shorter than its clusters.');
    return kind === 16 ? page.readUInt16LE(within) : page.readUInt32LE(within) & 0xfffffff;
  }

  async #tableByte(at: number): Promise<number> {
    const byte = (await this.#tablePage(at))[at % TABLE_PAGE_BYTES];
    if (byte === undefined) throw doubt('Its table is shorter than its clusters.');
    return byte;
  }

  async #tablePage(at: number): Promise<Buffer> {
    const { tableAt, tableBytes } = this.#shape;
    const from = at - (at % TABLE_PAGE_BYTES);
    if (from >= tableBytes) throw doubt('Its table is shorter than its clusters.');
    if (this.#page.at !== from) {
      const length = Math.min(TABLE_PAGE_BYTES, tableBytes - from);
      this.#page = { at: from, bytes: await this.#volume.read(tableAt + from, length) };
    }
    return this.#page.bytes;
  }

  #cluster(cluster: number, within: number, bytes: number): Promise<Buffer> {
    const { dataAt, clusterBytes } = this.#shape;
    return this.#volume.read(dataAt + (cluster - 2) * clusterBytes + within, bytes);
  }
}

function folder(): TreeFile {
  const read = () => Promise.reject(doubt('It is a folder.'));
  return { kind: 'folder', sizeBytes: 0, read };
}

async function readShape(volume: VolumeBytes): Promise<FatShape> {
  const boot = await volume.read(0, 512);
  const sectorBytes = boot.readUInt16LE(11);
  const sectorsPerCluster = boot.readUInt8(13);
  const reserved = boot.readUInt16LE(14);
  const tables = boot.readUInt8(16);
  const rootEntries = boot.readUInt16LE(17);
  const sectors = boot.readUInt16LE(19) || boot.readUInt32LE(32);
  const shortTable = boot.readUInt16LE(22);
  const tableSectors = shortTable || boot.readUInt32LE(36);
  const isPowerOf2 = sectorsPerCluster > 0 && (sectorsPerCluster & (sectorsPerCluster - 1)) === 0;
  if (![512, 1024, 2048, 4096].includes(sectorBytes) || !isPowerOf2) {
    throw doubt('Its clusters have an impossible size.');
  }
  if (reserved === 0 || tables === 0 || tableSectors === 0 || boot.readUInt16LE(510) !== 0xaa55) {
    throw doubt('It has no FAT boot sector.');
  }
  volume.assertInside(0, sectors * sectorBytes);
  const rootAt = (reserved + tables * tableSectors) * sectorBytes;
  const rootBytes = Math.ceil((rootEntries * 32) / sectorBytes) * sectorBytes;
  const dataAt = rootAt + rootBytes;
  const clusterBytes = sectorsPerCluster * sectorBytes;
  const clusters = Math.floor((sectors * sectorBytes - dataAt) / clusterBytes);
  if (clusters < 1) throw doubt('It has no clusters.');
  const kind = shortTable === 0 ? 32 : clusters < 4085 ? 12 : 16;
  return {
    kind,
    clusterBytes,
    clusters,
    tableAt: reserved * sectorBytes,
    tableBytes: tableSectors * sectorBytes,
    dataAt,
    root: kind === 32 ? { cluster: boot.readUInt32LE(44) } : { at: rootAt, bytes: rootBytes },
  };
}

/** Long names stand before the short one, their last part first, and carry its checksum. */
function entriesIn(raw: Buffer): Entry[] {
  const entries: Entry[] = [];
  let long: { parts: string[]; checksum: number } | undefined;
  for (let at = 0; at + 32 <= raw.length; at += 32) {
    const entry = raw.subarray(at, at + 32);
    const [mark, attributes] = [entry.readUInt8(0), entry.readUInt8(11)];
    if (mark === 0) break;
    if (mark === 0xe5) {
      long = undefined;
    } else if ((attributes & 0x3f) === ATTRIBUTE.longName) {
      if (mark & 0x40) long = { parts: [], checksum: entry.readUInt8(13) };
      long?.parts.unshift(longPart(entry));
    } else {
      if ((attributes & ATTRIBUTE.label) === 0) entries.push(entryOf(entry, long));
      long = undefined;
    }
  }
  return entries.filter(({ name }) => name !== '.' && name !== '..');
}

function longPart(entry: Buffer): string {
  const units = Buffer.concat([entry.subarray(1, 11), entry.subarray(14, 26), entry.subarray(28, 32)]);
  return units.toString('utf16le').replace(/\0.*$/s, '');
}

const LOWER = { base: 0x08, extension: 0x10 } as const;

function entryOf(entry: Buffer, long: { parts: string[]; checksum: number } | undefined): Entry {
  const raw = Buffer.from(entry.subarray(0, 11));
  let sum = 0;
  for (const byte of raw) sum = ((((sum & 1) << 7) | (sum >>> 1)) + byte) & 0xff;
  if (raw[0] === 0x05) raw[0] = 0xe5;
  const cases = entry.readUInt8(12);
  const base = raw.toString('latin1', 0, 8).trimEnd();
  const extension = raw.toString('latin1', 8, 11).trimEnd();
  const shortName =
    (cases & LOWER.base ? base.toLowerCase() : base) +
    (extension && `.${cases & LOWER.extension ? extension.toLowerCase() : extension}`);
  return {
    name: long && long.checksum === sum ? long.parts.join('') : shortName,
    shortName,
    isFolder: (entry.readUInt8(11) & ATTRIBUTE.folder) !== 0,
    cluster: entry.readUInt16LE(20) * 65536 + entry.readUInt16LE(26),
    sizeBytes: entry.readUInt32LE(28),
  };
}
