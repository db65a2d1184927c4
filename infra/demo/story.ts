import { createHash } from 'node:crypto';
import { MIB } from '../../src/model/disk.ts';
import type { DemoCapture, DemoStory } from './call.ts';
import { startEngine } from './household.ts';
import { CHECK_REPLICA, COMPARE_ROWS, LIVE_STEPS, START_SERVER, startServingEngine } from './live-story.ts';
import { buildMasterImage, WEB_PORT } from './master-image.ts';
import { DRILL, OUTAGE_STEPS } from './outage-story.ts';
import { type CommandResult, standby } from './product.ts';
import {
  commandOptions,
  control,
  endpointOf,
  given,
  SCENARIO,
  type Scene,
  type StoryStep,
  unexpected,
} from './scene.ts';

/** The steps of the demo. */

const ACCOUNT = 'demo@example.com';
const APPLIANCE = 'demo-appliance';
const GROUP = 'standby-rg';
const NETWORK = 'standby-rg/standby-vnet';
const DISK_MIB = 1024;
const DATA_MIB = 480;

const PREPARATION: readonly StoryStep[] = [
  { title: "Build the on-premises server's disk", run: buildDisk },
  { title: 'Start Local Azure', run: startLocalAzure },
  { title: 'Register the Azure account', run: registerAccount },
  { title: 'Deploy the appliance', run: deployAppliance },
  { title: 'Check port 25000: closed', run: checkClosed },
  { title: 'Open port 25000', run: openPort },
  { title: 'Check port 25000: open', run: checkOpen },
];

/** In order. A live server runs from when its engine serves its disk until it is killed; one at rest never runs. */
export function storyOf(capture: DemoCapture, story: DemoStory): readonly StoryStep[] {
  const live = capture === 'nbd';
  const outage = story === 'outage';
  return [
    ...PREPARATION,
    { title: 'Join the master', run: (scene) => joinMaster(scene, capture) },
    ...(live ? [START_SERVER] : []),
    { title: 'Create and verify the scenario', run: (scene) => createScenario(scene, capture) },
    { title: 'No standby VM exists', run: seeNoStandby },
    live
      ? { title: 'Copy the running server to Azure', run: copyRunningServer }
      : { title: 'Copy the server to Azure', run: copyServer },
    ...(outage ? [DRILL] : []),
    ...(live ? LIVE_STEPS : []),
    { title: 'Switch over', run: switchOver },
    { title: "Fetch the server's data from the standby", run: fetchProof },
    ...(live ? [COMPARE_ROWS] : []),
    // The other story has looked at all of it when it ends.
    ...(live && !outage ? [CHECK_REPLICA] : []),
    ...(outage ? OUTAGE_STEPS : []),
  ];
}

async function buildDisk({ call, house, facts }: Scene): Promise<string> {
  const image = await buildMasterImage(
    {
      file: house.diskFile,
      firmware: facts.firmware ?? 'bios',
      sizeMib: DISK_MIB,
      dataMib: DATA_MIB,
      hostName: 'master01',
      cacheFolder: call.cacheFolder,
    },
    call.signal,
  );
  facts.diskBytes = image.sizeBytes;
  facts.master = { sha256: image.proofSha256 };
  return `${DISK_MIB} MiB, ${DATA_MIB} MiB of it data, ${facts.firmware}`;
}

async function startLocalAzure(scene: Scene): Promise<string> {
  await control(scene, ['local', 'up']);
  return (await endpointOf(scene)).url;
}

async function registerAccount(scene: Scene): Promise<string> {
  const endpoint = await endpointOf(scene);
  const args = [
    ...['account', 'add', '--yes', '--name', ACCOUNT, '--environment', 'custom'],
    ...['--resource-manager-url', endpoint.url, '--authority-url', endpoint.authorityUrl],
    ...['--ca-file', endpoint.caFile, '--subscription-id', endpoint.subscriptionId],
    ...[
      '--tenant-id',
      endpoint.tenantId,
      '--application-id',
      endpoint.applicationId,
      '--client-secret-stdin',
    ],
  ];
  await control(scene, args, { input: `${endpoint.clientSecret}\n` });
  return `${ACCOUNT}: token, subscription, permissions, providers proven`;
}

async function deployAppliance(scene: Scene): Promise<string> {
  const { location } = await endpointOf(scene);
  await control(scene, [
    ...['appliance', 'deploy', '--yes', '--name', APPLIANCE, '--account', ACCOUNT, '--region', location],
    ...['--resource-group', GROUP, '--virtual-network', NETWORK, '--subnet', 'appliance'],
  ]);
  return `${APPLIANCE} in ${location}`;
}

async function checkClosed(scene: Scene): Promise<string> {
  const { exitCode, result } = await control(scene, ['appliance', 'check', APPLIANCE], { alsoFine: [3] });
  const failed = verdictsOf(result).filter((verdict) => verdict.status === 'error');
  if (exitCode !== 3 || failed.length === 0) {
    throw unexpected('The check of a closed port passed.', JSON.stringify(result));
  }
  return `as it should: ${failed.map((verdict) => verdict.title).join(', ')}`;
}

async function openPort(scene: Scene): Promise<string> {
  await control(scene, ['appliance', 'open-port', APPLIANCE, '--source-prefix', '127.0.0.1/32', '--yes']);
  return 'one rule, for this machine only';
}

async function checkOpen(scene: Scene): Promise<string> {
  const verdicts = verdictsOf((await control(scene, ['appliance', 'check', APPLIANCE])).result);
  return `${verdicts.filter((verdict) => verdict.status === 'ok').length} of ${verdicts.length} lines passed`;
}

async function joinMaster(scene: Scene, capture: DemoCapture): Promise<string> {
  const { house, call, live } = scene;
  const { result } = await control(scene, ['master', 'token', '--appliance', APPLIANCE]);
  const token = String(result.token);
  // The master waits for control to sign; control signs when it looks who is there.
  const joining = standby(['master', 'join', '-', '--disk', house.diskFile, '--host-name', 'master01'], {
    ...commandOptions(scene),
    input: `${token}\n`,
    home: house.masterHome,
  });
  const joined = joining.then(() => true);
  let waiting = true;
  while (waiting) {
    await control(scene, ['master', 'list']);
    waiting = !(await Promise.race([joined, call.clock.sleep(200, call.signal).then(() => false)]));
  }
  if (capture === 'nbd') await startServingEngine(scene);
  else live.engine = await startEngine(house, ['engine', 'master'], house.masterHome, call.environment);
  return 'master01 joined with a one-time token; its engine dials the appliance';
}

async function createScenario(scene: Scene, capture: DemoCapture): Promise<string> {
  const { location } = await endpointOf(scene);
  await control(scene, [
    ...['scenario', 'create', '--yes', '--name', SCENARIO, '--purpose', 'dr', '--account', ACCOUNT],
    ...['--master', 'master01', '--region', location, '--appliance', APPLIANCE, '--resource-group', GROUP],
    ...['--capture', capture],
    ...['--vm-name', 'standby01', '--vm-size', 'Standard_B2s', '--disk-type', 'StandardSSD_LRS'],
    ...['--virtual-network', NETWORK, '--subnet', 'default', '--address', 'dynamic'],
    ...['--security-group', 'standby-rg/standby-web', '--public-ip', 'yes'],
    ...[
      '--health-check',
      'http',
      '--health-port',
      String(WEB_PORT),
      '--health-path',
      '/index.html',
      '--health-status',
      '200',
    ],
    // Its drill is asked from this machine, and from nowhere else.
    ...(scene.facts.outage ? ['--drill-ask-from', '127.0.0.1/32'] : []),
  ]);
  const { result } = await control(scene, ['scenario', 'verify', SCENARIO]);
  const count = (status: string) => verdictsOf(result).filter((verdict) => verdict.status === status).length;
  const others = (['warning', 'skipped'] as const).filter((status) => count(status) > 0);
  return [`${count('ok')} checks passed`, ...others.map((status) => `${count(status)} ${status}`)].join(', ');
}

async function seeNoStandby(scene: Scene): Promise<string> {
  const { location } = await endpointOf(scene);
  const args = ['appliance', 'list', '--account', ACCOUNT, '--region', location];
  const { result } = await control(scene, args);
  const machines = (result.machines ?? []) as readonly { readonly name: string }[];
  const names = machines.map((machine) => machine.name);
  if (names.includes('standby01'))
    throw unexpected('A standby VM exists before the switchover.', names.join(', '));
  return `the region's VMs: ${names.join(', ')}`;
}

async function copyServer(scene: Scene): Promise<string> {
  await control(scene, ['run', SCENARIO]);
  return `${await copyFigures(scene)}, digests equal`;
}

async function copyRunningServer(scene: Scene): Promise<string> {
  const writer = given(scene.live.writer, 'client');
  const before = writer.acknowledged.length;
  await control(scene, ['run', SCENARIO]);
  const meanwhile = writer.acknowledged.length - before;
  if (meanwhile === 0)
    throw unexpected('No row was written while the server was copied.', await writer.ended);
  return `${await copyFigures(scene)}, ${meanwhile} rows written meanwhile; replicating, digests equal`;
}

async function copyFigures(scene: Scene): Promise<string> {
  const { facts } = scene;
  const { result } = await control(scene, ['status', SCENARIO]);
  const copy = (result.copy ?? {}) as { sentBytes?: number; seconds?: number };
  facts.copiedBytes = copy.sentBytes ?? 0;
  facts.copySeconds = copy.seconds ?? 0;
  facts.copyMibPerSecond = Math.round((facts.diskBytes ?? 0) / MIB / Math.max(facts.copySeconds, 0.001));
  return `${Math.round(facts.copiedBytes / MIB)} MiB travelled at ${facts.copyMibPerSecond} MiB/s of disk`;
}

async function switchOver(scene: Scene): Promise<string> {
  const { call, facts, live } = scene;
  const from = call.clock.now();
  const { result } = await control(scene, ['switchover', SCENARIO, '--yes']);
  facts.switchoverSeconds = (call.clock.now() - from) / 1000;
  const report = result as unknown as SwitchoverFacts;
  if (report.loss) {
    call.host.tell({ kind: 'text', level: 'info', text: report.loss.text });
    if (facts.outage) facts.outage.lossStatement = report.loss.text;
  }
  const publicIp = report.addresses.find((address) => address.publicIp)?.publicIp ?? '';
  facts.bootSeconds = report.bootSeconds;
  facts.standby = {
    vmId: report.vmId,
    publicIp,
    url: `http://${publicIp}:${WEB_PORT}/proof.bin`,
    sha256: '',
  };
  const at = report.report.copied?.position?.at;
  const { killedAtMs } = live;
  if (killedAtMs === undefined) return `standby01 answers at ${publicIp}`;
  if (at === undefined)
    throw unexpected('The report names no position.', JSON.stringify(report.report.copied ?? {}));
  facts.rpoSeconds = Math.max(0, killedAtMs - Date.parse(at)) / 1000;
  return `standby01 answers at ${publicIp}; its data is ${facts.rpoSeconds.toFixed(1)} s older than the server's death`;
}

interface SwitchoverFacts {
  readonly vmId: string;
  readonly bootSeconds: number;
  readonly addresses: readonly { readonly publicIp?: string }[];
  /** What it said before it began about what would be lost. */
  readonly loss?: { readonly text: string };
  /** Of a live server: the position that was switched to. */
  readonly report: { readonly copied?: { readonly position?: { readonly at: string } } };
}

async function fetchProof({ call, facts }: Scene): Promise<string> {
  if (!facts.standby || !facts.master)
    throw unexpected('The story lost its thread.', 'No standby was recorded.');
  const response = await fetch(facts.standby.url, {
    signal: AbortSignal.any([call.signal, AbortSignal.timeout(60_000)]),
  });
  if (!response.ok) throw unexpected('The standby did not give the file.', `HTTP ${response.status}`);
  const body = Buffer.from(await response.arrayBuffer());
  facts.standby = { ...facts.standby, sha256: createHash('sha256').update(body).digest('hex') };
  facts.ok = facts.standby.sha256 === facts.master.sha256;
  return `${body.length / MIB} MiB, SHA-256 ${facts.ok ? "equal to the server's" : 'DIFFERENT'}`;
}

function verdictsOf(result: CommandResult['result']): readonly { status: string; title: string }[] {
  return (result.verdicts ?? []) as readonly { status: string; title: string }[];
}
