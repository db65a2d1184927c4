import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExtTree } from '../../src/guest/ext-tree.ts';
import { FatTree } from '../../src/guest/fat-tree.ts';
import { type FileTree, namedTree, readWhole } from '../../src/guest/file-tree.ts';
import { NtfsTree } from '../../src/guest/ntfs-tree.ts';
import { VolumeBytes } from '../../src/guest/volume.ts';
import { attempt, deviceOf, emptyFile, MIB, randomFrom, randomTree, run } from './volumes.ts';
import { windowsVolume } from './windows-volume.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-trees-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const volumeOf = (bytes: Buffer) => new VolumeBytes(deviceOf(bytes), 0, bytes.length);
const BYTES_MAX = 128 * MIB;

async function contentOf(tree: FileTree, path: string): Promise<Buffer | undefined> {
  const file = await tree.find(path);
  return file && readWhole(file, path, BYTES_MAX);
}

/** All files below a folder, with their contents. */
async function allFiles(tree: FileTree, path = ''): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const name of (await tree.list(path)) ?? []) {
    const file = await tree.find(`${path}/${name}`);
    if (file?.kind === 'folder') {
      for (const [inner, bytes] of await allFiles(tree, `${path}/${name}`)) found.set(inner, bytes);
    } else if (file) {
      found.set(`${path}/${name}`.slice(1), await readWhole(file, name, BYTES_MAX));
    }
  }
  return found;
}

function expectSame(found: Map<string, Buffer>, names: readonly string[], source: string): void {
  expect([...found.keys()].sort()).toEqual([...names].sort());
  for (const name of names) {
    expect([name, found.get(name)?.equals(readFileSync(join(source, name)))]).toEqual([name, true]);
  }
}

describe('Files of a FAT volume', () => {
  it.each([
    ['12', 2],
    ['16', 24],
    ['32', 48],
  ])('are those that mcopy put there (FAT%s)', async (bits, mib) => {
    const source = join(folder, `fat${bits}`);
    const tree = randomTree(join(source, 'tree'), MIB, randomFrom(Number(bits)));
    const long = 'tree/d0/A name that is longer than eight letters.and three.txt';
    mkdirSync(join(source, 'tree/d0'), { recursive: true });
    writeFileSync(join(source, long), 'long');
    const more = Array.from(
      { length: 30 },
      (_, index) => `tree/d0/${'Some Name '.repeat(index % 4)}${index * 37}.Text`,
    );
    for (const name of more) writeFileSync(join(source, name), name);
    const file = emptyFile(join(folder, `fat${bits}.img`), mib * MIB);
    run('mkfs.fat', '-F', bits, '-s', '1', file);
    run('mcopy', '-s', '-i', file, join(source, 'tree'), '::/');
    const fat = await FatTree.open(volumeOf(readFileSync(file)));
    const names = [...tree.names.map((name) => `tree/${name}`), long, ...more];
    expectSame(await allFiles(fat), names, source);
    expect((await fat.find('TREE/D0'))?.kind).toBe('folder');
    expect((await contentOf(fat, 'Tree/d0/anamet~1.txt'))?.toString()).toBe('long');
    expect(await fat.find('tree/d0/nothing')).toBeUndefined();
    expect(await fat.find(`${long}/below-a-file`)).toBeUndefined();
  });

  it('end where a chain leads in a circle', async () => {
    const file = emptyFile(join(folder, 'circle.img'), 24 * MIB);
    run('mkfs.fat', '-F', '16', '-s', '1', file);
    run('mmd', '-i', file, '::/EFI');
    const bytes = readFileSync(file);
    const table = bytes.readUInt16LE(14) * 512;
    bytes.writeUInt16LE(2, table + 2 * 2); // The cluster of EFI leads to itself.
    const fat = namedTree(await FatTree.open(volumeOf(bytes)), 'partition 1');
    await expect(fat.find('EFI/boot')).rejects.toMatchObject({
      code: 'GUEST_UNREADABLE',
      what: 'EFI/boot on partition 1 cannot be read.',
    });
  });
});

describe('Files of an NTFS volume', () => {
  let volume: string;
  let bytes: Buffer;
  let ntfs: NtfsTree;
  const large = Buffer.alloc(3 * MIB + 77);
  for (let at = 0; at < large.length; at++) large[at] = at * 7 + (at >>> 9);
  beforeAll(async () => {
    volume = windowsVolume(folder, {
      'Windows/System32/config/SYSTEM': large,
      'small.txt': Buffer.from('resident'),
    });
    bytes = readFileSync(volume);
    ntfs = await NtfsTree.open(volumeOf(bytes));
  });

  it('have the names that ntfsls lists, in folders of one block and of many', async () => {
    for (const path of ['/', '/Windows/System32', '/many', '/holes', '/Boot']) {
      const listed = run('ntfsls', '-a', '-p', path, volume).split('\n');
      const expected = listed.filter((name) => name !== '' && name !== '.' && name !== '..');
      // What belongs to the file system itself ntfsls does not show.
      const names = ((await ntfs.list(path)) ?? []).filter((name) => !name.startsWith('$'));
      expect(names.sort()).toEqual(expected.sort());
    }
    expect(await ntfs.list('many')).toHaveLength(163);
  });

  it('have the contents that ntfscat prints: in the record, in clusters, in 400 pieces with holes', async () => {
    expect((await contentOf(ntfs, 'windows/SYSTEM32/Config/system'))?.equals(large)).toBe(true);
    expect((await contentOf(ntfs, 'Small.TXT'))?.toString()).toBe('resident');
    const pieces = await contentOf(ntfs, 'holes/pieces.bin');
    run('sh', '-c', `ntfscat ${volume} holes/pieces.bin > ${join(folder, 'pieces')}`);
    expect(pieces?.length).toBe(8 * MIB);
    expect(pieces?.equals(readFileSync(join(folder, 'pieces')))).toBe(true);
  });

  it('are found by the volume’s own upper-case letters, each of them, and what is not there is not', async () => {
    for (const name of (await ntfs.list('many')) ?? []) {
      for (const written of [name, name.toUpperCase(), name.toLowerCase()]) {
        const upper = written.replaceAll('SS', 'ß');
        expect([written, (await ntfs.find(`many/${upper}`))?.kind]).toEqual([written, 'file']);
      }
      expect(await ntfs.find(`many/${name}x`)).toBeUndefined();
    }
  });

  it('tell where they lie, so that a byte can be changed in its place', async () => {
    const file = await ntfs.find('Windows/System32/config/SYSTEM');
    const places = file?.placeOf?.(1_000_000, 5000) ?? [];
    const there = Buffer.concat(
      places.map((one) => bytes.subarray(one.offsetBytes, one.offsetBytes + one.sizeBytes)),
    );
    expect(there.equals(large.subarray(1_000_000, 1_005_000))).toBe(true);
    expect((await ntfs.find('small.txt'))?.placeOf?.(0, 4)).toBeUndefined();
  });

  it('are refused by name where they are compressed, and where a record was torn', async () => {
    const named = namedTree(ntfs, 'partition 3');
    expect((await named.find('squeezed/text.txt'))?.kind).toBe('file');
    await expect(contentOf(named, 'squeezed/text.txt')).rejects.toMatchObject({
      code: 'GUEST_UNREADABLE',
      what: 'squeezed/text.txt on partition 3 cannot be read.',
      why: 'It is compressed by the file system.',
    });
    const torn = Buffer.from(bytes);
    const name = Buffer.from('Entry number 150', 'utf16le');
    for (let at = 0; at < torn.length; at += 4096) {
      const block = torn.subarray(at, at + 4096);
      if (block.toString('latin1', 0, 4) !== 'INDX' || !block.includes(name)) continue;
      block.writeUInt8(block.readUInt8(1022) ^ 1, 1022);
    }
    const broken = namedTree(await NtfsTree.open(volumeOf(torn)), 'partition 3');
    expect(await broken.list('Windows')).toEqual(['System32']);
    await expect(broken.list('many')).rejects.toMatchObject({
      code: 'GUEST_UNREADABLE',
      what: 'many on partition 3 cannot be read.',
    });
  });
});

describe('Files of an ext volume', () => {
  it.each([
    ['ext2', '1024'],
    ['ext3', '4096'],
    ['ext4', '4096'],
  ])('are those that mke2fs put there (%s, blocks of %s)', async (kind, blockBytes) => {
    const source = join(folder, `${kind}-${blockBytes}`);
    const tree = randomTree(source, 2 * MIB, randomFrom(Number(blockBytes) + kind.length));
    mkdirSync(join(source, 'many'));
    const many = Array.from({ length: 700 }, (_, index) => `many/a name of some length ${index}`);
    for (const name of many) writeFileSync(join(source, name), '');
    // Behind direct, indirect and double indirect blocks of 1 KiB; all before its end is a hole.
    const sparse = 'd0/sparse';
    mkdirSync(join(source, 'd0'), { recursive: true });
    writeFileSync(join(source, sparse), 'begin');
    truncateSync(join(source, sparse), (kind === 'ext2' ? 70 : 1) * MIB);
    writeFileSync(join(source, sparse), 'end', { flag: 'a' });
    const file = emptyFile(join(folder, 'ext.img'), 64 * MIB);
    run(
      'mke2fs',
      '-q',
      '-F',
      '-t',
      kind,
      '-b',
      blockBytes,
      '-N',
      '4000',
      '-O',
      'dir_index',
      '-d',
      source,
      file,
    );
    // Makes hashed folders of the long ones.
    expect([0, 1]).toContain(attempt('e2fsck', '-f', '-y', '-D', file).status);
    if (kind !== 'ext2') expect(run('debugfs', '-R', 'htree_dump /many', file)).toContain('Root node dump');
    const ext = await ExtTree.open(volumeOf(readFileSync(file)));
    const found = await allFiles(ext);
    expectSame(found, [...tree.names, ...many, sparse], source);
    expect(await ext.find('many/a name of some length 700')).toBeUndefined();
    expect(await ext.find('MANY')).toBeUndefined();
    expect(ext.needsRecovery).toBe(false);
  });

  it('are found through links: short, long, absolute, upwards; links in a circle have an end', async () => {
    const source = join(folder, 'links');
    mkdirSync(join(source, 'usr/lib'), { recursive: true });
    mkdirSync(join(source, 'etc'), { recursive: true });
    writeFileSync(join(source, 'usr/lib/os-release'), 'NAME=Test\n');
    symlinkSync('../usr/lib/os-release', join(source, 'etc/os-release'));
    symlinkSync('/usr/lib', join(source, 'lib'));
    symlinkSync(`${'./'.repeat(60)}usr/lib/os-release`, join(source, 'long'));
    symlinkSync('nowhere', join(source, 'dangling'));
    symlinkSync('circle-b', join(source, 'circle-a'));
    symlinkSync('circle-a', join(source, 'circle-b'));
    const file = emptyFile(join(folder, 'links.img'), 8 * MIB);
    run('mke2fs', '-q', '-F', '-t', 'ext4', '-d', source, file);
    const ext = namedTree(await ExtTree.open(volumeOf(readFileSync(file))), 'partition 1');
    for (const path of ['etc/os-release', 'lib/os-release', 'long', '/lib/../lib/./os-release']) {
      expect([path, (await contentOf(ext, path))?.toString()]).toEqual([path, 'NAME=Test\n']);
    }
    expect(await ext.find('dangling')).toBeUndefined();
    await expect(ext.find('circle-a')).rejects.toMatchObject({ why: 'Its path has too many links.' });
  });
});
