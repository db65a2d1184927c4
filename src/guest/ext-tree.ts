import { extGroup } from './ext-groups.ts';
import { type ExtInode, ExtStream, inodeOf } from './ext-inode.ts';
import { type ExtShape, readExtShape } from './ext-superblock.ts';
import { type FileTree, namesOf, PIECE_BYTES, type TreeFile } from './file-tree.ts';
import { doubt, type VolumeBytes } from './volume.ts';

/**
 * Files of an ext2, ext3 or ext4 volume. Read-only; one piece of a folder is held at a time. The journal is not
 * replayed: what stands on the disk is read, and `needsRecovery` says that a mount would see something newer.
 * Folders are read from their first block to their last, which is right for hashed ones as well.
 */
const ROOT_INODE = 2;
const LINKS_MAX = 40;
const FOLDER_BYTES_MAX = 256 * 1024 ** 2;
const LINK_BYTES_MAX = 4096;

export class ExtTree implements FileTree {
  readonly needsRecovery: boolean;
  readonly #volume: VolumeBytes;
  readonly #shape: ExtShape;

  private constructor(volume: VolumeBytes, shape: ExtShape) {
    this.#volume = volume;
    this.#shape = shape;
    this.needsRecovery = shape.needsRecovery;
  }

  static async open(volume: VolumeBytes): Promise<ExtTree> {
    return new ExtTree(volume, await readExtShape(volume));
  }

  async find(path: string): Promise<TreeFile | undefined> {
    const inode = await this.#resolve(path);
    if (!inode) return undefined;
    const stream = this.#stream(inode);
    const kind = inode.kind === 'link' ? 'other' : inode.kind;
    return { kind, sizeBytes: inode.sizeBytes, read: (at, length) => stream.read(at, length) };
  }

  async list(path: string): Promise<readonly string[] | undefined> {
    const folder = await this.#resolve(path);
    if (folder?.kind !== 'folder') return undefined;
    const names: string[] = [];
    await this.#eachName(folder, (name) => {
      if (name !== '.' && name !== '..') names.push(name);
      return false;
    });
    return names;
  }

  async #resolve(path: string): Promise<ExtInode | undefined> {
    const left = namesOf(path);
    const above: ExtInode[] = [];
    let here = await this.#inode(ROOT_INODE);
    let links = 0;
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      if (name === '..') {
        here = above.pop() ?? here;
        continue;
      }
      if (here.kind !== 'folder') return undefined;
      const number = await this.#lookUp(here, name);
      if (number === undefined) return undefined;
      const next = await this.#inode(number);
      if (next.kind !== 'link') {
        above.push(here);
        here = next;
        continue;
      }
      links += 1;
      if (links > LINKS_MAX || next.sizeBytes > LINK_BYTES_MAX) throw doubt('Its path has too many links.');
      const target = (await this.#stream(next).read(0, LINK_BYTES_MAX)).toString('utf8');
      if (target.startsWith('/')) {
        above.length = 0;
        here = await this.#inode(ROOT_INODE);
      }
      left.unshift(...namesOf(target));
    }
    return here;
  }

  async #lookUp(folder: ExtInode, wanted: string): Promise<number | undefined> {
    let found: number | undefined;
    await this.#eachName(folder, (name, inode) => {
      if (name === wanted) found = inode;
      return found !== undefined;
    });
    return found;
  }

  /** Stops when `see` says that it has seen enough. */
  async #eachName(folder: ExtInode, see: (name: string, inode: number) => boolean): Promise<void> {
    const { blockBytes } = this.#shape;
    if (folder.sizeBytes > FOLDER_BYTES_MAX) throw doubt('A folder of it is too long.');
    const stream = this.#stream(folder);
    for (let at = 0; at < folder.sizeBytes; at += PIECE_BYTES) {
      const piece = await stream.read(at, PIECE_BYTES);
      for (let block = 0; block + blockBytes <= piece.length; block += blockBytes) {
        if (eachEntry(piece.subarray(block, block + blockBytes), see)) return;
      }
    }
  }

  #stream(inode: ExtInode): ExtStream {
    return new ExtStream(this.#volume, this.#shape, inode);
  }

  async #inode(number: number): Promise<ExtInode> {
    const { inodesPerGroup, inodeBytes, blockBytes, groups } = this.#shape;
    const group = Math.floor((number - 1) / inodesPerGroup);
    if (number < 1 || group >= groups) throw doubt(`It names inode ${number}, which does not exist.`);
    const { inodeTable } = await extGroup(this.#volume, this.#shape, group);
    const at = inodeTable.first * blockBytes + ((number - 1) % inodesPerGroup) * inodeBytes;
    return inodeOf(await this.#volume.read(at, inodeBytes), number);
  }
}

/** Answers whether enough was seen. The inner blocks of a hashed folder look like one entry without a file. */
function eachEntry(block: Buffer, see: (name: string, inode: number) => boolean): boolean {
  for (let at = 0; at + 8 <= block.length; ) {
    const raw = block.readUInt16LE(at + 4);
    const length = raw === 0xffff || raw === 0 ? block.length - at : raw;
    const nameBytes = block.readUInt8(at + 6);
    const inode = block.readUInt32LE(at);
    if (length < 8 || at + length > block.length || (inode !== 0 && nameBytes + 8 > length)) {
      throw doubt('A folder of it has an entry of impossible length.');
    }
    if (inode !== 0 && see(block.toString('utf8', at + 8, at + 8 + nameBytes), inode)) return true;
    at += length;
  }
  return false;
}
