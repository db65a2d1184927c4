import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RowsFound } from '../../infra/demo/rows.ts';
import { type Document, type Lodging, makeLodging, NOTHING, start, untilCopying } from './commands.ts';
import { demoDocument } from './demo-document.ts';

let lodging: Lodging;
beforeEach(() => {
  lodging = makeLodging();
});
afterEach(() => lodging.remove());

it('a running server is followed and killed; its standby has every row that was acknowledged and received', async () => {
  const demo = start(['demo'], lodging);
  await demo.says('Start Local Azure');
  const second = await start(['demo'], lodging).ended;
  expect([second.exitCode, second.document]).toEqual([
    2,
    { error: expect.objectContaining({ code: 'DEMO_RUNNING' }) },
  ]);
  const down = await start(['demo', 'down'], lodging).ended;
  expect(down.exitCode).toBe(2);

  const { exitCode, document, stdout, stderr } = await demo.ended;
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('together')]);
  expect(document).toEqual(demoDocument('bios', 'nbd'));
  expectSameData(document);
  const { rows, rpoSeconds } = document as unknown as { rows: RowsFound; rpoSeconds: number };
  // Rows were written before the copy, during it and after it; all but the very last had arrived.
  expect(rows.received).toBeGreaterThan(60);
  expect(rows.acknowledged).toBeGreaterThanOrEqual(rows.received);
  // One more may have become durable that the client never heard of.
  expect(rows.onStandby).toBeLessThanOrEqual(rows.acknowledged + 1);
  expect(rows.onStandby).toBeGreaterThanOrEqual(rows.received);
  expect(rpoSeconds).toBeLessThan(10);
  expect(stdout).toBe(`${JSON.stringify(document)}\n`);
  expect(lodging.leftovers()).toEqual(NOTHING);
}, 600_000);

it('a server at rest is copied, and its standby has its data', async () => {
  const { exitCode, document, stderr } = await start(['demo', '--capture', 'at-rest'], lodging).ended;
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('together')]);
  expect(document).toEqual(demoDocument('bios', 'at-rest'));
  expectSameData(document);
  expect(lodging.leftovers()).toEqual(NOTHING);
});

function expectSameData(document: Document): void {
  const { standby, master } = document as unknown as Record<'standby' | 'master', { sha256: string }>;
  expect(standby.sha256).toBe(master.sha256);
  // A server half full of data that nobody can compress: the copy cannot have been cheaper.
  expect(document.copiedBytes).toBeGreaterThan(480 * 1024 ** 2);
}

it('Ctrl-C in the middle of the copy leaves nothing', async () => {
  const demo = start(['demo'], { ...lodging, group: true });
  await demo.says('Copy the running server to Azure');
  const control = { ...lodging, home: join(lodging.home, 'demo/control') };
  await untilCopying(control);
  process.kill(-demo.pid, 'SIGINT');
  const { exitCode, document } = await demo.ended;
  expect([exitCode, document]).toEqual([130, { error: expect.objectContaining({ code: 'CANCELLED' }) }]);
  expect(lodging.leftovers()).toEqual(NOTHING);
}, 600_000);
