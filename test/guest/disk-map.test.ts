import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isStandbyError } from '../../src/errors.ts';
import { mapDisk } from '../../src/guest/disk-map.ts';
import { mapNtfs } from '../../src/guest/ntfs-map.ts';
import type { UsedMap } from '../../src/guest/used-map.ts';
import { deviceOf, emptyFile, freeByDumpe2fs, MIB, mapOf, randomFrom, randomTree, run } from './volumes.ts';

let folder: string;
let ext: Buffer;
let ntfs: Buffer;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-disk-map-'));
  const tree = randomTree(join(folder, 'tree'), 3 * MIB, randomFrom(3));
  const [extFile, ntfsFile] = ['ext', 'ntfs'].map((name) => emptyFile(join(folder, name), 24 * MIB));
  run('mke2fs', '-q', '-F', '-t', 'ext4', '-b', '1024', '-d', tree.folder, `${extFile}`);
  ext = readFileSync(`${extFile}`);
  run(
    'mkntfs',
    '-F',
    '-Q',
    '-q',
    '-c',
    '4096',
    '-s',
    '512',
    '-p',
    '8192',
    '-H',
    '255',
    '-S',
    '63',
    `${ntfsFile}`,
  );
  for (const name of tree.names.slice(0, 5))
    run('ntfscp', `${ntfsFile}`, join(tree.folder, name), name.replace('/', '-'));
  ntfs = readFileSync(`${ntfsFile}`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SECTOR = 512;
const EXT_AT = 34_815; // Neither the beginning of a map block nor of a block of the file system.
const NTFS_AT = 90_112;
const DISK_BYTES = 80 * MIB;

/** ESP, Microsoft reserved, Linux, swap, NTFS, a partition of nobody's, and gaps; rubbish wherever nothing is. */
function gptDisk(types = { ext: '8300', ntfs: '0700' }): Buffer {
  const key = `${types.ext} ${types.ntfs}`;
  const made = gptDisks.get(key) ?? makeGptDisk(types);
  gptDisks.set(key, made);
  return Buffer.from(made);
}

const gptDisks = new Map<string, Buffer>();

function makeGptDisk(types: { readonly ext: string; readonly ntfs: string }): Buffer {
  const file = emptyFile(join(folder, 'gpt'), DISK_BYTES);
  run(
    'sgdisk',
    ...['-a', '1', '-n', '1:2048:+4M', '-t', '1:ef00', '-n', '2:12288:+1M', '-t', '2:0c01'],
    ...['-n', `3:${EXT_AT}:+24M`, '-t', `3:${types.ext}`, '-n', '4:84000:+1M', '-t', '4:8200'],
    ...['-n', `5:${NTFS_AT}:+24M`, '-t', `5:${types.ntfs}`, '-n', '6:150000:0', '-t', '6:8300', file],
  );
  return withVolumes(readFileSync(file));
}

function withVolumes(bytes: Buffer): Buffer {
  ext.copy(bytes, EXT_AT * SECTOR);
  ntfs.copy(bytes, NTFS_AT * SECTOR);
  return bytes;
}

function mbrDisk(table: string): Buffer {
  const file = emptyFile(join(folder, 'mbr'), DISK_BYTES);
  writeFileSync(join(folder, 'table'), `label: dos\n${table}`);
  run('sh', '-c', `sfdisk -q --force ${file} < ${join(folder, 'table')}`);
  return withVolumes(readFileSync(file));
}

const mapped = (bytes: Buffer) => mapDisk(deviceOf(bytes), 'disk0');

/** One number for each sector: 0 where the volumes' own tools call it free. */
async function sectorsInUse(): Promise<Uint8Array> {
  const used = new Uint8Array(DISK_BYTES / SECTOR).fill(1);
  const { blockBytes, free } = freeByDumpe2fs(join(folder, 'ext'));
  const sectors = blockBytes / SECTOR;
  for (const block of free) used.fill(0, EXT_AT + block * sectors, EXT_AT + (block + 1) * sectors);
  // Its clusters are as large as blocks of the map; their map is held against other tools elsewhere.
  const map = (await mapOf(ntfs, mapNtfs)) as UsedMap;
  for (let block = 0; block < map.blocks; block++) {
    if (!map.isUsed(block)) used.fill(0, NTFS_AT + block * 8, NTFS_AT + (block + 1) * 8);
  }
  return used;
}

describe('The used blocks of a disk', () => {
  it('are all but the free ones of its clean ext and NTFS volumes', async () => {
    const bytes = gptDisk();
    const { used, volumes, layout } = await mapped(bytes);
    expect(layout).toMatchObject({ partitionTable: 'gpt', firmware: 'uefi' });
    expect(volumes.map(({ id, fileSystem, countedWhole }) => [id, fileSystem, countedWhole])).toEqual([
      ['disk0/1', 'unknown', expect.stringContaining('type')],
      ['disk0/2', 'unknown', expect.stringContaining('type')],
      ['disk0/3', 'ext4', undefined],
      ['disk0/4', 'unknown', expect.stringContaining('type')],
      ['disk0/5', 'ntfs', undefined],
      ['disk0/6', 'unknown', 'No known file system was found on it.'],
    ]);
    const sectors = await sectorsInUse();
    const wrong: number[] = [];
    let freeBlocks = 0;
    for (let block = 0; block < used.blocks; block++) {
      const isUsed = sectors.subarray(block * 8, block * 8 + 8).includes(1);
      if (isUsed !== used.isUsed(block)) wrong.push(block);
      if (!isUsed) freeBlocks++;
    }
    expect(wrong).toEqual([]);
    expect(freeBlocks * 4096).toBeGreaterThan(34 * MIB);
    expect(used.usedBytes()).toBe(DISK_BYTES - freeBlocks * 4096);
  });

  it('are all that e2fsck, ntfsfix and sgdisk need, wherever the volumes begin', async () => {
    const bytes = gptDisk();
    const { used } = await mapped(bytes);
    for (let block = 0; block < used.blocks; block++) {
      if (!used.isUsed(block)) bytes.fill(0xee, block * 4096, (block + 1) * 4096);
    }
    const [disk, first, second] = ['thrown', 'thrown-ext', 'thrown-ntfs'].map((name) => join(folder, name));
    writeFileSync(`${disk}`, bytes);
    writeFileSync(`${first}`, bytes.subarray(EXT_AT * SECTOR, EXT_AT * SECTOR + 24 * MIB));
    writeFileSync(`${second}`, bytes.subarray(NTFS_AT * SECTOR, NTFS_AT * SECTOR + 24 * MIB));
    expect(run('sgdisk', '-v', `${disk}`)).toContain('No problems found');
    run('e2fsck', '-fn', `${first}`);
    run('ntfsfix', '-n', `${second}`);
    run('ntfsclone', '-s', '-O', join(folder, 'clone'), `${second}`);
  });

  it('of a BIOS disk with logical partitions leave out free blocks there too', async () => {
    const bytes = mbrDisk(
      `start=2048,size=8192,type=83\nstart=20480,size=130000,type=5\nstart=${EXT_AT},size=49152,type=83\nstart=${NTFS_AT},size=49152,type=7\n`,
    );
    const { volumes } = await mapped(bytes);
    expect(volumes.map(({ id, countedWhole }) => [id, countedWhole])).toEqual([
      ['disk0/1', expect.any(String)],
      ['disk0/5', undefined],
      ['disk0/6', undefined],
    ]);
  });

  it('are read of a file system that has the whole disk for itself', async () => {
    for (const volume of [ext, ntfs]) {
      const { volumes, used } = await mapped(volume);
      expect(volumes).toHaveLength(1);
      expect(volumes[0]?.countedWhole).toBeUndefined();
      expect(used.usedBytes()).toBeLessThan(16 * MIB);
    }
  });

  it('are all of them on disks that nothing is known of', async () => {
    for (const size of [0, 1, 4096, 8191, 8192, MIB + 1]) {
      const { used } = await mapped(Buffer.alloc(size, 7));
      expect(used.usedBytes()).toBe(size);
    }
  });
});

describe('A disk whose table or volumes may not be believed', () => {
  const at = (bytes: Buffer, offset: number, value: string) => {
    bytes.write(value, offset, 'hex');
    return bytes;
  };
  const reasons = async (bytes: Buffer) => {
    const { used, volumes } = await mapped(bytes);
    const wholes = volumes.filter(({ countedWhole }) => countedWhole);
    for (const { offsetBytes, sizeBytes } of wholes) {
      expect(used.usedBytes(offsetBytes, offsetBytes + sizeBytes)).toBe(sizeBytes);
    }
    return volumes.filter(({ id }) => /[35]$/.test(id)).map(({ countedWhole }) => countedWhole);
  };

  it.each([
    ['there is no protective MBR', 'does not stand for', (bytes: Buffer) => at(bytes, 446 + 4, '83')],
    ['the MBR is a hybrid', 'does not stand for', (bytes: Buffer) => at(bytes, 446 + 16 + 4, '07')],
    ['the header is torn', 'checksum of its GPT', (bytes: Buffer) => at(bytes, 512 + 56, '00112233')],
    [
      'the entries are torn',
      'checksum of its partitions',
      (bytes: Buffer) => at(bytes, 1024 + 128 * 6, '01'),
    ],
    [
      'it is a member of a RAID',
      'Linux RAID',
      (bytes: Buffer) => at(bytes, DISK_BYTES - 64 * 1024, 'fc4e2ba9'),
    ],
  ])('counts as used when %s', async (_, why, harm) => {
    const found = await reasons(harm(gptDisk()));
    expect(found).toEqual([expect.stringContaining(why), expect.stringContaining(why)]);
  });

  it('counts a volume as used that is part of something else', async () => {
    expect(await reasons(gptDisk({ ext: 'fd00', ntfs: '4200' }))).toEqual([
      expect.stringContaining('not judged'),
      expect.stringContaining('not judged'),
    ]);
    for (const [offset, mark] of [
      [512, '4c4142454c4f4e45'],
      [4096, 'fc4e2ba9'],
      [65600, '5f42485266535f4d'],
      [131072, '0cb1ba0000000000'],
      [0, '4c554b53babe'],
    ] as const) {
      const [found, other] = await reasons(at(gptDisk(), EXT_AT * SECTOR + offset, mark));
      expect(found).toContain('the mark of');
      expect(other).toBeUndefined();
    }
  });

  it('counts volumes as used that lie over each other', async () => {
    const bytes = mbrDisk(`start=${EXT_AT},size=49152,type=83\nstart=${NTFS_AT},size=49152,type=7\n`);
    // No tool here writes this third entry.
    bytes.writeUInt8(0x83, 446 + 2 * 16 + 4);
    bytes.writeUInt32LE(EXT_AT + 49_000, 446 + 2 * 16 + 8);
    bytes.writeUInt32LE(2000, 446 + 2 * 16 + 12);
    expect((await mapped(bytes)).volumes.map(({ countedWhole }) => countedWhole)).toEqual([
      expect.stringContaining('overlaps'),
      undefined,
      expect.stringContaining('overlaps'),
    ]);
  });

  it('never ends in anything but a map without a wrong hole or a named error, however its table is changed', async () => {
    const disks = [
      gptDisk(),
      mbrDisk(
        `start=${EXT_AT},size=49152,type=83\nstart=${NTFS_AT - 2048},size=55000,type=5\nstart=${NTFS_AT},size=49152,type=7\n`,
      ),
    ];
    const truths = await Promise.all(disks.map(async (bytes) => (await mapped(bytes)).used.bits));
    const place = fc.oneof(
      fc.integer({ min: 446, max: 511 }),
      fc.integer({ min: 512, max: 512 + 92 }),
      fc.integer({ min: 1024, max: 1024 + 6 * 128 }),
      fc.integer({ min: 446, max: 511 }).map((offset) => (NTFS_AT - 2048) * SECTOR + offset),
    );
    const value = fc.oneof(fc.constantFrom(0, 1, 5, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 }));
    const changes = fc.array(fc.tuple(place, value), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 1 }), changes, async (which, list) => {
        const bytes = disks[which] as Buffer;
        const truth = truths[which] as Uint8Array;
        const saved = list.map(([offset]) => [offset, bytes[offset] ?? 0] as const);
        for (const [offset, byte] of list) bytes[offset] = byte;
        try {
          const { bits } = (await mapped(bytes)).used;
          expect(bits.every((byte, index) => ((truth[index] ?? 0) & ~byte) === 0)).toBe(true);
        } catch (error) {
          if (!isStandbyError(error)) throw error;
        } finally {
          for (const [offset, byte] of saved) bytes[offset] = byte;
        }
      }),
      { numRuns: 400, seed: 6, endOnFailure: true },
    );
  });
});
