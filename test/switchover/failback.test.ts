import { afterEach, describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import { MOMENTS_OF } from '../../src/model/redirect.ts';
import type { Scenario } from '../../src/model/scenario.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { undoPlan } from '../../src/plan/runner.ts';
import {
  failbackCancelPlan,
  failbackFromReplicaPlan,
  failbackPlan,
  failbackPreparePlan,
} from '../../src/switchover/failback.ts';
import { switchoverPlan } from '../../src/switchover/switchover.ts';
import { vmStopPlan } from '../../src/switchover/vm.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { Bench, type Phase } from '../fakes/bench.ts';
import { APPLIANCE_VM_ID } from '../fakes/fake-cloud.ts';
import { inventory, scenario } from '../fakes/scene.ts';

const benches: Bench[] = [];
const KILLED = ['started', 'acted', 'before-done'] as const satisfies readonly Phase[];
const RUN = 'run-2';
const SCRIPTS: Scenario['scripts'] = [
  { at: 'before-seal', command: ['/bin/true'], timeoutSeconds: 5 },
  ...MOMENTS_OF.FAILBACK.map((at) => ({
    at,
    events: ['FAILBACK'] as const,
    command: ['/bin/true'],
    timeoutSeconds: 5,
  })),
];

afterEach(async () => {
  for (const made of benches.splice(0)) await made.close();
});

async function synchronised(): Promise<Bench> {
  const on = await Bench.open();
  benches.push(on);
  on.changes = {
    inventory: { ...inventory(), fence: true },
    scenario: scenario({ scripts: SCRIPTS }),
    runScript: async () => ({ seconds: 0, logFile: 'script.log' }),
  };
  await on.run('run-0', synchronisePlan(on.work('run-0'), { lanes: 2, compression: 'none' }));
  return on;
}

async function switchedOver(): Promise<Bench> {
  const on = await synchronised();
  await on.run('run-1', switchoverPlan(on.work('run-1')));
  return on;
}

async function prepared(): Promise<Bench> {
  const on = await switchedOver();
  await on.run('run-p', preparing(on, 'run-p'));
  return on;
}

const vmIdOf = (on: Bench) =>
  [...on.fake.machines.values()].find((one) => one.name === 'web01')?.id ?? 'gone';
const preparing = (on: Bench, runId = RUN) => failbackPreparePlan(on.work(runId), { vmId: vmIdOf(on) });
const finishing = (on: Bench) => failbackPlan(on.work(RUN), { vmId: vmIdOf(on), removeStandby: false });
const fromReplica = (on: Bench) => failbackFromReplicaPlan(on.work(RUN));

async function world(on: Bench) {
  const { state, standbyVmId, activeRunId, reason, synchronisedAtMs, digests, epoch } = await on.status();
  return {
    resources: on.fake.all(),
    made: [...on.fake.made].sort(),
    machines: structuredClone([...on.fake.machines.values()]),
    status: { state, standbyVmId, activeRunId, reason, synchronisedAtMs, digests, epoch },
    sealed: on.appliance.sealed,
    fenced: on.appliance.fenced,
    restore: on.appliance.restore,
    events: (await on.store.events.list({ runId: RUN })).map((event) => event.code),
  };
}

const luns = (on: Bench) => on.fake.machines.get(APPLIANCE_VM_ID.toLowerCase())?.dataDisks ?? [];
const power = (on: Bench) => on.fake.machines.get(vmIdOf(on).toLowerCase())?.power;

describe('a failback', () => {
  it('is prepared while the standby works: copies of its disks on the appliance, and a restore that is not final', async () => {
    const on = await switchedOver();
    const before = on.fake.all();
    await on.run(RUN, preparing(on));
    expect(power(on)).toBe('running');
    expect(on.fake.all().length - before.length).toBe(4);
    expect(luns(on)).toHaveLength(5);
    expect(on.appliance.restore).toMatchObject({ restoreId: RUN, final: false });
    expect(on.appliance.restore?.disks.map(({ diskId, lun }) => `${diskId} ${lun}`)).toEqual([
      'disk0 3',
      'disk1 4',
    ]);
    const { status, fenced, sealed } = await world(on);
    expect(status).toMatchObject({ state: 'failing-back', reason: expect.stringContaining('--finish') });
    expect({ fenced, sealed }).toEqual({ fenced: true, sealed: true });
  });

  it('ends with the standby stopped, the master let on the network, and no copy left', async () => {
    const on = await prepared();
    const before = (await world(on)).resources;
    await on.run(RUN, finishing(on));
    const { status, fenced, resources, restore, events } = await world(on);
    expect(power(on)).toBe('deallocated');
    expect(status).toMatchObject({ state: 'stopped', epoch: 1, standbyVmId: vmIdOf(on) });
    expect({ fenced, restore }).toEqual({ fenced: false, restore: undefined });
    expect(before.length - resources.length).toBe(4);
    expect(luns(on)).toHaveLength(3);
    expect(events).toEqual(['FAILED_BACK']);
  });

  it('needs no preparation, and removes the standby when it is told to', async () => {
    const on = await switchedOver();
    const plan = failbackPlan(on.work(RUN), { vmId: vmIdOf(on), removeStandby: true });
    await on.run(RUN, plan);
    expect((await on.status()).standbyVmId).toBeUndefined();
    expect([...on.fake.machines.values()].map((one) => one.name)).toEqual(['appliance']);
    expect(on.fake.snapshots.size).toBe(0);
  });

  it.each([
    ['finish', prepared, finishing, '--finish'],
    ['from the replica', synchronised, fromReplica, '--from-replica'],
  ])('runs the scripts that are for it: %s', async (_, ready, plan, flag) => {
    const on = await ready();
    const calls: string[] = [];
    let broken = '';
    on.changes = {
      ...on.changes,
      runScript: async ({ at }, { event, facts }) => {
        calls.push(`${event} ${at} ${facts.VM_ID ?? 'none'} ${(await on.status()).state}`);
        if (at === broken)
          throw new StandbyError({ code: 'SCRIPT_FAILED', what: 'It failed.', next: 'Mend.' });
        return { seconds: 0, logFile: `${at}.log` };
      },
    };
    broken = 'after-restore';
    await expect(on.run(RUN, plan(on))).rejects.toMatchObject({
      code: 'SCRIPT_FAILED',
      next: expect.stringContaining(`standby failback web ${flag} --no-scripts`),
    });
    // Before the commit point: the standby is the server, and all can be taken back.
    const vmId = flag === '--finish' ? vmIdOf(on) : 'none';
    expect(calls).toEqual(
      ['before-restore', 'after-restore'].map((at) => `FAILBACK ${at} ${vmId} failing-back`),
    );
    broken = '';
    await on.run(RUN, plan(on));
    expect(calls.slice(2)).toEqual(
      MOMENTS_OF.FAILBACK.slice(1).map((at) => `FAILBACK ${at} ${vmId} failing-back`),
    );
    expect((await on.status()).state).toBe('stopped');
  });

  it('comes home without its scripts when it is told to', async () => {
    const on = await prepared();
    const runScript = async () => {
      throw new Error('nobody asked for it');
    };
    on.changes = { ...on.changes, leaveOut: { scripts: true }, runScript };
    await on.run(RUN, finishing(on));
    expect((await on.status()).state).toBe('stopped');
  });

  it('asks for the backup of a standby that is kept, once, and of none that is removed', async () => {
    const on = await switchedOver();
    let asked = 0;
    const backup = { window: { from: '01:00', to: '02:00' } } as unknown as Scenario['backup'];
    on.changes = {
      ...on.changes,
      scenario: { ...scenario(), ...(backup ? { backup } : {}) },
      requestBackup: async () => ({ runId: `backup-${++asked}` }),
    };
    const removing = failbackPlan(on.work(RUN), { vmId: vmIdOf(on), removeStandby: true });
    expect(removing.stages.flat().map((step) => step.id)).not.toContain('request-backup');
    await on.run(RUN, finishing(on));
    expect(asked).toBe(1);
  });

  it('that is prepared can be given up: the standby goes on, and nothing is left of it', async () => {
    const on = await switchedOver();
    const before = await world(on);
    await on.run('run-p', preparing(on, 'run-p'));
    const plan = failbackCancelPlan(on.work(RUN));
    await on.run(RUN, plan);
    expect(await world(on)).toEqual({ ...before, made: expect.anything(), events: ['FAILBACK_GIVEN_UP'] });
  });

  it('is refused without a standby, and from the replica with one', async () => {
    const on = await synchronised();
    await expect(on.run(RUN, preparing(on))).rejects.toMatchObject({
      code: 'NOT_SWITCHED_OVER',
      next: expect.stringContaining('--from-replica'),
    });
    const over = await switchedOver();
    await expect(over.run(RUN, fromReplica(over))).rejects.toMatchObject({ code: 'STANDBY_EXISTS' });
    const none = await Bench.open();
    benches.push(none);
    await expect(none.run(RUN, fromReplica(none))).rejects.toMatchObject({ code: 'NOTHING_COPIED' });
  });

  it('restores from the replica of a stopped scenario, which stays sealed until it is protected again', async () => {
    const on = await synchronised();
    await on.run(RUN, fromReplica(on));
    expect(await world(on)).toMatchObject({ sealed: true, restore: undefined, status: { state: 'stopped' } });
  });

  it('leaves a replica sealed that was sealed before, also when it is taken back', async () => {
    const on = await switchedOver();
    await on.run('run-s', vmStopPlan(on.work('run-s'), { vmId: vmIdOf(on), remove: true }));
    await on.crash(RUN, fromReplica(on), { stepId: 'await-restore', phase: 'started' });
    await on.undo(RUN, fromReplica(on));
    expect(await world(on)).toMatchObject({ sealed: true, restore: undefined, status: { state: 'stopped' } });
  });
});

const CASES: readonly (readonly [string, () => Promise<Bench>, (on: Bench) => Plan])[] = [
  ['prepare', switchedOver, preparing],
  ['finish', prepared, finishing],
  ['from the replica', synchronised, fromReplica],
];
/** Steps that a plan has in common with one that is tried already are not tried again. */
const tried = new Set<string>();

describe.each(CASES)('killed at every boundary: %s', async (name, ready, plan) => {
  const undisturbed = await ready();
  benches.pop();
  const before = await world(undisturbed);
  const steps = plan(undisturbed).stages.flat();
  const fresh = steps.filter((step) => !tried.has(step.id));
  for (const { id } of steps) tried.add(id);
  const made = fresh.flatMap((step) => step.makes ?? []).map((one) => one.name);
  await undisturbed.run(RUN, plan(undisturbed));
  const expected = await world(undisturbed);
  await undisturbed.close();
  const points = fresh.flatMap((step) => KILLED.map((phase) => ({ stepId: step.id, phase })));
  const commit = steps.findIndex((step) => step.commit);
  const last = commit < 0 ? steps.length - 1 : commit;
  const forward = steps.slice(last + 1).map((step) => step.id);
  const undoable = points.filter((point) => !forward.includes(point.stepId));
  /** What an earlier preparation made may be gone then; all else is as it was. */
  const isAsBefore = (after: Awaited<ReturnType<typeof world>>) => {
    const { status, sealed, fenced } = before;
    if (name === 'finish') return expect(after).toMatchObject({ status, sealed, fenced });
    return expect(after).toEqual({ ...before, made: expect.anything(), events: expect.anything() });
  };

  it.each(points)('dead at $stepId, $phase: a resume ends in the same world', async (point) => {
    const on = await ready();
    await on.crash(RUN, plan(on), point);
    await on.run(RUN, plan(on));
    expect(await world(on)).toEqual(expected);
  });

  it.each(made)('dead after Azure made %s and before anybody knew: no second one', async (one) => {
    const on = await ready();
    await on.crash(RUN, plan(on), { made: one });
    await on.run(RUN, plan(on));
    expect(await world(on)).toEqual(expected);
  });

  it.each(undoable)('dead at $stepId, $phase: undo leaves the standby as it was', async (point) => {
    const on = await ready();
    await on.crash(RUN, plan(on), point);
    await on.undo(RUN, plan(on));
    isAsBefore(await world(on));
    if (name === 'finish') expect(power(on)).toBe('running');
  });

  const acted = undoable.filter((point) => point.phase === 'acted' && point.stepId !== steps[last]?.id);
  it.each(acted)(
    'dead in the undo of $stepId: another undo leaves the standby as it was',
    async ({ stepId }) => {
      const on = await ready();
      const end = steps[last]?.id ?? '';
      await on.crash(RUN, plan(on), { stepId: end, phase: 'started' });
      await on.crash(RUN, plan(on), { stepId, phase: 'undo-acted' }, undoPlan);
      await on.undo(RUN, plan(on));
      isAsBefore(await world(on));
    },
  );

  it.each(forward)('dead at %s, after the commit point: undo is refused', async (stepId) => {
    const on = await ready();
    await on.crash(RUN, plan(on), { stepId, phase: 'started' });
    await expect(on.undo(RUN, plan(on))).rejects.toMatchObject({ code: 'PAST_COMMIT' });
  });
});
