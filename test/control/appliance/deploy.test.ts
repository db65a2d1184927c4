import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkAppliance } from '../../../src/control/appliance/check.ts';
import { deployAppliance, proposeDeploy, undoDeploy } from '../../../src/control/appliance/deploy.ts';
import type { DeployAnswers } from '../../../src/control/appliance/deploy-input.ts';
import { listRegionMachines } from '../../../src/control/appliance/machines.ts';
import { openPort, proposeOpenPort } from '../../../src/control/appliance/open-port.ts';
import { deployScreens } from '../../../src/control/appliance/screens.ts';
import { problemOf } from '../../../src/control/screen.ts';
import { isStandbyError, type StandbyError } from '../../../src/errors.ts';
import type { SecurityRule } from '../../../src/ports/cloud.ts';
import { type AzureContext, startAzureContext } from '../azure-context.ts';
import type { TestContext } from '../make-context.ts';

let local: AzureContext;
let context: TestContext;
beforeAll(async () => {
  local = await startAzureContext();
  context = local.context;
});
afterAll(() => local?.close());

async function failedRun(name: string) {
  const runs = await context.store.runs.list({ subject: `appliance/${name}`, statuses: ['failed'] });
  if (!runs[0]) throw new Error(`No failed deployment of ${name}`);
  return runs[0];
}

async function failureOf(work: Promise<unknown>): Promise<StandbyError> {
  const outcome = await work.then(
    () => new Error('It did not fail'),
    (error: unknown) => error,
  );
  if (isStandbyError(outcome)) return outcome;
  throw outcome;
}

const region = () => ({ account: local.accountName, region: local.azure.endpoint.location });

describe('before there is an appliance', () => {
  it('an empty region comes with a hint of what to look at', async () => {
    const list = await listRegionMachines(context, region());
    expect(list.machines).toEqual([]);
    expect(list.hint).toMatch(
      /right region and subscription.*standby account verify ops@example.com.*deploy/s,
    );
  });

  it.each([
    ['REGION_UNKNOWN', { region: 'atlantis' }],
    ['SIZE_UNKNOWN', { size: 'Standard_Nothing' }],
    ['ZONE_UNKNOWN', { zone: '9' }],
    ['NETWORK_UNKNOWN', { virtualNetwork: 'standby-rg/other' }],
    ['SUBNET_UNKNOWN', { subnet: 'other' }],
    ['IMAGE_UNKNOWN', { image: 'dos' }],
    ['ANSWER_WRONG', { name: 'under_score' }],
    ['ANSWER_WRONG', { journalGib: 1.5 }],
    ['ACCOUNT_UNKNOWN', { account: 'nobody@example.com' }],
  ])('%s is wrong input and makes nothing: %j', async (code, change) => {
    const error = await failureOf(deployAppliance(context, local.deployAnswers(change)));
    expect([error.code, error.kind]).toEqual([code, 'input']);
    expect(await context.store.runs.list()).toEqual([]);
    expect((await listRegionMachines(context, region())).machines).toEqual([]);
  });

  it('a resource group of another region is refused', async () => {
    const cloud = await local.cloud();
    const other = (await cloud.catalogue.locations()).find((one) => one.name !== region().region);
    await cloud.groups.ensure('elsewhere', other?.name ?? '');
    const error = await failureOf(
      deployAppliance(context, local.deployAnswers({ resourceGroup: 'elsewhere' })),
    );
    expect([error.code, error.kind]).toEqual(['REGION_DIFFERS', 'input']);
    expect(error.what).toContain(`is in ${other?.name}, not in ${region().region}`);
  });
});

describe('the screens', () => {
  it('offer what the subscription has, and their defaults alone make a deployment', async () => {
    const answers: Record<string, unknown> = {};
    const asked: string[] = [];
    for (const screen of deployScreens(context)) {
      if (screen.when && !(await screen.when(answers))) continue;
      const question = await screen.question(answers);
      asked.push(question.name);
      const value = question.name === 'region' ? local.azure.endpoint.location : question.default;
      const problem = value === undefined && question.optional ? undefined : problemOf(question, value);
      expect([question.name, problem]).toEqual([question.name, undefined]);
      answers[question.name] = value;
    }
    expect(asked).toEqual([
      ...['account', 'region', 'name', 'resourceGroup', 'size', 'zone', 'image', 'virtualNetwork'],
      ...['journalGib', 'sshPublicKeyFile'],
    ]);
    const { input } = await proposeDeploy(context, answers as unknown as DeployAnswers);
    expect(input).toMatchObject({ name: 'standby-appliance', size: 'Standard_D2s_v5', image: 'debian-12' });
    expect(input.network).toBeUndefined();
  });

  it('show what cannot be chosen with the reason, and refuse a resource group of another region', async () => {
    const answers = { account: local.accountName, region: local.azure.endpoint.location };
    const question = async (name: string) => {
      const screen = deployScreens(context).find((one) => one.name === name);
      if (!screen) throw new Error(`No screen ${name}`);
      return screen.question(answers);
    };
    const restricted = (await question('size')).choices?.filter((choice) => choice.disabled) ?? [];
    expect(restricted.length).toBeGreaterThan(0);
    expect(problemOf(await question('size'), restricted[0]?.value)).toMatch(/cannot be chosen/);
    expect(problemOf(await question('resourceGroup'), 'elsewhere')).toMatch(
      /made in its resource group’s region/,
    );
    expect(problemOf(await question('resourceGroup'), 'a new one')).toMatch(/letters, digits/);
  });
});

describe('deploying', () => {
  it('shows every resource before it makes any', async () => {
    const { plan } = await proposeDeploy(context, local.deployAnswers());
    const made = plan.stages.flat().flatMap((step) => step.makes ?? []);
    expect(made.map((one) => `${one.type.split('/')[1]} ${one.name}`)).toEqual([
      'resourceGroups standby-rg',
      'networkSecurityGroups gate-nsg',
      'publicIPAddresses gate-pip',
      'disks gate-journal',
      expect.stringMatching(/^storageAccounts standby[0-9a-f]{16}$/),
      'networkInterfaces gate-nic',
      'virtualMachines gate',
      'disks gate-os',
    ]);
    expect(plan.stages.flat().every((step) => (step.actions?.length ?? 0) > 0 || step.id === 'record')).toBe(
      true,
    );
    expect(await (await local.cloud()).listTagged('standby-scenario', 'appliance/gate')).toEqual([]);
  });

  it('makes the VM with its journal on LUN 0, tagged, behind a closed port, and remembers it', async () => {
    const report = await deployAppliance(context, local.deployAnswers());
    const { appliance } = report;
    expect([report.already, report.run?.status, appliance.enrolment]).toEqual([false, 'done', 'pending']);
    const cloud = await local.cloud();
    const machine = await cloud.machines.instance(appliance.azure?.vmId ?? '');
    expect([machine?.power, machine?.size]).toEqual(['running', 'Standard_D2s_v5']);
    expect(machine?.dataDisks.map((disk) => [disk.lun, disk.diskId.split('/').at(-1)])).toEqual([
      [0, 'gate-journal'],
    ]);
    const nic = await cloud.network.networkInterface(machine?.nicIds[0] ?? '');
    const publicIp = await cloud.network.publicIp(nic?.publicIpId ?? '');
    expect(appliance.address).toBe(publicIp?.address);
    const tagged = await cloud.listTagged('standby-scenario', 'appliance/gate');
    expect(new Set(tagged.map((one) => one.tags['standby-run']))).toEqual(new Set([report.run?.id]));
    expect(await context.secrets.get(`appliance/${appliance.id}/token`)).toMatch(/^[\w-]{43}$/);
    expect(report.notes.join()).toMatch(/whose private half nobody has.*standby appliance open-port gate/s);
  });

  it('keeps token and bundle URL out of the store’s plain part, the log and what is shown', async () => {
    const [appliance] = await context.store.appliances.list();
    const token = (await context.secrets.get(`appliance/${appliance?.id}/token`)) ?? '';
    const texts = [context.filesText(), context.logged.join(), JSON.stringify(context.told)];
    for (const text of texts) {
      expect(text).not.toContain(token);
      expect(text).not.toMatch(/[?&]sig=/);
    }
  });

  it('changes nothing when it is done already', async () => {
    const before = await context.store.appliances.list();
    const report = await deployAppliance(context, local.deployAnswers());
    expect([report.already, report.run]).toEqual([true, undefined]);
    expect(await context.store.appliances.list()).toEqual(before);
    expect(await context.store.runs.list()).toHaveLength(1);
    const other = await failureOf(
      deployAppliance(context, local.deployAnswers({ resourceGroup: 'standby-2' })),
    );
    expect(other.code).toBe('NAME_TAKEN');
  });

  it('shows the appliance among the region’s machines, with its addresses', async () => {
    const [appliance] = await context.store.appliances.list();
    const { machines, hint } = await listRegionMachines(context, region());
    expect(machines).toMatchObject([
      {
        name: 'gate',
        appliance: 'known',
        applianceName: 'gate',
        power: 'running',
        publicIp: appliance?.address,
      },
    ]);
    expect(hint).toBeUndefined();
    await context.store.appliances.remove(appliance?.id ?? '');
    expect((await listRegionMachines(context, region())).machines[0]?.appliance).toBe('foreign');
    if (appliance) await context.store.appliances.insert(appliance);
  });
});

describe('the port', () => {
  const statuses = async () => (await checkAppliance(context, 'gate', NO_WAIT)).map((one) => one.status);
  const NO_WAIT = { probeTimeoutMs: 500, firstBootWaitMs: 0 };
  const groupId = async (): Promise<string> => {
    const groups = await (await local.cloud()).network.securityGroups(local.azure.endpoint.location);
    return groups.find((one) => one.name === 'gate-nsg')?.id ?? '';
  };
  const deny: SecurityRule = {
    name: 'deny-all',
    priority: 300,
    direction: 'Inbound',
    access: 'Deny',
    protocol: '*',
    sourcePrefixes: ['*'],
    destinationPrefixes: ['*'],
    destinationPorts: ['*'],
  };

  it('is closed, and the line says by which rule, with what to do', async () => {
    const lines = await checkAppliance(context, 'gate', NO_WAIT);
    expect(lines.map((one) => one.status)).toEqual(['ok', 'ok', 'error', 'error', 'skipped']);
    expect(lines[1]?.found).toMatch(/appliance has none/);
    expect(lines[2]?.found).toBe(
      'rule DenyAllInBound (priority 65500) of gate-nsg denies TCP 25000 from 127.0.0.1',
    );
    expect(lines[2]?.next).toBe('standby appliance open-port gate');
    expect(lines[4]?.found).toMatch(/TCP does not connect/);
  });

  it('is opened by one rule for this machine that wins over a deny, and never by two', async () => {
    const cloud = await local.cloud();
    await cloud.network.addSecurityRule(await groupId(), deny);
    const proposal = await proposeOpenPort(context, { name: 'gate' });
    expect([proposal.sourcePrefix, proposal.warning]).toEqual(['127.0.0.1/32', undefined]);
    expect(proposal.groups).toMatchObject([
      { groupName: 'gate-nsg', place: 'NIC', decision: { access: 'deny' }, rule: { priority: 299 } },
    ]);
    expect(proposal.groups[0]?.overtakes.map((one) => one.name)).toEqual(['deny-all', 'DenyAllInBound']);
    const count = async () => (await cloud.network.securityGroup(await groupId()))?.rules.length;
    const before = (await count()) ?? 0;
    const first = await openPort(context, { name: 'gate', sourcePrefix: '127.0.0.1/32' });
    expect(first.added).toMatchObject([{ groupName: 'gate-nsg', priority: 299 }]);
    expect((await openPort(context, { name: 'gate', sourcePrefix: '127.0.0.1/32' })).added).toEqual([]);
    expect(await count()).toBe(before + 1);
    expect((await statuses()).slice(0, 3)).toEqual(['ok', 'ok', 'ok']);
  });

  it('is opened again when somebody has put a deny before its rule', async () => {
    const cloud = await local.cloud();
    const earlier = { ...deny, name: 'deny-earlier', priority: 200 };
    const before = (await cloud.network.addSecurityRule(await groupId(), earlier)).rules.length;
    expect((await statuses())[2]).toBe('error');
    const { added } = await openPort(context, { name: 'gate', sourcePrefix: '127.0.0.1/32' });
    expect(added.map((one) => one.priority)).toEqual([199]);
    expect((await cloud.network.securityGroup(await groupId()))?.rules).toHaveLength(before + 1);
    expect((await statuses())[2]).toBe('ok');
  });

  it('is not opened where no priority wins, and the group stays as it was', async () => {
    const cloud = await local.cloud();
    const first = { ...deny, name: 'deny-first', priority: 100 };
    const before = await cloud.network.addSecurityRule(await groupId(), first);
    const error = await failureOf(openPort(context, { name: 'gate', sourcePrefix: '198.51.100.7' }));
    expect([error.code, error.kind]).toEqual(['PRIORITY_NOT_FREE', 'input']);
    expect(error.what).toContain('deny-first (priority 100)');
    expect((await cloud.network.securityGroup(await groupId()))?.rules).toEqual(before.rules);
  });

  it('is proposed for everybody only with a warning, and refuses what is no prefix', async () => {
    await expect(proposeOpenPort(context, { name: 'gate', sourcePrefix: 'home' })).rejects.toThrow(
      /neither an IPv4/,
    );
    const cloud = await local.cloud();
    await deployAppliance(context, local.deployAnswers({ name: 'wide' }));
    const proposal = await proposeOpenPort(context, { name: 'wide', sourcePrefix: '*' });
    expect(proposal.warning).toMatch(/everybody on the Internet/);
    expect(proposal.groups.map((one) => one.rule?.sourcePrefixes)).toEqual([['*']]);
    expect((await cloud.listTagged('standby-scenario', 'appliance/wide')).length).toBeGreaterThan(4);
  });

  it('cannot be reached while the VM is stopped: nothing later is tried', async () => {
    const cloud = await local.cloud();
    const wide = await context.store.appliances.byName('wide');
    await cloud.machines.deallocate(wide?.azure?.vmId ?? '');
    const lines = await checkAppliance(context, 'wide', NO_WAIT);
    expect(lines.map((one) => one.status)).toEqual(['error', 'ok', 'error', 'skipped', 'skipped']);
    expect(lines[0]?.found).toBe('its power state is deallocated');
  });
});

describe('when Azure says no', () => {
  it('tells Azure’s own word, keeps the run, and goes on with the same resources', async () => {
    local.azure.faults.add({
      on: 'Microsoft.Compute/virtualMachines/write',
      error: 'AllocationFailed',
      times: 1,
    });
    const error = await failureOf(deployAppliance(context, local.deployAnswers({ name: 'second' })));
    expect(error.code).toBe('AllocationFailed');
    const failed = await failedRun('second');
    const record = await context.store.appliances.byName('second');
    const token = await context.secrets.get(`appliance/${record?.id}/token`);
    expect(token).toBeDefined();
    const elsewhere = local.deployAnswers({ name: 'second', resourceGroup: 'standby-2' });
    expect((await failureOf(deployAppliance(context, elsewhere))).code).toBe('RUN_IN_PROGRESS');
    const report = await deployAppliance(context, local.deployAnswers({ name: 'second' }));
    expect(report.run?.id).toBe(failed.id);
    expect(report.appliance.id).toBe(record?.id);
    expect(await context.secrets.get(`appliance/${record?.id}/token`)).toBe(token);
  });

  it('takes back what an unfinished deployment made, and the name is free again', async () => {
    local.azure.faults.add({
      on: 'Microsoft.Compute/virtualMachines/write',
      error: 'SkuNotAvailable',
      times: 1,
    });
    await failureOf(deployAppliance(context, local.deployAnswers({ name: 'third' })));
    const failed = await failedRun('third');
    const undone = await undoDeploy(context, failed.id);
    expect(undone.status).toBe('undone');
    const left = await (await local.cloud()).listTagged('standby-scenario', 'appliance/third');
    expect(left.map((one) => one.name)).toEqual(['third-nsg']);
    expect(await context.store.appliances.byName('third')).toBeUndefined();
    const { applianceId } = failed.input as { applianceId: string };
    expect(await context.secrets.get(`appliance/${applianceId}/token`)).toBeUndefined();
    expect((await deployAppliance(context, local.deployAnswers({ name: 'third' }))).already).toBe(false);
  });

  it('puts a VM that somebody deleted on the first line, and skips what it makes unknowable', async () => {
    const cloud = await local.cloud();
    const third = await context.store.appliances.byName('third');
    await cloud.machines.delete(third?.azure?.vmId ?? '', 'appliance/third');
    const lines = await checkAppliance(context, 'third');
    expect(lines.map((one) => one.status)).toEqual(['error', 'skipped', 'skipped', 'skipped', 'skipped']);
    expect(lines[0]?.code).toBe('VM_MISSING');
  });

  it('says so when Azure cannot be asked, and still tries the port itself', async () => {
    const gone = { ...context, cloudFor: () => Promise.reject(unreachable) };
    const { StandbyError: Wrong } = await import('../../../src/errors.ts');
    const unreachable = new Wrong({
      code: 'CLOUD_UNREACHABLE',
      what: 'Azure is not reached.',
      next: 'Look.',
    });
    const lines = await checkAppliance(gone, 'gate', { probeTimeoutMs: 500, firstBootWaitMs: 0 });
    expect(lines.map((one) => one.status)).toEqual(['error', 'skipped', 'skipped', 'error', 'skipped']);
    expect([lines[0]?.code, lines[0]?.next]).toEqual(['CLOUD_UNREACHABLE', 'Look.']);
  });
});
