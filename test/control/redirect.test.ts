import { Resolver } from 'node:dns/promises';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { ChecksFailed } from '../../src/control/checks-failed.ts';
import { proposeDrill, startDrill } from '../../src/control/drill.ts';
import { runScenario } from '../../src/control/run.ts';
import { createScenario, listScenarios, type ScenarioReport } from '../../src/control/scenario.ts';
import { removeScenario } from '../../src/control/scenario-remove.ts';
import { exportScenario, scenarioFileFromYaml } from '../../src/control/scenario-yaml.ts';
import { proposeSwitchover, switchOver } from '../../src/control/switchover.ts';
import { stopVm } from '../../src/control/vm.ts';
import type { Cloud } from '../../src/ports/cloud.ts';
import { scenarioEditWizard, scenarioWizard } from '../../wizards/scenario.ts';
import { GROUP } from '../fakes/fake-cloud.ts';
import { type Bind, startBind } from '../redirect/bind-server.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

/** From `scenario create` to `vm stop`, against a real BIND and with real scripts. */
let bind: Bind;
let world: ScenarioWorld;
let keyFile: string;

beforeAll(async () => {
  bind = await startBind();
});
afterAll(() => bind?.stop());
beforeEach(async () => {
  world = await scenarioWorld({}, systemClock);
  keyFile = join(world.context.homeFolder, 'dns.key');
  await writeFile(keyFile, keyText(bind.secret));
});
afterEach(() => world.close());

const keyText = (secret: Buffer) =>
  `key "redirect.example" {\n\talgorithm hmac-sha256;\n\tsecret "${secret.toString('base64')}";\n};\n`;

const dns = () => ({
  redirect: 'dns-update',
  dnsServer: `127.0.0.1:${bind.port}`,
  dnsName: 'www.example.test',
  dnsZone: 'example.test',
  dnsKeyFile: keyFile,
});

async function create(preset: Readonly<Record<string, unknown>>): Promise<ScenarioReport> {
  const start = { preset: { ...ANSWERS, ...preset }, yes: true };
  try {
    return await scenarioWizard(world.context, start);
  } catch (error) {
    if (!(error instanceof ChecksFailed) || error.code !== 'CHECKS_FOUND_WARNINGS') throw error;
    const codes = error.verdicts.filter((one) => one.status === 'warning').map((one) => one.code);
    return scenarioWizard(world.context, { ...start, accept: codes });
  }
}

async function www(): Promise<string[]> {
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${bind.port}`]);
  return resolver.resolve4('www.example.test');
}

describe('Creating a scenario with a redirection', () => {
  it.each([
    ['ip-move', 'needs master and standby in one network segment'],
    ['computer-name', 'the standby already is the master'],
    ['computer-alias', 'use a DNS record or a script'],
  ])('refuses %s with the reason of the matrix', async (redirect, reason) => {
    await expect(create({ redirect })).rejects.toThrow(reason);
    expect(await listScenarios(world.context)).toEqual([]);
  });

  it('keeps the key encrypted, and shows it nowhere', async () => {
    const { scenario, verdicts } = await create(dns());
    expect(scenario.redirect).toMatchObject({ kind: 'dns-update', keyName: 'redirect.example' });
    expect(verdicts.filter((one) => one.code.startsWith('RECORD_') && one.status === 'error')).toEqual([]);
    const { yaml } = await exportScenario(world.context, 'web');
    const shown = [yaml, JSON.stringify(await listScenarios(world.context)), JSON.stringify(world.told)];
    for (const text of shown) expect(text).not.toContain(bind.secret.toString('base64'));
    const stored = await readFile(join(world.context.homeFolder, 'standby.db'), 'latin1');
    expect(stored).not.toContain(bind.secret.toString('base64'));

    // Out and in again: the file has no key, so it must be given.
    await removeScenario(world.context, 'web', { deleteReplica: false });
    const file = await scenarioFileFromYaml(yaml);
    const accept = scenario.acceptedWarnings.map((one) => one.code);
    await expect(createScenario(world.context, file, { accept, command: 'x' })).rejects.toMatchObject({
      code: 'REDIRECT_KEY_MISSING',
      kind: 'input',
    });
    const preset = { scenario: 'web', dnsTtl: 60 };
    await create(dns());
    const edited = await scenarioEditWizard(world.context, { preset, yes: true });
    expect(edited.scenario.redirect).toMatchObject({ keyName: 'redirect.example', ttlSeconds: 60 });
  });

  it('finds a key that may not change the record before anything is saved', async () => {
    await writeFile(keyFile, keyText(bind.powerless));
    await expect(create(dns())).rejects.toMatchObject({ code: 'CHECKS_FOUND_ERRORS' });
    await writeFile(keyFile, 'no key at all');
    await expect(create(dns())).rejects.toMatchObject({ code: 'KEY_FILE_INVALID' });
    await expect(create({ ...dns(), dnsZone: 'example.org' })).rejects.toThrow('not inside that zone');
  });

  it.each([
    ['whenever=/bin/true', 'Write MOMENT=PROGRAM'],
    ['after-boot=true', 'with its whole path'],
    ['after-boot=/bin/true; after-boot=/bin/false', 'twice'],
    ['after-boot@DRILL+FAILBACK=/bin/true', 'after-boot@FAILBACK does not exist'],
    [
      'after-boot@DRILL=/bin/true; after-boot@SWITCHOVER+DRILL=/bin/false',
      'after-boot@DRILL stands there twice',
    ],
    ['after-redirect@DRILL=/bin/true', 'the moments of a DRILL'],
    ['before-restore=/bin/true', 'before-restore@SWITCHOVER does not exist'],
    ['after-boot@DRIL=/bin/true', 'SWITCHOVER, DRILL, FAILBACK'],
  ])('refuses the script %s', async (scripts, words) => {
    await expect(create({ scripts })).rejects.toThrow(words);
  });
});

describe('Scripts for a drill', () => {
  it('survive the file and the wizard, run in the drill only, and are in its log', async () => {
    const said = join(world.context.homeFolder, 'said');
    const program = join(world.context.homeFolder, 'hook.sh');
    await writeFile(program, `#!/bin/sh\necho "$STANDBY_EVENT $STANDBY_PHASE $STANDBY_VM_NAME" >> ${said}\n`);
    await chmod(program, 0o755);
    const scripts = `before-seal=${program}; after-boot@DRILL=${program}; before-restore@FAILBACK=${program}`;
    const { scenario } = await create({ scripts });
    expect(scenario.scripts?.map((one) => one.events)).toEqual([undefined, ['DRILL'], ['FAILBACK']]);
    const { yaml } = await exportScenario(world.context, 'web');
    expect((await scenarioFileFromYaml(yaml)).scripts).toEqual(scenario.scripts);
    const edited = await scenarioEditWizard(world.context, { preset: { scenario: 'web' }, yes: true });
    expect(edited.scenario.scripts).toEqual(scenario.scripts);
    await runScenario(world.context, 'web', { accept: [] });
    const { report } = await startDrill(world.context, await proposeDrill(world.context, 'web'));
    expect(await readFile(said, 'utf8')).toBe(`DRILL after-boot ${report.vm?.name}\n`);
    expect(report.steps.find((one) => one.id === 'run-script-after-boot')).toMatchObject({ state: 'done' });
  });
});

/** A private zone with one record. */
function privateZone(name: string): { addresses: readonly string[]; etag: string } {
  const record = { addresses: ['10.9.9.9'] as readonly string[], etag: '1' };
  const dns: Partial<Cloud['dns']> = {
    hasZone: async (id) => id.endsWith(`/${GROUP}/providers/Microsoft.Network/privateDnsZones/corp.test`),
    aRecord: async (_id, asked) => (asked === name ? { ...record, ttlSeconds: 30 } : undefined),
    async setARecord(_id, _name, { addresses }, etag) {
      expect(etag).toBe(record.etag);
      Object.assign(record, { addresses, etag: `${record.etag}1` });
    },
  };
  Object.assign(world.cloud.cloud.dns, dns);
  return record;
}

describe('Switching over and back', () => {
  it('changes a record of a private zone in Azure to the private address', async () => {
    const record = privateZone('web');
    const zone = { dnsName: 'web.corp.test', dnsZone: 'corp.test', dnsAddress: 'private' };
    const { scenario } = await create({ redirect: 'azure-private-dns', ...zone });
    expect(scenario.redirect).toMatchObject({ kind: 'azure-private-dns', resourceGroup: GROUP });
    const { yaml } = await exportScenario(world.context, 'web');
    expect((await scenarioFileFromYaml(yaml)).redirect).toEqual(scenario.redirect);
    await runScenario(world.context, 'web', { accept: [] });
    await switchOver(world.context, await proposeSwitchover(world.context, 'web'));
    expect(record.addresses).toEqual(['10.0.1.20']);
    await stopVm(world.context, 'web', { remove: false });
    expect(record.addresses).toEqual(['10.9.9.9']);
  });

  it('changes the record of a real server, runs the scripts, and vm stop takes it back', async () => {
    const program = join(world.context.homeFolder, 'hook.sh');
    const said = join(world.context.homeFolder, 'said');
    await writeFile(
      program,
      `#!/bin/sh\necho "$STANDBY_EVENT $STANDBY_PHASE $1 $STANDBY_PUBLIC_IP" >> ${said}\necho heard\n`,
    );
    await chmod(program, 0o755);
    await create({ ...dns(), scripts: `before-seal=${program} one; after-redirect=${program} two` });
    await runScenario(world.context, 'web', { accept: [] });
    expect(await www()).toEqual(['192.0.2.10']);
    const { report, run } = await switchOver(world.context, await proposeSwitchover(world.context, 'web'));
    const [address] = await www();
    expect(address).toBe(report.addresses[0]?.publicIp);
    expect(report.tell.join()).toContain('www.example.test');
    expect(await readFile(said, 'utf8')).toBe(
      `SWITCHOVER before-seal one \nSWITCHOVER after-redirect two ${address}\n`,
    );
    const log = join(world.context.homeFolder, 'scripts', `${run.id}-after-redirect.log`);
    expect(await readFile(log, 'utf8')).toContain('heard');
    await stopVm(world.context, 'web', { remove: true });
    expect(await www()).toEqual(['192.0.2.10']);
  });
});
