import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Lodging, makeLodging, NOTHING, type Place, run, start } from './commands.ts';

let lodging: Lodging;
beforeEach(() => {
  lodging = makeLodging();
});
afterEach(() => lodging.remove());

const SHA256 = /^[0-9a-f]{64}$/;

function wholeDocument(firmware: string) {
  return {
    ok: true,
    firmware,
    diskBytes: expect.any(Number),
    copiedBytes: expect.any(Number),
    copySeconds: expect.any(Number),
    copyMibPerSecond: expect.any(Number),
    switchoverSeconds: expect.any(Number),
    bootSeconds: expect.any(Number),
    standby: {
      vmId: expect.stringMatching(/\/providers\/Microsoft\.Compute\/virtualMachines\/standby01$/),
      publicIp: expect.stringMatching(/^127\.\d+\.\d+\.\d+$/),
      url: expect.stringMatching(/^http:\/\/127\..*\/proof\.bin$/),
      sha256: expect.stringMatching(SHA256),
    },
    master: { sha256: expect.stringMatching(SHA256) },
  };
}

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
  expect(document).toEqual(wholeDocument('bios'));
  const { standby, master } = document as { standby: { sha256: string }; master: { sha256: string } };
  expect(standby.sha256).toBe(master.sha256);
  // A server half full of data that nobody can compress: the copy cannot have been cheaper.
  expect(document.diskBytes).toBe(1024 ** 3);
  expect(document.copiedBytes).toBeGreaterThan(480 * 1024 ** 2);
  expect(stdout).toBe(`${JSON.stringify(document)}\n`);
  expect(lodging.leftovers()).toEqual(NOTHING);
});

it('a UEFI server is kept running with --keep, can be looked at, and goes with `demo down`', async () => {
  const { exitCode, document } = await start(['demo', '--firmware', 'uefi', '--keep'], lodging).ended;
  expect([exitCode, document]).toEqual([0, wholeDocument('uefi')]);

  const control = { ...lodging, home: join(lodging.home, 'demo/control') };
  expect(await run(['status', 'demo'], control)).toMatchObject({ state: 'switched-over' });
  const { standby, master } = document as { standby: { url: string }; master: { sha256: string } };
  const answer = await fetch(standby.url, { signal: AbortSignal.timeout(30_000) });
  const body = Buffer.from(await answer.arrayBuffer());
  expect(createHash('sha256').update(body).digest('hex')).toBe(master.sha256);
  expect(lodging.leftovers().processes).not.toEqual([]);

  expect(await run(['demo', 'down'], lodging)).toEqual({ ok: true });
  expect(lodging.leftovers()).toEqual(NOTHING);
  await expect(fetch(standby.url, { signal: AbortSignal.timeout(30_000) })).rejects.toThrow('fetch failed');
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

async function untilCopying(control: Place): Promise<void> {
  for (;;) {
    const { copy } = (await run(['status', 'demo'], control)) as { copy?: { doneBytes: number } };
    if (copy && copy.doneBytes > 0) return;
  }
}
