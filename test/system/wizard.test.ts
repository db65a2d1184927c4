import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildMasterImage } from '../../infra/demo/master-image.ts';
import { MAIN } from '../../infra/demo/product.ts';
import { CACHE, type Lodging, makeLodging, processesOf, run } from './commands.ts';
import { type Terminal, TMUX_IS_THERE, Tmux } from './tmux.ts';

/** The whole job by hand, in a real terminal, as a new user does it: with the mistakes that new users make. */
const ACCOUNT = 'ops@example.com';
const APPLIANCE = 'standby-appliance';
const MENU = 'What would you like to do?';
const WRONG_SECRET = 'this-is-not-the-secret-of-the-application';
const BOOT_MS = 90_000;

interface Endpoint {
  readonly url: string;
  readonly authorityUrl: string;
  readonly caFile: string;
  readonly subscriptionId: string;
  readonly tenantId: string;
  readonly applicationId: string;
  readonly clientSecret: string;
}

let lodging: Lodging;
let tmux: Tmux;
beforeEach(() => {
  if (!TMUX_IS_THERE) throw new Error('tmux is missing: run bin/setup.cjs test');
  lodging = makeLodging();
  const inherited = Object.entries(process.env).filter(([name]) => !/^(STANDBY_|TMUX|NO_COLOR$)/.test(name));
  const environment = { ...Object.fromEntries(inherited), ...lodging.environment, STANDBY_CACHE: CACHE };
  tmux = new Tmux(join(lodging.home, '..'), environment);
});
afterEach(() => {
  tmux?.end();
  lodging?.remove();
});

/** A shell in which `standby` works in a home of its own. */
async function openShell(name: string, home: string): Promise<Terminal> {
  const shell = await tmux.open(name);
  await shell.command(`standby() { "${process.execPath}" "${MAIN}" "$@"; }; export STANDBY_HOME="${home}"`);
  await shell.sees('ended with 0');
  return shell;
}

const isSkipped = !TMUX_IS_THERE && process.env.CI === undefined;
describe.skipIf(isSkipped)(`A person with the wizards${isSkipped ? ' (tmux is not installed)' : ''}`, () => {
  it('comes from nothing to a standby that answers with the master’s data', async () => {
    const diskFile = join(lodging.home, '..', 'master.img');
    const [image] = await Promise.all([
      buildMasterImage({
        file: diskFile,
        firmware: 'bios',
        sizeMib: 192,
        dataMib: 40,
        hostName: 'web01',
        cacheFolder: CACHE,
      }),
      run(['local', 'up', '--latency', 'none'], lodging),
    ]);
    const endpoint = JSON.parse(
      readFileSync(join(lodging.home, 'local-azure/endpoint.json'), 'utf8'),
    ) as Endpoint;
    const person = await openShell('person', lodging.home);
    await person.command('standby');

    await registerAccount(person, endpoint);
    await deployAppliance(person);
    await openPort(person);
    const master = await joinMaster(person, diskFile);
    await leaveHalfway(person);
    await createScenario(person);
    await copy(person);
    const publicIp = await switchOver(person);

    const answers = await Promise.all(
      ['index.html', 'proof.bin'].map((path) => fetched(`http://${publicIp}:8080/${path}`)),
    );
    expect(answers[0]?.toString()).toBe('Production data of web01\n');
    expect(
      createHash('sha256')
        .update(answers[1] ?? '')
        .digest('hex'),
    ).toBe(image.proofSha256);

    await leaveTheMenu(person);
    await person.command('standby switchover web --undo');
    expect(await person.sees('ended with 2')).toContain('it can no longer be undone');
    const everything = await person.history();
    for (const secret of [endpoint.clientSecret, WRONG_SECRET]) expect(everything).not.toContain(secret);
    expect(everything.split('\n').filter(isBroken)).toEqual([]);

    await master.press('C-c');
    await master.sees('ended with 0');
    tmux.end();
    await run(['local', 'down'], lodging);
    expect(processesOf(join(lodging.home, '..'))).toEqual([]);
  }, 600_000);
});

/** Wider than the terminal, which then breaks it anywhere: only what is copied may be, and what was typed or answered. */
function isBroken(line: string): boolean {
  return line.length > 80 && !/\/subscriptions\/|^ {2}standby |^[#$✔] /.test(line);
}

async function fetched(url: string): Promise<Buffer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

/** A secret that is wrong, then the answers once more with the right one. */
async function registerAccount(person: Terminal, endpoint: Endpoint): Promise<void> {
  await person.choose(MENU, 'Register an Azure account');
  await person.answer('Account e-mail', 'somebody');
  await person.sees('This is not an e-mail address.');
  await person.answer('Account e-mail', ACCOUNT);
  // One screen back, and on again with what was said before.
  await person.choose('Azure cloud', '< back');
  await person.accept('Account e-mail');
  await person.choose('Azure cloud', 'Another cloud, by URL');
  await person.answer('Resource Manager URL', endpoint.url);
  await person.answer('Sign-in (authority) URL', endpoint.authorityUrl);
  await person.answer('CA certificate file', endpoint.caFile);
  await person.answer('Subscription ID', endpoint.subscriptionId);
  await person.answer('Tenant ID', endpoint.tenantId);
  await person.answer('Application ID', endpoint.applicationId);
  await person.answer('Client secret', WRONG_SECRET);
  await person.accept('The secret expires on');
  await person.choose('Prove this account', 'yes');
  expect(await person.asked('What now?')).toContain('AADSTS7000215');
  await person.choose('What now?', 'change the answers');
  await person.accept(
    'Account e-mail',
    'Azure cloud',
    'Resource Manager URL',
    'Sign-in',
    'CA certificate file',
  );
  await person.accept('Subscription ID', 'Tenant ID', 'Application ID');
  await person.answer('Client secret', endpoint.clientSecret);
  await person.accept('The secret expires on');
  await person.choose('Prove this account', 'yes');
  expect(await person.asked(MENU)).toContain(`Account ${ACCOUNT} is saved.`);
}

async function deployAppliance(person: Terminal): Promise<void> {
  await person.choose(MENU, 'Deploy an appliance');
  await person.accept('Cloud account');
  await person.choose('Region', 'Japan East');
  await person.accept('Appliance name');
  await person.asked('Resource group');
  // Esc goes back from where a text is typed, and from a list.
  await person.press('Escape');
  await person.accept('Appliance name', 'Resource group', 'VM size', 'Availability zone', 'Operating system');
  await person.choose('Virtual network', 'standby-rg/standby-vnet');
  await person.choose('Subnet', 'appliance');
  await person.accept('Journal disk, GiB', 'SSH public key file');
  await person.choose('Make this appliance?', 'yes');
  expect(await person.asked(MENU)).toContain(`The appliance ${APPLIANCE} is deployed at 127.`);
}

/** The port is closed, the check says so and what to do; opened, it passes. */
async function openPort(person: Terminal): Promise<void> {
  await person.choose(MENU, 'Check an appliance');
  await person.accept('Appliance');
  const closed = await person.asked(MENU);
  expect(closed).toMatch(/TCP connect +FAILED/);
  expect(closed).toContain(`standby appliance open-port ${APPLIANCE}`);
  await person.choose(MENU, 'Open port 25000');
  await person.accept('Appliance');
  expect(await person.asked('Open port 25000 for')).toContain('(127.0.0.1/32)');
  await person.accept('Open port 25000 for');
  await person.choose('Add this?', 'yes');
  const open = await person.asked(MENU);
  expect(open).toMatch(/TLS and engine +passed/);
  expect(open.slice(open.lastIndexOf('Checking ...'))).not.toContain('FAILED');
}

async function joinMaster(person: Terminal, diskFile: string): Promise<Terminal> {
  const home = join(lodging.home, '..', 'master');
  mkdirSync(home);
  const master = await openShell('master', home);
  await person.choose(MENU, 'Let a master join');
  await person.accept('Appliance that the master will send to');
  await person.sees('Waiting for the master');
  const [token = ''] = (await person.history()).match(/(?<=standby master join )\S+/g)?.slice(-1) ?? [];
  await master.command(`standby master join ${token} --disk "${diskFile}" --host-name web01`);
  await master.sees('ended with 0');
  expect(await person.asked(MENU)).toContain('web01 joined.');
  await master.command('standby engine master');
  await master.sees('connected to the appliance');
  return master;
}

/** Ctrl-C in the middle: back in the menu nothing is there; at the menu it leaves, with 130. */
async function leaveHalfway(person: Terminal): Promise<void> {
  await person.choose(MENU, 'Create a scenario');
  await person.answer('Scenario name', 'web');
  await person.accept('Purpose', 'Account', 'Master (the server to protect)');
  await person.asked('Region');
  await person.press('C-c');
  expect(await person.asked(MENU)).toMatch(/Cancelled; nothing was changed\.\n\nAccounts 1, .*, scenarios 0/);
  await person.press('C-c');
  await person.sees('ended with 130');
  await person.command('standby scenario create --name web');
  await person.accept('Purpose');
  await person.asked('Account');
  await person.press('C-c');
  expect(await person.sees('ended with 130')).toContain('Cancelled; nothing was changed.');
  expect(await run(['scenario', 'list'], lodging)).toEqual({ scenarios: [] });
  const { runs } = await run(['runs'], lodging);
  expect(runs).toEqual([expect.objectContaining({ kind: 'deploy-appliance', status: 'done' })]);
  await person.command('standby');
}

/** Through every screen, with steps back on some of them. */
async function createScenario(person: Terminal): Promise<void> {
  await person.choose(MENU, 'Create a scenario');
  await person.answer('Scenario name', 'web');
  await person.accept(
    'Purpose',
    'Account',
    'Master (the server to protect)',
    'Region',
    'Appliance in japaneast',
  );
  await person.choose('How its changes are captured', 'at-rest:');
  await person.asked('Volumes to leave out');
  await person.press('Escape');
  await person.accept('How its changes are captured', 'Volumes to leave out', 'Name of the standby VM');
  await person.choose('VM size', 'Standard_B2s -');
  await person.accept('Other sizes');
  await person.choose('Resource group', '< back');
  await person.accept('Other sizes', 'Resource group', 'Disk type', 'Availability zone');
  await person.accept('Virtual network', 'Subnet');
  await person.answer('Private address', '10.20.1.3');
  await person.sees('Azure keeps 10.20.1.3 for itself');
  await person.answer('Private address', '<');
  await person.accept('Subnet', 'Private address', 'DNS servers');
  await person.choose('Network security group on the NIC', 'standby-rg/standby-web');
  await person.choose('Public IP', 'yes');
  await person.choose('Health check of the standby', 'http');
  await person.answer('Port of the health check', '8080');
  await person.answer('Path of the page', '/index.html');
  await person.accept('HTTP status of a healthy answer');
  await person.answer('Who may ask the health check in a drill', '127.0.0.1');
  await person.accept(
    'Is-alive',
    'How clients find the standby',
    'Programs of your own',
    "Back up the standby's disks after a switchover?",
  );
  const summary = await person.asked('Check and save this scenario?');
  expect(summary).toContain('http on port 8080, /index.html answers 200, in drills from');
  await person.choose('Check and save this scenario?', 'yes');
  const saved = await person.asked(MENU);
  expect(saved).toContain('Scenario web is saved; it is stopped.');
  expect(saved).toContain('web: stopped');
}

async function copy(person: Terminal): Promise<void> {
  await person.choose(MENU, 'Run a scenario');
  await person.accept('Scenario', 'How to synchronise');
  expect(await person.asked(MENU)).toMatch(/web is synchronised since .* UTC, not replicating \(at rest\)\./);
  await person.choose(MENU, 'Status of a scenario');
  await person.accept('Scenario');
  expect(await person.asked(MENU)).toMatch(/State +synchronised at .* UTC, not replicating \(at\s+rest\)/);
}

/** Another name does nothing; the scenario's own does. Gives the standby's public address. */
async function switchOver(person: Terminal): Promise<string> {
  await person.choose(MENU, 'Switch over');
  await person.accept('Scenario');
  await person.answer("Type the scenario's name (web)", 'wbe');
  await person.sees('That is not web.');
  await person.answer("Type the scenario's name (web)", 'web');
  await person.sees('Boot proven.', BOOT_MS);
  const report = await person.asked(MENU);
  expect(report).toContain('web: switched-over');
  const [, address = ''] = /New address: (127\.[\d.]+) \(public\)/.exec(report) ?? [];
  return address;
}

async function leaveTheMenu(person: Terminal): Promise<void> {
  await person.choose(MENU, '< leave');
  await person.sees('ended with 0');
}
