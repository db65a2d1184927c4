import { afterEach, describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import { switchoverReport } from '../../src/switchover/report.ts';
import { vmStartPlan, vmStopPlan } from '../../src/switchover/vm.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { Bench, type Phase } from '../fakes/bench.ts';
import { scenario } from '../fakes/scene.ts';

const benches: Bench[] = [];
const GONE = new StandbyError({ code: 'APPLIANCE_UNREACHABLE', what: 'No answer.', retry: 'later' });

/** Copied once, then stopped. */
async function stopped(): Promise<Bench> {
  const on = await Bench.open();
  benches.push(on);
  await on.run('run-0', synchronisePlan(on.work('run-0'), { lanes: 2, compression: 'none' }));
  await on.store.statuses.update(scenario().id, (status) => ({ ...status, state: 'stopped' }));
  return on;
}

afterEach(async () => {
  for (const made of benches.splice(0)) await made.close();
});

async function started(): Promise<{ on: Bench; vmId: string; before: string[] }> {
  const on = await stopped();
  const before = on.fake.all();
  await on.run('run-1', vmStartPlan(on.work('run-1')));
  return { on, before, vmId: (await on.status()).standbyVmId ?? '' };
}

describe('vm start', () => {
  it('boots the copied disks of a stopped scenario', async () => {
    const { on, vmId } = await started();
    expect(await on.status()).toMatchObject({
      state: 'switched-over',
      standbyVmId: expect.stringContaining('web01'),
    });
    expect(on.fake.machines.get(vmId.toLowerCase())?.power).toBe('running');
    expect(on.appliance.sealed).toBe(true);
  });

  it('does without an appliance, and says that nothing was sealed', async () => {
    const on = await stopped();
    on.appliance.refusals = [GONE];
    const run = await on.run('run-1', vmStartPlan(on.work('run-1')));
    const { copied } = switchoverReport(on.work('run-1'), run);
    expect(copied).toMatchObject({ sealed: false, notSealedBecause: 'No answer.', epoch: 1 });
    expect(on.lines.join()).toContain('The seal could not be done');
  });

  it('can be taken back without an appliance', async () => {
    const on = await stopped();
    const before = on.fake.all();
    on.appliance.refusals = [GONE];
    await on.crash('run-1', vmStartPlan(on.work('run-1')), { stepId: 'prove-boot', phase: 'started' });
    on.appliance.refusals = [GONE];
    await on.undo('run-1', vmStartPlan(on.work('run-1')));
    expect(on.fake.all()).toEqual(before);
    expect((await on.status()).state).toBe('stopped');
  });

  it('that died at the seal can be taken back without an appliance', async () => {
    const on = await stopped();
    await on.crash('run-1', vmStartPlan(on.work('run-1')), { stepId: 'seal-replica', phase: 'acted' });
    on.appliance.refusals = [GONE];
    await on.undo('run-1', vmStartPlan(on.work('run-1')));
    expect((await on.status()).state).toBe('stopped');
    expect(on.lines.join()).toContain('If the replica was sealed, it is still');
  });

  it('is refused while the scenario works, and when nothing was ever copied', async () => {
    const on = await stopped();
    await on.store.statuses.update(scenario().id, (status) => ({ ...status, state: 'synchronised' }));
    await expect(on.run('run-1', vmStartPlan(on.work('run-1')))).rejects.toMatchObject({
      code: 'SCENARIO_NOT_STOPPED',
    });
    const empty = await Bench.open();
    benches.push(empty);
    await expect(empty.run('run-1', vmStartPlan(empty.work('run-1')))).rejects.toMatchObject({
      code: 'NOTHING_COPIED',
    });
  });

  it('starts a standby that was only stopped, and makes nothing', async () => {
    const { on, vmId } = await started();
    await on.run('run-2', vmStopPlan(on.work('run-2'), { vmId, remove: false }));
    expect(on.fake.machines.get(vmId.toLowerCase())?.power).toBe('deallocated');
    expect(await on.status()).toMatchObject({ state: 'stopped', standbyVmId: vmId });
    const made = [...on.fake.made];
    const run = await on.run('run-3', vmStartPlan(on.work('run-3'), { existingVmId: vmId }));
    const report = switchoverReport(on.work('run-3'), run);
    expect(report.events.map((event) => event.code)).toEqual(['VM_ONLINE']);
    expect(report.boot?.outcome).toBe('skipped');
    expect(report.addresses).toEqual([
      { masterNicId: 'nic0', privateIp: expect.any(String), publicIp: '20.0.0.4' },
      { masterNicId: 'nic1', privateIp: expect.any(String) },
    ]);
    expect(report.checklist.join()).toContain('20.0.0.4');
    expect(on.fake.machines.get(vmId.toLowerCase())?.power).toBe('running');
    expect(on.fake.made).toEqual(made);
    expect(await on.status()).toMatchObject({ state: 'switched-over', switchedOverRunId: 'run-1' });
  });
});

describe('vm stop --remove', () => {
  const KILLED = ['started', 'acted', 'before-done'] as const satisfies readonly Phase[];

  it('removes everything of the standby and leaves the replica', async () => {
    const { on, vmId, before } = await started();
    await on.run('run-2', vmStopPlan(on.work('run-2'), { vmId, remove: true }));
    expect(on.fake.all()).toEqual(before);
    const status = await on.status();
    expect(status.state).toBe('stopped');
    expect(status.standbyVmId).toBeUndefined();
  });

  it.each(
    ['deallocate-machine', 'remove-standby', 'declare-stopped'].flatMap((stepId) =>
      KILLED.map((phase) => ({ stepId, phase })),
    ),
  )('dead at $stepId, $phase: the same command ends it', async (point) => {
    const { on, vmId, before } = await started();
    const plan = () => vmStopPlan(on.work('run-2'), { vmId, remove: true });
    await on.crash('run-2', plan(), point);
    await on.run('run-2', plan());
    expect(on.fake.all()).toEqual(before);
  });

  it('goes on after a deletion that failed in the middle, though the VM is gone by then', async () => {
    const { on, vmId, before } = await started();
    const plan = () => vmStopPlan(on.work('run-2'), { vmId, remove: true });
    on.fake.beforeChange = (name) => {
      if (name === 'network.deletePublicIp') throw new StandbyError({ code: 'ScopeLocked', what: 'Locked.' });
    };
    await expect(on.run('run-2', plan())).rejects.toMatchObject({ code: 'ScopeLocked' });
    on.fake.beforeChange = () => undefined;
    await on.run('run-2', plan());
    expect(on.fake.all()).toEqual(before);
  });

  it('leaves alone what somebody else hung on the VM', async () => {
    const { on, vmId, before } = await started();
    const foreign = [...on.fake.disks.values()].find((disk) => disk.name.includes('disk-disk1'));
    if (!foreign) throw new Error('the standby has a data disk');
    foreign.tags = {};
    await on.run('run-2', vmStopPlan(on.work('run-2'), { vmId, remove: true }));
    expect(on.fake.all()).toEqual([...before, foreign.id].sort());
  });
});
