import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type RowWriter, startRowWriter } from '../../../infra/demo/row-writer.ts';
import { readRows } from '../../../infra/demo/rows.ts';
import { systemClock } from '../../../src/clock.ts';

let folder: string;
let server: Server;
let stop: AbortController;
const sockets = new Set<Socket>();
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-rows-'));
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

/** Takes `limit` rows, then is silent; the first connections are taken and left alone, as QEMU does for a guest that boots. */
async function database(limit: number, silentAtFirst = 0): Promise<{ port: number; rows: string[] }> {
  const rows: string[] = [];
  let connections = 0;
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    if (connections++ < silentAtFirst) return;
    socket.write('last 0\n');
    createInterface({ input: socket }).on('line', (line) => {
      if (rows.length >= limit) return;
      rows.push(line);
      socket.write(`kept ${Number.parseInt(line, 10)}\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, rows };
}

function write(port: number): Promise<RowWriter> {
  return startRowWriter({
    port,
    logFile: join(folder, 'log.txt'),
    clock: systemClock,
    signal: stop.signal,
    pauseMs: 1,
    bootMs: 10_000,
  });
}

it('keeps in memory and in a file what was acknowledged, and what was sent last', async () => {
  const { port, rows } = await database(5, 1);
  const writer = await write(port);
  await writer.reach(5, 5000);
  await expect.poll(() => writer.underWay?.number).toBe(6);
  expect(writer.acknowledged.map((row) => row.line)).toEqual(rows);
  expect(readRows(rows.map((line) => `${line}\n`).join(''))).toMatchObject({ rows: { length: 5 } });
  await writer.close();
  const logged = readFileSync(join(folder, 'log.txt'), 'utf8').trimEnd().split('\n');
  expect(logged.map((line) => line.slice(line.indexOf(' ') + 1))).toEqual(rows);
});

it('ends when it is told to, also while it waits for an answer', async () => {
  const writer = await write((await database(0)).port);
  await expect.poll(() => writer.underWay?.number).toBe(1);
  stop.abort();
  expect(await writer.ended).toBe('It was closed.');
  await writer.close();
});

it('says that the server takes no rows any more when the connection ends', async () => {
  const writer = await write((await database(3)).port);
  await writer.reach(3, 5000);
  for (const socket of sockets) socket.destroy();
  await expect(writer.reach(4, 5000)).rejects.toMatchObject({ code: 'DEMO_SERVER_SILENT' });
  await writer.close();
});
