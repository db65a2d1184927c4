import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { LocalEndpoint } from '../../infra/local/local-azure.ts';
import { clientsOf, collect } from '../infra/local/local-subscription.ts';
import {
  type Document,
  type Living,
  type Lodging,
  makeLodging,
  NOTHING,
  type Place,
  processesOf,
  run,
  type Started,
  start,
  until,
  untilCopying,
} from './commands.ts';
import { demoDocument } from './demo-document.ts';

/** Whatever is killed with -9, the command that a person repeats ends as if nothing had been. */
let lodging: Lodging;
let control: Place;
let master: Place;
beforeEach(() => {
  lodging = makeLodging();
  control = { ...lodging, home: join(lodging.home, 'demo/control') };
  master = { ...lodging, home: join(lodging.home, 'demo/master') };
});
afterEach(() => lodging.remove());

const named = (words: string) => processesOf(lodging.home).find((one) => one.command.includes(words));

async function killed(demo: Started) {
  const before = processesOf(lodging.home).filter((one) => one.pid !== demo.pid);
  demo.kill();
  expect((await demo.ended).signal).toBe('SIGKILL');
  return before;
}

/** The next demo begins when nothing of the last one is left. */
async function demoAfter(left: readonly Living[], ...options: readonly string[]) {
  const demo = start(['demo', ...options], lodging);
  await demo.says('Build the on-premises');
  const still = processesOf(lodging.home).filter((one) => left.some(({ pid }) => pid === one.pid));
  expect(still).toEqual([]);
  return demo;
}

it('a demo killed while it deploys, copies and switches over is followed by one that ends as ever', async () => {
  const deploying = start(['demo'], lodging);
  await until('the appliance begins its first boot', () => named('first-boot.sh') !== undefined, 90_000);
  const afterDeploy = await killed(deploying);

  const copying = await demoAfter(afterDeploy, '--capture', 'at-rest');
  await copying.says('Copy the server to Azure');
  await untilCopying(control);
  const afterCopy = await killed(copying);
  expect(afterCopy.map((one) => one.command)).toContainEqual(expect.stringContaining(' run demo '));
  await copyThroughDeaths();

  // At rest, so that the only machine in QEMU is the standby.
  const switching = await demoAfter(processesOf(lodging.home), '--capture', 'at-rest');
  await switching.says('Switch over');
  await until('the standby boots', () => named('qemu-system') !== undefined, 60_000);
  const afterSwitchover = await killed(switching);

  const last = await (await demoAfter(afterSwitchover, '--firmware', 'uefi', '--keep')).ended;
  expect([last.exitCode, last.stderr]).toEqual([0, expect.stringContaining('together')]);
  expect(last.document).toEqual(demoDocument('uefi', 'nbd'));
  await lookAroundAndTakeDown(last.document);
}, 900_000);

/** What --keep has left running is what it says; `demo down` ends it all. */
async function lookAroundAndTakeDown(document: Document): Promise<void> {
  const { standby, master: original } = document as { standby: { url: string }; master: { sha256: string } };
  expect(await run(['status', 'demo'], control)).toMatchObject({ state: 'switched-over' });
  const answer = await fetch(standby.url, { signal: AbortSignal.timeout(30_000) });
  const served = createHash('sha256').update(Buffer.from(await answer.arrayBuffer()));
  expect(served.digest('hex')).toBe(original.sha256);

  expect(await run(['demo', 'down'], lodging)).toEqual({ ok: true });
  expect(lodging.leftovers()).toEqual(NOTHING);
  await expect(fetch(standby.url, { signal: AbortSignal.timeout(30_000) })).rejects.toThrow('fetch failed');
}

function kill(words: string): void {
  const found = named(words);
  if (!found) throw new Error(`No process is called ${words}`);
  process.kill(found.pid, 'SIGKILL');
}

/** Each process of the copy dies once; the household of the killed demo is there to go on in. */
async function copyThroughDeaths(): Promise<void> {
  // So slow that it is not over before everybody has died.
  await run(['appliance', 'bandwidth', 'demo-appliance', '--schedule', '0-24=20M'], control);
  kill(' run demo ');
  const copy = start(['run', 'demo'], control);
  let doneBytes = 0;
  const untilFurther = async () => {
    const { progress } = await copy.prints(({ progress }) => bytesOf(progress) > doneBytes);
    doneBytes = bytesOf(progress);
  };
  await untilFurther();
  kill('engine master');
  const engine = start(['engine', 'master'], master);
  await untilFurther();
  kill('engine appliance');
  await untilFurther();
  kill('local/daemon.ts');
  await run(['local', 'up'], control);
  const { exitCode, document, stderr } = await copy.ended;
  expect([exitCode, stderr, document]).toEqual([
    0,
    expect.any(String),
    expect.objectContaining({ state: 'synchronised', resumed: true }),
  ]);
  await expectOneEqualReplica(document);
  engine.kill('SIGTERM');
  expect((await engine.ended).exitCode).toBe(0);
}

function bytesOf(progress: unknown): number {
  return (progress as { doneBytes?: number } | undefined)?.doneBytes ?? 0;
}

async function expectOneEqualReplica(document: Document): Promise<void> {
  const folder = join(control.home, 'local-azure');
  const endpoint = JSON.parse(readFileSync(join(folder, 'endpoint.json'), 'utf8')) as LocalEndpoint;
  const { compute } = clientsOf(endpoint);
  const disks = await collect(compute.disks.list());
  const replicas = disks.filter((disk) => disk.tags?.['standby-role'] === 'replica-disk');
  expect(replicas).toHaveLength(1);
  expect(await collect(compute.virtualMachines.listAll())).toHaveLength(1);
  const original = join(lodging.home, 'demo/master-disk.img');
  const copy = join(folder, 'data/disks', `${replicas[0]?.uniqueId}.raw`);
  expect(await sha256Of(copy)).toBe(await sha256Of(original));
  expect(document.digests).toHaveLength(1);
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(file, { highWaterMark: 1024 ** 2 })) hash.update(bytes);
  return hash.digest('hex');
}
