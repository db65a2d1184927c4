import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mapExt } from '../../src/guest/ext-map.ts';
import {
  blocksOf,
  emptyFile,
  expectedMap,
  freeByDumpe2fs,
  MIB,
  mapOf,
  randomFrom,
  randomTree,
  run,
} from './volumes.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-ext-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A volume with files at random, some of which were deleted again. */
function volume(mib: number, seed: number, flags: string): string {
  const random = randomFrom(seed);
  // Half a map block more than whole MiB: the last block of the map lies partly behind the disk's end.
  const file = emptyFile(join(folder, `volume-${seed}`), mib * MIB + 2048);
  const tree = randomTree(mkdtempSync(join(folder, 'tree-')), (mib * MIB) / 4, random);
  run('mke2fs', '-q', '-F', '-d', tree.folder, ...flags.split(' '), file);
  const gone = tree.names.filter(() => random(3) === 0).map((name) => `rm /${name}\n`);
  const script = join(folder, 'commands');
  writeFileSync(script, gone.join(''));
  run('debugfs', '-w', '-f', script, file);
  rmSync(tree.folder, { recursive: true });
  return file;
}

async function unused(file: string): Promise<number> {
  const map = await mapOf(file, mapExt);
  if (typeof map === 'string') throw new Error(map);
  return map.sizeBytes - map.usedBytes();
}

describe('The used blocks of an ext volume', () => {
  it.each([
    [24, '-t ext2 -b 1024'],
    [24, '-t ext2 -b 1024 -O none'],
    [24, '-t ext2 -b 4096 -O ^sparse_super,^resize_inode'],
    [40, '-t ext3 -b 1024'],
    [40, '-t ext3 -b 2048'],
    [40, '-t ext4 -b 1024'],
    [150, '-t ext4 -b 4096'],
    [40, '-t ext4 -b 1024 -O ^64bit,^metadata_csum'],
    [40, '-t ext4 -b 1024 -O ^metadata_csum,uninit_bg'],
    [150, '-t ext4 -b 4096 -O ^64bit,^metadata_csum,uninit_bg,^flex_bg'],
    [60, '-t ext4 -b 1024 -O ^flex_bg'],
    [200, '-t ext4 -b 1024 -O meta_bg,^resize_inode'],
    [200, '-t ext4 -b 1024 -O meta_bg,^resize_inode,^flex_bg'],
    [60, '-t ext4 -b 1024 -O sparse_super2'],
    [60, '-t ext4 -b 1024 -g 1024'],
    [100, '-t ext4 -b 4096 -O bigalloc -C 65536'],
    [60, '-t ext4 -b 1024 -O bigalloc -C 16384'],
    [40, '-t ext4 -b 2048 -O ^has_journal'],
    [100, '-t ext4 -b 65536'],
    [48, '-t ext4 -b 1024 -O inline_data,quota,project,casefold,large_dir,ea_inode,metadata_csum_seed'],
  ])('are those that dumpe2fs does not call free: %i MiB, %s', async (mib, flags) => {
    const file = volume(mib, mib + flags.length * 1000, flags);
    const map = await mapOf(file, mapExt);
    if (typeof map === 'string') throw new Error(map);
    const { blockBytes, free } = freeByDumpe2fs(file);
    expect(free.size * blockBytes).toBeGreaterThan(2 * MIB);
    const expected = expectedMap(map.sizeBytes, blockBytes, free);
    expect(Buffer.compare(blocksOf(map), expected)).toBe(0);
    rmSync(file);
  });

  it.each(['-t ext4 -b 4096', '-t ext2 -b 4096'])('are those that e2image takes along: %s', async (flags) => {
    const file = volume(64, flags.length, flags);
    const map = await mapOf(file, mapExt);
    if (typeof map === 'string') throw new Error(map);
    const bytes = readFileSync(file);
    const { free } = freeByDumpe2fs(file);
    for (const block of free) bytes.fill(0xa5, block * 4096, (block + 1) * 4096);
    writeFileSync(file, bytes);
    const image = `${file}.e2i`;
    run('e2image', '-r', '-a', file, image);
    const taken = readFileSync(image);
    for (let block = 0; (block + 1) * 4096 <= taken.length; block++) {
      const isTaken =
        bytes.compare(taken, block * 4096, (block + 1) * 4096, block * 4096, (block + 1) * 4096) === 0;
      expect([block, isTaken]).toEqual([block, map.isUsed(block)]);
    }
    rmSync(file);
    rmSync(image);
  });

  it('may be thrown away without e2fsck or a file noticing', async () => {
    const file = volume(64, 7, '-t ext4 -b 1024');
    const tree = run('debugfs', '-R', 'ls -l -p d1', file);
    const map = await mapOf(file, mapExt);
    if (typeof map === 'string') throw new Error(map);
    const bytes = readFileSync(file);
    for (let block = 0; block < map.blocks; block++) {
      if (!map.isUsed(block)) bytes.fill(0xa5, block * 4096, (block + 1) * 4096);
    }
    writeFileSync(file, bytes);
    run('e2fsck', '-fn', file);
    expect(run('debugfs', '-R', 'ls -l -p d1', file)).toBe(tree);
  });
});

describe('An ext volume that leaves a doubt', () => {
  const set = (commands: string) => (file: string) => {
    const script = join(folder, 'set');
    writeFileSync(script, commands);
    run('debugfs', '-w', '-f', script, file);
  };

  it.each([
    ['its journal is to be replayed', 'journal has not been replayed', set('feature needs_recovery\n')],
    ['it was not unmounted', 'not marked clean', set('ssv state 0\n')],
    ['it holds errors', 'not marked clean', set('ssv state 3\n')],
    ['it has orphaned files', 'orphaned files', set('ssv last_orphan 12\n')],
    ['it has features of tomorrow', 'not judged', set('ssv feature_incompat 0x80002c2\n')],
    ['its free blocks do not add up', 'its superblock says', set('ssv free_blocks_count 5000\n')],
    ['a group counts wrong', 'but its descriptor says', set('set_block_group 1 free_blocks_count 17\n')],
    ['it is larger than its partition', 'outside its', (file: string) => run('truncate', '-s', '20M', file)],
  ])('counts as used when %s', async (_, why, harm) => {
    const file = volume(24, 11, '-t ext4 -b 1024 -O ^metadata_csum,^uninit_bg');
    expect(await unused(file)).toBeGreaterThan(2 * MIB);
    harm(file);
    expect(await mapOf(file, mapExt)).toContain(why);
  });

  it('counts as used when its journal holds something although its superblock says clean', async () => {
    const file = volume(24, 12, '-t ext3 -b 1024');
    expect(await unused(file)).toBeGreaterThan(2 * MIB);
    const bytes = readFileSync(file);
    const journal = Number(/\(0[^)]*\):(\d+)/.exec(run('debugfs', '-R', 'stat <8>', file))?.[1]);
    expect(bytes.readUInt32BE(journal * 1024)).toBe(0xc03b3998);
    bytes.writeUInt32BE(1, journal * 1024 + 0x1c);
    expect(await mapOf(bytes, mapExt)).toBe('Its journal is not empty.');
  });

  it('is found by the checksums of descriptors and bitmaps', async () => {
    const file = volume(24, 13, '-t ext4 -b 1024');
    const bitmap = Number(/Block bitmap at (\d+)/.exec(run('dumpe2fs', file))?.[1]);
    for (const [at, why] of [
      [2048 + 0x0c, 'group 0 is wrong'],
      [bitmap * 1024 + 1000, 'bitmap of its group 0'],
      [1024 + 0x130, 'checksum of its superblock'],
    ] as const) {
      const bytes = readFileSync(file);
      bytes[at] = (bytes[at] ?? 0) ^ 0x11;
      expect(await mapOf(bytes, mapExt)).toContain(why);
    }
  });
});

describe('A mutated ext volume', () => {
  it.each([
    '-t ext2 -b 1024',
    '-t ext3 -b 1024 -O ^resize_inode',
    '-t ext4 -b 1024 -O ^metadata_csum,uninit_bg',
    '-t ext4 -b 2048 -O bigalloc,^has_journal -C 8192',
  ])('never ends in a hang, a crash or a used block called free: %s', async (flags) => {
    const mib = 12;
    const file = volume(mib, flags.length, flags);
    const bytes = readFileSync(file);
    const { blockBytes, free } = freeByDumpe2fs(file);
    const truth = expectedMap(bytes.length, blockBytes, free);
    const table = blockBytes === 1024 ? 2048 : blockBytes;
    const place = fc.oneof(
      fc.integer({ min: 1024, max: 1024 + 0x160 }),
      fc.integer({ min: table, max: table + 64 }),
    );
    const value = fc.oneof(fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 }));
    const mutations = fc.array(fc.tuple(place, value), { minLength: 1, maxLength: 4 });
    let doubted = 0;
    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const sound = Buffer.from(bytes.subarray(0, 64 * 1024));
        for (const [at, byte] of changes) bytes[at] = byte;
        const map = await mapOf(bytes, mapExt);
        bytes.set(sound);
        if (typeof map === 'string') doubted++;
        else expect(blocksOf(map).every((used, block) => used >= (truth[block] ?? 1))).toBe(true);
      }),
      { numRuns: 300, seed: 6, endOnFailure: true },
    );
    expect(doubted).toBeGreaterThan(30);
  });
});
