import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChecksFailed } from '../../src/control/checks-failed.ts';
import { listEvents } from '../../src/control/events.ts';
import { runScenario } from '../../src/control/run.ts';
import { listRuns, resume, undo } from '../../src/control/runs.ts';
import { createScenario, listScenarios, type ScenarioReport } from '../../src/control/scenario.ts';
import { removeScenario } from '../../src/control/scenario-remove.ts';
import { makeWork } from '../../src/control/scenario-work.ts';
import { exportScenario, scenarioFileFromYaml } from '../../src/control/scenario-yaml.ts';
import { scenarioStatus } from '../../src/control/status.ts';
import { stopScenario } from '../../src/control/stop.ts';
import { proposeSwitchover, switchOver, undoSwitchover } from '../../src/control/switchover.ts';
import { StandbyError } from '../../src/errors.ts';
import { scenarioEditWizard, scenarioWizard } from '../../wizards/scenario.ts';
import { NETWORK_ID, NSG_ID } from '../fakes/fake-cloud.ts';
import { BACK, scriptedHost } from '../wizards/scripted-host.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

let world: ScenarioWorld;
beforeEach(async () => {
  world = await scenarioWorld();
});
afterEach(() => world.close());

const create = (preset: Readonly<Record<string, unknown>> = {}, accept: readonly string[] = []) =>
  scenarioWizard(world.context, { preset: { ...ANSWERS, ...preset }, yes: true, accept });

async function acceptAll(): Promise<ScenarioReport> {
  try {
    return await create();
  } catch (error) {
    if (!(error instanceof ChecksFailed) || error.code !== 'CHECKS_FOUND_WARNINGS') throw error;
    return create(
      {},
      error.verdicts.filter((one) => one.status === 'warning').map((one) => one.code),
    );
  }
}

describe('Creating a scenario', () => {
  it('turns names into what they name, and leaves it stopped', async () => {
    const { scenario, status } = await acceptAll();
    expect(scenario).toMatchObject({
      serverType: 'full-system',
      productType: 'high-availability',
      replicaType: 'azure',
      switchoverMode: 'manual',
      accountId: 'account-1',
      applianceId: 'appliance-1',
      masterId: 'master-1',
      purpose: 'dr',
      isAlive: { ping: false },
      nics: [
        {
          masterNicId: 'nic0',
          virtualNetworkId: NETWORK_ID,
          address: { kind: 'static', ip: '10.0.1.20' },
          networkSecurityGroupId: NSG_ID,
          publicIp: true,
        },
        { masterNicId: 'nic1', virtualNetworkId: NETWORK_ID, address: { kind: 'dynamic' }, publicIp: false },
      ],
    });
    expect(status.state).toBe('stopped');
    expect(world.cloud.made).toEqual([]);
    const view = await scenarioStatus(world.context, 'web');
    expect(view).toMatchObject({ sentence: 'stopped, nothing has been copied yet', isAlive: 'off' });
  });

  it('saves nothing while a check finds an error, and shows all that was found', async () => {
    world.cloud.usages = world.cloud.usages.map((usage) => ({ ...usage, limit: usage.current }));
    const error = await create().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'CHECKS_FOUND_ERRORS', kind: 'checks' });
    expect(JSON.parse(JSON.stringify(error)).verdicts.length).toBeGreaterThan(5);
    expect(await listScenarios(world.context)).toEqual([]);
  });

  it('keeps who accepted a warning, and refuses to accept what was not found', async () => {
    await expect(create({}, ['NO_SUCH_WARNING'])).rejects.toMatchObject({
      code: 'WARNING_UNKNOWN',
      kind: 'input',
    });
    const { scenario, verdicts } = await acceptAll();
    const warnings = verdicts.filter((one) => one.status === 'warning').map((one) => one.code);
    expect(scenario.acceptedWarnings.map((one) => one.code).sort()).toEqual([...new Set(warnings)].sort());
    for (const accepted of scenario.acceptedWarnings) expect(accepted.who).not.toBe('');
  });

  it('refuses an address that is in use, outside of the subnet or reserved', async () => {
    world.cloud.takenAddresses = ['10.0.1.20'];
    await expect(create()).rejects.toThrow('10.0.1.20 is in use');
    await expect(create({ address: '10.0.2.20' })).rejects.toThrow('outside of the subnet');
    await expect(create({ address: '10.0.1.3' })).rejects.toThrow('Azure keeps 10.0.1.3');
  });

  it('shows why a size cannot be taken', async () => {
    world.cloud.sizes = world.cloud.sizes.map((size) =>
      size.name === 'Standard_D2s_v5' ? { ...size, generations: ['V2'], dataDisksMax: 0 } : size,
    );
    await expect(create()).rejects.toThrow('takes 0 data disks, the master has 1');
    world.cloud.sizes = world.cloud.sizes.map((size) => ({ ...size, dataDisksMax: 4 }));
    await expect(create()).rejects.toThrow('no generation 1 machines');
  });

  it('never leaves out the system volume, and turns is-alive off for a migration', async () => {
    await expect(create({ excludedVolumes: 'disk0/1' })).rejects.toThrow('system volume, always copied');
    await expect(create({ purpose: 'migration', isAlivePing: 'yes' })).rejects.toThrow('--is-alive-ping');
  });

  it('asks in the order of the guide, goes back, and saves nothing when it is left', async () => {
    const host = scriptedHost([
      'web',
      'migration',
      BACK,
      BACK,
      'web2',
      'dr',
      'ops@example.com',
      'web01',
      'japaneast',
      BACK,
    ]);
    const asking = scenarioWizard({ ...world.context, host }, { preset: {}, yes: false });
    await expect(asking).rejects.toThrow('Nothing was scripted for region');
    expect(host.asked.map((question) => question.name)).toEqual(
      'name purpose account purpose name purpose account master region appliance region'.split(' '),
    );
    expect(await listScenarios(world.context)).toEqual([]);
  });
});

describe('A scenario as YAML', () => {
  it('comes back as it went out, and holds no id and no secret', async () => {
    const { scenario } = await acceptAll();
    const { yaml } = await exportScenario(world.context, 'web');
    for (const id of [scenario.id, 'account-1', 'appliance-1', 'master-1', '/subscriptions/'])
      expect(yaml).not.toContain(id);
    await removeScenario(world.context, 'web', { deleteReplica: false });
    const accept = scenario.acceptedWarnings.map((one) => one.code);
    const back = await createScenario(world.context, await scenarioFileFromYaml(yaml), {
      accept,
      command: 'import',
    });
    const { id: _id, createdAtMs: _at, acceptedWarnings: _accepted, ...definition } = scenario;
    expect(back.scenario).toMatchObject(definition);
  });

  it('is refused with every problem at once, and never switches over by itself', async () => {
    await acceptAll();
    const { yaml } = await exportScenario(world.context, 'web');
    const edited = yaml
      .replace('manual', 'auto')
      .replace('publicIp: true', 'publicIp: maybe')
      .replace('capture: at-rest', 'capture: magic');
    const error = await scenarioFileFromYaml(`${edited}\nextra: 1\n`).catch(
      (reason: unknown) => reason as StandbyError,
    );
    expect(error).toMatchObject({ code: 'SCENARIO_INVALID', kind: 'input' });
    for (const part of ['switchoverMode', 'by hand only', 'nics.0.publicIp', 'capture', 'extra']) {
      expect((error as StandbyError).next).toContain(part);
    }
    await expect(scenarioFileFromYaml('a: [')).rejects.toMatchObject({ code: 'YAML_INVALID' });
    await expect(scenarioFileFromYaml('just a text')).rejects.toMatchObject({ code: 'SCENARIO_INVALID' });
  });

  it('names everything that means nothing here', async () => {
    await acceptAll();
    const { yaml } = await exportScenario(world.context, 'web');
    const foreign = yaml
      .replace('name: web\n', 'name: other\n')
      .replaceAll('recovery/lan', 'elsewhere/net')
      .replace('subnet: servers', 'subnet: none');
    const file = await scenarioFileFromYaml(foreign);
    const importing = createScenario(world.context, file, { accept: [], command: 'import' });
    const error = await importing.catch((reason: unknown) => reason as StandbyError);
    expect((error as StandbyError).next).toMatch(/nics\[0\].virtualNetwork.*nics\[1\].virtualNetwork/);
  });
});

describe('Running a scenario', () => {
  it('makes it synchronised, and says that nothing is being replicated', async () => {
    await acceptAll();
    const { status, resumed } = await runScenario(world.context, 'web');
    expect({ state: status.state, resumed }).toEqual({ state: 'synchronised', resumed: false });
    const view = await scenarioStatus(world.context, 'web');
    expect(view.sentence).toMatch(/^synchronised at \d{4}-.*, not replicating \(at rest\)$/);
    expect(view.disks.every((disk) => disk.digest !== undefined)).toBe(true);
    const codes = (await listEvents(world.context, { scenario: 'web' })).map((event) => event.code);
    expect(codes).toEqual(['SCENARIO_CREATED', 'SYNCHRONISED']);
  });

  it('says before the first copy, and only then, how large and slow it is', async () => {
    await acceptAll();
    const warnings = () => world.told.filter((one) => one.kind === 'text' && one.level === 'warning');
    await runScenario(world.context, 'web');
    expect(warnings()).toMatchObject([{ text: expect.stringMatching(/2 disks, 4\.0 GiB.*working hours/) }]);
    await runScenario(world.context, 'web');
    expect(warnings()).toHaveLength(1);
  });

  it('shows monitoring as off while nothing watches, also where the scenario wants it', async () => {
    const { scenario } = await acceptAll();
    await world.context.store.scenarios.update(scenario.id, (one) => ({ ...one, isAlive: { ping: true } }));
    expect(await scenarioStatus(world.context, 'web')).toMatchObject({ isAlive: 'off', isAliveWanted: true });
  });

  it('goes on with an unfinished run instead of beginning another', async () => {
    await acceptAll();
    world.cloud.beforeChange = (name) => {
      if (name.startsWith('disks.'))
        throw new StandbyError({ code: 'QuotaExceeded', what: 'No disk could be made.' });
    };
    await expect(runScenario(world.context, 'web')).rejects.toMatchObject({ code: 'QuotaExceeded' });
    world.cloud.beforeChange = () => undefined;
    const again = await runScenario(world.context, 'web');
    expect(again.resumed).toBe(true);
    expect((await listRuns(world.context)).map((run) => run.status)).toEqual(['done']);
  });

  it('is verified again before it runs', async () => {
    await acceptAll();
    world.cloud.groups.set('recovery', { id: '/x', name: 'recovery', location: 'westus2' });
    await expect(runScenario(world.context, 'web')).rejects.toMatchObject({ kind: 'checks' });
    expect(await listRuns(world.context)).toEqual([]);
  });

  it('can be stopped half-way: the run is given up and the scenario stopped', async () => {
    await acceptAll();
    world.appliance.failure = { code: 'DISK_CHANGED', what: 'disk0 changed.' };
    await expect(runScenario(world.context, 'web')).rejects.toMatchObject({ code: 'DISK_CHANGED' });
    expect((await scenarioStatus(world.context, 'web')).status.state).toBe('resync-needed');
    const stopped = await stopScenario(world.context, 'web');
    expect(stopped.status.state).toBe('stopped');
    expect((await listRuns(world.context)).map((run) => run.status)).toEqual(['cancelled']);
  });
});

describe('Switching over', () => {
  it('refuses a stopped scenario and says what can be done', async () => {
    await acceptAll();
    await expect(proposeSwitchover(world.context, 'web')).rejects.toMatchObject({
      code: 'SCENARIO_STOPPED',
      next: expect.stringContaining('standby run web'),
    });
    await runScenario(world.context, 'web');
    await stopScenario(world.context, 'web');
    await expect(proposeSwitchover(world.context, 'web')).rejects.toMatchObject({
      next: expect.stringContaining('standby vm start web'),
    });
  });

  it('makes exactly what it showed before', async () => {
    await acceptAll();
    await runScenario(world.context, 'web');
    const before = world.cloud.made.length;
    const proposal = await proposeSwitchover(world.context, 'web');
    expect(world.cloud.made.length).toBe(before);
    expect(proposal.loss.text).toContain('not being replicated');
    const { status, report } = await switchOver(world.context, proposal);
    expect(status.state).toBe('switched-over');
    expect(report.vm?.name).toBe('web01');
    const names = world.cloud.made.slice(before).map((id) => id.split('/').at(-1));
    expect(names.sort()).toEqual(proposal.makes.map(({ name }) => name).sort());
    await expect(proposeSwitchover(world.context, 'web')).rejects.toMatchObject({
      code: 'ALREADY_SWITCHED_OVER',
    });
    await expect(runScenario(world.context, 'web')).rejects.toMatchObject({ code: 'SCENARIO_BUSY' });
    await expect(stopScenario(world.context, 'web')).rejects.toMatchObject({ code: 'STANDBY_EXISTS' });
  });

  it('goes on under the same names after a failure, or is taken back', async () => {
    await acceptAll();
    await runScenario(world.context, 'web');
    const before = world.cloud.all();
    world.cloud.beforeChange = (name) => {
      if (name.startsWith('machines.create'))
        throw new StandbyError({ code: 'AllocationFailed', what: 'No machine is free.' });
    };
    const proposal = await proposeSwitchover(world.context, 'web');
    await expect(switchOver(world.context, proposal)).rejects.toMatchObject({ code: 'AllocationFailed' });
    const again = await proposeSwitchover(world.context, 'web');
    expect(again.runId).toBe(proposal.runId);
    expect(again.makes).toEqual(proposal.makes);
    await expect(runScenario(world.context, 'web')).rejects.toMatchObject({ code: 'SCENARIO_BUSY' });
    const { status } = await undoSwitchover(world.context, 'web');
    expect(status.state).toBe('synchronised');
    expect(world.cloud.all()).toEqual(before);
    await expect(undoSwitchover(world.context, 'web')).rejects.toMatchObject({ code: 'NOTHING_TO_UNDO' });
  });

  it('and a copy never work on one replica together, whichever comes first', async () => {
    await acceptAll();
    await runScenario(world.context, 'web');
    const proposal = await proposeSwitchover(world.context, 'web');
    const beforeSwitchover = await proposeSwitchover(world.context, 'web');
    // A copy that begins after the switchover was shown, and is under way when it is confirmed.
    world.appliance.failure = { code: 'DISK_CHANGED', what: 'disk0 changed.' };
    await expect(runScenario(world.context, 'web')).rejects.toMatchObject({ code: 'DISK_CHANGED' });
    await expect(switchOver(world.context, proposal)).rejects.toMatchObject({ code: 'RESYNC_NEEDED' });
    delete world.appliance.failure;
    expect((await runScenario(world.context, 'web')).status.state).toBe('synchronised');
    // An old copy that never got further than its first step is resumed after the switchover.
    await undoSwitchover(world.context, 'web');
    const run = { id: 'late', kind: 'run', subject: beforeSwitchover.scenario.id, title: 'Copy web' };
    await world.context.store.runs.create({ ...run, input: beforeSwitchover.input });
    const { status } = await switchOver(world.context, await proposeSwitchover(world.context, 'web'));
    await expect(resume(world.context, 'late')).rejects.toMatchObject({ code: 'SCENARIO_BUSY' });
    expect(await scenarioStatus(world.context, 'web')).toMatchObject({ status });
    const work = await makeWork(world.context, {
      runId: 'late',
      input: beforeSwitchover.input,
      moment: 'run',
    });
    await expect(work.setStatus({ state: 'preparing-disks', activeRunId: 'late' })).rejects.toMatchObject({
      code: 'SCENARIO_BUSY',
    });
  });

  it('is resumed by its run id, and by nothing when it has ended', async () => {
    await acceptAll();
    await runScenario(world.context, 'web');
    let fail = true;
    world.cloud.beforeChange = (name) => {
      if (fail && name.startsWith('machines.create'))
        throw new StandbyError({ code: 'AllocationFailed', what: 'None free.' });
    };
    const proposal = await proposeSwitchover(world.context, 'web');
    await expect(switchOver(world.context, proposal)).rejects.toMatchObject({ code: 'AllocationFailed' });
    fail = false;
    expect((await resume(world.context, proposal.runId.slice(0, 8))).run.status).toBe('done');
    await expect(resume(world.context, proposal.runId)).rejects.toMatchObject({ code: 'RUN_NOT_RESUMABLE' });
    await expect(undo(world.context, proposal.runId)).rejects.toMatchObject({ code: 'RUN_NOT_RESUMABLE' });
    await expect(resume(world.context, 'nothing')).rejects.toMatchObject({ code: 'RUN_UNKNOWN' });
  });
});

describe('Changing and removing a scenario', () => {
  const edit = (changes: Readonly<Record<string, unknown>>) =>
    scenarioEditWizard(world.context, { preset: { scenario: 'web', ...changes }, yes: true });

  it('changes what is named and keeps the rest', async () => {
    const { scenario } = await acceptAll();
    const edited = await edit({
      vmSize: 'Standard_B2s',
      address: 'dynamic',
      healthCheck: 'tcp',
      healthPort: '22',
    });
    expect(edited.scenario).toEqual({
      ...scenario,
      vm: { ...scenario.vm, size: 'Standard_B2s' },
      nics: [{ ...scenario.nics[0], address: { kind: 'dynamic' } }, scenario.nics[1]],
      healthChecks: [{ kind: 'tcp', port: 22 }],
    });
  });

  it('keeps what the copied disks depend on', async () => {
    await acceptAll();
    await runScenario(world.context, 'web');
    await expect(edit({ name: 'other' })).rejects.toMatchObject({ code: 'COPIES_EXIST' });
    await expect(edit({ diskType: 'Premium_LRS' })).rejects.toMatchObject({ code: 'COPIES_EXIST' });
    expect((await edit({ vmName: 'web02' })).scenario.vm.name).toBe('web02');
  });

  it('refuses while something is under way', async () => {
    await acceptAll();
    await runScenario(world.context, 'web');
    await switchOver(world.context, await proposeSwitchover(world.context, 'web'));
    await expect(edit({ vmName: 'web02' })).rejects.toMatchObject({ code: 'SCENARIO_BUSY' });
    await expect(removeScenario(world.context, 'web', { deleteReplica: true })).rejects.toMatchObject({
      code: 'SCENARIO_NOT_STOPPED',
    });
  });

  it('removes copied disks only when it is told to, and then nothing else', async () => {
    await acceptAll();
    await runScenario(world.context, 'web');
    await expect(removeScenario(world.context, 'web', { deleteReplica: true })).rejects.toMatchObject({
      code: 'SCENARIO_NOT_STOPPED',
    });
    await stopScenario(world.context, 'web');
    await expect(removeScenario(world.context, 'web', { deleteReplica: false })).rejects.toMatchObject({
      code: 'COPIES_EXIST',
    });
    const { deleted } = await removeScenario(world.context, 'web', { deleteReplica: true });
    expect(deleted).toHaveLength(2);
    expect(world.cloud.disks.size).toBe(0);
    expect([...world.cloud.machines.values()][0]?.dataDisks).toHaveLength(1);
    expect(await listScenarios(world.context)).toEqual([]);
  });
});
