import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CaptureSession, ChangeStream, LiveOptions } from '../../src/capture/capture.ts';
import { compare } from '../../src/capture/compare.ts';
import type { MasterDisk } from '../../src/model/disk.ts';
import { follow, liveOptions, makeDisk, makeFolder, makeRandom, Replica } from './rig.ts';

const MIB = 1024 * 1024;
const NODE = process.execPath;

describe('Capture by comparing', () => {
  let folder: ReturnType<typeof makeFolder>;
  let disks: MasterDisk[];
  let session: CaptureSession;
  const openSession = async (settings: LiveOptions['compare'] = {}) => {
    const live = liveOptions(folder.path, { compare: { intervalMs: 10, ...settings } });
    session = await compare.open(disks, { excluded: [], live });
    return session.changes as ChangeStream;
  };
  const contentOf = (index: number) => readFileSync(disks[index]?.path ?? '');
  const write = async (index: number, offsetBytes: number, bytes: Buffer) => {
    const file = await open(disks[index]?.path ?? '', 'r+');
    await file.write(bytes, 0, bytes.length, offsetBytes);
    await file.close();
  };
  const snapshot = () => [
    '-e',
    `const fs = require('fs'); for (const id of ['disk0', 'disk1'])
    fs.copyFileSync(${JSON.stringify(folder.path)} + '/' + id + '.img', ${JSON.stringify(folder.path)} + '/' + id + '.snap')`,
  ];

  beforeEach(() => {
    folder = makeFolder();
    disks = [makeDisk(folder.path, 'disk0', 3 * MIB + 512), makeDisk(folder.path, 'disk1', 70_000)];
    const random = makeRandom(3);
    for (const { path, sizeBytes } of disks) {
      const bytes = Buffer.alloc(sizeBytes);
      for (let at = 0; at < sizeBytes; at += 100_000)
        bytes.fill(1 + random(255), at, Math.min(at + 50_000, sizeBytes));
      writeFileSync(path, bytes);
    }
  });
  afterEach(async () => {
    await session.close();
    folder.remove();
  });

  it('sends a disk the appliance has nothing of, and then only blocks that differ, as one set across disks', async () => {
    const changes = await openSession();
    const replica = new Replica({ disk0: Buffer.alloc(3 * MIB + 512), disk1: Buffer.alloc(70_000) });
    await follow(changes, replica, () => replica.sets === 1 && replica.openSet === undefined);
    expect(['disk0', 'disk1'].map((id, index) => replica.disks.get(id)?.equals(contentOf(index)))).toEqual([
      true,
      true,
    ]);
    const before = replica.toldBytes;
    await write(0, 3 * MIB, Buffer.alloc(512, 77));
    await write(1, 65_536, Buffer.alloc(100, 78));
    await follow(changes, replica, () => replica.sets === 2 && replica.openSet === undefined);
    expect(replica.toldBytes - before).toBe(512 + 70_000 - 65_536);
    await follow(changes, replica, () => replica.flushes > 0); // Nothing changed: it says that it looked.
    expect(replica.sets).toBe(2);
  });

  it('gives up a set when the link is cut in it, and the next one says so by its id', async () => {
    const changes = await openSession();
    const replica = new Replica({ disk0: Buffer.alloc(3 * MIB + 512), disk1: Buffer.alloc(70_000) });
    await follow(changes, replica, () => replica.openSet !== undefined && replica.toldBytes > 0);
    const cut = replica.openSet;
    await write(0, 0, Buffer.alloc(100_000, 99));
    await changes.resumeAfter(replica.position);
    await follow(changes, replica, () => replica.openSet !== undefined && replica.openSet !== cut);
    await follow(changes, replica, () => replica.openSet === undefined);
    expect([replica.sets, replica.disks.get('disk0')?.equals(contentOf(0))]).toEqual([1, true]);
  });

  it('names the disk that moved while it was read, and tries again when asked', async () => {
    const changes = await openSession();
    const replica = new Replica({ disk0: Buffer.alloc(3 * MIB + 512), disk1: Buffer.alloc(70_000) });
    const first = await changes.next(AbortSignal.timeout(5000));
    expect(first[0]?.kind).toBe('set-begin');
    await write(0, 0, Buffer.alloc(512, 1));
    const rest = follow(changes, replica, () => false).catch((error: unknown) => error);
    expect(await rest).toMatchObject({
      cause: { code: 'DISK_CHANGED', message: expect.stringContaining('disk0') },
    });
    replica.openSet = undefined;
    await follow(changes, replica, () => replica.sets === 1);
    expect(replica.disks.get('disk0')?.equals(contentOf(0))).toBe(true);
  });

  it('reads what the hook before makes, and cleans up with the hook after', async () => {
    const paths = { disk0: join(folder.path, 'disk0.snap'), disk1: join(folder.path, 'disk1.snap') };
    const removal = [
      '-e',
      `for (const path of ${JSON.stringify(Object.values(paths))}) require('fs').rmSync(path)`,
    ];
    const changes = await openSession({
      before: [NODE, ...snapshot()],
      after: [NODE, ...removal],
      readPaths: paths,
    });
    const replica = new Replica({ disk0: Buffer.alloc(3 * MIB + 512), disk1: Buffer.alloc(70_000) });
    await changes.next(AbortSignal.timeout(5000)).then((each) => replica.take(each));
    const then = contentOf(0);
    await write(0, 0, Buffer.alloc(200_000, 5)); // The disk moves; the snapshot does not.
    await follow(changes, replica, () => replica.sets === 1);
    expect(replica.disks.get('disk0')?.equals(then)).toBe(true);
    await follow(changes, replica, () => replica.sets === 2);
    expect(replica.disks.get('disk0')?.equals(contentOf(0))).toBe(true);
    await session.close();
    expect(existsSync(paths.disk0)).toBe(false);
    await openSession();
  });

  it('says which hook failed, how, and what it complained about', async () => {
    await openSession();
    const failing = {
      before: [NODE, '-e', 'process.stderr.write("no space for a snapshot"); process.exitCode = 3'],
    };
    const live = liveOptions(`${folder.path}/other`, { compare: failing });
    await expect(compare.open(disks, { excluded: [], live })).rejects.toMatchObject({
      code: 'HOOK_FAILED',
      why: 'It ended with 3. no space for a snapshot',
    });
    const hanging = { before: [NODE, '-e', 'setInterval(() => {}, 1000)'], hookTimeoutMs: 300 };
    const other = liveOptions(`${folder.path}/other`, { compare: hanging });
    await expect(compare.open(disks, { excluded: [], live: other })).rejects.toMatchObject({
      code: 'HOOK_FAILED',
      why: expect.stringContaining('did not end'),
    });
  });
});
