import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Lodging, makeLodging, NOTHING, start, untilCopying } from './commands.ts';
import { demoDocument } from './demo-document.ts';

let lodging: Lodging;
beforeEach(() => {
  lodging = makeLodging();
});
afterEach(() => lodging.remove());

it('the demo ends with one document about a standby with the server’s own data, and leaves nothing', async () => {
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
  expect(document).toEqual(demoDocument('bios'));
  const { standby, master } = document as { standby: { sha256: string }; master: { sha256: string } };
  expect(standby.sha256).toBe(master.sha256);
  // A server half full of data that nobody can compress: the copy cannot have been cheaper.
  expect(document.copiedBytes).toBeGreaterThan(480 * 1024 ** 2);
  expect(stdout).toBe(`${JSON.stringify(document)}\n`);
  expect(lodging.leftovers()).toEqual(NOTHING);
});

it('Ctrl-C in the middle of the copy leaves nothing', async () => {
  const demo = start(['demo'], { ...lodging, group: true });
  await demo.says('Copy the server to Azure');
  const control = { ...lodging, home: join(lodging.home, 'demo/control') };
  await untilCopying(control);
  process.kill(-demo.pid, 'SIGINT');
  const { exitCode, document } = await demo.ended;
  expect([exitCode, document]).toEqual([130, { error: expect.objectContaining({ code: 'CANCELLED' }) }]);
  expect(lodging.leftovers()).toEqual(NOTHING);
});
