import { closeSync, existsSync, openSync, readdirSync, readSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { rootFileSystemOf } from '../../infra/demo/master-file-system.ts';
import { type MasterGuest, startMasterGuest } from '../../infra/demo/master-guest.ts';
import { buildMasterImage, DATABASE_PORT, ROWS_PATH } from '../../infra/demo/master-image.ts';
import { type RowWriter, startRowWriter } from '../../infra/demo/row-writer.ts';
import { compareRows, readRows } from '../../infra/demo/rows.ts';
import { isAlive } from '../../infra/local/processes.ts';
import { systemClock } from '../../src/clock.ts';
import { MIB } from '../../src/model/disk.ts';
import { makeRandom } from '../capture/rig.ts';
import { clientsOf, collect } from '../infra/local/local-subscription.ts';
import {
  CACHE,
  type Document,
  type Lodging,
  makeLodging,
  type Place,
  processesOf,
  run,
  runbookLines,
  type Started,
  start,
  until,
} from './commands.ts';
import { deployed, endpointOf } from './deployed.ts';
import { FioWriter } from './fio-writer.ts';

/**
 * A running server with two disks is followed while the master's engine, the appliance's engine and Local Azure are
 * killed with -9 one after the other, in the first copy and after it. A client appends rows through the server's
 * database to the one disk, fio writes and verifies the other. Then the server dies, and its standby is looked at.
 */
const ACCOUNT = 'ops@example.com';
const GROUP = 'standby-rg';
const FIO_MIB = 24;
const ROWS_MS = 90_000;
/** A guest without KVM, and the machine may be busy. */
const BOOT_MS = 180_000;
/** `SEED=<n>` kills in the same order after the same numbers of rows. */
const SEED = Number(process.env.SEED ?? 202);

let lodging: Lodging;
let control: Place;
let master: Place;
let engine: Started;
let guest: MasterGuest | undefined;
let writer: RowWriter | undefined;
let fio: FioWriter | undefined;
beforeEach(() => {
  lodging = makeLodging();
  control = { ...lodging, home: join(lodging.home, 'control') };
  master = { ...lodging, home: join(lodging.home, 'master') };
});
afterEach(async () => {
  if (guest && isAlive(guest.mark)) process.kill(guest.mark.pid, 'SIGKILL');
  await fio?.close();
  await writer?.close();
  // A Local Azure that was killed has left guests behind; the next one ends them.
  if (existsSync(join(control.home, 'local-azure'))) {
    await run(['local', 'up'], control);
    await run(['local', 'down'], control);
  }
  lodging.remove();
});

const diskFile = (name: string) => join(lodging.home, `${name}.img`);
const socket = () => join(lodging.home, 'nbd.sock');
it('what was acknowledged and received survives every kill -9, in order, and its standby boots with it', async () => {
  const image = {
    file: diskFile('os'),
    firmware: 'bios',
    sizeMib: 256,
    dataMib: 8,
    hostName: 'master01',
  } as const;
  await Promise.all([buildMasterImage({ ...image, cacheFolder: CACHE }), deployed(control, ACCOUNT, GROUP)]);
  await joined();
  const rows = await served();
  await run(scenario(), control);

  const random = makeRandom(SEED);
  await killAround(start(['run', 'live'], control), rows, random);
  await untilReplicating();
  for (const victim of shuffled(random)) await killAfterSomeRows(victim, rows, random);
  await untilReplicating();
  await fio?.finish();
  await untilReceived(rows);

  const receivedAtMs = await masterDies(rows);
  // To the letter, as somebody who is woken up would.
  for (const look of await runbookLines('live', 'Look', control)) await run(look.split(' '), control);
  const [switchOver = ''] = await runbookLines('live', 'Switch over', control);
  const document = await run([...switchOver.split(' '), '--yes'], control);
  expect(document).toMatchObject({ state: 'switched-over' });
  await expectRows(document, rows, receivedAtMs);
  await expectDisks();
}, 900_000);

async function joined(): Promise<void> {
  writeFileSync(diskFile('data'), '');
  truncateSync(diskFile('data'), FIO_MIB * MIB);
  const { token } = await run(['master', 'token', '--appliance', 'gate'], control);
  const disks = ['--disk', diskFile('os'), '--disk', diskFile('data')];
  const joining = start(['master', 'join', '-', ...disks, '--host-name', 'master01'], {
    ...master,
    input: String(token),
  });
  await joining.says('Waiting for control');
  await run(['master', 'list'], control);
  expect((await joining.ended).exitCode).toBe(0);
}

/** The engine serves, the server runs, its client and fio write. */
async function served(): Promise<RowWriter> {
  engine = startEngine();
  let ids: readonly string[] = [];
  await until(
    'the disks are served',
    async () => {
      const { masters = [] } = (await run(['master', 'list'], control)) as { masters?: readonly Listed[] };
      ids = masters[0]?.master.inventory.nbd?.map(({ diskId }) => diskId) ?? [];
      return ids.length === 2;
    },
    ROWS_MS,
  );
  const [os = '', data = ''] = ids;
  fio = await FioWriter.start({ folder: lodging.home, sizeMib: FIO_MIB, socket: socket(), diskId: data });
  const common = { clock: systemClock, signal: new AbortController().signal };
  guest = await startMasterGuest({
    ...common,
    folder: join(lodging.home, 'guest'),
    diskUri: `nbd+unix:///${os}?socket=${socket()}`,
    firmware: 'bios',
    databasePort: DATABASE_PORT,
  });
  const logFile = join(lodging.home, 'acknowledged.txt');
  writer = await startRowWriter({ ...common, port: guest.databasePort, logFile, bootMs: BOOT_MS });
  await writer.reach(5, ROWS_MS);
  return writer;
}

interface Listed {
  readonly master: { readonly inventory: { readonly nbd?: readonly { readonly diskId: string }[] } };
}

const startEngine = () => start(['engine', 'master', '--nbd', socket(), '--spool', '64'], master);

const scenario = () => [
  ...['scenario', 'create', '--yes', '--name', 'live', '--purpose', 'dr', '--account', ACCOUNT],
  ...['--master', 'master01', '--region', endpointOf(control).location, '--appliance', 'gate'],
  ...['--resource-group', GROUP, '--capture', 'nbd', '--vm-name', 'standby01', '--vm-size', 'Standard_B2s'],
  ...['--disk-type', 'StandardSSD_LRS', '--virtual-network', `${GROUP}/standby-vnet`, '--subnet', 'default'],
  ...['--address', 'dynamic', '--security-group', `${GROUP}/standby-web`, '--public-ip', 'yes'],
  ...['--health-check', 'http', '--health-port', '8080', '--health-path', '/index.html'],
  ...['--health-status', '200'],
];

// --- deaths

type Victim = 'engine master' | 'engine appliance' | 'local/daemon.ts';
type Random = (below: number) => number;

function shuffled(random: Random): Victim[] {
  const left: Victim[] = ['engine master', 'engine appliance', 'local/daemon.ts', 'engine master'];
  const order: Victim[] = [];
  while (left.length > 0) order.push(...left.splice(random(left.length), 1));
  return order;
}

/** In the first copy. The command that waits for it comes through all of them. */
async function killAround(copy: Started, rows: RowWriter, random: Random): Promise<void> {
  // Before that its checks look at the appliance, and rightly refuse to go on without it.
  await copy.prints(({ progress }) => progress !== undefined);
  for (const victim of ['engine appliance', 'engine master'] as const) {
    await killAfterSomeRows(victim, rows, random, 4);
  }
  const { exitCode, stderr } = await copy.ended;
  expect([SEED, exitCode, stderr]).toEqual([SEED, 0, expect.any(String)]);
}

async function killAfterSomeRows(victim: Victim, rows: RowWriter, random: Random, most = 25): Promise<void> {
  await rows.reach(rows.acknowledged.length + 1 + random(most), ROWS_MS);
  const found = processesOf(lodging.home).find(({ command }) => command.includes(victim));
  if (!found) throw new Error(`No process is called ${victim} (SEED=${SEED})`);
  process.kill(found.pid, 'SIGKILL');
  if (victim === 'engine master') {
    await engine.ended;
    engine = startEngine();
  } else if (victim === 'local/daemon.ts') await run(['local', 'up'], control);
}

async function untilReplicating(): Promise<void> {
  let last: Document = {};
  await until(
    'it is replicating',
    async () => {
      last = await run(['status', 'live'], control);
      return last.state === 'replicating';
    },
    ROWS_MS,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)} SEED=${SEED} ${JSON.stringify(last)}`);
  });
}

async function receivedAt(): Promise<number> {
  const { replication } = (await run(['status', 'live'], control)) as {
    replication?: { receivedAtMs?: number };
  };
  return replication?.receivedAtMs ?? 0;
}

/** Everything that the client knows of by now. */
async function untilReceived(rows: RowWriter): Promise<void> {
  const last = rows.acknowledged.at(-1);
  if (!last) throw new Error('no row was ever acknowledged');
  await until(
    `row ${last.number} is received`,
    async () => (await receivedAt()) > last.acknowledgedAtMs,
    ROWS_MS,
  );
}

/** The server first: it must not get an answer that the client then counts while the engine is dead already. */
async function masterDies(rows: RowWriter): Promise<number> {
  await rows.reach(rows.acknowledged.length + 5, ROWS_MS);
  const before = await receivedAt();
  if (guest) process.kill(guest.mark.pid, 'SIGKILL');
  engine.kill();
  await engine.ended;
  await rows.ended;
  return Math.max(before, await receivedAt());
}

// --- what is left

async function expectRows(document: Document, rows: RowWriter, receivedAtMs: number): Promise<void> {
  const { addresses } = document as { addresses?: readonly { readonly publicIp?: string }[] };
  const ip = addresses?.find(({ publicIp }) => publicIp)?.publicIp ?? '';
  const answer = await fetch(`http://${ip}:8080${ROWS_PATH}`, { signal: AbortSignal.timeout(60_000) });
  const found = readRows(await answer.text());
  expect([SEED, found.wrong]).toEqual([SEED, undefined]);
  const sent = rows.underWay ? [...rows.acknowledged, rows.underWay] : rows.acknowledged;
  expect(found.rows.map(({ line }) => line)).toEqual(
    sent.slice(0, found.rows.length).map(({ line }) => line),
  );
  const counted = compareRows(rows.acknowledged, found.rows, receivedAtMs);
  expect([SEED, counted]).toEqual([SEED, { ...counted, lost: 0 }]);
  expect(counted.received).toBeGreaterThan(30);
}

/** The replica as it was sealed, and the standby's own second disk. */
async function expectDisks(): Promise<void> {
  const guests = join(control.home, 'local-azure/data/guests');
  const luns = readdirSync(guests).map((name) => join(guests, name, 'root/dev/disk/azure/scsi1'));
  const folder = luns.find((one) => existsSync(join(one, 'lun1')));
  const root = await rootFileSystemOf(join(folder ?? '', 'lun1'), 'bios', join(lodging.home, 'root.img'));
  expect(await root.check()).toContain('recovering journal');
  await fio?.verify(join(folder ?? '', 'lun2'));
  const { compute } = clientsOf(endpointOf(control));
  const disks = await collect(compute.disks.list());
  const standby = disks.filter((disk) => disk.tags?.['standby-role'] === 'standby-disk');
  expect(standby).toHaveLength(2);
  const files = standby.map(({ uniqueId }) =>
    join(control.home, 'local-azure/data/disks', `${uniqueId}.raw`),
  );
  const data = files.find((file) => !boots(file));
  await fio?.verify(data ?? '');
}

function boots(file: string): boolean {
  const sector = Buffer.alloc(512);
  const disk = openSync(file, 'r');
  readSync(disk, sector);
  closeSync(disk);
  return sector.readUInt16LE(510) === 0xaa55;
}
