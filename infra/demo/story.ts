import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StandbyError } from '../../src/errors.ts';
import { MIB } from '../../src/model/disk.ts';
import type { DemoCall, DemoFacts } from './call.ts';
import { type Household, startEngine } from './household.ts';
import { buildMasterImage } from './master-image.ts';
import { type CommandOptions, type CommandResult, standby } from './product.ts';

/** The steps of the demo, in order. Each gives one line about what came of it, for the table at the end. */
export interface Scene {
  readonly call: DemoCall;
  readonly house: Household;
  /** Filled as the story goes on. */
  readonly facts: Partial<DemoFacts>;
}

interface StoryStep {
  readonly title: string;
  run(scene: Scene): Promise<string>;
}

const ACCOUNT = 'demo@example.com';
const APPLIANCE = 'demo-appliance';
const SCENARIO = 'demo';
const GROUP = 'standby-rg';
const NETWORK = 'standby-rg/standby-vnet';
/** Above 1024, so that an ordinary user may run the demo. */
const WEB_PORT = 8080;
const DISK_MIB = 1024;
const DATA_MIB = 480;

export const STORY: readonly StoryStep[] = [
  { title: "Build the on-premises server's disk", run: buildDisk },
  { title: 'Start Local Azure', run: startLocalAzure },
  { title: 'Register the Azure account', run: registerAccount },
  { title: 'Deploy the appliance', run: deployAppliance },
  { title: 'Check port 25000: closed', run: checkClosed },
  { title: 'Open port 25000', run: openPort },
  { title: 'Check port 25000: open', run: checkOpen },
  { title: 'Join the master', run: joinMaster },
  { title: 'Create and verify the scenario', run: createScenario },
  { title: 'No standby VM exists', run: seeNoStandby },
  { title: 'Copy the server to Azure', run: copyServer },
  { title: 'Switch over', run: switchOver },
  { title: "Fetch the server's data from the standby", run: fetchProof },
];

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

interface Endpoint {
  readonly url: string;
  readonly authorityUrl: string;
  readonly caFile: string;
  readonly subscriptionId: string;
  readonly tenantId: string;
  readonly applicationId: string;
  readonly clientSecret: string;
  readonly location: string;
}

async function startLocalAzure(scene: Scene): Promise<string> {
  await control(scene, ['local', 'up']);
  return (await endpointOf(scene)).url;
}

async function endpointOf({ house }: Scene): Promise<Endpoint> {
  const text = await readFile(join(house.controlHome, 'local-azure/endpoint.json'), 'utf8');
  return JSON.parse(text) as Endpoint;
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

async function joinMaster(scene: Scene): Promise<string> {
  const { house, call } = scene;
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
  await startEngine(house, ['engine', 'master'], house.masterHome, call.environment);
  return 'master01 joined with a one-time token; its engine dials the appliance';
}

async function createScenario(scene: Scene): Promise<string> {
  const { location } = await endpointOf(scene);
  await control(scene, [
    ...['scenario', 'create', '--yes', '--name', SCENARIO, '--purpose', 'dr', '--account', ACCOUNT],
    ...['--master', 'master01', '--region', location, '--appliance', APPLIANCE, '--resource-group', GROUP],
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
  ]);
  const { result } = await control(scene, ['scenario', 'verify', SCENARIO]);
  const verdicts = verdictsOf(result);
  return `${verdicts.filter((verdict) => verdict.status === 'ok').length} of ${verdicts.length} checks passed`;
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
  const { facts } = scene;
  await control(scene, ['run', SCENARIO]);
  const { result } = await control(scene, ['status', SCENARIO]);
  const copy = (result.copy ?? {}) as { sentBytes?: number; seconds?: number };
  facts.copiedBytes = copy.sentBytes ?? 0;
  facts.copySeconds = copy.seconds ?? 0;
  facts.copyMibPerSecond = Math.round((facts.diskBytes ?? 0) / MIB / Math.max(facts.copySeconds, 0.001));
  return `${Math.round(facts.copiedBytes / MIB)} MiB travelled at ${facts.copyMibPerSecond} MiB/s of disk, digests equal`;
}

async function switchOver(scene: Scene): Promise<string> {
  const { call, facts } = scene;
  const from = call.clock.now();
  const { result } = await control(scene, ['switchover', SCENARIO, '--yes']);
  facts.switchoverSeconds = (call.clock.now() - from) / 1000;
  const report = result as unknown as SwitchoverFacts;
  const publicIp = report.addresses.find((address) => address.publicIp)?.publicIp ?? '';
  facts.bootSeconds = report.bootSeconds;
  facts.standby = {
    vmId: report.vmId,
    publicIp,
    url: `http://${publicIp}:${WEB_PORT}/proof.bin`,
    sha256: '',
  };
  return `standby01 answers at ${publicIp}`;
}

interface SwitchoverFacts {
  readonly vmId: string;
  readonly bootSeconds: number;
  readonly addresses: readonly { readonly publicIp?: string }[];
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

function control(
  scene: Scene,
  args: readonly string[],
  more: Pick<CommandOptions, 'input' | 'alsoFine'> = {},
): Promise<CommandResult> {
  return standby(args, { ...commandOptions(scene), home: scene.house.controlHome, ...more });
}

function commandOptions({ call }: Scene): Pick<CommandOptions, 'environment' | 'signal'> {
  return { environment: { ...call.environment, STANDBY_CACHE: call.cacheFolder }, signal: call.signal };
}

function verdictsOf(result: CommandResult['result']): readonly { status: string; title: string }[] {
  return (result.verdicts ?? []) as readonly { status: string; title: string }[];
}

function unexpected(what: string, why: string): StandbyError {
  return new StandbyError({ code: 'DEMO_UNEXPECTED', what, why });
}
