import { crc32c } from './checksums.ts';
import { type Blocks, type ExtGroup, extGroups, ownBlocks } from './ext-groups.ts';
import { type ExtSuperblock, readExtSuperblock } from './ext-superblock.ts';
import { Ranges } from './ranges.ts';
import { FreeRanges, type UsedMap } from './used-map.ts';
import { doubt, type VolumeBytes } from './volume.ts';

/**
 * Takes the free blocks of an ext2, ext3 or ext4 volume out of the map. A wrong `free` is lost data, so the volume
 * must be clean with an empty journal, every checksum it has must be right, and in every group the bitmap must have
 * as many free clusters as the descriptor says, and all of them together as many as the superblock says. Anything
 * else throws a doubt; the map may then hold half of the volume's free blocks, and the caller takes all of it for used.
 * Whatever the bitmaps say, superblocks, descriptors, their backups, bitmaps and inode tables stay used.
 */
export async function mapExt(volume: VolumeBytes, map: UsedMap): Promise<void> {
  const superblock = await readExtSuperblock(volume);
  const metadata = await metadataOf(volume, superblock);
  const free = new FreeRanges(map, volume.offsetBytes);
  let freeClusters = 0;
  for await (const group of extGroups(volume, superblock)) {
    const bitmap = await bitmapOf(volume, superblock, group, metadata);
    freeClusters += addGroup(superblock, group, bitmap, free);
  }
  free.finish();
  if (freeClusters * superblock.clusterBlocks !== superblock.freeBlocks) {
    throw doubt(
      `Its bitmaps have ${freeClusters * superblock.clusterBlocks} free blocks, its superblock says ${superblock.freeBlocks}.`,
    );
  }
  const { blockBytes } = superblock;
  metadata.eachIn(0, superblock.blocks, (first, end) => {
    map.use(volume.offsetBytes + first * blockBytes, volume.offsetBytes + end * blockBytes);
  });
}

function clustersIn(superblock: ExtSuperblock, group: number): number {
  const first = superblock.firstBlock + group * superblock.blocksPerGroup;
  const blocks = Math.min(superblock.blocksPerGroup, superblock.blocks - first);
  return Math.ceil(blocks / superblock.clusterBlocks);
}

/** Where the file system keeps itself: with flex_bg a group's bitmaps and inodes mostly lie in another group. */
async function metadataOf(volume: VolumeBytes, superblock: ExtSuperblock): Promise<Ranges> {
  const firsts = new Float64Array(superblock.groups * 4);
  const counts = new Float64Array(superblock.groups * 4);
  let length = 0;
  const add = ({ first, count }: Blocks) => {
    if (first < superblock.firstBlock || first + count > superblock.blocks) {
      throw doubt('Its own metadata lies outside of it.');
    }
    firsts[length] = first;
    counts[length++] = count;
  };
  for await (const group of extGroups(volume, superblock)) {
    add(ownBlocks(superblock, group.index));
    add({ first: group.bitmapBlock, count: 1 });
    add({ first: group.inodeBitmapBlock, count: 1 });
    add(group.inodeTable);
  }
  return new Ranges(firsts, counts);
}

async function bitmapOf(
  volume: VolumeBytes,
  superblock: ExtSuperblock,
  group: ExtGroup,
  metadata: Ranges,
): Promise<Uint8Array> {
  const bytes = superblock.clustersPerGroup / 8;
  if (group.isUninitialised) return unwrittenBitmap(superblock, group, metadata);
  const bitmap = await volume.read(group.bitmapBlock * superblock.blockBytes, bytes);
  const sum = group.bitmapChecksum;
  if (sum && ((crc32c(superblock.checksumSeed, bitmap) ^ sum.value) & sum.mask) !== 0) {
    throw doubt(`The checksum of the bitmap of its group ${group.index} is wrong.`);
  }
  return bitmap;
}

/** What the kernel would write there: metadata is used, everything else is free. */
function unwrittenBitmap(superblock: ExtSuperblock, group: ExtGroup, metadata: Ranges): Uint8Array {
  const bitmap = new Uint8Array(superblock.clustersPerGroup / 8);
  const start = superblock.firstBlock + group.index * superblock.blocksPerGroup;
  const end = start + superblock.blocksPerGroup;
  metadata.eachIn(start, end, (first, after) => {
    for (let block = first; block < after; block++) {
      const cluster = Math.floor((block - start) / superblock.clusterBlocks);
      bitmap[cluster >>> 3] = (bitmap[cluster >>> 3] ?? 0) | (1 << (cluster & 7));
    }
  });
  return bitmap;
}

/** Answers how many clusters of the group are free. */
function addGroup(superblock: ExtSuperblock, group: ExtGroup, bitmap: Uint8Array, free: FreeRanges): number {
  const { blockBytes, clusterBlocks, blocks } = superblock;
  const clusters = clustersIn(superblock, group.index);
  const start = superblock.firstBlock + group.index * superblock.blocksPerGroup;
  const add = (from: number, to: number) =>
    free.add(
      (start + from * clusterBlocks) * blockBytes,
      Math.min(start + to * clusterBlocks, blocks) * blockBytes,
    );
  const count = eachFreeRun(bitmap, clusters, add);
  if (count !== group.freeClusters) {
    throw doubt(
      `Its group ${group.index} has ${count} free clusters, but its descriptor says ${group.freeClusters}.`,
    );
  }
  return count;
}

/** Calls back for each run of zero bits among the first `length`; answers how many there are. */
export function eachFreeRun(
  bitmap: Uint8Array,
  length: number,
  act: (from: number, to: number) => void,
): number {
  let count = 0;
  let at = 0;
  while (at < length) {
    const byte = bitmap[at >>> 3] ?? 0xff;
    if ((at & 7) === 0 && at + 8 <= length && (byte === 0xff || byte === 0)) {
      const run = equalBytes(bitmap, at >>> 3, length >>> 3) * 8;
      if (byte === 0) act(at, at + run);
      if (byte === 0) count += run;
      at += run;
      continue;
    }
    if ((byte & (1 << (at & 7))) === 0) {
      act(at, at + 1);
      count++;
    }
    at++;
  }
  return count;
}

function equalBytes(bytes: Uint8Array, from: number, end: number): number {
  let at = from + 1;
  while (at < end && bytes[at] === bytes[from]) at++;
  return at - from;
}
