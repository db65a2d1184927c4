import { afterEach, describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import { BACKUP_DEFAULTS, type BackupSettings } from '../../src/model/backup.ts';
import { backupSnapshotName, standbyDiskName } from '../../src/model/names.ts';
import { tagsOf } from '../../src/model/tags.ts';
import { type BackupOptions, backupPlan, completeBackupOf } from '../../src/switchover/backup.ts';
import { REQUEST_BACKUP } from '../../src/switchover/steps/request-backup.ts';
import { switchoverPlan } from '../../src/switchover/switchover.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { Bench, type Phase } from '../fakes/bench.ts';
import { NOW_MS, scenario } from '../fakes/scene.ts';

const STANDBY = 'run-1';
const BACKUP = 'run-2';
const KILLED = ['started', 'acted', 'before-done'] as const satisfies readonly Phase[];

const benches: Bench[] = [];

/** Switched over, as far as a backup sees it: the disks are there under the names of the switchover's run. */
async function standby(): Promise<Bench> {
  const on = await Bench.open({ state: 'switched-over', epoch: 1, switchedOverRunId: STANDBY });
  benches.push(on);
  const { resourceGroup, diskType: type } = scenario().vm;
  for (const diskId of ['disk0', 'disk1'])
    await on.fake.cloud.disks.createEmpty({
      resourceGroup,
      name: standbyDiskName(scenario(), STANDBY, diskId),
      location: scenario().region,
      type,
      sizeGib: 2,
      tags: tagsOf(scenario().id, STANDBY, 'standby-disk'),
    });
  return on;
}

afterEach(async () => {
  for (const made of benches.splice(0)) await made.close();
});

function plan(on: Bench, runId = BACKUP, settings: Partial<BackupSettings> = {}, notBeforeMs = 0) {
  const options: BackupOptions = {
    settings: { ...BACKUP_DEFAULTS, ...settings },
    reason: 'switchover',
    standbyRunId: STANDBY,
    notBeforeMs,
    completeBackups: async () => {
      const runs = await on.store.runs.list({ kind: 'backup' });
      return runs.toReversed().flatMap((run) => completeBackupOf(run) ?? []);
    },
  };
  return backupPlan(on.work(runId), options);
}

const backups = (on: Bench) =>
  [...on.fake.snapshots.values()].filter((one) => one.tags['standby-role'] === 'backup');
const events = async (on: Bench, runId = BACKUP) =>
  (await on.store.events.list({ runId })).map((event) => event.code);

async function world(on: Bench) {
  return {
    resources: on.fake.all(),
    made: [...on.fake.made].sort(),
    machines: [...on.fake.machines.values()],
    status: await on.status(),
    events: await events(on),
  };
}

describe('A backup of the standby', () => {
  it('is a full snapshot of each of its disks under derived names, tagged, and touches nothing else', async () => {
    const on = await standby();
    const before = await world(on);
    await on.run(BACKUP, plan(on));
    expect(backups(on)).toEqual(
      ['disk0', 'disk1'].map((diskId) => ({
        id: expect.stringContaining('/snapshots/'),
        name: backupSnapshotName(scenario(), BACKUP, diskId),
        provisioning: 'Succeeded',
        incremental: false,
        sourceId: expect.stringContaining(standbyDiskName(scenario(), STANDBY, diskId)),
        tags: { 'standby-scenario': scenario().id, 'standby-run': BACKUP, 'standby-role': 'backup' },
      })),
    );
    const after = await world(on);
    const names = backups(on).map((one) => one.id);
    expect(after.resources.filter((id) => !names.includes(id))).toEqual(before.resources);
    expect(after).toMatchObject({
      machines: before.machines,
      status: before.status,
      events: ['BACKUP_DONE'],
    });
  });

  it('names before it begins what it will make', async () => {
    const on = await standby();
    const makes = plan(on)
      .stages.flat()
      .flatMap((step) => step.makes ?? []);
    await on.run(BACKUP, plan(on));
    expect(makes.map((one) => one.name)).toEqual(backups(on).map((one) => one.name));
  });

  it('waits for its time and for the end of the daily window, and says when it goes on', async () => {
    const on = await standby();
    const from = new Date(NOW_MS);
    const text = (minutes: number) => new Date(from.getTime() + minutes * 60_000).toTimeString().slice(0, 5);
    const begunAt = async (runId: string) => {
      const run = await on.store.runs.get(runId);
      return (run?.steps[0]?.output as { atMs: number } | undefined)?.atMs;
    };
    const first = on.clock.now();
    await on.run('at', plan(on, 'at', {}, first + 20 * 60_000));
    expect(await begunAt('at')).toBe(first + 20 * 60_000);
    expect(on.lines.join()).toContain('The backup begins at');
    const window = `${text(-60)}-${text(180)}`;
    await on.run('window', plan(on, 'window', { window }));
    expect(await begunAt('window')).toBe(NOW_MS + 180 * 60_000);
  });

  it('that died while the window began asks Azure for nothing before its end', async () => {
    const on = await standby();
    await on.crash(BACKUP, plan(on), { stepId: 'back-up-disk-disk1', phase: 'started' });
    const known = backups(on).length;
    const clock = (minutes: number) => new Date(on.clock.now() + minutes * 60_000).toTimeString().slice(0, 5);
    const endMs = on.clock.now() + 90 * 60_000;
    const asked: number[] = [];
    on.fake.beforeChange = (name) => void (name === 'disks.createSnapshot' && asked.push(on.clock.now()));
    await on.run(BACKUP, plan(on, BACKUP, { window: `${clock(-10)}-${clock(90)}` }));
    expect(asked).toHaveLength(2 - known);
    expect(asked.every((atMs) => atMs >= endMs - 60_000)).toBe(true);
  });

  it('says so when it took longer than it may and ran into the window', async () => {
    const on = await standby();
    const clock = (minutes: number) => new Date(on.clock.now() + minutes * 60_000).toTimeString().slice(0, 5);
    const settings = { window: `${clock(90)}-${clock(150)}` };
    await on.crash(BACKUP, plan(on, BACKUP, settings), { stepId: 'commit-backup', phase: 'started' });
    await on.clock.sleep(100 * 60_000);
    await on.run(BACKUP, plan(on, BACKUP, settings));
    const [done] = await on.store.events.list({ runId: BACKUP });
    expect(done).toMatchObject({
      level: 'warning',
      text: expect.stringContaining('ran into the daily window'),
    });
  });

  it('of a standby that is gone fails and can be given up', async () => {
    const on = await standby();
    on.fake.disks.delete(
      [...on.fake.disks.keys()].find((id) => id.endsWith(standbyDiskName(scenario(), STANDBY, 'disk1'))) ??
        '',
    );
    await expect(on.run(BACKUP, plan(on))).rejects.toMatchObject({ code: 'STANDBY_DISK_MISSING' });
    await on.undo(BACKUP, plan(on));
    expect(backups(on)).toEqual([]);
  });

  it('does not take a disk of somebody else for the standby’s', async () => {
    const on = await standby();
    for (const disk of on.fake.disks.values())
      if (disk.name === standbyDiskName(scenario(), STANDBY, 'disk1')) disk.tags = {};
    await expect(on.run(BACKUP, plan(on))).rejects.toMatchObject({ code: 'NOT_OURS' });
  });
});

describe('Killed at every boundary, a backup', async () => {
  const undisturbed = await standby();
  benches.pop();
  const before = await world(undisturbed);
  const steps = plan(undisturbed).stages.flat();
  const made = steps.flatMap((step) => step.makes ?? []).map((one) => one.name);
  await undisturbed.run(BACKUP, plan(undisturbed));
  const expected = await world(undisturbed);
  await undisturbed.close();
  const points = steps.flatMap((step) => KILLED.map((phase) => ({ stepId: step.id, phase })));
  const commit = steps.findIndex((step) => step.commit);
  const past = steps.slice(commit + 1).map((step) => step.id);

  it.each(points)('dead at $stepId, $phase: a resume ends in the same world', async (point) => {
    const on = await standby();
    await on.crash(BACKUP, plan(on), point);
    await on.run(BACKUP, plan(on));
    expect(await world(on)).toEqual(expected);
  });

  it.each(made)('dead after Azure made %s and before anybody knew: no second one', async (name) => {
    const on = await standby();
    await on.crash(BACKUP, plan(on), { made: name });
    await on.run(BACKUP, plan(on));
    expect(await world(on)).toEqual(expected);
  });

  it.each(points.filter(({ stepId }) => !past.includes(stepId)))(
    'dead at $stepId, $phase: undo leaves exactly what was before',
    async (point) => {
      const on = await standby();
      await on.crash(BACKUP, plan(on), point);
      await on.undo(BACKUP, plan(on));
      expect(await world(on)).toEqual({ ...before, made: expect.anything() });
    },
  );

  it.each(past)('dead at %s: it is complete, and is not taken back', async (stepId) => {
    const on = await standby();
    await on.crash(BACKUP, plan(on), { stepId, phase: 'started' });
    await expect(on.undo(BACKUP, plan(on))).rejects.toMatchObject({ code: 'PAST_COMMIT' });
    expect(backups(on)).toHaveLength(2);
  });
});

describe('Keeping backups', () => {
  const keep = { keep: 2 };
  const runsOf = (on: Bench) => [...new Set(backups(on).map((one) => one.tags['standby-run']))];

  async function three(): Promise<Bench> {
    const on = await standby();
    for (const runId of ['b-1', 'b-2']) await on.run(runId, plan(on, runId, keep));
    return on;
  }

  it('removes the oldest one beyond those that are kept, and says which snapshots went', async () => {
    const on = await three();
    const first = backups(on).filter((one) => one.tags['standby-run'] === 'b-1');
    await on.run('b-3', plan(on, 'b-3', keep));
    expect(runsOf(on)).toEqual(['b-2', 'b-3']);
    const [done] = await on.store.events.list({ runId: 'b-3' });
    expect(done?.data).toMatchObject({ removed: first.map((one) => one.id) });
  });

  it('deletes nothing without our tag, of another role, of an unknown run, or of one that is not whole', async () => {
    const on = await three();
    const put = (name: string, tags: Record<string, string>) =>
      on.fake.snapshots.set(`/${name}`, { id: `/${name}`, name, provisioning: 'Succeeded', tags });
    const ours = { 'standby-scenario': scenario().id, 'standby-role': 'backup' };
    put('no-tag', {});
    put('other-scenario', { ...ours, 'standby-scenario': 'other', 'standby-run': 'b-1' });
    put('other-role', { ...ours, 'standby-role': 'snapshot', 'standby-run': 'b-1' });
    put('unknown-run', { ...ours, 'standby-run': 'of-another-store' });
    await on.crash('b-dead', plan(on, 'b-dead', keep), { stepId: 'commit-backup', phase: 'started' });
    await on.undo('b-dead', plan(on, 'b-dead', keep));
    const [lost] = backups(on).filter((one) => one.tags['standby-run'] === 'b-2');
    on.fake.snapshots.delete(lost?.id.toLowerCase() ?? '');
    await on.run('b-3', plan(on, 'b-3', keep));
    // b-2 lost a part, so it does not count as one of the two that are kept: b-1 stays.
    expect(runsOf(on).sort()).toEqual(['b-1', 'b-2', 'b-3', 'of-another-store']);
    const foreign = ['/no-tag', '/other-scenario', '/other-role', '/unknown-run'];
    expect(foreign.filter((id) => !on.fake.snapshots.has(id))).toEqual([]);
  });

  it.each([1, 2, 3, 4])(
    'dead before change %i in the cloud: a resume leaves what an undisturbed one leaves',
    async (change) => {
      const on = await three();
      await on.crash('b-3', plan(on, 'b-3', keep), { change });
      await on.run('b-3', plan(on, 'b-3', keep));
      expect(runsOf(on)).toEqual(['b-2', 'b-3']);
      expect(backups(on)).toHaveLength(4);
    },
  );

  it('keeps the new backup when an old one cannot be deleted, and deletes it later', async () => {
    const on = await three();
    on.fake.beforeChange = (name) => {
      if (name === 'disks.deleteSnapshot') throw new StandbyError({ code: 'ScopeLocked', what: 'Locked.' });
    };
    await expect(on.run('b-3', plan(on, 'b-3', keep))).rejects.toMatchObject({ code: 'ScopeLocked' });
    expect(runsOf(on)).toEqual(['b-1', 'b-2', 'b-3']);
    on.fake.beforeChange = () => undefined;
    await on.run('b-3', plan(on, 'b-3', keep));
    expect(runsOf(on)).toEqual(['b-2', 'b-3']);
  });
});

describe('A switchover that asks for a backup', () => {
  const wants = { ...scenario(), backup: BACKUP_DEFAULTS };

  async function asking(): Promise<{ on: Bench; asked: string[] }> {
    const on = await Bench.open();
    benches.push(on);
    await on.run('run-0', synchronisePlan(on.work('run-0'), { lanes: 2, compression: 'none' }));
    const asked: string[] = [];
    on.changes = {
      scenario: wants,
      requestBackup: async () => {
        asked.push((await on.status()).state);
        return { runId: BACKUP };
      },
    };
    return { on, asked };
  }

  it('asks when everybody was told that the standby is live, and not before', async () => {
    const { on, asked } = await asking();
    const ids = switchoverPlan(on.work(STANDBY))
      .stages.flat()
      .map((step) => step.id);
    expect(ids.slice(-3)).toEqual(['commit-switchover', 'declare-switched-over', REQUEST_BACKUP]);
    await on.run(STANDBY, switchoverPlan(on.work(STANDBY)));
    expect(asked).toEqual(['switched-over']);
  });

  it.each(KILLED)('dead at the asking, %s: a resume ends it', async (phase) => {
    const { on } = await asking();
    const switchover = () => switchoverPlan(on.work(STANDBY));
    await on.crash(STANDBY, switchover(), { stepId: REQUEST_BACKUP, phase });
    expect((await on.status()).state).toBe('switched-over');
    expect(await on.run(STANDBY, switchover())).toMatchObject({ status: 'done' });
  });
});
