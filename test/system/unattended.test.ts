import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { LocalEndpoint } from '../../infra/local/local-azure.ts';
import { CommandLine } from '../cli/shell-fixture.ts';
import {
  type Document,
  type Lodging,
  makeLodging,
  type Place,
  processesOf,
  run,
  runbookLines,
  type Started,
  start,
} from './commands.ts';
import { GREETING, makeTinyServer } from './tiny-server.ts';

/** The whole job with nobody there: answers from files, and every command once with `--json`. */
const ACCOUNT = 'ops@example.com';
/** Two run for ever, two speak with this machine's own service manager, and the demo has tests of its own. */
const NOT_HERE = ['demo', 'engine appliance', 'engine master', 'service status', 'service uninstall'];
/** What is told as it happens comes before the result, one document a line. */
const SEVERAL_DOCUMENTS = ['run', 'serve'];

let lodging: Lodging;
let control: Place;
let master: Place;
const typed = new Set<string>();

beforeEach(() => {
  lodging = makeLodging();
  control = { ...lodging, home: join(lodging.home, 'control') };
  master = { ...lodging, home: join(lodging.home, 'master') };
});
afterEach(() => lodging.remove());

it('every command works unattended, with exactly one JSON document on standard output', async () => {
  const leaves = await everyCommand();
  expect(leaves.length).toBeGreaterThan(35);

  const endpoint = await registered();
  await withAppliance(endpoint);
  const engine = await withScenario();
  await grouped();
  await copied();
  await followed();
  await drilled();
  await switchedOver();
  await ended(engine);
  const newEngine = await cameHome();
  await removed();
  await ended(newEngine);

  expect([...typed].sort()).toEqual(leaves.filter((leaf) => !NOT_HERE.includes(leaf)));
  expect(processesOf(lodging.home)).toEqual([]);
}, 900_000);

/** Runs one command as a program would, and holds it to its exit code and to one document. */
async function json(
  line: string,
  options: { code?: number; input?: string; place?: Place } = {},
): Promise<Document> {
  const args = line.split(' ');
  const name = (await everyCommand()).find((leaf) => line === leaf || line.startsWith(`${leaf} `)) ?? line;
  typed.add(name);
  const { input = '', place = control } = options;
  const { exitCode, stdout, stderr, document } = await start(args, { ...place, input }).ended;
  expect([line, exitCode, exitCode === (options.code ?? 0) ? '' : stderr]).toEqual([
    line,
    options.code ?? 0,
    '',
  ]);
  expect([line, stdout.endsWith('\n')]).toEqual([line, true]);
  const documents = stdout
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as Document);
  if (!SEVERAL_DOCUMENTS.includes(name)) expect([line, documents.length]).toEqual([line, 1]);
  return document;
}

const answersFile = (name: string, answers: Document): string => {
  const file = join(lodging.home, `${name}.json`);
  writeFileSync(file, JSON.stringify(answers));
  return file;
};

async function ended(engine: Started): Promise<void> {
  engine.kill('SIGTERM');
  expect((await engine.ended).exitCode).toBe(0);
}

let leaves: Promise<readonly string[]> | undefined;

/** Every command that has `--json`, as the help of the command line lists them */
function everyCommand(): Promise<readonly string[]> {
  leaves ??= walkHelp([]);
  return leaves;
}

async function walkHelp(words: readonly string[]): Promise<readonly string[]> {
  const line = new CommandLine();
  try {
    const { out, exitCode } = await line.type([...words, '--help']);
    expect([words, exitCode]).toEqual([words, 0]);
    if (/^ {2}--json /m.test(out)) return [words.join(' ')];
    const listed = out.slice(out.indexOf('\nCommands:\n')).matchAll(/^ {2}([a-z][a-z-]*) /gm);
    const names = [...listed].map(([, name = '']) => name).filter((name) => name !== 'help');
    const found = await Promise.all(names.map((name) => walkHelp([...words, name])));
    return found.flat().sort();
  } finally {
    line.remove();
  }
}

async function registered(): Promise<LocalEndpoint> {
  await json('local up --latency none');
  const endpoint = JSON.parse(
    readFileSync(join(control.home, 'local-azure/endpoint.json'), 'utf8'),
  ) as LocalEndpoint;
  const { url, authorityUrl, caFile, subscriptionId, tenantId, applicationId, clientSecret } = endpoint;
  expect(await json('account add', { code: 2 })).toMatchObject({ error: { code: 'ANSWER_MISSING' } });
  const file = answersFile('account', {
    ...{ name: ACCOUNT, environment: 'custom', resourceManagerUrl: url, authorityUrl, caFile },
    ...{ subscriptionId, tenantId, applicationId },
  });
  const added = await json(`account add --answers ${file} --yes --client-secret-stdin`, {
    input: clientSecret,
  });
  expect(added).toMatchObject({ account: { name: ACCOUNT } });
  expect(JSON.stringify(added)).not.toContain(clientSecret);
  await json(`account renew ${ACCOUNT} --client-secret-stdin`, { input: clientSecret });
  await Promise.all([
    json('account list'),
    json(`account verify ${ACCOUNT}`),
    json('account role --print'),
    json('local status'),
    json('local env'),
  ]);
  await json('local fault add --on Microsoft.Compute/disks/delete --error Busy');
  await json('local fault list');
  await json('local fault clear');
  return endpoint;
}

async function withAppliance({ location }: LocalEndpoint): Promise<void> {
  const missing = await json('appliance deploy --name gate', { code: 2 });
  expect(missing).toMatchObject({ error: { what: expect.stringMatching(/--region.*--yes/) } });
  const file = answersFile('appliance', {
    ...{ account: ACCOUNT, region: location, name: 'gate', resourceGroup: 'standby-rg' },
    ...{ virtualNetwork: 'standby-rg/standby-vnet', subnet: 'appliance' },
  });
  expect(await json(`appliance deploy --answers ${file} --yes`)).toMatchObject({ already: false });
  expect(await json(`appliance deploy --answers ${file} --yes`)).toMatchObject({ already: true });
  expect(await json('appliance check gate', { code: 3 })).toMatchObject({ ok: false });
  await json('appliance open-port gate --source-prefix 127.0.0.1/32 --yes');
  expect(await json('appliance check gate')).toMatchObject({ ok: true });
  const slow = await json('appliance bandwidth gate --schedule 8-18=500M');
  expect(slow).toMatchObject({ bytesPerSecondByHour: expect.arrayContaining([0, 500_000_000]) });
  expect(await json('appliance bandwidth gate --schedule off')).toMatchObject({ bytesPerSecondByHour: null });
  await json(`appliance add --name own --address 192.0.2.1 --enrol-file ${join(lodging.home, 'enrol.json')}`);
  await json('appliance list');
  await json('appliance remove own');
}

/** Gives the master's engine, which goes on. */
async function withScenario(): Promise<Started> {
  const disk = join(lodging.home, 'server.img');
  makeTinyServer(disk, 64);
  if ((await everyCommand()).includes('inspect')) await json(`inspect --disk ${disk}`);
  // Its boot sector greets and stops: there is no kernel to start.
  expect(await json(`readiness --disk ${disk}`, { code: 3 })).toMatchObject({ verdict: 'not ready' });
  const { token } = await json('master token --appliance gate');
  const joined = json(`master join ${String(token)} --disk ${disk} --host-name kiosk`, { place: master });
  let waiting = true;
  while (waiting) waiting = ((await json('master list')).joined as readonly string[]).length === 0;
  await joined;
  const engine = start(['engine', 'master', '--interval', '1'], master);
  await json('service install --print linux', { place: master });
  await json('master prepare --root /nowhere --yes', { code: 2, place: master });
  const missing = await json('scenario create --name kiosk', { code: 2 });
  expect(missing).toMatchObject({ error: { what: expect.stringMatching(/--master.*--vm-size.*--yes/) } });
  const file = answersFile('scenario', {
    ...{
      name: 'kiosk',
      purpose: 'dr',
      capture: 'at-rest',
      master: 'kiosk',
      vmName: 'kiosk-vm',
      vmSize: 'Standard_B2s',
    },
    ...{ diskType: 'StandardSSD_LRS', virtualNetwork: 'standby-rg/standby-vnet', subnet: 'default' },
  });
  expect(await json(`scenario create --answers ${file} --yes`)).toMatchObject({
    status: { state: 'stopped' },
  });
  await json('scenario edit kiosk --disk-type Standard_LRS --yes');
  await json('scenario codes');
  await Promise.all([json('scenario list'), json('scenario show kiosk'), json('scenario verify kiosk')]);
  return engine;
}

/** Of one: what a group does to a member is what the member's own commands do. */
async function grouped(): Promise<void> {
  await json('group create floor --wave kiosk');
  await json('group edit floor --parallel 2');
  const yaml = join(lodging.home, 'floor.yaml');
  await json(`group export floor --file ${yaml}`);
  await json('group remove floor');
  expect(await json(`group import ${yaml}`)).toMatchObject({ names: { parallel: 2 } });
  await Promise.all([json('group list'), json('group show floor'), json('group status floor')]);
}

/** The first copy travels: made on the master, brought to the appliance by hand. */
async function seeded(): Promise<void> {
  const prepared = await json('seed prepare kiosk');
  const { scenarioId } = prepared;
  expect(prepared).toMatchObject({ disks: [{ diskId: 'disk0', lun: 1 }] });
  expect(await json('status kiosk')).toMatchObject({
    state: 'stopped',
    reason: expect.stringMatching(/seed/),
  });
  const seed = join(lodging.home, 'kiosk.seed');
  const key = join(lodging.home, 'seed.key');
  writeFileSync(key, 'only for this test\n');
  const exported = await json(`seed export --to ${seed} --key-file ${key}`, { place: master });
  const root = applianceRoot();
  const there = `--state ${root}/var/lib/standby --luns ${root}/dev/disk/azure/scsi1`;
  const imported = await json(
    `seed import --from ${seed} --key-file ${key} --scenario ${scenarioId} ${there}`,
  );
  expect(imported).toMatchObject({ written: true, digests: exported.digests });
}

/** Where Local Azure keeps what is an appliance's root folder. */
function applianceRoot(): string {
  const folder = join(control.home, 'local-azure');
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((path) =>
    path.endsWith('root/dev/disk/azure/scsi1'),
  );
  return join(folder, String(found).replace('/dev/disk/azure/scsi1', ''));
}

/** A second run of what has run starts a new copy; nothing is made twice. */
async function copied(): Promise<void> {
  await seeded();
  expect(await json('run kiosk')).toMatchObject({
    state: 'synchronised',
    resumed: false,
    sync: { mode: 'block', reason: expect.stringMatching(/hold a seed/) },
    leftOutBytes: expect.any(Number),
  });
  const { digests, epoch } = await json('status kiosk');
  await json('group run floor');
  expect(await json('status kiosk')).toMatchObject({
    state: 'synchronised',
    epoch: Number(epoch) + 1,
    digests,
  });
  await Promise.all([json('runs'), json('events --scenario kiosk'), json('runbook kiosk')]);
}

/** The same server, followed live from now on. */
async function followed(): Promise<void> {
  await json('group stop floor');
  await json('scenario edit kiosk --capture compare --yes');
  expect(await json('run kiosk')).toMatchObject({ state: 'replicating' });
  expect(await json('bookmark kiosk monday')).toMatchObject({ bookmark: 'monday' });
  expect(await json('bookmarks kiosk')).toMatchObject({ bookmarks: [{ name: 'monday' }] });
  expect(await json('scrub kiosk')).toMatchObject({ equal: true });
  expect(await json('scrub kiosk --every 24')).toMatchObject({ everyHours: 24 });
  expect(await json('retention kiosk --hours 2')).toMatchObject({ wanted: { hours: 2 }, keptMs: 7_200_000 });
  expect(await json('is-alive kiosk --script true')).toMatchObject({ ping: false, script: ['true'] });
  expect(await json('maintenance begin kiosk')).toMatchObject({ stopped: false });
  expect(await json('maintenance end kiosk')).toMatchObject({ state: 'replicating' });
  expect(await json('assess kiosk --seconds 1')).toMatchObject({ changedBytes: expect.any(Number) });
  await json('serve --once');
  expect(await json('status kiosk')).toMatchObject({
    isAlive: 'alive',
    watched: { condition: 'protected' },
    // There is no kernel on its disk.
    verified: { findings: [{ code: 'NOT_READY' }] },
    live: { master: 'connected' },
  });
}

/** A real boot in a network of its own, while the scenario goes on replicating. */
async function drilled(): Promise<void> {
  expect(await json('drill kiosk', { code: 2 })).toMatchObject({ error: { code: 'ANSWER_MISSING' } });
  const { folder, ...drill } = await json('drill kiosk --yes');
  expect(drill).toMatchObject({
    outcome: 'passed',
    report: { hold: { lasted: true }, boot: { outcome: 'proven' }, removal: { state: 'proven' } },
  });
  expect(readFileSync(join(String(folder), 'serial.log'), 'latin1')).toContain(GREETING);
  expect(readFileSync(join(String(folder), 'screen.png')).toString('latin1', 1, 4)).toBe('PNG');
  expect(await json('drill kiosk --check-reports')).toMatchObject({ reports: { length: 1 }, problems: [] });
  expect(await json('status kiosk')).toMatchObject({ state: 'replicating' });
  expect(await json('group drill floor', { code: 2 })).toMatchObject({ error: { code: 'ANSWER_MISSING' } });
}

async function switchedOver(): Promise<void> {
  expect(await json('switchover kiosk', { code: 2 })).toMatchObject({ error: { code: 'ANSWER_MISSING' } });
  await json('group switchover floor --yes');
  expect(await json('status kiosk')).toMatchObject({ state: 'switched-over' });
  await json('group resume floor', { code: 2 });
  await json('group recover floor --side standby --yes');
  expect(await json('backup kiosk')).toMatchObject({ status: 'done' });
  expect(await json('backup list kiosk')).toMatchObject({ backups: { length: 1 } });
  await json('backup remove kiosk --all --yes');
  expect(await json('switchover kiosk --undo', { code: 2 })).toMatchObject({
    error: { code: 'PAST_COMMIT' },
  });
  const { runs } = await run(['runs', '--scenario', 'kiosk'], control);
  const [{ id }] = runs as readonly [{ id: string }];
  await json(`resume ${id}`, { code: 2 });
  await json('vm stop kiosk');
  await json('vm start kiosk --yes');
}

/** The server's disk is lost: a new machine gets what the standby has written, and takes the master's place. Gives its engine. */
async function cameHome(): Promise<Started> {
  const disk = join(lodging.home, 'server.img');
  const { size } = statSync(disk);
  rmSync(disk);
  writeFileSync(disk, '');
  truncateSync(disk, size);
  const machine = { ...lodging, home: join(lodging.home, 'new-master') };
  const standby = newestDisk();
  writeAt(standby, 40, 'written while the standby worked');
  // To the letter of the runbook's last section.
  const page = await runbookLines('kiosk', 'Come home', control);
  expect(page).toHaveLength(5);
  const [prepare = '', newHardware = '', finish = '', removeStandby = '', again = ''] = page;
  expect(await json(prepare, { code: 2 })).toMatchObject({ error: { code: 'ANSWER_MISSING' } });
  const { token } = await json(newHardware);
  const restored = json(`restore --token ${String(token)} --target ${disk}`, { place: machine });
  restored.catch(() => undefined); // Awaited below, unless something before it fails.
  expect(await json(`${prepare} --yes`)).toMatchObject({ state: 'failing-back' });
  writeAt(standby, 41, 'written until the last moment');
  const home = await json(`${finish} --yes`);
  expect(home).toMatchObject({ state: 'stopped', restored: { sentBytes: 4096 } });
  expect(await restored).toMatchObject({ mayBoot: true, disks: [{ diskId: 'disk0', target: disk }] });
  expect(readFileSync(disk).equals(readFileSync(standby).subarray(0, size))).toBe(true);
  const engine = start(['engine', 'master', '--interval', '1'], machine);
  await json(`${removeStandby} --yes`);
  const run = await json(again);
  expect(run).toMatchObject({ state: 'replicating', sync: { mode: 'block' } });
  expect(run.sentBytes).toBeLessThan(64 * 1024);
  await json('stop kiosk');
  return engine;
}

/** Local Azure's file of the disk that was made last: the standby's, when there is no failback yet. */
function newestDisk(): string {
  const folder = join(control.home, 'local-azure/data/disks');
  const files = readdirSync(folder).filter((name) => name.endsWith('.raw'));
  const bornMs = (name: string) => statSync(join(folder, name)).birthtimeMs;
  return join(folder, files.toSorted((a, b) => bornMs(b) - bornMs(a))[0] ?? '');
}

/** As the standby's guest would. */
function writeAt(file: string, offsetMib: number, text: string): void {
  const handle = openSync(file, 'r+');
  writeSync(handle, text, offsetMib * 2 ** 20);
  closeSync(handle);
}

/** A definition survives its scenario as YAML; then everything is taken down in the order of its dependence. */
async function removed(): Promise<void> {
  const yaml = join(lodging.home, 'kiosk.yaml');
  expect(await json(`scenario export kiosk --file ${yaml}`)).toMatchObject({ name: 'kiosk' });
  expect(await json(`scenario import ${yaml}`, { code: 2 })).toMatchObject({ error: { code: 'NAME_TAKEN' } });
  await json('group remove floor');
  await json('scenario remove kiosk --delete-replica');
  const auto = readFileSync(yaml, 'utf8').replace('switchoverMode: manual', 'switchoverMode: auto');
  expect(await json('scenario import -', { code: 2, input: auto })).toMatchObject({
    error: { code: 'SCENARIO_INVALID', next: expect.stringContaining('write manual') },
  });
  expect(await json(`scenario import ${yaml}`)).toMatchObject({ scenario: { name: 'kiosk' } });
  await json('scenario remove kiosk');
  await json('master remove kiosk');
  await json('appliance remove gate');
  await json(`account remove ${ACCOUNT}`);
  await json('local down');
  await json('local wipe --yes');
}
