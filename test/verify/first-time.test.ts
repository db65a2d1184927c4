import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeAzureCloud } from '../../infra/azure/cloud.ts';
import { type LocalAzure, startLocalAzure } from '../../infra/local/local-azure.ts';
import { isoTime, systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import { roleActions } from '../../src/control/role.ts';
import { openStore } from '../../src/control/store/open-store.ts';
import { silentLog } from '../../src/log.ts';
import type { Verdict } from '../../src/model/verdict.ts';
import { CommandLine, type Typed } from '../cli/shell-fixture.ts';
import { startEngine, type TestEngine } from '../control/appliance-engine.ts';
import { smallBundle } from '../control/azure-context.ts';
import { inventory } from '../fakes/scene.ts';
import { gatheringTraffic } from '../fixtures/traffic.ts';
import { clientsOf } from '../infra/local/local-subscription.ts';

/**
 * What a first-time user runs into, typed at the command line against Local Azure with an appliance engine that
 * answers: a scenario that was right, five things that go wrong later, and one command that names all five.
 */
const ACCOUNT = 'ops@example.com';
const GROUP = 'standby-rg';
const NETWORK = 'standby-vnet';
const QUICK = { updateIntervalInMs: 10 };

const bundles = { publish: async () => ({ url: 'https://bundles.invalid/engine.tar.gz' }) };

let azure: LocalAzure;
let engine: TestEngine;
const folder = mkdtempSync(join(tmpdir(), 'standby-first-time-'));
const line = new CommandLine();

beforeAll(async () => {
  const parts = { guests: 'none', latency: 'none', log: silentLog, clock: systemClock } as const;
  azure = await startLocalAzure({ folder, ...parts, ...gatheringTraffic() });
  let enrolment = {};
  const bundle = smallBundle(folder);
  line.parts = {
    // Where the engine's bundle would lie matters to nobody: the engine is in this process.
    cloud: async (facts) => ({ ...(await makeAzureCloud(facts)), bundles }),
    firstBoot: async () => ({
      ...bundle,
      userData: (facts) => {
        enrolment = { applianceId: facts.applianceId, token: facts.token, caSha256: facts.caSha256 };
        return bundle.userData(facts);
      },
    }),
  };
  await registerAccount();
  const place = `--account ${ACCOUNT} --region ${azure.endpoint.location} --resource-group ${GROUP}`;
  await done(
    `appliance deploy --name gate ${place} --virtual-network ${GROUP}/${NETWORK} --subnet appliance`,
  );
  engine = await startEngine(JSON.stringify(enrolment));
  await joined();
}, 180_000);

afterAll(async () => {
  await engine?.stop();
  await azure?.stop();
  line.remove();
  rmSync(folder, { recursive: true, force: true });
});

async function done(command: string, input = ''): Promise<Typed> {
  const typed = await line.type([...command.split(' '), '--yes', '--json'], input);
  expect([command, typed.exitCode, typed.out]).toEqual([command, 0, typed.out]);
  return typed;
}

async function registerAccount(): Promise<void> {
  const { url, authorityUrl, caFile, subscriptionId, tenantId, applicationId, clientSecret } = azure.endpoint;
  const cloud = `--environment custom --resource-manager-url ${url} --authority-url ${authorityUrl} --ca-file ${caFile}`;
  const ids = `--subscription-id ${subscriptionId} --tenant-id ${tenantId} --application-id ${applicationId}`;
  await done(`account add --name ${ACCOUNT} ${cloud} ${ids} --client-secret-stdin`, clientSecret);
}

/** The appliance's VM boots no guest here: its engine is in this process, and a master has joined through it. */
async function joined(): Promise<void> {
  const store = await openStore(loadConfig({}, { home: line.home }).storeUrl);
  try {
    const appliance = await store.appliances.byName('gate');
    if (!appliance) throw new Error('It was just deployed');
    await store.appliances.update(appliance.id, (one) => ({
      ...one,
      address: '127.0.0.1',
      port: engine.port,
    }));
    const master = {
      id: 'master-1',
      name: 'web01',
      applianceId: appliance.id,
      joinedAtMs: systemClock.now(),
    };
    await store.masters.insert({ ...master, inventory: inventory({ takenAtMs: systemClock.now() }) });
  } finally {
    await store.close();
  }
}

const network = () => clientsOf(azure.endpoint).network;

async function rightScenario(): Promise<void> {
  await network().subnets.createOrUpdate(GROUP, NETWORK, 'tight', { addressPrefix: '10.20.9.0/29' }, QUICK);
  const nics = ['', '1'].map((nic) => `--virtual-network${nic} ${GROUP}/${NETWORK} --subnet${nic} tight`);
  const vm = '--vm-name web-vm --vm-size Standard_B2s --disk-type StandardSSD_LRS';
  const rest = `--security-group ${GROUP}/standby-web --public-ip yes --health-check tcp --health-port 443`;
  const what = '--name web --purpose dr --capture at-rest --master web01';
  await done(`scenario create ${what} ${vm} ${nics.join(' ')} ${rest}`);
}

async function fiveThingsGoWrong(): Promise<void> {
  const { location, subscriptionId, clientSecret } = azure.endpoint;
  const subnet = await network().subnets.get(GROUP, NETWORK, 'tight');
  for (const name of ['printer', 'camera']) {
    const ipConfigurations = [{ name: 'main', subnet: { id: subnet.id ?? '' } }];
    await network().networkInterfaces.createOrUpdate(GROUP, name, { location, ipConfigurations }, QUICK);
  }
  const closed = { priority: 100, direction: 'Inbound', access: 'Deny', protocol: 'Tcp' };
  const anywhere = { sourceAddressPrefix: '*', sourcePortRange: '*', destinationAddressPrefix: '*' };
  const rule = { ...closed, ...anywhere, destinationPortRange: '443' };
  await network().securityRules.createOrUpdate(GROUP, 'standby-web', 'no-https', rule, QUICK);
  const soon = isoTime(systemClock.now() + 3 * 86_400_000).slice(0, 10);
  await done(`account renew ${ACCOUNT} --secret-expires-on ${soon} --client-secret-stdin`, clientSecret);
  azure.settings.change({
    quotas: { standardBSFamily: 1 },
    permissions: { actions: [], notActions: [] },
    roleAssignments: [
      {
        name: 'Standby Operator',
        scope: `/subscriptions/${subscriptionId}`,
        principalId: azure.directory.applications[0]?.objectId ?? '',
        actions: roleActions().filter((action) => action !== 'Microsoft.Compute/snapshots/write'),
        notActions: [],
      },
    ],
  });
}

async function allPutRight(): Promise<void> {
  azure.settings.change({ quotas: {}, permissions: { actions: ['*'], notActions: [] } });
  await network().securityRules.delete(GROUP, 'standby-web', 'no-https', QUICK);
  for (const name of ['printer', 'camera']) await network().networkInterfaces.delete(GROUP, name, QUICK);
}

async function verified(flags = ''): Promise<{ exitCode: number; document: Record<string, unknown> }> {
  const typed = await line.type(`scenario verify web --json${flags}`.split(' '));
  const [document] = typed.documents;
  return { exitCode: typed.exitCode, document: document ?? {} };
}

const wrongOf = (document: Record<string, unknown>) =>
  (document.verdicts as readonly Verdict[]).filter(
    (one) => one.status === 'error' || one.status === 'warning',
  );

const FIVE = [
  ['warning SECRET_ENDS_SOON', /in 3 days; no switchover is possible after that/],
  ['error ACTION_MISSING', /Not allowed on \S+standby-rg: Microsoft\.Compute\/snapshots\/write\.$/],
  ['error QUOTA_EXCEEDED', /standardBSFamily vCPUs: 0 of 1 in use, 2 needed/],
  ['error SUBNET_FULL', /tight \(10\.20\.9\.0\/29\): 1 free, 2 needed/],
  ['error PORT_CLOSED', /TCP 443 from the Internet is refused by "no-https" of "standby-web"/],
] as const;

it('five things that would stop a switchover are five findings of one command, which ends with 3', async () => {
  await rightScenario();
  expect(await verified()).toMatchObject({ exitCode: 0, document: { ok: true } });

  await fiveThingsGoWrong();
  const { exitCode, document } = await verified();
  const wrong = wrongOf(document);
  expect([exitCode, document.ok]).toEqual([3, false]);
  expect(wrong.map((one) => `${one.status} ${one.code}`)).toEqual(FIVE.map(([code]) => code));
  for (const [index, [, text]] of FIVE.entries()) expect(wrong[index]?.found).toMatch(text);
  expect(wrong.map((one) => one.next ?? '').every((next) => next.length > 10)).toBe(true);
  const forPeople = await line.type(['scenario', 'verify', 'web']);
  expect(forPeople.exitCode).toBe(3);
  for (const [code] of FIVE) expect(`${forPeople.out}${forPeople.err}`).toContain(code.split(' ')[1]);
}, 180_000);

it('what was accepted by name is kept with who and when, and errors cannot be accepted', async () => {
  const refused = await line.type('scenario verify web --accept SUBNET_FULL --json'.split(' '));
  expect([refused.exitCode, refused.documents[0]]).toMatchObject([2, { error: { code: 'WARNING_UNKNOWN' } }]);
  const { exitCode, document } = await verified(' --accept SECRET_ENDS_SOON');
  expect([exitCode, document.accepted]).toEqual([3, ['SECRET_ENDS_SOON']]);
  const { scenario } = (await done('scenario show web')).documents[0] as {
    scenario: { acceptedWarnings: readonly unknown[] };
  };
  expect(scenario.acceptedWarnings).toEqual([
    { code: 'SECRET_ENDS_SOON', who: expect.stringMatching(/\S/), atMs: expect.any(Number) },
  ]);

  await allPutRight();
  expect(await verified()).toMatchObject({ exitCode: 0, document: { ok: true } });
}, 180_000);
