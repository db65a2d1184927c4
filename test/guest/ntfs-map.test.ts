import { execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mapNtfs } from '../../src/guest/ntfs-map.ts';
import type { UsedMap } from '../../src/guest/used-map.ts';
import { closeLog, splitBitmap } from './ntfs-surgery.ts';
import {
  attempt,
  blocksOf,
  emptyFile,
  expectedMap,
  freeByNtfscat,
  MIB,
  mapOf,
  randomFrom,
  run,
} from './volumes.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-ntfs-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The record of the first file; those before it are the file system's own. */
const FIRST_FILE = 64;

/** A volume with files of random lengths, some of them cut shorter again. */
function volume(mib: number, clusterBytes: number, files: number): string {
  const random = randomFrom(mib * clusterBytes);
  // The last block of the map lies partly behind the disk's end.
  const file = emptyFile(join(folder, `volume-${mib}-${clusterBytes}-${files}`), mib * MIB + 1536);
  run(
    'mkntfs',
    '-F',
    '-Q',
    '-q',
    '-c',
    `${clusterBytes}`,
    '-s',
    '512',
    '-p',
    '2048',
    '-H',
    '255',
    '-S',
    '63',
    file,
  );
  const source = join(folder, 'source');
  for (let index = 0; index < files; index++) {
    writeFileSync(source, Buffer.alloc(random(4) === 0 ? random(MIB) : random(20_000), 1 + index));
    run('ntfscp', file, source, `/file${index}`);
  }
  for (let index = 0; index < files; index += 3)
    run('ntfstruncate', file, `${FIRST_FILE + index}`, `${random(3000)}`);
  return file;
}

async function mapped(source: string | Buffer): Promise<UsedMap> {
  const map = await mapOf(source, mapNtfs);
  if (typeof map === 'string') throw new Error(map);
  return map;
}

/** Free clusters without any bitmap: those in which no run of any file lies. */
function freeByRuns(file: string): Set<number> {
  const facts = run('ntfsinfo', '-m', file);
  const free = new Set(
    Array.from({ length: Number(/Volume Size in Clusters: (\d+)/.exec(facts)?.[1]) }, (_, c) => c),
  );
  const records =
    Number(/Data size:\s+(\d+)/.exec(run('ntfsinfo', '-v', '-i', '0', file).split('$DATA')[1] ?? '')?.[1]) /
    1024;
  for (let record = 0; record < records; record++) {
    const { out, status } = attempt('ntfsinfo', '-v', '-i', `${record}`, file);
    if (status !== 0) continue;
    for (const [, lcn, length] of out.matchAll(/^\s*0x[0-9a-f]+\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)$/gm)) {
      const first = Number.parseInt(lcn ?? '', 16);
      for (let index = 0; index < Number.parseInt(length ?? '', 16); index++) free.delete(first + index);
    }
  }
  return free;
}

describe('The used clusters of an NTFS volume', { timeout: 90_000 }, () => {
  it.each([
    [24, 512, 25],
    [24, 1024, 12],
    [40, 2048, 12],
    [64, 4096, 30],
    [100, 65536, 12],
  ])('are those of $Bitmap and of no file’s runs: %i MiB, clusters of %i bytes', async (mib, size, files) => {
    const file = volume(mib, size, files);
    const map = await mapped(file);
    const { clusterBytes, free } = freeByNtfscat(file);
    expect(clusterBytes).toBe(size);
    expect(freeByRuns(file)).toEqual(free);
    expect(Buffer.compare(blocksOf(map), expectedMap(map.sizeBytes, clusterBytes, free))).toBe(0);
    rmSync(file);
  });

  it('may be thrown away without ntfsclone, ntfsfix or a file noticing', async () => {
    const file = volume(32, 4096, 25);
    const files = () =>
      Array.from({ length: 25 }, (_, index) =>
        execFileSync('/bin/ntfscat', [file, `/file${index}`]).toString('hex'),
      );
    const before = files();
    const map = await mapped(file);
    const bytes = readFileSync(file);
    for (let block = 0; block < map.blocks; block++) {
      if (!map.isUsed(block)) bytes.fill(0xa5, block * 4096, (block + 1) * 4096);
    }
    writeFileSync(file, bytes);
    run('ntfsfix', '-n', file);
    run('ntfsclone', '-s', '-O', join(folder, 'clone'), file);
    expect(files()).toEqual(before);
  });

  it('are found when the bitmap’s own runs lie in several records behind a list', async () => {
    const file = volume(32, 512, 12);
    const whole = await mapped(file);
    const bytes = readFileSync(file);
    splitBitmap(bytes);
    writeFileSync(file, bytes);
    expect(run('ntfsinfo', '-v', '-i', '6', file)).toContain('$ATTRIBUTE_LIST');
    freeByNtfscat(file);
    expect((await mapped(file)).bits).toEqual(whole.bits);
  });

  it.skipIf(!mayMount())(
    'are found when the file table lies in hundreds of pieces behind a list',
    async () => {
      const file = volume(32, 512, 0);
      const point = join(folder, 'mounted');
      mkdirSync(point);
      run('ntfs-3g', file, point);
      try {
        for (let index = 0; index < 3200; index++)
          writeFileSync(join(point, `a${index}`), Buffer.alloc(3000, 1));
        const free = Number(run('df', '--output=avail', '-B1', point).split('\n')[1]);
        writeFileSync(join(point, 'large'), Buffer.alloc(free - 400_000, 2));
        for (let index = 0; index < 3200; index += 2) unlinkSync(join(point, `a${index}`));
        for (let index = 0; index < 5500; index++) writeFileSync(join(point, `b${index}`), '');
        for (let index = 1; index < 3200; index += 4) unlinkSync(join(point, `a${index}`));
      } finally {
        run('umount', point);
      }
      expect(run('ntfsinfo', '-v', '-i', '0', file)).toContain('$ATTRIBUTE_LIST');
      const map = await mapped(file);
      const { clusterBytes, free } = freeByNtfscat(file);
      expect(free.size).toBeGreaterThan(1000);
      expect(Buffer.compare(blocksOf(map), expectedMap(map.sizeBytes, clusterBytes, free))).toBe(0);
    },
  );
});

/** Whoever may use FUSE without a setuid program. */
function mayMount(): boolean {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

describe('The log of an NTFS volume', () => {
  /** ntfs-3g judges the same log: 0 may be mounted, 15 was not shut down cleanly. */
  const probe = (file: string) => attempt('ntfs-3g.probe', '--readwrite', file).status;

  it.each([
    [{ clients: 'none', flags: 0 }, 0],
    [{ clients: 'one', flags: 2 }, 0],
    [{ clients: 'one', flags: 0 }, 15],
  ] as const)('is judged as ntfs-3g judges it: %o', async (closed, status) => {
    const file = volume(16, 4096, 3);
    const bytes = readFileSync(file);
    closeLog(bytes, closed);
    writeFileSync(file, bytes);
    expect(probe(file)).toBe(status);
    const map = await mapOf(file, mapNtfs);
    if (status === 0) expect(map).toBeTypeOf('object');
    else expect(map).toContain('log has not been closed');
  });
});

describe('An NTFS volume that leaves a doubt', () => {
  it.each([
    ['it is marked dirty', 'marked dirty', (file: string) => run('ntfsfix', file)],
    ['its backup boot sector differs', 'two boot sectors', (file: string) => patch(file, 32 * MIB + 1024, 0)],
    ['it is larger than its partition', 'outside its', (file: string) => run('truncate', '-s', '20M', file)],
    [
      'its log holds half of something',
      'neither empty nor whole',
      (file: string) => patch(file, logAt(file) + 4096, 1),
    ],
    [
      'a record was torn',
      'not written to its end',
      (file: string) => patch(file, 4 * 4096 + 6 * 1024 + 510, 0xee),
    ],
    [
      'the mirror differs',
      'mirror differ',
      (file: string) => patch(file, mirrorAt(file) + 2 * 1024 + 0x10, 9),
    ],
  ])('counts as used when %s', async (_, why, harm) => {
    const file = volume(32, 4096, 4);
    await mapped(file);
    harm(file);
    expect(await mapOf(file, mapNtfs)).toContain(why);
  });
});

function patch(file: string, at: number, value: number): void {
  const bytes = readFileSync(file);
  if (bytes[at] === value) throw new Error(`Byte ${at} is ${value} already`);
  bytes[at] = value;
  writeFileSync(file, bytes);
}

const firstLcn = (file: string, record: number) => {
  const data = run('ntfsinfo', '-v', '-i', `${record}`, file).split('$DATA').at(1) ?? '';
  return Number.parseInt(/^\s*0x0\s+0x([0-9a-f]+)/m.exec(data)?.[1] ?? '', 16) * 4096;
};
const logAt = (file: string) => firstLcn(file, 2);
const mirrorAt = (file: string) => firstLcn(file, 1);

describe('A mutated NTFS volume', () => {
  it('never ends in a hang, a crash or a used cluster called free', async () => {
    const file = volume(20, 1024, 8);
    const bytes = readFileSync(file);
    splitBitmap(bytes);
    const { clusterBytes, free } = freeByNtfscat(file);
    const truth = expectedMap(bytes.length, clusterBytes, free);
    const records = bytes.readUInt32LE(0x30) * clusterBytes;
    const place = fc.oneof(
      fc.integer({ min: 0, max: 0x54 }),
      ...[0, 2, 3, 6].map((record) =>
        fc.integer({ min: 0, max: 0x1ff }).map((at) => records + record * 1024 + at),
      ),
    );
    const value = fc.oneof(fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 }));
    const mutations = fc.array(fc.tuple(place, value), { minLength: 1, maxLength: 3 });
    let doubted = 0;
    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        const saved = changes.map(([at]) => [at, bytes[at] ?? 0] as const);
        for (const [at, byte] of changes) bytes[at] = byte;
        const map = await mapOf(bytes, mapNtfs);
        for (const [at, byte] of saved) bytes[at] = byte;
        if (typeof map === 'string') doubted++;
        else expect(blocksOf(map).every((used, block) => used >= (truth[block] ?? 1))).toBe(true);
      }),
      { numRuns: 600, seed: 6, endOnFailure: true },
    );
    expect(doubted).toBeGreaterThan(100);
  });
});
