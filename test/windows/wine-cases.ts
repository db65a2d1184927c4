import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { openFolder } from '../../src/block/files.ts';
import { openDevice } from '../../src/block/open-device.ts';
import { readStateFile, removeStateFile, writeStateFile } from '../../src/block/state-file.ts';
import { compare } from '../../src/capture/compare.ts';
import { systemClock } from '../../src/clock.ts';
import { readDiskLayout } from '../../src/guest/disk-layout.ts';
import { silentLog } from '../../src/log.ts';
import { runMasterEngine } from '../../src/master/engine.ts';
import { takeInventory } from '../../src/master/inventory.ts';
import { windowsTools } from '../../src/master/windows/powershell.ts';
import { ShadowViews } from '../../src/master/windows/shadow-views.ts';
import { follow, liveOptions, Replica } from '../capture/rig.ts';
import { OPTIONS, prepareCopy, untilConnected } from '../fixtures/copying.ts';
import { makeWorld, startMaster, untilEnd } from '../fixtures/engines.ts';
import { answer, disk, MIB, OS_VOLUME, partition, volume } from './documents.ts';
import { DISK_PATH, MadeUpWindows } from './made-up-windows.ts';
import { killedPrepareCase, prepareCase } from './wine-prepare.ts';

/** What can be looked at with Node of Windows under Wine: files, raw devices, processes, sockets, and the engines on them. */
export interface WineCase {
  readonly name: string;
  /** `image`: the file that `\\\\.\\PhysicalDrive0` leads to. */
  run(place: { readonly folder: string; readonly image: string }): Promise<void>;
}

/** On the disk that bin/test-windows.cjs makes: one NTFS volume. */
const C_AT = MIB;

export const wineCases: readonly WineCase[] = [
  {
    name: 'this is Windows 10 or newer, as far as a program can see',
    async run() {
      equal(process.platform, 'win32');
      ok(Number(release().split('.')[2]) >= 14393, release());
    },
  },
  {
    name: 'a state file is there whole or not at all, written many times at once, and gone when it is removed',
    async run({ folder }) {
      const path = join(folder, 'deep', 'state.json');
      await Promise.all(
        Array.from({ length: 20 }, (_, index) => writeStateFile(path, `${index}`.repeat(1000))),
      );
      equal(String(await readStateFile(path)), '19'.repeat(1000));
      await removeStateFile(path);
      equal(await readStateFile(path), undefined);
    },
  },
  {
    name: 'a state file is replaced although somebody reads it just then',
    async run({ folder }) {
      const path = join(folder, 'state.json');
      await writeStateFile(path, 'old');
      const reader = await open(path, 'r');
      const written = writeStateFile(path, 'new');
      await systemClock.sleep(300);
      await reader.close();
      await written;
      equal(String(await readStateFile(path)), 'new');
    },
  },
  {
    name: 'the files of spools and digests are made, written, read, synced and removed',
    async run({ folder }) {
      const files = await openFolder(join(folder, 'spool'));
      const file = await files.open('a', 'make');
      ok(file);
      await file.write([Buffer.from('one'), Buffer.from('two')], 4096);
      file.writeNow([Buffer.from('three')], 8192);
      await file.sync();
      await files.sync();
      const bytes = Buffer.alloc(6);
      equal(await file.read(bytes, 4096), 6);
      equal(String(bytes), 'onetwo');
      await file.close();
      deepEqual(await files.list(), ['a']);
      await files.remove('a');
      deepEqual(await files.list(), []);
    },
  },
  {
    name: 'a raw disk is read at every byte, to its end, and its size is found out',
    async run({ image }) {
      const whole = await readFile(image);
      for (const expected of [undefined, whole.length, whole.length - 512, whole.length + MIB]) {
        const size = expected === undefined ? {} : { sizeBytes: expected };
        const device = await openDevice(DISK_PATH, { mode: 'read', ...size });
        deepEqual([device.kind, device.sizeBytes], ['device', whole.length]);
        for (const [at, length] of [
          [0, 512],
          [1, 3],
          [511, 1026],
          [whole.length - 7, 7],
        ] as const) {
          const bytes = Buffer.alloc(length);
          await device.read(bytes, at);
          ok(bytes.equals(whole.subarray(at, at + length)), `${length} bytes at ${at}`);
        }
        await device.close();
      }
    },
  },
  {
    name: 'a disk that is not there is said to be so',
    run: () =>
      rejects(openDevice('\\\\.\\PhysicalDrive77', { mode: 'read' }), { code: 'DISK_VANISHED' }).then(
        () => undefined,
      ),
  },
  {
    name: 'the inventory is that of the disk, with what Windows told of it',
    async run({ image }) {
      const tools = await toolsFor(image);
      const inventory = await takeInventory({ diskPaths: [], windows: tools, clock: systemClock });
      deepEqual([inventory.hostName, inventory.os.family, inventory.firmware], ['ap01', 'windows', 'uefi']);
      const [found] = inventory.disks;
      const device = await openDevice(DISK_PATH, { mode: 'read' });
      const { partitionTable } = await readDiskLayout(device, 'disk0');
      await device.close();
      equal(found?.path, DISK_PATH);
      equal(found?.partitionTable, partitionTable);
      deepEqual(
        found?.volumes.map(({ offsetBytes, fileSystem, system }) => ({ offsetBytes, fileSystem, system })),
        [{ offsetBytes: C_AT, fileSystem: 'ntfs', system: true }],
      );
    },
  },
  {
    name: 'a view of shadow copies over the raw disk holds what stood when they were made',
    async run({ folder, image }) {
      const tools = await toolsFor(image);
      const before = await readFile(image);
      const openAny = (path: string, sizeBytes?: number) =>
        path === DISK_PATH
          ? openDevice(path, { mode: 'read', ...(sizeBytes === undefined ? {} : { sizeBytes }) })
          : tools.open(path);
      const { disks } = await takeInventory({ diskPaths: [], windows: tools, clock: systemClock });
      const views = new ShadowViews({ folder, tools, log: silentLog, open: openAny });
      await views.clean();
      const taken = await views.take(disks, []);
      const bytes = Buffer.alloc(before.length);
      await taken.devices.get('disk0')?.read(bytes, 0);
      ok(bytes.equals(before));
      await taken.release();
      deepEqual(tools.shadows, []);
    },
  },
  {
    name: 'capture compare sends what the views hold, round after round, and goes on after its engine was started anew',
    async run({ folder, image }) {
      const tools = await toolsFor(image);
      const { disks } = await takeInventory({ diskPaths: [], windows: tools, clock: systemClock });
      const views = new ShadowViews({
        folder: join(folder, 'shadows'),
        tools,
        log: silentLog,
        open: tools.open,
      });
      const live = liveOptions(folder, { compare: { intervalMs: 10, views } });
      const replica = new Replica({ disk0: Buffer.alloc(tools.disk.length) });
      for (const round of [1, 2]) {
        tools.disk.fill(round, C_AT + 5 * MIB, C_AT + 5 * MIB + 4096);
        const session = await compare.open(disks, { excluded: [], live });
        ok(session.changes);
        await follow(session.changes, replica, () => replica.sets === round && replica.openSet === undefined);
        ok(replica.disks.get('disk0')?.equals(tools.disk), `round ${round}`);
        await session.changes.acknowledge(replica.position);
        await session.close();
      }
      deepEqual(tools.shadows, []);
    },
  },
  {
    name: 'a program of Windows that answers nothing sensible is named, and one that is missing too',
    async run({ folder }) {
      const failed = { code: 'WINDOWS_TOOL_FAILED', retry: 'later' };
      await rejects(windowsTools('C:\\windows').powershell('1'), failed);
      await rejects(windowsTools(join(folder, 'nowhere')).powershell('1'), failed);
      await rejects(windowsTools('C:\\windows').diskshadow('x', 'y'), failed);
    },
  },
  {
    name: 'standby master prepare: refused without rights, asked, made, done twice, taken back, by the reg.exe that is there',
    run: () => prepareCase(),
  },
  {
    name: 'standby master prepare: killed between two writes it goes on, or goes back',
    run: () => killedPrepareCase(),
  },
  {
    name: 'the engine says that it has not joined',
    async run({ folder }) {
      const { signal } = new AbortController();
      await rejects(runMasterEngine({ stateFolder: folder, clock: systemClock, log: silentLog, signal }), {
        code: 'MASTER_NOT_JOINED',
      });
    },
  },
  {
    name: 'both engines: enrolment, join, mutual TLS, a first copy at rest that ends equal',
    async run() {
      const world = await makeWorld();
      try {
        const copy = await prepareCopy(world, { chunks: 6, full: [0, 3], pages: [{ chunk: 5, page: 9 }] });
        startMaster(world, 'm1');
        await untilConnected(copy.control);
        await copy.control.openReplica(copy.spec());
        await copy.control.startCopy('s1', OPTIONS);
        const end = await untilEnd(copy.control, 's1', 120_000);
        equal(end.state, 'synchronised');
        const replica = await readFile(copy.lun);
        ok(replica.subarray(0, copy.sizeBytes).equals(await readFile(copy.disk)));
      } finally {
        await world.end();
      }
    },
  },
  {
    name: 'the command line: --version, and a disk looked at',
    async run({ folder, image }) {
      await mkdir(join(folder, 'home'));
      await writeFile(join(folder, 'note'), '');
      const { CommandLine } = await import('../cli/shell-fixture.ts');
      const line = new CommandLine();
      try {
        match((await line.type(['--version'])).out, /^\d+\.\d+\.\d+/);
        const { documents, err } = await line.type(['inspect', '--disk', DISK_PATH, '--json']);
        equal(err.includes('Error'), false, err);
        equal(documents[0]?.sizeBytes, (await readFile(image)).length);
      } finally {
        line.remove();
      }
    },
  },
];

async function toolsFor(image: string): Promise<MadeUpWindows> {
  const bytes = await readFile(image);
  const sizeBytes = bytes.length - 2 * MIB;
  const inventory = answer({
    disks: disk({ Size: bytes.length }),
    partitions: partition({ PartitionNumber: 1, Offset: C_AT, Size: sizeBytes }),
    volumes: volume(),
  });
  return new MadeUpWindows(bytes, [{ name: OS_VOLUME, offsetBytes: C_AT, sizeBytes }], inventory);
}
