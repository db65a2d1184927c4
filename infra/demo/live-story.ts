import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive, type ProcessMark } from '../local/processes.ts';
import type { DemoCall } from './call.ts';
import { startEngine } from './household.ts';
import { rootFileSystemOf } from './master-file-system.ts';
import { type MasterGuest, startMasterGuest } from './master-guest.ts';
import { DATABASE_PORT, ROWS_PATH } from './master-image.ts';
import { startRowWriter } from './row-writer.ts';
import { compareRows, type Row, readRows } from './rows.ts';
import { control, given, SCENARIO, type Scene, type StoryStep, unexpected } from './scene.ts';

/** The steps of a server that runs while it is copied, takes writes all the time, and dies before the switchover. */
/** Bounds of what goes wrong; a machine that is busy with other things needs its time. */
export const BOOT_MS = 180_000;
const BOOKMARK = 'before-the-loss';
/** Rows between one thing that happens and the next. */
export const SOME_ROWS = 20;
const ROWS_MS = 60_000;
const RECEIVED_MS = 60_000;
const GONE_MS = 10_000;
const SPOOL_MIB = 64;
const SOCKET_PATH_BYTES = 104;

export const START_SERVER: StoryStep = {
  title: 'Start the server; a client appends rows',
  async run(scene) {
    const { call, house, live } = scene;
    const { databasePort } = await startServer(scene);
    const writer = await startRowWriter({
      port: databasePort,
      logFile: join(house.folder, 'acknowledged.txt'),
      clock: call.clock,
      signal: call.signal,
      bootMs: BOOT_MS,
    });
    live.writer = writer;
    await writer.reach(SOME_ROWS, ROWS_MS);
    return 'master01 runs on the disk that its engine serves (NBD)';
  },
};

export const LIVE_STEPS: readonly StoryStep[] = [
  { title: 'Set a bookmark; more rows', run: setBookmark },
  { title: 'The last rows arrive', run: awaitReceived },
  { title: 'Kill the server and its engine (-9)', run: killMaster },
];

export const COMPARE_ROWS: StoryStep = {
  title: "Compare the standby's rows with the client's",
  run: compareWithLog,
};
export const CHECK_REPLICA: StoryStep = { title: "Check the replica's file system", run: checkFileSystem };

/** The master's engine, which serves its disk to a guest. */
export async function startServingEngine({ call, house, live }: Scene): Promise<void> {
  const { nbdSocket } = house;
  // A socket's path must not be long; then any free port does.
  const place = Buffer.byteLength(nbdSocket) < SOCKET_PATH_BYTES ? nbdSocket : '0';
  const args = ['engine', 'master', '--nbd', place, '--spool', String(SPOOL_MIB)];
  live.engine = await startEngine(house, args, house.masterHome, call.environment);
}

/** The guest on the disk that its engine serves. `served`: where an engine did that is gone now. */
export async function startServer(scene: Scene, served?: string): Promise<MasterGuest> {
  const { call, house, facts, live } = scene;
  live.diskUri = await diskUriOf(scene, served);
  const guest = await startMasterGuest({
    folder: house.guestFolder,
    diskUri: live.diskUri,
    firmware: facts.firmware ?? 'bios',
    databasePort: DATABASE_PORT,
    clock: call.clock,
    signal: call.signal,
  });
  live.guest = guest;
  return guest;
}

/** How the engine serves the disk: the appliance tells, so control knows it too. */
async function diskUriOf(scene: Scene, served: string | undefined): Promise<string> {
  const { clock, signal } = scene.call;
  const until = clock.now() + RECEIVED_MS;
  for (;;) {
    const { result } = await control(scene, ['master', 'list']);
    const masters = (result.masters ?? []) as readonly MasterFacts[];
    const uri = masters[0]?.master.inventory.nbd?.[0]?.uri;
    if (uri && uri !== served) return uri;
    if (clock.now() > until)
      throw unexpected("The master's engine serves no disk.", JSON.stringify(result).slice(0, 400));
    await clock.sleep(200, signal);
  }
}

interface MasterFacts {
  readonly master: { readonly inventory: { readonly nbd?: readonly { readonly uri: string }[] } };
}

async function setBookmark(scene: Scene): Promise<string> {
  const writer = given(scene.live.writer, 'client');
  await control(scene, ['bookmark', SCENARIO, BOOKMARK]);
  await writer.reach(writer.acknowledged.length + SOME_ROWS, ROWS_MS);
  return `${BOOKMARK}; ${writer.acknowledged.length} rows acknowledged by now`;
}

async function awaitReceived(scene: Scene): Promise<string> {
  const { call, live } = scene;
  const { acknowledged } = given(live.writer, 'client');
  const last = given(acknowledged.at(-1), 'last row');
  const until = call.clock.now() + RECEIVED_MS;
  for (;;) {
    const receivedAtMs = await receivedAt(scene);
    if (receivedAtMs !== undefined && receivedAtMs > last.acknowledgedAtMs) {
      live.receivedAtMs = receivedAtMs;
      return `row ${last.number} and all before it are durable on the appliance`;
    }
    if (call.clock.now() > until)
      throw unexpected(`Row ${last.number} did not arrive.`, `The appliance is at ${receivedAtMs}.`);
    await call.clock.sleep(100, call.signal);
  }
}

/** The time of the last position that the appliance has durably, by the master's clock. */
async function receivedAt(scene: Scene): Promise<number | undefined> {
  const { result } = await control(scene, ['status', SCENARIO]);
  return (result.replication as { receivedAtMs?: number } | undefined)?.receivedAtMs;
}

/** The guest first: it must not get an answer that the client then counts while the engine is dead already. */
async function killMaster(scene: Scene): Promise<string> {
  const { call, live } = scene;
  const writer = given(live.writer, 'client');
  const victims: readonly ProcessMark[] = [given(live.guest, 'server').mark, given(live.engine, 'engine')];
  live.killedAtMs = call.clock.now();
  for (const { pid } of victims) process.kill(pid, 'SIGKILL');
  await writer.ended;
  const until = call.clock.now() + GONE_MS;
  while (victims.some(isAlive)) {
    if (call.clock.now() > until) throw unexpected('A killed process lives on.', JSON.stringify(victims));
    await call.clock.sleep(20, call.signal);
  }
  // What was on its way when they died may have arrived since.
  const receivedAtMs = (await receivedAt(scene)) ?? 0;
  live.receivedAtMs = Math.max(given(live.receivedAtMs, 'received position'), receivedAtMs);
  return `after ${writer.acknowledged.length} acknowledged rows`;
}

async function compareWithLog({ call, facts, live }: Scene): Promise<string> {
  const { acknowledged, underWay } = given(live.writer, 'client');
  const standby = await fetchRows(given(facts.standby, 'standby').url, call);
  const sent = underWay ? [...acknowledged, underWay] : acknowledged;
  const foreign = standby.find((row) => sent[row.number - 1]?.line !== row.line);
  if (foreign) throw unexpected('The standby has other rows than the client sent.', foreign.line);
  live.rows = standby;
  const rows = compareRows(acknowledged, standby, given(live.receivedAtMs, 'received position'));
  facts.rows = rows;
  facts.ok = facts.ok === true && rows.lost === 0;
  const later = rows.acknowledged - rows.received;
  const unsure = later > 0 ? ` (${later} more acknowledged in the last moment)` : '';
  return `${rows.onStandby} rows in order; of ${rows.received} acknowledged and received, ${rows.lost} lost${unsure}`;
}

/** What the server at this address holds, in order and unspoilt. */
export async function fetchRows(site: string, { signal }: Pick<DemoCall, 'signal'>): Promise<readonly Row[]> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(60_000)]);
  const response = await fetch(new URL(ROWS_PATH, site), { signal: limit });
  if (!response.ok) throw unexpected('The server did not give its rows.', `HTTP ${response.status}`);
  const { rows, wrong } = readRows(await response.text());
  if (wrong) throw unexpected('The server has other rows than it was given.', wrong);
  return rows;
}

/** What was sealed and switched to, as the standby found it: only its journal had to be replayed. */
async function checkFileSystem({ house, facts }: Scene): Promise<string> {
  const replica = await replicaDiskIn(join(house.controlHome, 'local-azure/data/guests'));
  const copy = join(house.folder, 'replica-root.img');
  const root = await rootFileSystemOf(replica, facts.firmware ?? 'bios', copy);
  try {
    const said = await root.check();
    return `${said.includes('recovering journal') ? 'journal replayed, then' : 'nothing to replay;'} e2fsck finds no error`;
  } finally {
    await root.remove();
  }
}

/** The first data disk behind the journal's, as the appliance sees it. */
async function replicaDiskIn(guests: string): Promise<string> {
  const disks = (await readdir(guests)).map((name) => join(guests, name, 'root/dev/disk/azure/scsi1/lun1'));
  return given(disks.find(existsSync), 'replica disk');
}
