import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backUp, listBackups, removeBackups } from '../../src/control/backup.ts';
import { requestBackup } from '../../src/control/backup-request.ts';
import type { Context } from '../../src/control/context.ts';
import { listEvents } from '../../src/control/events.ts';
import { runScenario } from '../../src/control/run.ts';
import { listRuns, resume, undo } from '../../src/control/runs.ts';
import { createScenario } from '../../src/control/scenario.ts';
import { removeScenario } from '../../src/control/scenario-remove.ts';
import { exportScenario, scenarioFileFromYaml } from '../../src/control/scenario-yaml.ts';
import { backupJob } from '../../src/control/serve-backup.ts';
import { scenarioStatus } from '../../src/control/status.ts';
import { stopVm } from '../../src/control/vm.ts';
import { StandbyError } from '../../src/errors.ts';
import { scenarioEditWizard, scenarioWizard } from '../../wizards/scenario.ts';
import { switchoverWizard } from '../../wizards/switchover.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

let world: ScenarioWorld;
/** Processes that were to be started, instead of starting them. */
let detached: string[][];
let context: Context;

beforeEach(async () => {
  world = await scenarioWorld();
  detached = [];
  context = { ...world.context, detach: async (args) => void detached.push([...args]) };
});
afterEach(() => world.close());

const WANTED = { backupAfterSwitchover: 'yes', backupKeep: 2 };

async function switchedOver(answers: Readonly<Record<string, unknown>> = WANTED) {
  await scenarioWizard(context, { preset: { ...ANSWERS, ...answers }, yes: true });
  await runScenario(context, 'web', {});
  return switchoverWizard(context, { preset: { scenario: 'web' }, yes: true });
}

const codes = async () => (await listEvents(context, { scenario: 'web' })).map((event) => event.code);
const unfinished = async () => (await listRuns(context, { unfinished: true })).map((run) => run.kind);
const refuseSnapshots = () => {
  world.cloud.beforeChange = (name) => {
    if (name === 'disks.createSnapshot') throw new StandbyError({ code: 'QuotaExceeded', what: 'No more.' });
  };
};

describe('After a switchover', () => {
  it('a backup is begun by another process, while the switchover is complete already', async () => {
    const { report, status } = await switchedOver();
    const runId = report.backup?.runId ?? '';
    expect(detached).toEqual([['resume', runId]]);
    expect(status.state).toBe('switched-over');
    expect(await unfinished()).toEqual(['backup']);
    expect((await listBackups(context, 'web')).backups).toMatchObject([{ runId, state: 'unfinished' }]);
    await resume(context, runId);
    expect(await unfinished()).toEqual([]);
    const { backups } = await listBackups(context, 'web');
    expect(backups).toMatchObject([{ runId, state: 'complete', reason: 'switchover' }]);
    expect(backups[0]?.snapshots).toHaveLength(2);
    expect(await codes()).toContain('BACKUP_DONE');
  });

  it('none is begun when the scenario asks for none, and a start of the VM is no switchover', async () => {
    const { report } = await switchedOver({});
    expect(report.backup).toBeUndefined();
    expect([detached, await unfinished()]).toEqual([[], []]);
  });

  it('one that fails is told, and changes nothing of the standby', async () => {
    const { report } = await switchedOver();
    const before = [await scenarioStatus(context, 'web'), [...world.cloud.machines.values()]];
    refuseSnapshots();
    await expect(resume(context, report.backup?.runId ?? '')).rejects.toMatchObject({
      code: 'QuotaExceeded',
    });
    expect([await scenarioStatus(context, 'web'), [...world.cloud.machines.values()]]).toEqual(before);
    const told = (await listEvents(context, { scenario: 'web' })).find((one) => one.code === 'BACKUP_FAILED');
    expect(told).toMatchObject({
      level: 'error',
      text: expect.stringContaining('The standby is not touched'),
    });
  });

  it('one whose process could not be started is no fault of the switchover; standby serve goes on with it', async () => {
    const refuse = () =>
      Promise.reject(new StandbyError({ code: 'PROCESS_NOT_STARTED', what: 'No process.' }));
    context = { ...context, detach: refuse };
    expect((await switchedOver()).status.state).toBe('switched-over');
    await backupJob.run(context);
    expect(await codes()).toContain('BACKUP_DONE');
  });

  it('one that waits for its time keeps nobody from removing the standby, and can be given up', async () => {
    const later = new Date(context.clock.now() + 3 * 3_600_000).toTimeString().slice(0, 5);
    const { report } = await switchedOver({ ...WANTED, backupAt: later });
    expect(report.backup?.notBeforeMs).toBeGreaterThan(context.clock.now());
    await backupJob.run(context);
    expect(await codes()).not.toContain('BACKUP_DONE');
    await stopVm(context, 'web', { remove: true });
    await expect(removeScenario(context, 'web', { deleteReplica: true })).rejects.toMatchObject({
      code: 'SCENARIO_NOT_STOPPED',
      next: expect.stringContaining('--undo'),
    });
    await undo(context, report.backup?.runId ?? '');
    await removeScenario(context, 'web', { deleteReplica: true });
  });

  it('another one that has not ended means that a person has to do it, and that is told once', async () => {
    const { scenario } = await switchedOver();
    const again = await requestBackup(context, scenario, 'failback-1');
    await requestBackup(context, scenario, 'failback-1');
    expect(again).toEqual({ manual: expect.stringContaining('standby backup web') });
    expect((await codes()).filter((code) => code === 'BACKUP_MANUAL_NEEDED')).toHaveLength(1);
    expect(detached).toHaveLength(1);
  });
});

describe('After a failback', () => {
  it('a backup is asked for once, however often it is asked for', async () => {
    const { scenario, report } = await switchedOver();
    await resume(context, report.backup?.runId ?? '');
    const first = await requestBackup(context, scenario, 'failback-1');
    expect(await requestBackup(context, scenario, 'failback-1')).toEqual(first);
    expect(await unfinished()).toEqual(['backup']);
    await resume(context, first?.runId ?? '');
    const { backups } = await listBackups(context, 'web');
    expect(backups.map((one) => one.reason)).toEqual(['failback', 'switchover']);
  });
});

describe('A backup by hand', () => {
  it('is taken of any standby, and goes on with one that failed', async () => {
    await switchedOver({});
    refuseSnapshots();
    await expect(backUp(context, 'web', { detach: false })).rejects.toMatchObject({ code: 'QuotaExceeded' });
    world.cloud.beforeChange = () => undefined;
    const { run } = await backUp(context, 'web', { detach: false });
    expect(run.status).toBe('done');
    expect((await listBackups(context, 'web')).backups).toHaveLength(1);
    const { run: begun } = await backUp(context, 'web', { detach: true });
    expect(detached).toEqual([['resume', begun.id]]);
  });

  it('is refused without a standby, and leaves no run', async () => {
    await scenarioWizard(context, { preset: ANSWERS, yes: true });
    await expect(backUp(context, 'web', { detach: false })).rejects.toMatchObject({
      code: 'NO_STANDBY',
      kind: 'input',
    });
    expect(await unfinished()).toEqual([]);
  });

  it('outlives its standby, keeps the scenario from being forgotten, and goes when it is removed', async () => {
    await switchedOver({});
    const { run } = await backUp(context, 'web', { detach: false });
    await stopVm(context, 'web', { remove: true });
    expect((await listBackups(context, 'web')).backups).toMatchObject([{ state: 'complete' }]);
    await expect(removeScenario(context, 'web', { deleteReplica: true })).rejects.toMatchObject({
      code: 'BACKUPS_EXIST',
    });
    await expect(removeBackups(context, 'web', { runId: 'none' })).rejects.toMatchObject({
      code: 'BACKUP_UNKNOWN',
    });
    await removeBackups(context, 'web', { runId: run.id.slice(0, 8) });
    expect((await listBackups(context, 'web')).backups).toEqual([]);
    await removeScenario(context, 'web', { deleteReplica: true });
  });

  it('that somebody has deleted a part of shows as damaged', async () => {
    await switchedOver({});
    await backUp(context, 'web', { detach: false });
    const [part] = [...world.cloud.snapshots.keys()].filter((id) => id.includes('backup'));
    world.cloud.snapshots.delete(part ?? '');
    expect((await listBackups(context, 'web')).backups).toMatchObject([{ state: 'damaged' }]);
    await removeBackups(context, 'web', 'all');
    expect((await listBackups(context, 'web')).backups).toEqual([]);
  });
});

describe('The settings', () => {
  const OVERLAPPING = { ...WANTED, backupWindow: '23:00-04:00', backupAt: '22:30' };

  it('are refused when the backup would overlap the daily window, in flags as in a file', async () => {
    await expect(
      scenarioWizard(context, { preset: { ...ANSWERS, ...OVERLAPPING }, yes: true }),
    ).rejects.toMatchObject({ kind: 'input' });
    expect(await context.store.scenarios.list()).toEqual([]);
    await scenarioWizard(context, { preset: { ...ANSWERS, ...OVERLAPPING, backupAt: '21:30' }, yes: true });
    const { yaml } = await exportScenario(context, 'web');
    const file = await scenarioFileFromYaml(
      yaml.replace('21:30', '22:30').replace('name: web\n', 'name: web2\n'),
    );
    await expect(createScenario(context, file, { accept: [], command: 'import' })).rejects.toMatchObject({
      next: expect.stringContaining('overlaps the daily window'),
    });
  });

  it('travel with the scenario, and stay when something else of it is edited', async () => {
    await scenarioWizard(context, { preset: { ...ANSWERS, ...OVERLAPPING, backupAt: '21:30' }, yes: true });
    await scenarioEditWizard(context, { preset: { scenario: 'web', vmName: 'web02' }, yes: true });
    const { yaml } = await exportScenario(context, 'web');
    expect((await scenarioFileFromYaml(yaml)).backup).toEqual({
      at: '21:30',
      window: '23:00-04:00',
      minutes: 60,
      keep: 2,
    });
  });
});
