import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LocalEndpoint } from '../../infra/local/local-azure.ts';
import { openStore } from '../../src/control/store/open-store.ts';
import type { RunRecord } from '../../src/plan/plan.ts';
import { COMMIT_SWITCHOVER } from '../../src/switchover/steps/commit-switchover.ts';
import { type Clients, clientsOf, collect } from '../infra/local/local-subscription.ts';
import { type Document, type Lodging, makeLodging, type Place, run, start } from './commands.ts';
import { registered } from './deployed.ts';
import { GREETING, makeTinyServer } from './tiny-server.ts';

/**
 * Two servers take the whole way on one Local Azure, each in a resource group of its own. The calm one is never
 * disturbed and says which steps there are. The commands of the other die with -9 at each of these steps and are
 * repeated; in the end both groups hold the same.
 */
const ACCOUNT = 'ops@example.com';
const PHASES = ['started', 'acted', 'before-done'] as const;

const WHOLE = [
  'Microsoft.Compute/disks appliance',
  'Microsoft.Compute/disks appliance',
  'Microsoft.Compute/disks replica-disk',
  'Microsoft.Compute/disks standby-disk',
  'Microsoft.Compute/snapshots snapshot',
  'Microsoft.Compute/virtualMachines appliance',
  'Microsoft.Compute/virtualMachines standby-vm',
  'Microsoft.Network/networkInterfaces appliance',
  'Microsoft.Network/networkInterfaces standby-nic',
  'Microsoft.Network/networkSecurityGroups appliance',
  'Microsoft.Network/publicIPAddresses appliance',
  'Microsoft.Network/publicIPAddresses standby-public-ip',
  'Microsoft.Network/virtualNetworks appliance',
  'Microsoft.Storage/storageAccounts appliance',
];

interface Point {
  readonly stepId: string;
  readonly phase: (typeof PHASES)[number];
}

let lodging: Lodging;
let control: Place;
let endpoint: LocalEndpoint;
let azure: Clients;

beforeAll(async () => {
  lodging = makeLodging();
  control = { ...lodging, home: join(lodging.home, 'control') };
  makeTinyServer(diskFile(), 64);
  endpoint = await registered(control, ACCOUNT);
  azure = clientsOf(endpoint);
});
afterAll(async () => {
  try {
    await run(['local', 'down'], control);
  } finally {
    lodging.remove();
  }
});

function diskFile(): string {
  return join(lodging.home, 'server.img');
}

const deploy = (name: string) => [
  ...['appliance', 'deploy', '--yes', '--name', `${name}-gate`, '--account', ACCOUNT],
  ...['--region', endpoint.location, '--resource-group', `${name}-rg`],
  ...['--virtual-network', 'new'],
];

/** From the deployed appliance to a scenario whose master is connected. */
async function prepare(name: string): Promise<void> {
  const appliance = `${name}-gate`;
  await run(['appliance', 'open-port', appliance, '--source-prefix', '127.0.0.1/32', '--yes'], control);
  await run(['appliance', 'check', appliance], control);
  const { token } = await run(['master', 'token', '--appliance', appliance], control);
  const master = { ...lodging, home: join(lodging.home, name) };
  const join_ = start(['master', 'join', '-', '--disk', diskFile(), '--host-name', name], {
    ...master,
    input: String(token),
  });
  await join_.says('Waiting for control');
  await run(['master', 'list'], control);
  expect((await join_.ended).exitCode).toBe(0);
  start(['engine', 'master'], master);
  await run(
    [
      ...['scenario', 'create', '--yes', '--name', name, '--purpose', 'dr', '--account', ACCOUNT],
      ...['--master', name, '--region', endpoint.location, '--appliance', appliance],
      ...['--resource-group', `${name}-rg`, '--vm-name', `${name}-vm`, '--vm-size', 'Standard_B2s'],
      ...['--disk-type', 'StandardSSD_LRS', '--health-check', 'none', '--capture', 'at-rest'],
      ...['--virtual-network', `${name}-rg/${name}-gate-vnet`, '--subnet', 'standby', '--address', 'dynamic'],
      ...['--security-group', 'none', '--public-ip', 'yes'],
    ],
    control,
  );
}

/** What is in the group: kind and role of every resource. */
async function contentsOf(name: string): Promise<string[]> {
  const found = await collect(azure.resources.resources.listByResourceGroup(`${name}-rg`));
  for (const { tags } of found) {
    expect(tags).toEqual({
      'standby-scenario': expect.any(String),
      'standby-run': expect.any(String),
      'standby-role': expect.any(String),
    });
  }
  return found.map(({ type, tags }) => `${type} ${tags?.['standby-role']}`).sort();
}

/** The newest run of a kind, read between two commands. */
async function newestRun(kind: string): Promise<RunRecord | undefined> {
  const store = await openStore(join(control.home, 'standby.db'));
  try {
    const found = await store.runs.list({ kind });
    return found.toSorted((a, b) => b.createdAtMs - a.createdAtMs)[0];
  } finally {
    await store.close();
  }
}

async function stepsOf(kind: string): Promise<string[]> {
  const record = await newestRun(kind);
  expect(record?.status).toBe('done');
  return record?.steps.map((step) => step.stepId) ?? [];
}

/**
 * The command dies at each point in turn, every time taking up what the last death has left. Steps that run side by
 * side may get done while their neighbour dies; for those the run is taken back and begins anew.
 */
async function dieAt(
  points: readonly Point[],
  death: {
    readonly kind: string;
    readonly command: readonly string[];
    takeBack(run: string): Promise<unknown>;
  },
): Promise<void> {
  let left = points;
  while (left.length > 0) {
    const missed: Point[] = [];
    for (const point of left) {
      const record = await newestRun(death.kind);
      const step = record?.steps.find((one) => one.stepId === point.stepId);
      if (record?.status === 'running' && step?.status === 'done') {
        missed.push(point);
        continue;
      }
      const STANDBY_CRASH_AT = `${point.stepId}:${point.phase}`;
      const environment = { ...control.environment, STANDBY_CRASH_AT };
      const { signal, stderr } = await start(death.command, { ...control, environment }).ended;
      expect([STANDBY_CRASH_AT, signal, stderr]).toEqual([STANDBY_CRASH_AT, 'SIGKILL', expect.any(String)]);
    }
    if (missed.length > 0) await death.takeBack((await newestRun(death.kind))?.id ?? '');
    left = missed;
  }
}

const allPhases = (steps: readonly string[]): Point[] =>
  steps.flatMap((stepId) => PHASES.map((phase) => ({ stepId, phase })));
const acted = (steps: readonly string[]): Point[] => steps.map((stepId) => ({ stepId, phase: 'acted' }));

const undoRun = (id: string) => run(['resume', id, '--undo'], control);

/** These may serve others, and stay when a deployment is taken back. */
const SHARED = /\/(networkSecurityGroups|virtualNetworks|storageAccounts) /;

async function undoDeployment(id: string): Promise<void> {
  await undoRun(id);
  expect((await contentsOf('storm')).filter((one) => !SHARED.test(one))).toEqual([]);
}

function expectBooted(document: Document): void {
  expect(document).toMatchObject({
    state: 'switched-over',
    report: { boot: { outcome: 'proven' } },
  });
  expect(JSON.stringify(document)).toContain(GREETING);
}

it('a command that dies at any step and is repeated ends as if it had not, with nothing made twice', async () => {
  await run(deploy('calm'), control);
  const deploySteps = await stepsOf('deploy-appliance');
  const calmAppliance = await contentsOf('calm');
  await prepare('calm');
  await run(['run', 'calm'], control);
  const runSteps = await stepsOf('run');
  const calmReplica = await contentsOf('calm');
  expectBooted(await run(['switchover', 'calm', '--yes'], control));
  const switchoverSteps = await stepsOf('switchover');
  const calmStandby = await contentsOf('calm');
  expect(calmStandby).toEqual(WHOLE);

  const deploying = { kind: 'deploy-appliance', command: deploy('storm'), takeBack: undoDeployment };
  await dieAt(acted(['network-interface']), deploying);
  await undoDeployment((await newestRun('deploy-appliance'))?.id ?? '');
  await dieAt(acted(deploySteps), deploying);
  await run(deploy('storm'), control);
  expect(await contentsOf('storm')).toEqual(calmAppliance);

  await prepare('storm');
  const copying = { kind: 'run', command: ['run', 'storm'], takeBack: undoRun };
  await dieAt(acted(runSteps), copying);
  expect(await run(['run', 'storm'], control)).toMatchObject({ state: 'synchronised', resumed: true });
  expect(await contentsOf('storm')).toEqual(calmReplica);

  const undo = ['switchover', 'storm', '--undo'];
  const switching = {
    kind: 'switchover',
    command: ['switchover', 'storm', '--yes'],
    takeBack: () => run(undo, control),
  };
  await dieAt([{ stepId: 'create-virtual-machine', phase: 'acted' }], switching);
  expect(await contentsOf('storm')).toEqual(calmStandby);
  await run(undo, control);
  expect(await contentsOf('storm')).toEqual(calmReplica);

  const commit = switchoverSteps.indexOf(COMMIT_SWITCHOVER);
  expect(commit).toBeGreaterThan(0);
  await dieAt(allPhases(switchoverSteps.slice(0, commit)), switching);
  await dieAt(allPhases(switchoverSteps.slice(commit)), switching);
  expectBooted(await run(switching.command, control));
  expect(await contentsOf('storm')).toEqual(calmStandby);
  for (const kind of ['deploy-appliance', 'run', 'switchover']) {
    expect((await newestRun(kind))?.status).toBe('done');
  }
}, 900_000);
