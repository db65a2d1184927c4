import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { nbd } from '../../src/capture/nbd.ts';
import { NbdClient } from './nbd-client.ts';
import { catchUp, liveOptions, makeDisk, makeFolder, Replica } from './rig.ts';

const MIB = 1024 * 1024;
const PROGRAM = fileURLToPath(new URL('nbd-process.ts', import.meta.url));

let folder: ReturnType<typeof makeFolder>;
let server: ChildProcess | undefined;
beforeEach(() => {
  folder = makeFolder();
});
afterEach(async () => {
  if (server && server.exitCode === null && server.signalCode === null) {
    server.kill('SIGKILL');
    await once(server, 'exit');
  }
  folder.remove();
});

async function serve(disk: object, restart: boolean): Promise<void> {
  const path = join(folder.path, 'nbd.sock');
  const args = [PROGRAM, JSON.stringify(disk), folder.path, path, restart ? 'restart' : ''];
  server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout ?? server, 'data');
}

it('a server killed under writes has lost nothing that was flushed, and the stream still leads to its disk', async () => {
  const disk = makeDisk(folder.path, 'disk0', 16 * MIB);
  let entry = 0;
  let flushed = 0;
  /** Under way when their server was killed: there or not. */
  const cut = new Set<number>();
  for (let life = 0; life < 3; life++) {
    await serve(disk, life === 0);
    const client = new NbdClient(connect(join(folder.path, 'nbd.sock')));
    await client.choose('disk0');
    const writing = (async () => {
      for (;;) {
        const page = Buffer.alloc(4096, 1 + (++entry % 250));
        page.writeUInt32LE(entry);
        await client.write((entry % 4000) * 4096, page);
        if (entry % 5 === 0) {
          await client.flush();
          flushed = entry;
        }
      }
    })().catch((error: unknown) => error);
    const target = flushed + 60 + life * 37;
    while (flushed < target) await new Promise((resolve) => setImmediate(resolve));
    server?.kill('SIGKILL');
    if (server) await once(server, 'exit');
    expect(await writing).toBeInstanceOf(Error);
    cut.add(entry);
    const file = openSync(disk.path, 'r');
    const found = Buffer.alloc(4);
    for (let each = 1; each <= flushed; each++) {
      readSync(file, found, 0, 4, (each % 4000) * 4096);
      if (!cut.has(each)) expect(found.readUInt32LE()).toBe(each);
    }
    closeSync(file);
  }
  const live = liveOptions(folder.path, { nbd: { listen: { path: join(folder.path, 'nbd.sock') } } });
  const session = await nbd.open([disk], { excluded: [], live });
  const replica = new Replica({ disk0: Buffer.alloc(16 * MIB) });
  if (session.changes) await catchUp(session.changes, replica);
  expect(replica.disks.get('disk0')?.equals(await readFile(disk.path))).toBe(true);
  expect(replica.sets).toBeGreaterThan(0);
  await session.close();
}, 60_000);
