import { afterEach, describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import { standbyDiskName } from '../../src/model/names.ts';
import { undoPlan } from '../../src/plan/runner.ts';
import { reportNotices, switchoverReport } from '../../src/switchover/report.ts';
import { switchoverPlan } from '../../src/switchover/switchover.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { Bench, type Phase } from '../fakes/bench.ts';
import { scenario } from '../fakes/scene.ts';

const benches: Bench[] = [];

/** A scenario whose first copy is finished. */
async function synchronised(): Promise<Bench> {
  const on = await Bench.open();
  benches.push(on);
  on.fake.beforeChange = (name) => assertPatched(on, name);
  await on.run('run-0', synchronisePlan(on.work('run-0'), { lanes: 2, compression: 'none' }));
  return on;
}

/** Whenever it died before: a snapshot is never made of a replica without its patch. */
function assertPatched(on: Bench, change: string): void {
  if (change === 'disks.createSnapshot' && !on.appliance.patched)
    throw new Error('a snapshot would be made without the patch');
}

afterEach(async () => {
  for (const made of benches.splice(0)) await made.close();
});

const RUN = 'run-1';
const plan = (on: Bench) => switchoverPlan(on.work(RUN));
const KILLED = ['started', 'acted', 'before-done'] as const satisfies readonly Phase[];

/** The standby's world: everything in Azure, what was ever made, the status and the events. */
async function world(on: Bench) {
  const { state, standbyVmId, switchedOverRunId, activeRunId, synchronisedAtMs, digests } = await on.status();
  return {
    resources: on.fake.all(),
    made: [...on.fake.made].sort(),
    machines: [...on.fake.machines.values()],
    state,
    standbyVmId,
    switchedOverRunId,
    activeRunId,
    synchronisedAtMs,
    digests,
    sealed: on.appliance.sealed,
    patched: on.appliance.patched,
    events: (await on.store.events.list({ runId: RUN })).map((event) => event.code),
  };
}

describe('a switchover', () => {
  it('builds the VM from copies of the replica and declares it live', async () => {
    const on = await synchronised();
    const before = on.fake.all();
    await on.run(RUN, plan(on));
    const after = await world(on);
    expect(after).toMatchObject({ state: 'switched-over', switchedOverRunId: RUN, sealed: true });
    expect(after.events).toEqual(['FAILBACK_HINT', 'SWITCHOVER_COMPLETE', 'VM_ONLINE']);
    const machine = on.fake.machines.get(after.standbyVmId?.toLowerCase() ?? '');
    expect(machine).toMatchObject({ name: 'web01', osType: 'Linux', power: 'running' });
    expect(machine?.osDiskId).toContain(standbyDiskName(scenario(), RUN, 'disk0'));
    expect(machine?.dataDisks).toEqual([{ diskId: expect.stringContaining('disk-disk1'), lun: 0 }]);
    expect(machine?.nicIds).toHaveLength(2);
    // The replica is where it was: two snapshots, two disks, two NICs, one address and the VM are new.
    expect(before.every((id) => on.fake.all().includes(id))).toBe(true);
    expect(on.fake.all().length - before.length).toBe(8);
  });

  it('gives a NIC the DNS servers that the scenario names for it, and the others none', async () => {
    const on = await synchronised();
    const work = on.work(RUN);
    const [first, ...others] = work.scenario.nics;
    if (!first) throw new Error('the scene has NICs');
    const nics = [{ ...first, dnsServers: ['10.0.1.9', '10.0.1.10'] }, ...others];
    await on.run(RUN, switchoverPlan({ ...work, scenario: { ...work.scenario, nics } }));
    const servers = [...on.fake.nics.values()].map((nic) => nic.dnsServers);
    expect(servers).toEqual([['10.0.1.9', '10.0.1.10'], undefined]);
  });

  it('shows before it begins every resource that it will make, under the names it then has', async () => {
    const on = await synchronised();
    const before = on.fake.all();
    const makes = plan(on)
      .stages.flat()
      .flatMap((step) => step.makes ?? []);
    expect(on.fake.all()).toEqual(before);
    await on.run(RUN, plan(on));
    const names = on.fake
      .all()
      .filter((id) => !before.includes(id))
      .map((id) => id.split('/').at(-1));
    expect(makes.map((made) => made.name).sort()).toEqual(names.sort());
  });

  it('names in every step that calls Azure the actions that it needs', async () => {
    const on = await synchronised();
    for (const step of plan(on).stages.flat())
      if (step.makes) expect(step.actions?.length).toBeGreaterThan(0);
  });

  it('is refused while nothing is copied, and says where to go', async () => {
    const on = await Bench.open();
    benches.push(on);
    await expect(on.run(RUN, plan(on))).rejects.toMatchObject({
      code: 'SCENARIO_STOPPED',
      next: expect.stringContaining('standby run web'),
    });
    expect(on.fake.made).toEqual([]);
  });

  it('is refused when the appliance holds another copy than the agreed one, and can then be taken back', async () => {
    const on = await synchronised();
    on.appliance.content = 'b';
    await expect(on.run(RUN, plan(on))).rejects.toMatchObject({ code: 'REPLICA_NOT_THE_SAME' });
    await on.undo(RUN, plan(on));
    expect((await on.status()).state).toBe('synchronised');
    expect(on.appliance.sealed).toBe(false);
  });
});

describe('the patch of the sealed copy', () => {
  it('is off the replica again when the standby is there, and told in the report', async () => {
    const on = await synchronised();
    const run = await on.run(RUN, plan(on));
    expect(on.appliance.patched).toBe(false);
    const { patch } = switchoverReport(on.work(RUN), run);
    expect(patch).toMatchObject({ changes: [{ diskId: 'disk0', code: 'GPT_BACKUP' }], verdict: 'ready' });
    expect(JSON.stringify(reportNotices(switchoverReport(on.work(RUN), run)))).toContain('GPT_BACKUP');
  });

  it('left out is never made, and one that a failed try left is taken back before the snapshots', async () => {
    const on = await synchronised();
    await on.crash(RUN, plan(on), { stepId: 'patch-replica', phase: 'acted' });
    expect(on.appliance.patched).toBe(true);
    const made: boolean[] = [];
    on.fake.beforeChange = (name) => {
      if (name === 'disks.createSnapshot') made.push(on.appliance.patched);
    };
    on.changes = { ...on.changes, leaveOut: { patch: true } };
    const run = await on.run(RUN, plan(on));
    expect(made).toEqual([false, false]);
    expect(switchoverReport(on.work(RUN), run).patch).toMatchObject({
      changes: [],
      leftOut: '--no-patch was given',
    });
  });

  it('that does not cure everything stops nothing, and the report names what stands in the way', async () => {
    const on = await synchronised();
    const left = { diskId: 'disk0', code: 'VMBUS_START', text: 'vmbus: ControlSet001: no such service' };
    on.appliance.patch = {
      ...on.appliance.patch,
      left: [left],
      verdict: 'not ready',
      faults: ['VMBUS_START'],
    };
    const run = await on.run(RUN, plan(on));
    expect((await on.status()).state).toBe('switched-over');
    const told = JSON.stringify(reportNotices(switchoverReport(on.work(RUN), run)));
    expect(told).toContain('no such service');
    expect(told).toContain('Not ready to start in Azure, also with the changes: VMBUS_START');
  });
});

describe('killed at every boundary', async () => {
  const undisturbed = await synchronised();
  benches.pop();
  const before = await world(undisturbed);
  const steps = plan(undisturbed).stages.flat();
  const made = steps.flatMap((step) => step.makes ?? []).map((one) => one.name);
  await undisturbed.run(RUN, plan(undisturbed));
  const expected = await world(undisturbed);
  await undisturbed.close();
  const points = steps.flatMap((step) => KILLED.map((phase) => ({ stepId: step.id, phase })));

  it.each(points)('dead at $stepId, $phase: a resume ends in the same world', async (point) => {
    const on = await synchronised();
    await on.crash(RUN, plan(on), point);
    await on.run(RUN, plan(on));
    expect(await world(on)).toEqual(expected);
  });

  it.each(made)(
    'dead after Azure made %s and before anybody knew: a resume makes no second one',
    async (name) => {
      const on = await synchronised();
      await on.crash(RUN, plan(on), { made: name });
      await on.run(RUN, plan(on));
      expect(await world(on)).toEqual(expected);
    },
  );

  const commit = steps.findIndex((step) => step.commit);
  const forward = steps.slice(commit + 1).map((step) => step.id);
  const undoable = points.filter((point) => !forward.includes(point.stepId));

  it('tells nobody that the standby is live before its commit point', async () => {
    expect(forward).toEqual(['declare-switched-over']);
    const on = await synchronised();
    await on.crash(RUN, plan(on), { stepId: 'commit-switchover', phase: 'before-done' });
    expect(await world(on)).toMatchObject({ state: 'switching-over', standbyVmId: undefined, events: [] });
  });

  it.each(forward)('dead at %s, after the commit point: undo is refused', async (stepId) => {
    const on = await synchronised();
    await on.crash(RUN, plan(on), { stepId, phase: 'started' });
    await expect(on.undo(RUN, plan(on))).rejects.toMatchObject({ code: 'PAST_COMMIT' });
    await on.run(RUN, plan(on));
    expect(await world(on)).toEqual(expected);
  });

  it.each(undoable)('dead at $stepId, $phase: undo leaves exactly what was before', async (point) => {
    const on = await synchronised();
    await on.crash(RUN, plan(on), point);
    await on.undo(RUN, plan(on));
    expect(await world(on)).toEqual({ ...before, made: expect.anything(), events: expect.anything() });
  });

  const UNDOING = ['undo-started', 'undo-acted'] as const;
  const undoing = undoable
    .filter((point) => point.phase === 'acted' && !steps[commit]?.id.includes(point.stepId))
    .flatMap(({ stepId }) => UNDOING.map((phase) => ({ stepId, phase })));

  it.each(undoing)('dead at $stepId, $phase: another undo leaves exactly what was before', async (point) => {
    const on = await synchronised();
    await on.crash(RUN, plan(on), { stepId: 'commit-switchover', phase: 'started' });
    await on.crash(RUN, plan(on), point, undoPlan);
    await on.undo(RUN, plan(on));
    expect(await world(on)).toEqual({ ...before, made: expect.anything(), events: expect.anything() });
  });

  it.each(undoing.filter(({ phase }) => phase === 'undo-acted'))(
    'dead at $stepId, $phase: whoever resumes instead gets the whole standby',
    async (point) => {
      const on = await synchronised();
      await on.crash(RUN, plan(on), { stepId: 'commit-switchover', phase: 'started' });
      await on.crash(RUN, plan(on), point, undoPlan);
      await on.run(RUN, plan(on));
      expect(await world(on)).toEqual({ ...expected, made: expect.anything() });
    },
  );

  it.each(made)('dead after Azure made %s and before anybody knew: undo finds it', async (name) => {
    const on = await synchronised();
    await on.crash(RUN, plan(on), { made: name });
    await on.undo(RUN, plan(on));
    expect((await world(on)).resources).toEqual(before.resources);
  });

  it('cannot be undone once it is declared', async () => {
    const on = await synchronised();
    await on.run(RUN, plan(on));
    await expect(on.undo(RUN, plan(on))).rejects.toMatchObject({ code: 'PAST_COMMIT' });
    expect(await world(on)).toEqual(expected);
  });
});

describe('a step that fails', () => {
  const full = () => {
    throw new StandbyError({
      code: 'AllocationFailed',
      what: 'The VM could not be made.',
      next: 'Try later.',
    });
  };

  it('says what stands in Azure, how to go on and how to take it back', async () => {
    const on = await synchronised();
    on.fake.beforeChange = (name) => void (name === 'machines.createFromDisks' && full());
    const failed = (await on.run(RUN, plan(on)).catch((error: unknown) => error)) as StandbyError;
    expect(failed.code).toBe('AllocationFailed');
    const made = plan(on)
      .stages.flat()
      .flatMap((step) => step.makes ?? []);
    for (const { name } of made) expect(failed.next).toContain(name);
    expect(failed.next).toContain(`standby resume ${RUN}`);
    expect(failed.next).toContain('standby switchover web --undo');
  });

  it('leaves a failed VM that the next try removes and makes anew', async () => {
    const on = await synchronised();
    on.fake.beforeChange = (name) => void (name === 'machines.createFromDisks' && full());
    await expect(on.run(RUN, plan(on))).rejects.toMatchObject({ code: 'AllocationFailed' });
    expect([...on.fake.machines.values()].map((one) => one.provisioning)).toContain('Failed');
    on.fake.beforeChange = () => undefined;
    await on.run(RUN, plan(on));
    expect([...on.fake.machines.values()].every((one) => one.provisioning === 'Succeeded')).toBe(true);
    expect((await on.status()).state).toBe('switched-over');
  });

  it('leaves a failed VM that undo removes', async () => {
    const on = await synchronised();
    const before = on.fake.all();
    on.fake.beforeChange = (name) => void (name === 'machines.createFromDisks' && full());
    await expect(on.run(RUN, plan(on))).rejects.toThrow();
    on.fake.beforeChange = () => undefined;
    await on.undo(RUN, plan(on));
    expect(on.fake.all()).toEqual(before);
  });

  it('undo deletes nothing that somebody else made under a name of ours', async () => {
    const on = await synchronised();
    await on.crash(RUN, plan(on), { stepId: 'create-virtual-machine', phase: 'started' });
    const name = standbyDiskName(scenario(), RUN, 'disk1');
    for (const disk of on.fake.disks.values()) if (disk.name === name) disk.tags = {};
    await expect(on.undo(RUN, plan(on))).rejects.toMatchObject({ code: 'NOT_OURS' });
    expect(on.fake.all().some((id) => id.endsWith(name))).toBe(true);
  });

  it('is not made good by the VM of an earlier run', async () => {
    const on = await synchronised();
    await on.run(RUN, plan(on));
    await on.store.statuses.update(scenario().id, (status) => ({ ...status, state: 'synchronised' }));
    const again = switchoverPlan(on.work('run-2'));
    await expect(on.run('run-2', again)).rejects.toMatchObject({ code: 'STANDBY_EXISTS' });
  });

  it('an appliance that cannot be reached stops it before anything is made', async () => {
    const on = await synchronised();
    const made = [...on.fake.made];
    on.appliance.refusals = [
      new StandbyError({ code: 'APPLIANCE_UNREACHABLE', what: 'No answer.', retry: 'later' }),
    ];
    await expect(on.run(RUN, plan(on))).rejects.toMatchObject({
      code: 'APPLIANCE_UNREACHABLE',
      what: expect.stringContaining('could not be sealed'),
    });
    expect(on.fake.made).toEqual(made);
    await on.run(RUN, plan(on));
    expect((await on.status()).state).toBe('switched-over');
  });
});

describe('the report', () => {
  it('has every resource id, address, step time, the last position, the events and whom to tell', async () => {
    const on = await synchronised();
    const before = on.fake.all();
    const run = await on.run(RUN, plan(on));
    const report = switchoverReport(on.work(RUN), run);
    const made = on.fake.all().filter((id) => !before.includes(id));
    expect(report.resources.map((one) => one.id).sort()).toEqual(made);
    expect(report.steps.every((step) => step.status === 'done' && step.ms !== undefined)).toBe(true);
    expect(report.addresses).toEqual([
      { masterNicId: 'nic0', privateIp: '10.0.1.20', publicIp: '20.0.0.4' },
      { masterNicId: 'nic1', privateIp: expect.stringMatching(/^10\.0\.1\./) },
    ]);
    expect(report.copied).toMatchObject({
      sealed: true,
      epoch: 1,
      digests: [{ diskId: 'disk0' }, { diskId: 'disk1' }],
    });
    const texts = report.events.map((event) => event.text);
    expect(texts[1]).toContain('"web01"');
    expect(texts[2]).toBe(`${report.vm?.id} is now online.`);
    expect(report.tell.join(' ')).toContain('20.0.0.4');
    expect(report.checklist.length).toBeGreaterThan(3);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it('says boot skipped, and never proven, where no guest runs', async () => {
    const on = await synchronised();
    const run = await on.run(RUN, plan(on));
    const report = switchoverReport(on.work(RUN), run);
    expect(report.boot?.outcome).toBe('skipped');
    expect(report.boot?.verdicts.map((one) => `${one.status} ${one.code}`)).toEqual([
      'ok POWER_RUNNING',
      'skipped BOOT_SKIPPED',
    ]);
    const text = JSON.stringify(reportNotices(report));
    expect(text).toContain('Boot skipped.');
    expect(text).not.toContain('proven');
  });

  it('of a failed run shows what there is and claims nothing', async () => {
    const on = await synchronised();
    on.fake.beforeChange = (name) => {
      if (name === 'machines.createFromDisks') throw new StandbyError({ code: 'QuotaExceeded', what: 'No.' });
    };
    await expect(on.run(RUN, plan(on))).rejects.toThrow();
    const run = await on.store.runs.get(RUN);
    if (!run) throw new Error('the run is stored');
    const report = switchoverReport(on.work(RUN), run);
    expect(report).toMatchObject({ live: false, status: 'failed', events: [], checklist: [], tell: [] });
    expect(report.vm).toBeUndefined();
    expect(report.resources).toHaveLength(7);
    expect(reportNotices(report).length).toBeGreaterThan(2);
  });
});
