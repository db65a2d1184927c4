import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildMasterImage } from '../../infra/demo/master-image.ts';
import { MAIN } from '../../infra/demo/product.ts';
import type { Readiness } from '../../src/model/readiness.ts';
import type { SwitchoverReport } from '../../src/switchover/report.ts';
import { run as tool } from '../guest/volumes.ts';
import { clientsOf, collect } from '../infra/local/local-subscription.ts';
import {
  CACHE,
  type Document,
  type Lodging,
  makeLodging,
  type Place,
  run,
  start,
  until,
} from './commands.ts';
import { deployed, endpointOf } from './deployed.ts';
import { type Terminal, TMUX_IS_THERE, Tmux } from './tmux.ts';
import { judgeDisk, type PartitionKind, type UsedByTools } from './used-by-tools.ts';
import { curedValuesOf, FIXED_ADDRESS, makeWindowsLikeMaster } from './windows-like-master.ts';

/**
 * A Windows-like GPT disk and Linux disks for BIOS and UEFI, from the wizard to their standbys, side by side through one
 * appliance: what is sent is judged by the tools of the file systems, what is patched by those of registry and GPT.
 */
const ACCOUNT = 'ops@example.com';
const GROUP = 'standby-rg';
const PIECE_BYTES = 1024 ** 2;
/** Windows is silent for good; Linux gets as long as it takes. */
const SILENT_SECONDS = '15';

interface Master {
  readonly name: string;
  readonly partitions: readonly PartitionKind[];
  readonly generation: 1 | 2;
  /** What is not as it should be, before. */
  readonly faults: readonly string[];
  readonly verdict: Readiness['verdict'];
  /** What the sealed patch cures, and what is left of the faults then. */
  readonly patched: readonly string[];
  readonly left: readonly string[];
  readonly boot: 'proven' | 'not-proven';
}

const WINDOWS: Master = {
  ...{ name: 'win', partitions: ['fat', 'reserved', 'ntfs'], generation: 2, verdict: 'not ready' },
  faults: ['error STORVSC_START', 'warning STATIC_ADDRESS'],
  patched: ['GPT_BACKUP', 'STATIC_ADDRESS', 'STORVSC_START', 'STORVSC_START'],
  ...{ left: [], boot: 'not-proven' },
};
/** The demo's small server asks for its address by a program of its own, not by a configuration. */
const DHCP = ['warning DHCP'];
const BIOS: Master = {
  ...{ name: 'bios', partitions: ['ext4'], generation: 1, verdict: 'ready', faults: DHCP },
  ...{ patched: [], left: DHCP, boot: 'proven' },
};
const UEFI: Master = {
  ...{ name: 'uefi', partitions: ['fat', 'ext4'], generation: 2, verdict: 'ready', faults: DHCP },
  ...{ patched: ['GPT_BACKUP'], left: DHCP, boot: 'proven' },
};
const MASTERS = [WINDOWS, BIOS, UEFI];

let lodging: Lodging;
let control: Place;
let tmux: Tmux;
beforeEach(() => {
  if (!TMUX_IS_THERE) throw new Error('tmux is missing: run bin/setup.cjs test');
  lodging = makeLodging();
  control = { ...lodging, home: join(lodging.home, 'control') };
  const inherited = Object.entries(process.env).filter(([name]) => !/^(STANDBY_|TMUX|NO_COLOR$)/.test(name));
  const environment = { ...Object.fromEntries(inherited), ...lodging.environment, STANDBY_CACHE: CACHE };
  tmux = new Tmux(lodging.home, environment);
});
afterEach(async () => {
  tmux?.end();
  await start(['local', 'down'], control).ended;
  lodging?.remove();
});

const diskOf = ({ name }: Master) => join(lodging.home, `${name}.img`);
const isSkipped = !TMUX_IS_THERE && process.env.CI === undefined;
describe.skipIf(isSkipped)(`Disks that are onboarded${isSkipped ? ' (tmux is not installed)' : ''}`, () => {
  it('are copied by what they use, judged, patched for Azure in their snapshots alone, and started', async () => {
    const [proofs] = await Promise.all([makeDisks(), deployed(control, ACCOUNT, GROUP)]);
    const used = MASTERS.map((master) => judgeDisk(diskOf(master), master.partitions, lodging.home));
    const engines = await joined();
    await Promise.all([
      createByHand(),
      ...[BIOS, UEFI].map((master) => run([...create(master), '--yes'], control)),
    ]);

    const copies = await Promise.all(MASTERS.map(({ name }) => run(['run', name], control)));
    for (const [index, master] of MASTERS.entries()) expectSent(master, copies[index], used[index]);
    for (const engine of engines) engine.kill('SIGTERM');
    await Promise.all(MASTERS.map(expectReadiness));

    const replicas = await filesOf('replica-disk');
    const before = MASTERS.map(({ name }) => sha256Of(replicas.get(name)));
    const reports = await Promise.all(MASTERS.map(switchedOver));
    expect(MASTERS.map(({ name }) => sha256Of(replicas.get(name)))).toEqual(before);
    const standbys = await filesOf('standby-disk');
    for (const master of MASTERS) await expectPatched(master, standbys.get(master.name) ?? '');
    expect(curedValuesOf(replicas.get(WINDOWS.name) ?? '', lodging.home)).toEqual(WINDOWS_BEFORE);
    expect(curedValuesOf(standbys.get(WINDOWS.name) ?? '', lodging.home)).toEqual(WINDOWS_AFTER);
    await expectAnswers(BIOS, reports[1], proofs[0]);
    await expectAnswers(UEFI, reports[2], proofs[1]);
  }, 900_000);
});

/** The SHA-256 of what the two Linux servers show to the world. */
async function makeDisks(): Promise<readonly string[]> {
  makeWindowsLikeMaster(diskOf(WINDOWS), lodging.home);
  const common = { dataMib: 8, cacheFolder: CACHE };
  const made = [
    await buildMasterImage({
      ...common,
      file: diskOf(BIOS),
      firmware: 'bios',
      sizeMib: 96,
      hostName: 'bios',
    }),
    await buildMasterImage({
      ...common,
      file: diskOf(UEFI),
      firmware: 'uefi',
      sizeMib: 160,
      hostName: 'uefi',
    }),
  ];
  return made.map(({ proofSha256 }) => proofSha256);
}

/** Three masters with an engine each. */
async function joined() {
  const homes = MASTERS.map(({ name }) => ({ ...lodging, home: join(lodging.home, name) }));
  const joining = await Promise.all(
    MASTERS.map(async (master, index) => {
      const place = homes[index] ?? control;
      mkdirSync(place.home);
      const { token } = await run(['master', 'token', '--appliance', 'gate'], control);
      const words = ['master', 'join', '-', '--disk', diskOf(master), '--host-name', master.name];
      const join = start(words, { ...place, input: String(token) });
      await join.says('Waiting for control');
      return join;
    }),
  );
  await until('control has let all of them in', async () => {
    const { masters } = (await run(['master', 'list'], control)) as { masters: readonly unknown[] };
    return masters.length === MASTERS.length;
  });
  for (const { ended } of joining) expect((await ended).exitCode).toBe(0);
  return homes.map((home) => start(['engine', 'master'], home));
}

const create = ({ name }: Master) => [
  ...['scenario', 'create', '--name', name, '--purpose', 'dr', '--account', ACCOUNT, '--master', name],
  ...['--region', endpointOf(control).location, '--appliance', 'gate', '--resource-group', GROUP],
  ...['--capture', 'at-rest', '--vm-name', `${name}-standby`, '--vm-size', 'Standard_B2s'],
  ...['--disk-type', 'Standard_LRS', '--virtual-network', `${GROUP}/standby-vnet`, '--subnet', 'default'],
  ...['--address', 'dynamic', '--security-group', `${GROUP}/standby-web`, '--public-ip', 'yes'],
  ...['--health-check', 'http', '--health-port', '8080', '--health-path', '/index.html'],
  ...['--health-status', '200'],
];

/** The Windows server, by a person in a terminal: she names no health check, for nothing would answer. */
async function createByHand(): Promise<void> {
  const person: Terminal = await tmux.open('person');
  await person.command(
    `"${process.execPath}" "${MAIN}" scenario create --name ${WINDOWS.name} --home "${control.home}"`,
  );
  await person.accept('Purpose', 'Account');
  await person.choose('Master (the server to protect)', WINDOWS.name);
  await person.accept('Region', 'Appliance in japaneast');
  await person.choose('How its changes are captured', 'at-rest:');
  await person.accept('Volumes to leave out', 'Name of the standby VM');
  await person.choose('VM size', 'Standard_B2s -');
  await acceptUntil(person, 'Check and save this scenario?');
  await person.choose('Check and save this scenario?', 'yes');
  await person.sees('ended with 0');
}

/** Takes what is proposed, question by question, until this one is asked. */
async function acceptUntil(person: Terminal, last: string): Promise<void> {
  for (;;) {
    const screen = await person.sees(/^\? .{6}/m);
    const [question = ''] = screen.match(/(?<=^\? ).{1,20}/gm)?.slice(-1) ?? [];
    if (last.startsWith(question.trim())) return;
    await person.press('Enter');
    const escaped = question.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    await person.sees(new RegExp(`^(?![^]*(?:^|\\n)\\? ${escaped})`));
  }
}

/** Neither free blocks nor zeros travel: what is sent is what the tools of the file systems call used, without zeros, within 2 %. */
function expectSent({ name }: Master, copy: Document | undefined, used: UsedByTools | undefined): void {
  expect(copy).toMatchObject({ scenario: name, state: 'synchronised', sync: { mode: 'volume' } });
  const sentBytes = Number(copy?.sentBytes);
  const { usedBytes = 0, heldBytes = 0, freeBytes } = used ?? {};
  const isClose = Math.abs(sentBytes - heldBytes) < 0.02 * heldBytes && sentBytes < 1.02 * usedBytes;
  expect({ name, sentBytes, usedBytes, heldBytes, isClose }).toMatchObject({ isClose: true });
  expect([name, copy?.leftOutBytes]).toEqual([name, freeBytes]);
}

const faultsOf = (document: Document) =>
  (document as unknown as Readiness).verdicts
    .filter(({ status }) => status !== 'ok')
    .map(({ code, status }) => `${status} ${code}`);

async function expectReadiness(master: Master): Promise<void> {
  const { name, faults, verdict, generation } = master;
  const { document, exitCode } = await start(['readiness', name], control).ended;
  expect([name, document.verdict, exitCode]).toEqual([name, verdict, verdict === 'ready' ? 0 : 3]);
  expect([name, document.generation, faultsOf(document)]).toEqual([name, generation, faults]);
  const { sealed } = document as unknown as Readiness;
  expect([name, sealed?.verdict]).toEqual([name, verdict === 'ready' ? undefined : 'ready']);
}

async function switchedOver(master: Master): Promise<SwitchoverReport> {
  const { name, boot, patched } = master;
  const wait = boot === 'proven' ? [] : ['--boot-wait', SILENT_SECONDS];
  const document = await run(['switchover', name, '--yes', ...wait], control);
  const report = document.report as SwitchoverReport;
  expect(document).toMatchObject({ scenario: name, state: 'switched-over' });
  expect([name, report.boot?.outcome]).toEqual([name, boot]);
  expect([name, report.patch?.changes.map(({ code }) => code).sort()]).toEqual([name, patched]);
  expect(report.patch).toMatchObject({ left: [], faults: [], verdict: 'ready' });
  const passed = report.boot?.verdicts.filter(({ status }) => status === 'ok').map(({ code }) => code);
  if (boot === 'not-proven') expect(passed).toEqual(['POWER_RUNNING']);
  else expect(passed).toContain('HEALTH_OK');
  return report;
}

/** Of each scenario, where Local Azure keeps its disk of that role. */
async function filesOf(role: string): Promise<ReadonlyMap<string, string>> {
  const { scenarios } = (await run(['scenario', 'list'], control)) as {
    scenarios: readonly { readonly id: string; readonly name: string }[];
  };
  const disks = await collect(clientsOf(endpointOf(control)).compute.disks.list());
  return new Map(
    disks
      .filter(({ tags }) => tags?.['standby-role'] === role)
      .map(({ tags, uniqueId }) => [
        scenarios.find(({ id }) => id === tags?.['standby-scenario'])?.name ?? '',
        join(control.home, 'local-azure/data/disks', `${uniqueId}.raw`),
      ]),
  );
}

/** Of everything in it that is not zero, with its place: most of a replica disk is a hole. */
function sha256Of(file = ''): string {
  const hash = createHash('sha256');
  const [piece, zeros] = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)];
  const disk = openSync(file, 'r');
  for (let at = 0, length = 1; length > 0; at += length) {
    length = readSync(disk, piece, 0, PIECE_BYTES, at);
    const found = piece.subarray(0, length);
    if (!found.equals(zeros.subarray(0, length))) hash.update(`${at} ${length} `).update(found);
  }
  closeSync(disk);
  return hash.digest('hex');
}

/** The standby's own disk, while the standby runs. */
async function expectPatched({ name, generation, left }: Master, disk: string): Promise<void> {
  const document = await run(['readiness', '--disk', disk], control);
  expect([name, document.verdict, document.sealed]).toEqual([name, 'ready', undefined]);
  expect([name, faultsOf(document)]).toEqual([name, left]);
  if (generation === 2) expect(tool('sgdisk', '-v', disk)).toContain('No problems found');
}

const WINDOWS_BEFORE = { storvsc: '3,3', dhcp: '0', address: FIXED_ADDRESS };
const WINDOWS_AFTER = { storvsc: '0,0', dhcp: '1', address: FIXED_ADDRESS };

async function expectAnswers({ name }: Master, report?: SwitchoverReport, sha256?: string): Promise<void> {
  const ip = report?.addresses.find(({ publicIp }) => publicIp)?.publicIp;
  const fetched = async (path: string) => {
    const response = await fetch(`http://${ip}:8080/${path}`, { signal: AbortSignal.timeout(60_000) });
    return Buffer.from(await response.arrayBuffer());
  };
  expect((await fetched('index.html')).toString()).toBe(`Production data of ${name}\n`);
  expect(
    createHash('sha256')
      .update(await fetched('proof.bin'))
      .digest('hex'),
  ).toBe(sha256);
}
