import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NbdSession, nbd } from '../../src/capture/nbd.ts';
import { catchUp, liveOptions, makeDisk, makeFolder, makeRandom, Replica, run } from './rig.ts';

const MIB = 1024 * 1024;

describe('A disk served over NBD, judged by other people’s clients', () => {
  let folder: ReturnType<typeof makeFolder>;
  let session: NbdSession;
  const uri = (disk = 'disk0') => session.uriOf(disk);
  const open = async (sizeBytes = 8 * MIB) => {
    const disks = [makeDisk(folder.path, 'disk0', sizeBytes), makeDisk(folder.path, 'disk1', MIB + 4096)];
    const nbdOptions = { listen: { path: join(folder.path, 'nbd.sock') }, spoolBytes: 64 * MIB };
    const live = liveOptions(folder.path, { nbd: nbdOptions });
    session = (await nbd.open(disks, { excluded: [], live })) as NbdSession;
    return disks;
  };
  const contents = (disk: string) => readFileSync(join(folder.path, `${disk}.img`));

  beforeEach(() => {
    folder = makeFolder();
  });
  afterEach(async () => {
    await session.close();
    folder.remove();
  });

  it('is listed and described to nbdinfo, with what it can do', async () => {
    await open();
    const { stdout } = await run('nbdinfo', ['--list', '--json', session.uriOf('')]);
    const { exports } = JSON.parse(stdout);
    expect(exports.map((each: Record<string, unknown>) => each['export-name'])).toEqual(['disk0', 'disk1']);
    expect(exports[0]).toMatchObject({
      'export-size': 8 * MIB,
      is_read_only: false,
      can_flush: true,
      can_fua: true,
      can_trim: true,
      can_zero: true,
      can_multi_conn: true,
    });
    const { stdout: size } = await run('nbdinfo', ['--size', uri('disk1')]);
    expect(Number(size)).toBe(MIB + 4096);
    await expect(run('nbdinfo', [uri('disk7')])).rejects.toMatchObject({ code: 1 });
  });

  it('takes an image from nbdcopy over several connections, and the stream gives the same disk', async () => {
    await open();
    const random = makeRandom(7);
    const image = Buffer.alloc(8 * MIB);
    for (let at = 0; at < image.length; at += 4096) {
      if (random(3) > 0) image.fill(1 + random(255), at, at + 1 + random(4096));
    }
    writeFileSync(join(folder.path, 'source.img'), image);
    await session.changes.restart();
    const replica = new Replica({ disk0: Buffer.alloc(8 * MIB), disk1: Buffer.alloc(MIB + 4096) });
    await run('nbdcopy', ['--flush', '--connections=4', join(folder.path, 'source.img'), uri()]);
    expect(contents('disk0').equals(image)).toBe(true);
    await catchUp(session.changes, replica);
    expect(replica.disks.get('disk0')?.equals(image)).toBe(true);
    expect(replica.flushes).toBeGreaterThan(0);
    await run('nbdcopy', [uri(), join(folder.path, 'back.img')]);
    expect(readFileSync(join(folder.path, 'back.img')).equals(image)).toBe(true);
  });

  it('carries out what qemu-io and qemu-img ask for: odd ranges, zeros, trims, FUA, both disks', async () => {
    await open();
    await session.changes.restart();
    const io = (disk: string, ...commands: string[]) =>
      run('qemu-io', [
        '-f',
        'raw',
        '-t',
        'writeback',
        ...commands.flatMap((each) => ['-c', each]),
        uri(disk),
      ]);
    await io('disk0', 'write -P 17 512 70000', 'write -f -P 18 1M 2M', 'write -z 1500k 100k', 'flush');
    await io('disk1', 'write -P 19 1M 4k', 'discard 0 64k', 'write -z 0 1M', 'flush');
    const { stdout } = await io(
      'disk0',
      'read -P 17 512 70000',
      'read -P 0 1500k 100k',
      'read -P 18 1600k 1448k',
    );
    expect(stdout).not.toContain('failed');
    const { stdout: compared } = await run('qemu-img', [
      'compare',
      '-f',
      'raw',
      '-F',
      'raw',
      uri('disk1'),
      join(folder.path, 'disk1.img'),
    ]);
    expect(compared).toContain('identical');
    const replica = new Replica({ disk0: Buffer.alloc(8 * MIB), disk1: Buffer.alloc(MIB + 4096) });
    await catchUp(session.changes, replica);
    expect(replica.disks.get('disk0')?.equals(contents('disk0'))).toBe(true);
    expect(replica.disks.get('disk1')?.equals(contents('disk1'))).toBe(true);
    expect(
      contents('disk1')
        .subarray(MIB)
        .every((byte) => byte === 19),
    ).toBe(true);
  });
});
