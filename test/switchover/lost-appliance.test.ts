import { afterEach, describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import { switchoverPlan } from '../../src/switchover/switchover.ts';
import { vmStartPlan } from '../../src/switchover/vm.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { Bench } from '../fakes/bench.ts';
import { inventory } from '../fakes/scene.ts';

/** The appliance dies in the middle of a switchover, for good: there must be a way to a standby all the same. */
const RUN = 'run-1';
const GONE = new StandbyError({ code: 'APPLIANCE_UNREACHABLE', what: 'No answer.', retry: 'later' });
const made: Bench[] = [];

async function scene(): Promise<Bench> {
  const on = await Bench.open();
  made.push(on);
  await on.run('run-0', synchronisePlan(on.work('run-0'), { lanes: 2, compression: 'none' }));
  on.changes = { inventory: inventory({ fence: true }) };
  return on;
}

function loseAppliance(on: Bench): void {
  const connect = async (): Promise<never> => {
    throw GONE;
  };
  on.changes = { ...on.changes, connect };
}

afterEach(async () => {
  for (const one of made.splice(0)) await one.close();
});

const plan = (on: Bench) => switchoverPlan(on.work(RUN));

const any = await scene();
const ids = plan(any)
  .stages.flat()
  .map((step) => step.id);
await made.pop()?.close();
const beforeCommit = ids.slice(0, ids.indexOf('commit-switchover'));
const ofTheAppliance = ['fence-master', 'seal-replica', 'patch-replica'];

describe('A switchover whose appliance is lost', () => {
  it.each(beforeCommit)(
    'at %s is taken back without it when a person says so, and started from the disks',
    async (stepId) => {
      const on = await scene();
      const before = on.fake.all();
      await on.crash(RUN, plan(on), { stepId, phase: 'acted' });
      loseAppliance(on);
      if (stepId !== 'verify-scenario') {
        await expect(on.undo(RUN, plan(on))).rejects.toMatchObject({
          code: 'APPLIANCE_UNREACHABLE',
          next: expect.stringMatching(
            /standby switchover web --undo --without-appliance, then standby vm start web/,
          ),
        });
      }
      on.changes = { ...on.changes, withoutAppliance: true };
      await on.undo(RUN, plan(on));
      expect(on.fake.all()).toEqual(before);
      const wasSealed = ids.indexOf(stepId) >= ids.indexOf('seal-replica');
      expect((await on.status()).state).toBe(wasSealed ? 'stopped' : 'synchronised');
      const codes = (await on.store.events.list({ runId: RUN })).map((one) => one.code);
      expect(codes).toEqual(stepId === 'verify-scenario' ? [] : ['MASTER_STAYS_FENCED']);
      if (!wasSealed) return;
      await on.run('run-2', vmStartPlan(on.work('run-2')));
      expect(await on.status()).toMatchObject({ state: 'switched-over' });
    },
  );

  it.each(ofTheAppliance)('at %s is taken back as ever when the appliance answers', async (stepId) => {
    const on = await scene();
    await on.crash(RUN, plan(on), { stepId, phase: 'acted' });
    on.changes = { ...on.changes, withoutAppliance: true };
    await on.undo(RUN, plan(on));
    expect(await on.status()).toMatchObject({ state: 'synchronised' });
    expect(on.appliance).toMatchObject({ sealed: false, patched: false, fenced: false });
  });
});
