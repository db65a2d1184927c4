import { copyFile, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import { type Copying, hashOf, overwrite, prepareCopy, range, untilConnected } from '../fixtures/copying.ts';
import {
  applianceOptions,
  MIB,
  makeImage,
  makeWorld,
  noiseOf,
  startMaster,
  untilEnd,
  type World,
} from '../fixtures/engines.ts';
import { makeSeedWorld, type SeedWorld } from './seed-commands.ts';

let world: World;
let copy: Copying;
let commands: SeedWorld;
beforeEach(async () => {
  world = await makeWorld();
  copy = await prepareCopy(world, { chunks: 48, full: range(0, 40) });
  commands = await makeSeedWorld(world, copy.disk);
  await copy.control.openReplica(copy.spec());
});
afterEach(() => world.end());

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'nothing was refused';
  } catch (error) {
    if (error instanceof StandbyError) return error.code;
    throw error;
  }
}

describe('an import', () => {
  it('refuses what is not the seed of this replica before a byte is written', async () => {
    const blank = await hashOf(copy.lun, copy.sizeBytes);
    const { seed } = commands;
    const { digests } = await commands.export();
    const whole = await readFile(seed);
    const refusals: Record<string, string> = {};
    const attempt = async (what: string, change: Parameters<SeedWorld['import']>[0] = {}) => {
      refusals[what] = await codeOf(commands.import(change));
    };
    await attempt('another key', { passphrase: Buffer.from('not the key at all') });
    await attempt('no such file', { from: join(world.folder, 'nowhere') });
    await attempt('another file', { from: copy.disk });
    await attempt('another scenario', { scenarioId: 's2' });
    await attempt('no data disk', { lunsFolder: join(world.folder, 'no-luns') });
    await truncate(seed, whole.length - 1);
    await attempt('a torn tail');
    const spoiled = async (what: string, at: number) => {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      await writeFile(seed, bytes);
      await attempt(what);
    };
    await spoiled('a bit of the head', 30);
    await spoiled('a bit of the first chunk', 15_000);
    await spoiled('a bit in the middle', whole.length >> 1);
    await spoiled('a bit of the last seal', whole.length - 3);
    expect(refusals).toEqual({
      'another key': 'SEED_KEY_WRONG',
      'no such file': 'SEED_ABSENT',
      'another file': 'SEED_ABSENT',
      'another scenario': 'REPLICA_UNKNOWN',
      'no data disk': 'LUN_ABSENT',
      'a torn tail': 'SEED_TORN',
      'a bit of the head': 'SEED_DAMAGED',
      'a bit of the first chunk': 'SEED_DAMAGED',
      'a bit in the middle': 'SEED_DAMAGED',
      'a bit of the last seal': 'SEED_DAMAGED',
    });
    expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(blank);
    await writeFile(seed, whole);
    expect(await commands.import({ check: true })).toMatchObject({ written: false, digests });
    expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(blank);
    expect(await commands.import()).toMatchObject({ written: true, resumed: false, digests });
    expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
    expect(await commands.import()).toMatchObject({ written: false, already: true, digests });
    expect(await commands.export()).toMatchObject({ already: true, digests });
  }, 120_000);

  it('leaves zeros where the seed holds nothing, also on a disk that held something, and where the scenario leaves out', async () => {
    await overwrite(copy.lun, 43 * MIB + 100, noiseOf(9)(2 * MIB));
    await overwrite(copy.lun, 48 * MIB, noiseOf(10)(MIB));
    await overwrite(copy.disk, 20 * MIB, Buffer.alloc(64 * 1024));
    const excluded = [{ offsetBytes: 3 * MIB + 4096, sizeBytes: 2 * MIB }];
    const { disks } = copy.spec({}, false);
    await copy.control.openReplica({
      ...copy.spec({ epoch: 2 }),
      disks: disks.map((disk) => ({ ...disk, excluded })),
    });
    await commands.export();
    await commands.import();
    const wanted = await readFile(copy.disk);
    wanted.fill(0, 3 * MIB + 4096, 5 * MIB + 4096);
    const found = await readFile(copy.lun);
    expect(found.subarray(0, copy.sizeBytes).equals(wanted)).toBe(true);
    expect(found.subarray(copy.sizeBytes).every((byte) => byte === 0)).toBe(true);
  }, 120_000);

  it('refuses the seed of another master or of a disk of another size, and one that is not finished', async () => {
    const other = join(world.folder, 'other.img');
    await makeImage(other, copy.sizeBytes - MIB, { full: [1] });
    await commands.export({ masterId: 'm2' });
    expect(await codeOf(commands.import({ scenarioId: 's1' }))).toBe('SEED_WRONG_MASTER');
    expect(await codeOf(commands.import())).toBe('REPLICA_UNKNOWN');
    await commands.export({ overwrite: true, disks: [{ diskId: 'disk0', path: other }] });
    expect(await codeOf(commands.import())).toBe('SEED_WRONG_SIZE');
    await commands.export({ overwrite: true, disks: [{ diskId: 'disk7', path: copy.disk }] });
    expect(await codeOf(commands.import())).toBe('SEED_WRONG_DISK');
    await rm(commands.seed);
    expect(await codeOf(commands.export(stopping()))).toBe('SEED_INTERRUPTED');
    expect(await codeOf(commands.import())).toBe('SEED_UNFINISHED');
    expect(await codeOf(commands.export({ whole: true }))).toBe('SEED_OF_OTHER_DISKS');
  }, 120_000);

  it('refuses a replica that is being copied or was, and one that somebody else writes a seed onto', async () => {
    await commands.export();
    expect(await codeOf(commands.import(stopping('writing')))).toBe('SEED_INTERRUPTED');
    // This very process holds the mark and lives: the engine must not copy.
    startMaster(world, 'm1');
    await untilConnected(copy.control);
    const refused = copy.control.startCopy('s1', { capture: 'at-rest', lanes: 1, compression: 'none' });
    expect(await codeOf(refused)).toBe('SEED_IMPORT_RUNNING');
    // Its failure is told in a record of this epoch; another epoch is another chance.
    await rm(join(applianceOptions(world).stateFolder, 'replicas/s1/seed.json'));
    await copy.control.openReplica(copy.spec({ epoch: 2 }, false));
    await copy.control.startCopy('s1', { capture: 'at-rest', lanes: 1, compression: 'none' });
    expect((await untilEnd(copy.control, 's1')).state).toBe('synchronised');
    expect(await codeOf(commands.import())).toBe('REPLICA_IN_USE');
    expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
  }, 120_000);
});

describe('an export', () => {
  it('goes on from the slot before when the newest is torn, and behind what a crash left after it', async () => {
    const { digests } = await commands.export();
    await rm(commands.seed);
    expect(await codeOf(commands.export(stopping()))).toBe('SEED_INTERRUPTED');
    const crashed = join(world.folder, 'crashed.seed');
    await copyFile(commands.seed, crashed);
    const bytes = (await stat(crashed)).size;
    await overwrite(crashed, bytes - 5000, noiseOf(4)(9000));
    // Slots are written in turn; 33 chunks made the first index.
    const results = [];
    for (const slot of [4096, 8192]) {
      const torn = join(world.folder, `torn-${slot}.seed`);
      await copyFile(crashed, torn);
      await overwrite(torn, slot, Buffer.alloc(600));
      const report = await commands.export({ to: torn });
      results.push([report.resumed, report.digests]);
      expect(await codeOf(commands.import({ from: torn, check: true }))).toBe('nothing was refused');
    }
    expect(results).toEqual([
      [true, digests],
      [true, digests],
    ]);
  }, 120_000);

  it('takes nothing that is in the way, and gives the same data however it is written', async () => {
    const mine = join(world.folder, 'mine.txt');
    await writeFile(mine, 'my own words');
    expect(await codeOf(commands.export({ to: mine }))).toBe('SEED_TARGET_IN_USE');
    expect(await readFile(mine, 'utf8')).toBe('my own words');
    expect(await codeOf(commands.export({ to: join(world.folder, 'no/folder') }))).toBe('SEED_PLACE_WRONG');
    expect(await codeOf(commands.export({ to: world.folder }))).toBe('SEED_PLACE_WRONG');
    await writeFile(commands.seed, '');
    const first = await commands.export();
    const again = await commands.export({ to: mine, overwrite: true });
    expect(again.digests).toEqual(first.digests);
    expect(again.seedId).not.toBe(first.seedId);
    const [a, b] = [await readFile(commands.seed), await readFile(mine)];
    expect(a.includes(sampleOf(await readFile(copy.disk)))).toBe(false);
    expect(a.subarray(16_384).equals(b.subarray(16_384))).toBe(false);
    const both = await Promise.all([1, 2].map(() => codeOf(commands.export({ overwrite: true }))));
    expect(both.sort()).toEqual(['SEED_BUSY', 'nothing was refused']);
  }, 120_000);
});

/** Options of a command that is asked to stop once it has made something durable. */
function stopping(what = 'reading') {
  const stop = new AbortController();
  const reason = new DOMException('asked to stop', 'AbortError');
  let told = 0;
  const onProgress = (progress: { what: string; doneBytes: number }) => {
    if (progress.what === what && progress.doneBytes > 36 * MIB && ++told > 0) stop.abort(reason);
  };
  return { signal: stop.signal, onProgress };
}

function sampleOf(disk: Buffer): Buffer {
  return disk.subarray(5 * MIB, 5 * MIB + 64);
}
