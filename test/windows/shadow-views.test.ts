import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ExcludedRange, TakenViews } from '../../src/capture/capture.ts';
import { compare } from '../../src/capture/compare.ts';
import { tracked } from '../../src/capture/tracked.ts';
import { silentLog } from '../../src/log.ts';
import { ShadowViews } from '../../src/master/windows/shadow-views.ts';
import type { MasterDisk } from '../../src/model/disk.ts';
import { follow, liveOptions, Replica } from '../capture/rig.ts';
import { emptyFile, run } from '../guest/volumes.ts';
import { answer, DATA_VOLUME, disk, MIB, OS_VOLUME, partition, volume } from './documents.ts';
import { DISK_PATH, MadeUpWindows } from './made-up-windows.ts';

/** C: at 2 MiB, E: at 6 MiB, and something of the disk itself around them. */
const C_AT = 2 * MIB;
const NTFS_BYTES = 4 * MIB;
const E_AT = C_AT + NTFS_BYTES;
const DISK_BYTES = E_AT + NTFS_BYTES + MIB;
const CLUSTER = Buffer.alloc(4096, 'what stood in memory');
const PAGE_FILE = Buffer.concat(Array.from({ length: 80 }, () => CLUSTER));

let folder: string;
let made: Buffer | undefined;
let windows: MadeUpWindows;
let content: Buffer;
let inventory: Record<string, unknown>;
let views: ShadowViews;
const open: TakenViews[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-shadows-'));
  made ??= makeContent();
  content = Buffer.from(made);
  const place = { DiskNumber: 0, Size: NTFS_BYTES };
  inventory = answer({
    disks: disk({ Size: DISK_BYTES }),
    partitions: [
      partition({ Offset: C_AT, ...place }),
      partition({ Offset: E_AT, ...place, DriveLetter: 69, AccessPaths: [DATA_VOLUME], IsBoot: false }),
    ],
  });
  windows = makeWindows();
  views = makeViews();
});
afterEach(async () => {
  for (const taken of open.splice(0)) await taken.release();
  expect(windows.openDevices).toBe(0);
  rmSync(folder, { recursive: true });
});

function makeContent(): Buffer {
  const bytes = Buffer.alloc(DISK_BYTES, 0x11);
  const pages = join(folder, 'pagefile.sys');
  writeFileSync(pages, PAGE_FILE);
  for (const at of [C_AT, E_AT]) {
    const made = emptyFile(join(folder, 'volume.ntfs'), NTFS_BYTES);
    const place = ['-p', `${at / 512}`, '-H', '255', '-S', '63'];
    run('mkntfs', '-F', '-Q', '-q', '-c', '4096', '-s', '512', ...place, made);
    if (at === C_AT) run('ntfscp', '-q', '-f', made, pages, 'pagefile.sys');
    readFileSync(made).copy(bytes, at);
  }
  return bytes;
}

function makeWindows(): MadeUpWindows {
  const volumes = [
    { name: OS_VOLUME, offsetBytes: C_AT, sizeBytes: NTFS_BYTES },
    { name: DATA_VOLUME, offsetBytes: E_AT, sizeBytes: NTFS_BYTES },
  ];
  return new MadeUpWindows(Buffer.from(content), volumes, inventory);
}

function makeViews(): ShadowViews {
  return new ShadowViews({
    folder: join(folder, 'shadows'),
    tools: windows,
    log: silentLog,
    open: windows.open,
  });
}

const MASTER_DISK: MasterDisk = {
  id: 'disk0',
  path: '\\\\.\\PhysicalDrive9',
  tableId: '{2db1d4b5-6e8f-4d6c-9f35-8a1f7c7d5e11}',
  sizeBytes: DISK_BYTES,
  logicalSectorBytes: 512,
  partitionTable: 'gpt',
  boot: true,
  volumes: [],
};
const E_EXCLUDED: ExcludedRange = { diskId: 'disk0', offsetBytes: E_AT, sizeBytes: NTFS_BYTES };

async function take(excluded: readonly ExcludedRange[] = []): Promise<TakenViews> {
  const taken = await views.take([MASTER_DISK], excluded);
  open.push(taken);
  return taken;
}

async function readAll(taken: TakenViews): Promise<Buffer> {
  const bytes = Buffer.alloc(DISK_BYTES);
  // In pieces that begin and end anywhere.
  for (let at = 0; at < DISK_BYTES; at += 777_777) {
    await taken.devices.get('disk0')?.read(bytes.subarray(at, Math.min(at + 777_777, DISK_BYTES)), at);
  }
  return bytes;
}

/** What the disk held, but the page file. */
function expected(): Buffer {
  const bytes = Buffer.from(content);
  for (let at = 0; at < DISK_BYTES; at += CLUSTER.length) {
    if (bytes.compare(CLUSTER, 0, CLUSTER.length, at, at + CLUSTER.length) === 0)
      bytes.fill(0, at, at + CLUSTER.length);
  }
  return bytes;
}

/** Never answered again: what an engine sees that was killed. */
const killed = () => new Promise<void>(() => undefined);

describe('A view of a Windows server', () => {
  it('has each volume as it was, what lies around them from the disk, and no page file', async () => {
    const taken = await take();
    // Everything moves on; a spare boot sector behind the file system is no part of a shadow copy.
    windows.disk.fill(0x77, C_AT, C_AT + NTFS_BYTES - 512);
    windows.disk.fill(0x78, E_AT + 4096, E_AT + MIB);
    const seen = await readAll(taken);
    expect(expected().includes(CLUSTER)).toBe(false);
    expect(expected().equals(content)).toBe(false);
    expect(seen.equals(expected())).toBe(true);
    expect(taken.consistency).toBe('Application-consistent: 1 writers of VSS took part.');
    const sets = new Set(windows.shadows.map(({ setId }) => setId));
    expect([windows.shadows.length, sets.size]).toEqual([2, 1]);
  });

  it('reads zeros where a volume is left out, and makes no shadow copy of it', async () => {
    const taken = await take([E_EXCLUDED]);
    const zeros = Buffer.from(expected()).fill(0, E_AT, E_AT + NTFS_BYTES);
    expect((await readAll(taken)).equals(zeros)).toBe(true);
    expect(windows.shadows.map(({ volume: of }) => of)).toEqual([OS_VOLUME]);
  });

  it('is refused where a volume has no shadow copies, unless it is left out', async () => {
    inventory.volumes = [volume(), volume({ UniqueId: DATA_VOLUME, FileSystem: 'FAT32' })];
    await expect(take()).rejects.toMatchObject({ code: 'VOLUME_NOT_SHADOWED', kind: 'input' });
    expect(windows.shadows).toEqual([]);
    expect(
      (await readAll(await take([E_EXCLUDED]))).subarray(0, E_AT).equals(expected().subarray(0, E_AT)),
    ).toBe(true);
  });

  it('is of the disk that joined, whatever its number, and of no other', async () => {
    const taken = await take();
    expect(taken.devices.get('disk0')?.path).toBe(DISK_PATH);
    const other = { ...MASTER_DISK, tableId: '{0e5a3f60-1b7c-4c6b-8e3d-5d3a1c7f2b22}' };
    await expect(views.take([other], [])).rejects.toMatchObject({ code: 'DISK_VANISHED' });
    const image = { ...MASTER_DISK, path: 'C:\\disk.img', tableId: '' };
    await expect(views.take([image], [])).rejects.toMatchObject({ code: 'DISK_NOT_OF_WINDOWS' });
  });

  it('says so when Windows gave it up while it was read', async () => {
    const taken = await take();
    await taken.assertStands();
    windows.shadows = windows.shadows.filter(({ volume: of }) => of !== DATA_VOLUME);
    await expect(taken.assertStands()).rejects.toMatchObject({ code: 'SHADOW_COPY_FAILED', retry: 'later' });
  });

  it('is crash-consistent for a writer that failed, and names it', async () => {
    windows.writers.push({ name: 'SqlServerWriter', state: 8, lastError: 'タイムアウト' });
    expect((await take()).consistency).toContain(
      'crash-consistent for writers that failed: SqlServerWriter [8] タイムアウト',
    );
  });

  it('is taken volume by volume where there is no diskshadow, and is called so', async () => {
    inventory.diskshadow = false;
    const taken = await take();
    expect(taken.consistency).toMatch(/^Crash-consistent for each volume/);
    expect((await readAll(taken)).equals(expected())).toBe(true);
    expect(new Set(windows.shadows.map(({ setId }) => setId)).size).toBe(2);
  });
});

describe('Shadow copies', () => {
  it.each([true, false])('are gone after the view, and only ours (diskshadow: %s)', async (diskshadow) => {
    inventory.diskshadow = diskshadow;
    const foreign = windows.makeForeign();
    const [first, second] = [await take(), await take()];
    expect(windows.shadows).toHaveLength(5);
    await first.release();
    await second.assertStands();
    await second.release();
    open.length = 0;
    expect(windows.shadows.map(({ id }) => id)).toEqual([foreign]);
  });

  it.each([
    ['as one set', true, 2],
    ['one by one, of which the second was never made', false, 1],
  ])(
    'that an engine left which was killed while it made them are deleted by the next: %s',
    async (_, diskshadow, left) => {
      inventory.diskshadow = diskshadow;
      const making = Promise.withResolvers<void>();
      windows.after = () => {
        making.resolve();
        return killed();
      };
      void views.take([MASTER_DISK], []);
      await making.promise;
      windows.after = () => undefined;
      const foreign = windows.makeForeign();
      expect(windows.shadows).toHaveLength(left + 1);
      await makeViews().clean();
      expect(windows.shadows.map(({ id }) => id)).toEqual([foreign]);
    },
  );

  it('that an engine left which was killed while it read them are deleted by the next', async () => {
    const foreign = windows.makeForeign();
    const left = await take();
    await makeViews().clean();
    expect(windows.shadows.map(({ id }) => id)).toEqual([foreign]);
    for (const device of left.devices.values()) await device.close();
    open.length = 0;
  });

  it('do not stay when diskshadow fails after it made them', async () => {
    windows.after = (act) => {
      if (act === 'made') throw new Error('killed by its time limit');
    };
    await expect(take()).rejects.toThrow('time limit');
    expect(windows.shadows).toEqual([]);
  });

  it('that cannot be deleted do not end the view, and no other is made before they are', async () => {
    const taken = await take();
    const stuck = windows.diskshadow.bind(windows);
    windows.diskshadow = async () => '';
    await taken.release();
    open.length = 0;
    await expect(take()).rejects.toMatchObject({ code: 'SHADOW_COPY_FAILED' });
    expect(windows.shadows).toHaveLength(2);
    windows.diskshadow = stuck;
    await (await take()).release();
    open.length = 0;
    expect(windows.shadows).toEqual([]);
  });
});

describe('Capture by comparing, on Windows', () => {
  it.each([compare, tracked])(
    'sends round after round what the shadow copies hold: $name',
    async (method) => {
      const live = liveOptions(folder, { compare: { intervalMs: 10, views } });
      const session = await method.open([MASTER_DISK], { excluded: [], live });
      try {
        const changes = session.changes;
        if (!changes) throw new Error('a live method has changes');
        expect(changes.state().reason).toContain('Application-consistent');
        expect(changes.state().reason).toContain(
          method === tracked ? 'Capture compare is in force' : 'The disks are compared from time to time',
        );
        const replica = new Replica({ disk0: Buffer.alloc(DISK_BYTES) });
        await follow(changes, replica, () => replica.sets === 1 && replica.openSet === undefined);
        expect(replica.disks.get('disk0')?.equals(expected())).toBe(true);
        windows.disk.fill(0x42, E_AT + 3 * MIB, E_AT + 3 * MIB + 4096);
        windows.disk.copy(content);
        await follow(changes, replica, () => replica.sets === 2 && replica.openSet === undefined);
        expect(replica.disks.get('disk0')?.equals(expected())).toBe(true);
      } finally {
        await session.close();
      }
      expect(windows.shadows).toEqual([]);
    },
  );
});
