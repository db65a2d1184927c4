import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { rootFileSystemOf } from '../../infra/demo/master-file-system.ts';
import { type MasterGuest, startMasterGuest } from '../../infra/demo/master-guest.ts';
import { buildMasterImage, DATABASE_PORT } from '../../infra/demo/master-image.ts';
import { startRowWriter } from '../../infra/demo/row-writer.ts';
import { readRows } from '../../infra/demo/rows.ts';
import { isAlive } from '../../infra/local/processes.ts';
import { systemClock } from '../../src/clock.ts';
import { CACHE, until } from './commands.ts';

/** The live server of the demo, on a disk that the capture serves: whatever dies, what it has acknowledged is on the disk. */
const SERVER = fileURLToPath(new URL('../capture/nbd-process.ts', import.meta.url));
const BOOT_MS = 90_000;

let folder: string;
let served: ChildProcess | undefined;
let guest: MasterGuest | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-live-master-'));
});
afterEach(async () => {
  if (guest && isAlive(guest.mark)) process.kill(guest.mark.pid, 'SIGKILL');
  await endServer();
  rmSync(folder, { recursive: true, force: true });
});

async function endServer(): Promise<void> {
  if (!served || served.exitCode !== null || served.signalCode !== null) return;
  served.kill('SIGKILL');
  await once(served, 'exit');
}

async function serve(): Promise<void> {
  const path = join(folder, 'disk.img');
  const disk = JSON.stringify({ id: 'disk0', path, sizeBytes: statSync(path).size });
  served = spawn(process.execPath, [SERVER, disk, folder, join(folder, 'nbd.sock')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(served.stdout ?? served, 'data');
}

it('a guest on NBD lives through the death of its server, and loses no acknowledged row with its own', async () => {
  const file = join(folder, 'disk.img');
  const image = { file, firmware: 'bios', sizeMib: 256, dataMib: 1, hostName: 'master01' } as const;
  await buildMasterImage({ ...image, cacheFolder: CACHE });
  await serve();
  const { signal } = new AbortController();
  const common = { clock: systemClock, signal };
  guest = await startMasterGuest({
    ...common,
    folder: join(folder, 'guest'),
    diskUri: `nbd+unix:///disk0?socket=${join(folder, 'nbd.sock')}`,
    firmware: 'bios',
    databasePort: DATABASE_PORT,
  });
  const logFile = join(folder, 'acknowledged.txt');
  const writer = await startRowWriter({ ...common, port: guest.databasePort, logFile, bootMs: BOOT_MS });
  await writer.reach(50, 60_000);

  await endServer();
  const before = writer.acknowledged.length;
  // Nothing is acknowledged that nobody has made durable.
  await systemClock.sleep(500);
  expect(writer.acknowledged.length).toBeLessThanOrEqual(before + 1);
  await serve();
  await writer.reach(before + 50, 60_000);

  process.kill(guest.mark.pid, 'SIGKILL');
  await writer.ended;
  await until('the guest is gone', () => guest !== undefined && !isAlive(guest.mark));
  await endServer();
  await writer.close();

  const root = await rootFileSystemOf(file, 'bios', join(folder, 'root.img'));
  expect(await root.check()).toContain('recovering journal');
  const { rows, wrong } = readRows(await root.read('/var/www/rows.txt'));
  expect(wrong).toBeUndefined();
  expect(writer.acknowledged.length).toBeGreaterThanOrEqual(before + 50);
  expect(rows.slice(0, writer.acknowledged.length).map((row) => row.line)).toEqual(
    writer.acknowledged.map((row) => row.line),
  );
  expect(rows.length - writer.acknowledged.length).toBeLessThanOrEqual(1);
  expect(readFileSync(logFile, 'utf8').trimEnd().split('\n')).toHaveLength(writer.acknowledged.length);
}, 600_000);
