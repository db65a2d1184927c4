import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../src/clock.ts';
import { changeStatus } from '../../src/control/scenario-status.ts';
import { openStore } from '../../src/control/store/open-store.ts';
import { silentLog } from '../../src/log.ts';
import type { ScenarioStatus } from '../../src/model/scenario.ts';
import { makeOwner } from '../../src/plan/owner.ts';
import type { Plan, RunRecord, RunStore, StepRecord } from '../../src/plan/plan.ts';
import type { StepPhase } from '../../src/plan/run-options.ts';
import { runPlan, undoPlan } from '../../src/plan/runner.ts';
import type { Store } from '../../src/ports/store.ts';
import type { Work, WorkProgress } from '../../src/switchover/work.ts';
import { IN_MEMORY } from '../fixtures/in-memory.ts';
import { FakeAppliance } from './fake-appliance.ts';
import { appliance, inventory, NOW_MS, rightCloud, scenario } from './scene.ts';

/**
 * The real runner and the real store around a fake world. The world and the store outlive a "process"; `crash` ends
 * a process at a point as `kill -9` would: from there on nothing it does reaches the store, and its lease stays held.
 */
export type Phase = StepPhase;

export class Bench {
  readonly fake = rightCloud();
  readonly appliance = new FakeAppliance(this.fake);
  readonly store: Store;
  readonly #folder: string;
  readonly progress: WorkProgress[] = [];
  readonly lines: string[] = [];
  readonly clock = fastClock();
  changes: Partial<Work> = {};

  constructor(store: Store, folder: string) {
    this.store = store;
    this.#folder = folder;
  }

  static async open(status: Partial<ScenarioStatus> = {}): Promise<Bench> {
    const folder = await mkdtemp(join(IN_MEMORY, 'standby-bench-'));
    const bench = new Bench(await openStore(join(folder, 'store.sqlite')), folder);
    await bench.store.statuses.insert({
      id: scenario().id,
      name: scenario().name,
      state: 'stopped',
      sinceMs: 0,
      epoch: 0,
      ...status,
    });
    return bench;
  }

  async close(): Promise<void> {
    await this.store.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async status(): Promise<ScenarioStatus> {
    const status = await this.store.statuses.get(scenario().id);
    if (!status) throw new Error('the bench has a status');
    return status;
  }

  work(runId: string): Work {
    return {
      runId,
      scenario: scenario(),
      inventory: inventory(),
      appliance: appliance(),
      cloud: this.fake.cloud,
      clock: this.clock,
      connect: this.appliance.connect,
      status: () => this.status(),
      setStatus: (change) => changeStatus(this, scenario(), change),
      event: async (event) => {
        const known = await this.store.events.list({ runId });
        if (known.some((one) => one.code === event.code)) return;
        await this.store.events.append({ ...event, id: `${runId}/${event.code}`, atMs: NOW_MS, runId });
      },
      verify: async () => [],
      tellProgress: (progress) => this.progress.push(progress),
      ...this.changes,
    };
  }

  async begin(runId: string, plan: Plan): Promise<RunRecord> {
    const known = await this.store.runs.get(runId);
    const { kind, title } = plan;
    return known ?? this.store.runs.create({ id: runId, kind, subject: scenario().id, title, input: {} });
  }

  async run(runId: string, plan: Plan): Promise<RunRecord> {
    return runPlan(await this.#options(runId, plan, this.store.runs, makeOwner()));
  }

  async undo(runId: string, plan: Plan): Promise<RunRecord> {
    return undoPlan(await this.#options(runId, plan, this.store.runs, makeOwner()));
  }

  /** Runs until that point (a step's, a name made, a first checkpoint, the n-th change in the cloud) and dies there. Throws when the point was never reached. */
  async crash(
    runId: string,
    plan: Plan,
    point: { stepId: string; phase: Phase } | { made: string } | { saved: string } | { change: number },
    act: typeof runPlan = runPlan,
  ): Promise<void> {
    const death = new AbortController();
    const die = () => {
      death.abort(new Error('killed'));
      throw new Error('killed');
    };
    // A process that is known to be gone: the next one need not wait for its lease.
    const owner = makeOwner().replace(/[^/]+$/, '1');
    const options = await this.#options(
      runId,
      plan,
      mortal(this.store.runs, death.signal, 'saved' in point ? { stepId: point.saved, die } : undefined),
      owner,
    );
    const { beforeChange } = this.fake;
    let changes = 0;
    this.fake.beforeChange = (name, resource) => {
      changes += 1;
      if (death.signal.aborted || ('change' in point && changes === point.change)) die();
      beforeChange(name, resource);
    };
    if ('made' in point) this.fake.afterMade = (id) => void (id.endsWith(point.made) && die());
    const atPoint = (at: { stepId: string; phase: Phase }) => {
      if (death.signal.aborted) die();
      if ('stepId' in point && at.stepId === point.stepId && at.phase === point.phase) die();
    };
    try {
      await act({ ...options, signal: death.signal, atPoint });
    } catch (error) {
      if (!death.signal.aborted) throw error;
    } finally {
      this.fake.beforeChange = beforeChange;
      this.fake.afterMade = () => undefined;
    }
    if (!death.signal.aborted) throw new Error(`never came to ${JSON.stringify(point)}`);
  }

  async #options(runId: string, plan: Plan, store: RunStore, owner: string) {
    return {
      store,
      plan,
      run: await this.begin(runId, plan),
      owner,
      clock: hastyClock,
      log: silentLog,
      signal: new AbortController().signal,
      onProgress: (_stepId: string, text: string) => void this.lines.push(text),
    };
  }
}

/** After death no call reaches the store. A step may be made to die right after its first checkpoint is durable. */
function mortal(store: RunStore, death: AbortSignal, saved?: { stepId: string; die: () => void }): RunStore {
  return new Proxy(store, {
    get(target, name: keyof RunStore) {
      const method = target[name] as (...given: unknown[]) => Promise<unknown>;
      return async (...given: unknown[]) => {
        death.throwIfAborted();
        const result = await method.apply(target, given);
        const step = name === 'writeStep' ? (given[1] as StepRecord) : undefined;
        if (step && step.stepId === saved?.stepId && step.checkpoint !== undefined) saved.die();
        return result;
      };
    },
  });
}

/** True time, short waits: the runner's, and of any control whose waits are for a machine that is a fake here. */
export const hastyClock: Clock = {
  now: systemClock.now,
  sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 20), signal),
};

/** The steps': a wait takes no time, and the time is over afterwards. */
function fastClock(): Clock {
  let nowMs = NOW_MS;
  return {
    now: () => nowMs,
    async sleep(ms, signal) {
      await systemClock.sleep(0, signal);
      nowMs += ms;
    },
  };
}
