import { afterEach, describe, expect, it } from 'vitest';
import { BACKUP_DEFAULTS } from '../../src/model/backup.ts';
import { MOMENTS_OF } from '../../src/model/redirect.ts';
import type { Scenario } from '../../src/model/scenario.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { undoPlan } from '../../src/plan/runner.ts';
import type { RecordState, Redirect } from '../../src/redirect/redirect.ts';
import { switchoverPlan } from '../../src/switchover/switchover.ts';
import { vmStartPlan, vmStopPlan } from '../../src/switchover/vm.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { Bench, type Phase } from '../fakes/bench.ts';
import { DNS_UPDATE, inventory, NOW_MS, scenario } from '../fakes/scene.ts';

/**
 * Every plan of a scenario, with everything that a scenario may have, dies at every step of its own list. (The plain switchover,
 * the first copy at rest, the ladder and the backup have tests of their own beside them, an appliance's deployment in
 * test/control/appliance.) A step that is added to a plan is covered without anyone remembering.
 */
const RUN = 'run-9';
const DEATHS = ['started', 'acted', 'before-done'] as const satisfies readonly Phase[];
const UNDO_DEATHS = ['undo-started', 'undo-acted'] as const satisfies readonly Phase[];
const COPY = { lanes: 2, compression: 'none' } as const;
const OLD: RecordState = { addresses: ['192.0.2.10'], ttlSeconds: 300 };

const RICH: Partial<Scenario> = {
  redirect: DNS_UPDATE,
  scripts: MOMENTS_OF.SWITCHOVER.map((at) => ({ at, command: ['/bin/true'], timeoutSeconds: 5 })),
  backup: BACKUP_DEFAULTS,
};

/** A bench with a DNS record, whoever asked for a backup, and what its scenario is. */
class Scene {
  readonly on: Bench;
  record = OLD;
  /** Runs of backups; asking twice gives the same one. */
  readonly backups = new Set<string>();

  constructor(on: Bench, change: Partial<Scenario>) {
    this.on = on;
    const redirect: Redirect = {
      title: 'A record www.example.test',
      current: async () => this.record,
      rehearse: async () => undefined,
      change: async (from, to) => {
        expect(this.record.addresses).toEqual(from.addresses);
        this.record = to;
      },
    };
    on.changes = {
      scenario: scenario(change),
      inventory: inventory({ fence: true }),
      redirect: async () => redirect,
      runScript: async ({ at }) => ({ seconds: 0, logFile: `${at}.log` }),
      requestBackup: async () => {
        this.backups.add('backup');
        return { runId: 'backup' };
      },
    };
  }

  async world() {
    const { on } = this;
    const { state, standbyVmId, switchedOverRunId, activeRunId, redirected, epoch } = await on.status();
    return {
      resources: on.fake.all(),
      made: [...on.fake.made].sort(),
      machines: [...on.fake.machines.values()],
      record: this.record,
      backups: this.backups.size,
      status: { state, standbyVmId, switchedOverRunId, activeRunId, redirected, epoch },
      sealed: on.appliance.sealed || on.appliance.live?.phase === 'sealed',
      fenced: on.appliance.fenced,
      epochs: on.appliance.opened.map((spec) => spec.epoch),
      events: (await on.store.events.list({ runId: RUN })).map((event) => event.code).sort(),
      run: (await on.store.runs.get(RUN))?.status,
    };
  }
}

const scenes: Scene[] = [];
afterEach(async () => {
  for (const { on } of scenes.splice(0)) await on.close();
});

interface Story {
  readonly name: string;
  readonly change: Partial<Scenario>;
  /** What was there before. */
  before(scene: Scene): Promise<void>;
  plan(on: Bench, vmId: string): Plan;
}

const copied = async ({ on }: Scene) => {
  await on.run('run-0', synchronisePlan(on.work('run-0'), COPY));
};
const stopped = async (scene: Scene) => {
  await copied(scene);
  await scene.on.store.statuses.update(scenario().id, (status) => ({ ...status, state: 'stopped' }));
};
const standing = async (scene: Scene) => {
  await copied(scene);
  await scene.on.run('run-1', switchoverPlan(scene.on.work('run-1')));
};
const deallocated = async (scene: Scene) => {
  await standing(scene);
  const { standbyVmId: vmId = '', redirected } = await scene.on.status();
  const options = { vmId, remove: false, ...(redirected ? { redirected } : {}) };
  await scene.on.run('run-2', vmStopPlan(scene.on.work('run-2'), options));
};
const REDIRECTED = {
  name: 'www.example.test',
  before: OLD,
  after: { addresses: ['20.0.0.4'], ttlSeconds: 300 },
};

const STORIES: readonly Story[] = [
  {
    name: 'a first copy that goes on live',
    change: { capture: 'compare' },
    before: async () => undefined,
    plan: (on) => synchronisePlan(on.work(RUN), { ...COPY, startAtMs: NOW_MS }),
  },
  {
    name: 'replica disks for a seed',
    change: {},
    before: async () => undefined,
    plan: (on) => synchronisePlan(on.work(RUN), { ...COPY, forSeed: true }),
  },
  {
    name: 'a planned switchover with everything',
    change: { ...RICH, capture: 'nbd' },
    before: copied,
    plan: (on) => switchoverPlan(on.work(RUN), { planned: true }),
  },
  {
    name: 'a start of the VM of a stopped scenario',
    change: RICH,
    before: stopped,
    plan: (on) => vmStartPlan(on.work(RUN)),
  },
  {
    name: 'a start of a VM that was only stopped',
    change: RICH,
    before: deallocated,
    plan: (on, existingVmId) => vmStartPlan(on.work(RUN), { existingVmId }),
  },
  {
    name: 'a stop of the VM',
    change: RICH,
    before: standing,
    plan: (on, vmId) => vmStopPlan(on.work(RUN), { vmId, remove: false, redirected: REDIRECTED }),
  },
  {
    name: 'a removal of the standby',
    change: RICH,
    before: standing,
    plan: (on, vmId) => vmStopPlan(on.work(RUN), { vmId, remove: true, redirected: REDIRECTED }),
  },
];

async function begin({ change, before }: Story): Promise<{ scene: Scene; vmId: string }> {
  const scene = new Scene(await Bench.open(), change);
  scenes.push(scene);
  await before(scene);
  return { scene, vmId: (await scene.on.status()).standbyVmId ?? '' };
}

describe.each(STORIES)('Killed at every boundary: $name', async (story) => {
  const { scene: undisturbed, vmId } = await begin(story);
  scenes.pop();
  const plan = (on: Bench) => story.plan(on, vmId);
  const before = await undisturbed.world();
  const steps = plan(undisturbed.on).stages.flat();
  await undisturbed.on.run(RUN, plan(undisturbed.on));
  const expected = await undisturbed.world();
  await undisturbed.on.close();
  const commit = steps.findIndex((step) => step.commit);
  it('does something', () => {
    expect(expected.run).toBe('done');
    expect(expected.status).not.toEqual(before.status);
  });

  // A death leaves the step undone, so the same step dies at each of its points in turn.
  it.each(steps.map((step) => step.id))(
    'dead three times at %s: a resume ends in the same world',
    async (stepId) => {
      const { scene } = await begin(story);
      for (const phase of DEATHS) await scene.on.crash(RUN, plan(scene.on), { stepId, phase });
      await scene.on.run(RUN, plan(scene.on));
      expect(await scene.world()).toEqual(expected);
    },
  );

  const taken = { ...before, made: expect.anything(), events: expect.anything(), run: 'undone' };
  const undoable = steps.slice(0, commit + 1).map((step) => step.id);

  it.runIf(commit >= 0).each(undoable.flatMap((stepId) => DEATHS.map((phase) => ({ stepId, phase }))))(
    'dead at $stepId, $phase, and while it is taken back: the next undo leaves exactly what was before',
    async (point) => {
      const { scene } = await begin(story);
      const { stepId } = point;
      await scene.on.crash(RUN, plan(scene.on), point);
      for (const phase of UNDO_DEATHS) await scene.on.crash(RUN, plan(scene.on), { stepId, phase }, undoPlan);
      await scene.on.undo(RUN, plan(scene.on));
      expect(await scene.world()).toEqual(taken);
    },
  );
});
