import { NetworkManagementClient } from '@azure/arm-network';
import { verifyAccount } from '../../src/control/account.ts';
import { checkAppliance } from '../../src/control/appliance/check.ts';
import { deployAppliance } from '../../src/control/appliance/deploy.ts';
import { listRegionMachines } from '../../src/control/appliance/machines.ts';
import { openPort } from '../../src/control/appliance/open-port.ts';
import { deployScreens } from '../../src/control/appliance/screens.ts';
import { ChecksFailed } from '../../src/control/checks-failed.ts';
import type { Context } from '../../src/control/context.ts';
import { proposeDrill, removeDrills, startDrill } from '../../src/control/drill.ts';
import { runScenario } from '../../src/control/run.ts';
import { createScenario, type ScenarioReport, verifySavedScenario } from '../../src/control/scenario.ts';
import type { ScenarioFile } from '../../src/control/scenario-file.ts';
import { removeScenario } from '../../src/control/scenario-remove.ts';
import { proposeSwitchover, switchOver } from '../../src/control/switchover.ts';
import { proposeVmStart, startVm, stopVm } from '../../src/control/vm.ts';
import type { Cloud } from '../../src/ports/cloud.ts';
import { FakeAppliance } from '../fakes/fake-appliance.ts';
import { APPLIANCE_VM_ID } from '../fakes/fake-cloud.ts';
import { inventory, rightCloud } from '../fakes/scene.ts';
import { clientsOf } from '../infra/local/local-subscription.ts';
import type { AzureContext } from './azure-context.ts';

/**
 * Everything a person does, from looking at the account to removing the last disk, in one process: real control and
 * SDKs against Local Azure, an appliance in memory. Each command may be given again until it succeeds.
 */
export interface Command {
  readonly name: string;
  /** Done is done: it cannot be given again, also when it lived with a refusal. */
  readonly once?: boolean;
  /** What it told; refusals of Azure that it lived with stand in it. */
  run(): Promise<unknown>;
}

export const NAME = 'web';
const GROUP = 'fresh-rg';
const ZONE = 'example.test';
const quick = { updateIntervalInMs: 10 };

/** Where the record stands that leads clients to the standby. */
const ZONES = {
  'azure-dns': { type: 'dnsZones', version: '2018-05-01' },
  'azure-private-dns': { type: 'privateDnsZones', version: '2020-06-01' },
} as const;
type ZoneKind = keyof typeof ZONES;

/** As large as the disks of the master are, or its appliance would wait for larger ones. */
const SEEN = {
  ...{ name: 'replica', location: '', sizeGib: 2, type: 'StandardSSD_LRS' },
  ...{ state: 'Attached', tags: {}, provisioning: 'Succeeded' },
};

/** Scenarios see the replica disks that the real cloud attached. */
export function withAppliance(
  local: AzureContext,
  change: (cloud: Cloud) => Cloud = (cloud) => cloud,
): Context {
  const mirror = rightCloud();
  const engine = new FakeAppliance(mirror);
  const machine = mirror.machines.get(APPLIANCE_VM_ID.toLowerCase());
  let cloud: Promise<Cloud> | undefined;
  const open = async (account: Parameters<Context['cloudFor']>[0]) => {
    const real = change(await local.context.cloudFor(account));
    const attachDisks: Cloud['machines']['attachDisks'] = async (id, disks, operation) => {
      const found = await real.machines.attachDisks(id, disks, operation);
      if (machine) machine.dataDisks = found.dataDisks;
      for (const { diskId: id } of disks) mirror.disks.set(id.toLowerCase(), { ...SEEN, id });
      return found;
    };
    return { ...real, machines: { ...real.machines, attachDisks } };
  };
  return {
    ...local.context,
    connect: engine.connect,
    cloudFor: (account) => {
      cloud ??= open(account);
      return cloud;
    },
  };
}

/** A route table on the subnet of the standby and two DNS zones, made by somebody who may: then those are used too. */
export async function addWhatOthersMake(local: AzureContext): Promise<void> {
  const { endpoint } = local.azure;
  const { credential, resources } = clientsOf(endpoint);
  for (const { type, version } of Object.values(ZONES)) {
    const id = `/subscriptions/${endpoint.subscriptionId}/resourceGroups/${GROUP}/providers/Microsoft.Network/${type}/${ZONE}`;
    await resources.resources.createOrUpdateById(id, version, { location: 'global' }, quick);
  }
  const { readFileSync } = await import('node:fs');
  const tlsOptions = { ca: readFileSync(endpoint.caFile, 'utf8') };
  const client = new NetworkManagementClient(credential, endpoint.subscriptionId, {
    endpoint: endpoint.url,
    tlsOptions,
  });
  const table = await client.routeTables.createOrUpdate(
    GROUP,
    'table',
    { location: endpoint.location, routes: [] },
    quick,
  );
  const body = { addressPrefix: '10.250.0.0/24', routeTable: { id: table.id ?? '' } };
  await client.subnets.createOrUpdate(GROUP, 'gate-vnet', 'standby', body, quick);
}

function scenarioFile(local: AzureContext, kind: ZoneKind): ScenarioFile {
  return {
    standbyScenario: 1,
    name: NAME,
    purpose: 'dr',
    serverType: 'full-system',
    productType: 'high-availability',
    replicaType: 'azure',
    switchoverMode: 'manual',
    account: local.accountName,
    region: local.azure.endpoint.location,
    appliance: 'gate',
    master: 'web01',
    capture: 'at-rest',
    excludedVolumes: [],
    vm: { name: 'web01', size: 'Standard_B2s', resourceGroup: GROUP, diskType: 'StandardSSD_LRS' },
    nics: ['nic0', 'nic1'].map((master, index) => ({
      master,
      virtualNetwork: `${GROUP}/gate-vnet`,
      subnet: 'standby',
      address: index === 0 ? '10.250.0.77' : 'dynamic',
      securityGroup: `${GROUP}/gate-nsg`,
      publicIp: index === 0,
    })),
    isAlive: { ping: false },
    healthChecks: [],
    redirect: { kind, resourceGroup: GROUP, zone: ZONE, name: `web.${ZONE}` },
  };
}

async function lookAround(local: AzureContext, context: Context): Promise<void> {
  const region = local.azure.endpoint.location;
  const answers = { account: local.accountName, region, size: 'Standard_B2s', virtualNetwork: 'new' };
  for (const screen of deployScreens(context)) {
    if (!screen.when || (await screen.when(answers))) await screen.question(answers);
  }
}

async function create(local: AzureContext, context: Context, kind: ZoneKind): Promise<unknown> {
  const { store } = context;
  const gate = await store.appliances.byName('gate');
  if (!(await store.masters.get('master-1'))) {
    const taken = inventory({ takenAtMs: context.clock.now() });
    const master = { id: 'master-1', name: 'web01', applianceId: gate?.id ?? '', joinedAtMs: 1 };
    await store.masters.insert({ ...master, inventory: taken });
  }
  if (await store.scenarios.byName(NAME)) return undefined;
  const file = scenarioFile(local, kind);
  try {
    return await createScenario(context, file, { accept: [], command: 'test' });
  } catch (error) {
    if (!(error instanceof ChecksFailed) || error.code !== 'CHECKS_FOUND_WARNINGS') throw error;
    // The record is not there before the first switchover.
    return createScenario(context, file, { accept: ['RECORD_MISSING'], command: 'test' });
  }
}

/** A record that cannot be put back does not keep a standby from being stopped: an event tells it. */
async function stop(context: Context, remove: boolean): Promise<unknown> {
  const report = await stopVm(context, NAME, { remove });
  return [report, await context.store.events.list({ runId: report.run.id })];
}

/** What a refused one has left goes first: its report would tell the old refusal again. */
async function drill(context: Context): Promise<unknown> {
  await removeDrills(context, NAME);
  return startDrill(context, await proposeDrill(context, NAME));
}

/** What a live standby holds is its own: its name, its address, its share of the quota. */
function nothingWrong(report: ScenarioReport): ScenarioReport {
  const wrong = report.verdicts.filter((one) => one.status === 'error' || one.status === 'warning');
  if (wrong.length === 0) return report;
  throw new Error(wrong.map((one) => `${one.code}: ${one.found}`).join(' '));
}

export function commandPath(local: AzureContext, context: Context, kind: ZoneKind): readonly Command[] {
  const region = { account: local.accountName, region: local.azure.endpoint.location };
  const { subnet: _, ...answers } = local.deployAnswers({ resourceGroup: GROUP, virtualNetwork: 'new' });
  const verify = () => verifySavedScenario(context, NAME);
  return [
    { name: 'account verify', run: () => verifyAccount(context, local.accountName) },
    { name: 'what a wizard looks up', run: () => lookAround(local, context) },
    { name: 'appliance deploy', run: () => deployAppliance(context, answers) },
    { name: 'appliance find', run: () => listRegionMachines(context, region) },
    {
      name: 'appliance open-port',
      run: () => openPort(context, { name: 'gate', sourcePrefix: '127.0.0.1/32' }),
    },
    { name: 'appliance check', run: () => checkAppliance(context, 'gate', { firstBootWaitMs: 0 }) },
    { name: 'scenario create', run: () => create(local, context, kind) },
    { name: 'scenario verify', run: verify },
    { name: 'run', run: () => runScenario(context, NAME) },
    { name: 'drill', run: () => drill(context) },
    {
      name: 'switchover',
      once: true,
      run: async () => switchOver(context, await proposeSwitchover(context, NAME)),
    },
    { name: 'scenario verify, switched over', run: async () => nothingWrong(await verify()) },
    { name: 'vm stop', run: () => stop(context, false) },
    { name: 'vm start', run: async () => startVm(context, await proposeVmStart(context, NAME)) },
    { name: 'vm stop --remove', run: () => stop(context, true) },
    { name: 'scenario remove', run: () => removeScenario(context, NAME, { deleteReplica: true }) },
  ];
}
