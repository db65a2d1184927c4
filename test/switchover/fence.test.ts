import { afterEach, describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import { switchoverPlan } from '../../src/switchover/switchover.ts';
import { vmStopPlan } from '../../src/switchover/vm.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { Bench } from '../fakes/bench.ts';
import { inventory } from '../fakes/scene.ts';

/** Two heads never: where a master whose engine can take it off the network stands in the plans. */
const RUN = 'run-1';
const made: Bench[] = [];

async function scene(): Promise<Bench> {
  const on = await Bench.open();
  made.push(on);
  await on.run('run-0', synchronisePlan(on.work('run-0'), { lanes: 2, compression: 'none' }));
  on.changes = { inventory: inventory({ fence: true }) };
  return on;
}

afterEach(async () => {
  for (const one of made.splice(0)) await one.close();
});

const plan = (on: Bench) => switchoverPlan(on.work(RUN));

describe('A master that can be fenced', () => {
  it('is kept off the network before anything is sealed or made, and until its standby is removed', async () => {
    const on = await scene();
    const ids = plan(on)
      .stages.flat()
      .map((step) => step.id);
    expect(ids.slice(0, 3)).toEqual(['verify-scenario', 'fence-master', 'seal-replica']);
    await on.run(RUN, plan(on));
    expect(on.appliance.fenced).toBe(true);
    const { standbyVmId: vmId = '' } = await on.status();
    await on.run('stop', vmStopPlan(on.work('stop'), { vmId, remove: false }));
    expect(on.appliance.fenced).toBe(true);
    await on.run('remove', vmStopPlan(on.work('remove'), { vmId, remove: true }));
    expect(on.appliance.fenced).toBe(false);
  });

  it('that nobody can be told of any more is no reason to keep a removed standby unfinished', async () => {
    const on = await scene();
    await on.run(RUN, plan(on));
    const { standbyVmId: vmId = '' } = await on.status();
    on.appliance.refusals = [
      new StandbyError({ code: 'APPLIANCE_UNREACHABLE', what: 'No answer.', retry: 'later' }),
    ];
    await on.run('remove', vmStopPlan(on.work('remove'), { vmId, remove: true }));
    const events = await on.store.events.list({ runId: 'remove' });
    expect(events.map((one) => one.code)).toEqual(['MASTER_STAYS_FENCED', 'VM_REMOVED']);
  });

  it.each(['away', 'failed'] as const)(
    'that is %s stops the run before anything is made, and is remembered when a person says that it is off',
    async (outcome) => {
      const on = await scene();
      const before = on.fake.all();
      on.appliance.fenceOutcome = outcome;
      await expect(on.run(RUN, plan(on))).rejects.toMatchObject({
        code: 'MASTER_NOT_FENCED',
        what: expect.stringContaining('web01'),
        next: expect.stringContaining('standby switchover web --master-is-down'),
      });
      expect(on.fake.all()).toEqual(before);
      expect((await on.status()).state).toBe('synchronised');
      expect(on.appliance.fenced).toBe(false);
      on.changes = { ...on.changes, masterIsDown: true };
      await on.run(RUN, plan(on));
      expect((await on.status()).state).toBe('switched-over');
      expect(on.appliance.fenced).toBe(true);
    },
  );

  it.each(['started', 'acted', 'before-done'] as const)(
    'is fenced after a death at fence-master, %s; and let on again by an undo',
    async (phase) => {
      const on = await scene();
      const before = on.fake.all();
      await on.crash(RUN, plan(on), { stepId: 'fence-master', phase });
      await on.run(RUN, plan(on)).catch(() => undefined);
      expect(on.appliance.fenced).toBe(true);
      const again = await scene();
      await again.crash(RUN, plan(again), { stepId: 'fence-master', phase });
      await again.undo(RUN, plan(again));
      expect(again.appliance.fenced).toBe(false);
      expect(again.fake.all()).toEqual(before);
    },
  );
});
