import { type FileTree, namesOf, type TreeFile } from './file-tree.ts';
import { compareNames, entriesOfNode, type IndexEntry } from './ntfs-index.ts';
import { attributesOf, fixUp, type NtfsAttribute } from './ntfs-record.ts';
import { NtfsStream } from './ntfs-stream.ts';
import { ATTRIBUTE, NtfsVolume } from './ntfs-volume.ts';
import { doubt, type VolumeBytes } from './volume.ts';

/**
 * Files of an NTFS volume. Read-only; it holds one index block and the table of upper-case letters. The log is not
 * replayed: what stands on the disk is read, and each record and index block tells by its fix-ups whether it is whole.
 * Links and junctions are not followed; compressed and encrypted data is refused by name when it is read.
 */
const RECORD = { root: 5, upcase: 10 } as const;
const TYPE = { indexRoot: 0x90, indexAllocation: 0xa0, reparse: 0xc0 } as const;
const FOLDER_INDEX = '$I30';
const UPCASE_BYTES = 128 * 1024;
const DEPTH_MAX = 12;
const NAMES_MAX = 1_000_000;
const FILE_NAMES = 0x30;

interface Index {
  readonly root: Buffer;
  readonly blockBytes: number;
  readonly blocks: NtfsStream | undefined;
}

interface Found {
  readonly record: number;
  readonly raw: Buffer;
}

export class NtfsTree implements FileTree {
  readonly #ntfs: NtfsVolume;
  readonly #upcase: Uint16Array;

  private constructor(ntfs: NtfsVolume, upcase: Uint16Array) {
    this.#ntfs = ntfs;
    this.#upcase = upcase;
  }

  static async open(volume: VolumeBytes): Promise<NtfsTree> {
    const ntfs = await NtfsVolume.open(volume);
    const table = new NtfsStream(ntfs, await ntfs.parts(RECORD.upcase, ATTRIBUTE.data, ''));
    if (table.sizeBytes !== UPCASE_BYTES) throw doubt('Its table of upper-case letters has a wrong length.');
    const bytes = await table.read(0, UPCASE_BYTES);
    const upcase = Uint16Array.from({ length: UPCASE_BYTES / 2 }, (_, at) => bytes.readUInt16LE(at * 2));
    return new NtfsTree(ntfs, upcase);
  }

  async find(path: string): Promise<TreeFile | undefined> {
    const found = await this.#resolve(path);
    if (!found) return undefined;
    if (isFolder(found.raw)) return { kind: 'folder', sizeBytes: 0, read: noFile };
    const parts = await this.#ntfs.parts(found.record, ATTRIBUTE.data, '');
    if (parts.length === 0) return { kind: 'other', sizeBytes: 0, read: noFile };
    const link = attributesOf(found.raw).find((one) => one.type === TYPE.reparse);
    const stream = new NtfsStream(this.#ntfs, parts, link ? await this.#tagOf(link) : undefined);
    return {
      kind: 'file',
      sizeBytes: stream.sizeBytes,
      read: (at, length) => stream.read(at, length),
      placeOf: (at, length) => stream.placeOf(at, length),
    };
  }

  async list(path: string): Promise<readonly string[] | undefined> {
    const found = await this.#resolve(path);
    if (!found || !isFolder(found.raw)) return undefined;
    const index = await this.#index(found.record);
    const names: string[] = [];
    const seen = new Set<number>();
    const walk = async (entries: readonly IndexEntry[], depth: number): Promise<void> => {
      for (const { name, isDosName, child } of entries) {
        if (child !== undefined && seen.has(child)) throw doubt('A folder of it leads back into itself.');
        if (child !== undefined) {
          seen.add(child);
          await walk(await this.#node(index, child, depth), depth + 1);
        }
        if (name !== undefined && !isDosName) names.push(name);
        if (names.length > NAMES_MAX) throw doubt('A folder of it has too many names.');
      }
    };
    await walk(entriesOfNode(index.root), 0);
    return names.filter((name) => name !== '.');
  }

  async #resolve(path: string): Promise<Found | undefined> {
    let here: Found = { record: RECORD.root, raw: await this.#ntfs.record(RECORD.root) };
    for (const name of namesOf(path)) {
      if (!isFolder(here.raw)) return undefined;
      if (attributesOf(here.raw).some((one) => one.type === TYPE.reparse)) {
        throw doubt('Its path goes through a link, which is not followed.');
      }
      const entry = await this.#lookUp(here.record, name);
      if (!entry) return undefined;
      const raw = await this.#ntfs.record(entry.record);
      if (raw.readUInt16LE(0x10) !== entry.sequence || raw.readUIntLE(0x20, 6) !== 0) {
        throw doubt(`Its record ${entry.record} is not the file that its folder names.`);
      }
      here = { record: entry.record, raw };
    }
    return here;
  }

  async #lookUp(folder: number, name: string): Promise<IndexEntry | undefined> {
    const index = await this.#index(folder);
    let entries = entriesOfNode(index.root);
    for (let depth = 0; ; depth++) {
      let next: IndexEntry | undefined;
      for (const entry of entries) {
        const order = entry.name === undefined ? -1 : compareNames(name, entry.name, this.#upcase);
        if (order === 0) return entry;
        if (order < 0) {
          next = entry;
          break;
        }
      }
      if (next?.child === undefined) return undefined;
      entries = await this.#node(index, next.child, depth);
    }
  }

  async #index(folder: number): Promise<Index> {
    const [root] = await this.#ntfs.parts(folder, TYPE.indexRoot, FOLDER_INDEX);
    const value = root?.value;
    if (!value || value.length < 32 || value.readUInt32LE(0) !== FILE_NAMES) {
      throw doubt('A folder of it has no index of names.');
    }
    const blockBytes = value.readUInt32LE(8);
    if (![512, 1024, 2048, 4096, 8192, 16384, 32768, 65536].includes(blockBytes)) {
      throw doubt('A folder of it has blocks of an impossible size.');
    }
    const parts = await this.#ntfs.parts(folder, TYPE.indexAllocation, FOLDER_INDEX);
    const blocks = parts.length > 0 ? new NtfsStream(this.#ntfs, parts) : undefined;
    return { root: value.subarray(16), blockBytes, blocks };
  }

  async #node({ blocks, blockBytes }: Index, number: number, depth: number): Promise<IndexEntry[]> {
    if (depth > DEPTH_MAX || !blocks) throw doubt('A folder of it leads to blocks that are not there.');
    // Blocks are counted in clusters, or in sectors where a cluster is larger than a block.
    const { clusterBytes } = this.#ntfs.geometry;
    const at = number * (clusterBytes <= blockBytes ? clusterBytes : 512);
    const raw = await blocks.read(at, blockBytes);
    if (raw.length !== blockBytes) throw doubt('A folder of it leads to blocks that are not there.');
    const block = fixUp(raw, 'INDX');
    return entriesOfNode(block.subarray(24));
  }

  async #tagOf({ value, stored }: NtfsAttribute): Promise<number | undefined> {
    if (value) return value.length >= 4 ? value.readUInt32LE(0) : undefined;
    const lcn = stored?.runs[0]?.lcn;
    return lcn === undefined ? undefined : (await this.#ntfs.readAt(lcn, 0, 4)).readUInt32LE(0);
  }
}

function isFolder(raw: Buffer): boolean {
  return (raw.readUInt16LE(0x16) & 2) !== 0;
}

function noFile(): Promise<Buffer> {
  return Promise.reject(doubt('It is not a file with data.'));
}
