import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { Context } from '../../src/control/context.ts';
import { runScenario } from '../../src/control/run.ts';
import { resume } from '../../src/control/runs.ts';
import { proposeSwitchover, type SwitchoverOutcome, switchOver } from '../../src/control/switchover.ts';
import { messageOf, StandbyError } from '../../src/errors.ts';
import { BACKUP_DEFAULTS } from '../../src/model/backup.ts';
import { makeOwner } from '../../src/plan/owner.ts';
import type { Cloud } from '../../src/ports/cloud.ts';
import { FakeAppliance } from '../fakes/fake-appliance.ts';
import type { FakeCloud } from '../fakes/fake-cloud.ts';
import { appliance, inventory, NOW_MS, rightCloud, scenario } from '../fakes/scene.ts';
import { onEachStore } from '../fixtures/stores.ts';
import { makeContext, type TestContext } from './make-context.ts';

/**
 * Two control machines share one PostgreSQL store. A stands still (as under SIGSTOP, or behind a cut network) at each thing
 * that it changes, just before or just after it; B takes over and ends the work; then A comes back and goes on where it was.
 * (A request to patch the replica that arrives late is no matter: the appliance takes the patch off before anybody writes.)
 */
type Side = 'before' | 'after';

/** Longer than a lease; what a lease's heartbeat sleeps. */
const STOOD_MS = 60_000;
const BEAT_MS = 3000;

/** Everything that A changes goes through here, and stands still at the n-th. Nothing of A moves while it stands. */
class Freezer {
  readonly #at: number;
  readonly #side: Side;
  readonly #thaw = Promise.withResolvers<void>();
  readonly #frozen = Promise.withResolvers<void>();
  /** The verbs that changed something, in order. */
  readonly changes: string[] = [];
  stands = false;

  constructor(at = Number.POSITIVE_INFINITY, side: Side = 'before') {
    this.#at = at;
    this.#side = side;
  }

  get isCalm(): boolean {
    return this.#at === Number.POSITIVE_INFINITY;
  }

  get frozen(): Promise<void> {
    return this.#frozen.promise;
  }

  thaw(): void {
    this.#thaw.resolve();
  }

  /** Whoever stood still finds that the time has gone on. Short pauses are shorter; the heartbeat's is as it is. */
  readonly clock: Clock = {
    now: () => systemClock.now() + (this.stands ? STOOD_MS : 0),
    sleep: (ms, signal) => systemClock.sleep(ms >= BEAT_MS ? ms : Math.min(ms, 20), signal),
  };

  async pass<Out>(change: string | undefined, act: () => Promise<Out>): Promise<Out> {
    if (this.stands) await this.#thaw.promise;
    const isHere = change !== undefined && this.changes.push(change) === this.#at;
    if (isHere && this.#side === 'before') await this.#stand();
    const out = await act();
    if (isHere && this.#side === 'after') await this.#stand();
    if (this.stands) await this.#thaw.promise;
    return out;
  }

  async #stand(): Promise<void> {
    this.stands = true;
    this.#frozen.resolve();
    await this.#thaw.promise;
  }

  /** An object whose asynchronous verbs pass through here; `changing` says which of them change something. */
  around<Part extends object>(part: Part, changing: RegExp): Part {
    const freezer = this;
    return new Proxy(part, {
      get(target, name, receiver) {
        const verb: unknown = Reflect.get(target, name, receiver);
        if (typeof verb !== 'function') return verb;
        return (...given: unknown[]) =>
          freezer.pass(changing.test(String(name)) ? String(name) : undefined, async () =>
            verb.apply(target, given),
          );
      },
    });
  }
}

/** A request that is under way when the machine stops arrives late; what is written down is a reason to go on. */
function cellsOf(change: string, at: number): readonly (readonly [number, Side])[] {
  if (change !== 'writeStep') return [[at, 'before']];
  return at % 4 === 0
    ? [
        [at, 'before'],
        [at, 'after'],
      ]
    : [[at, 'after']];
}

interface World {
  readonly cloud: FakeCloud;
  readonly appliance: FakeAppliance;
  readonly b: TestContext;
}

onEachStore('Two control machines', (makeUrl) => {
  /** What of each machine outlives its story: the way to the store. */
  const bases: TestContext[] = [];
  let isServer = false;
  beforeAll(async () => {
    const storeUrl = await makeUrl();
    isServer = storeUrl.startsWith('postgres');
    for (let machines = 0; machines < 2; machines++) bases.push(await makeContext({ storeUrl }));
  });
  afterAll(async () => {
    await Promise.all(bases.splice(0).map((one) => one.close()));
  });

  /** One machine of the two. */
  async function machine(
    world: Pick<World, 'cloud' | 'appliance'>,
    freezer = new Freezer(),
  ): Promise<TestContext> {
    const made = freezer.isCalm ? bases[1] : bases[0];
    if (!made) throw new Error('there are two machines');
    const cloud: Cloud = {
      ...world.cloud.cloud,
      disks: freezer.around(world.cloud.cloud.disks, /^(create|delete)/),
      network: freezer.around(world.cloud.cloud.network, /^(create|delete)/),
      machines: freezer.around(world.cloud.cloud.machines, /^(create|delete|start)/),
    };
    const { store } = made;
    return {
      ...made,
      clock: freezer.clock,
      store: {
        ...store,
        statuses: freezer.around(store.statuses, /^update$/),
        events: freezer.around(store.events, /^append$/),
        runs: freezer.around(store.runs, /^(writeStep|finish)$/),
      },
      cloudFor: async () => cloud,
      connect: async () =>
        freezer.around(await world.appliance.connect(), /^(seal|unseal|patchReplica|unpatchReplica)$/),
      host: { ...made.host, interactive: false },
    };
  }

  /** A scenario that is copied, in a store that holds nothing else. */
  async function copied(): Promise<World> {
    const cloud = rightCloud();
    const parts = { cloud, appliance: new FakeAppliance(cloud) };
    const b = await machine(parts);
    const { store } = b;
    for (const one of await store.scenarios.list()) await store.scenarios.remove(one.id);
    for (const one of await store.statuses.list()) await store.statuses.remove(one.id);
    for (const part of [store.accounts, store.appliances, store.masters])
      for (const one of await part.list()) await part.remove(one.id);
    const id = `scenario-${++count}`;
    await store.accounts.insert({
      id: 'account-1',
      name: 'ops@example.com',
      subscriptionId: '1',
      tenantId: '2',
      applicationId: '3',
      environment: 'public',
      createdAtMs: NOW_MS,
    });
    await store.appliances.insert(appliance());
    const master = { id: 'master-1', name: 'web01', applianceId: 'appliance-1', inventory: inventory() };
    await store.masters.insert({ ...master, joinedAtMs: NOW_MS });
    await store.scenarios.insert(scenario({ id, backup: BACKUP_DEFAULTS }));
    await runScenario(b, 'web', {});
    return { ...parts, b };
  }
  let count = 0;

  async function outcome({ cloud, appliance: fake, b }: World) {
    const [status] = await b.store.statuses.list();
    const runs = await b.store.runs.list({ subject: status?.id ?? '' });
    const kindOf = (id: string) => id.split('/').at(-2);
    return {
      made: cloud.made.map(kindOf).sort(),
      resources: cloud.all().map(kindOf).sort(),
      power: [...cloud.machines.values()].map((one) => one.power),
      state: status?.state,
      isOurs: status?.switchedOverRunId === runs.find((run) => run.kind === 'switchover')?.id,
      activeRunId: status?.activeRunId,
      sealed: fake.sealed,
      runs: runs.map((run) => [
        run.kind,
        run.status,
        ...run.steps.map((step) => `${step.stepId} ${step.status}`),
      ]),
      events: (await b.store.events.list({ scenarioId: status?.id ?? '' })).map((event) => event.code).sort(),
    };
  }

  const begin = async (context: Context) => switchOver(context, await proposeSwitchover(context, 'web'));

  /** As a machine is named that is known to be gone: B need not wait until its lease runs out. */
  const gone = (context: TestContext): TestContext => ({
    ...context,
    owner: makeOwner().replace(/[^/]+$/, '1'),
  });

  it('B ends what A began, wherever A stands still, and A coming back changes nothing more', {
    timeout: 600_000,
  }, async () => {
    const calm = await copied();
    const counting = new Freezer();
    await begin(await machine(calm, counting));
    const expected = await outcome(calm);
    expect(expected.state).toBe('switched-over');
    const cells = counting.changes.flatMap((change, index) => cellsOf(change, index + 1));
    expect(cells.length).toBeGreaterThan(40);
    // Every one of them on SQLite; the slower store sees some of each kind.
    for (const [at, side] of isServer ? cells.filter((_, index) => index % 7 === 0) : cells) {
      const world = await copied();
      const freezer = new Freezer(at, side);
      const a = begin(gone(await machine(world, freezer))).then(
        () => 'done',
        (error: unknown) => (error instanceof StandbyError ? error.code : messageOf(error)),
      );
      await freezer.frozen;
      const [run] = await world.b.store.runs.list({ kind: 'switchover', statuses: ['running'] });
      await resume(world.b, run?.id ?? '');
      expect([at, side, await outcome(world)]).toEqual([at, side, expected]);
      freezer.thaw();
      expect([at, side, await a]).toEqual([at, side, expect.stringMatching(/^(LEASE_LOST|done)$/)]);
      expect([at, side, await outcome(world)]).toEqual([at, side, expected]);
    }
  });

  describe('Two operators', () => {
    it('who start the same switchover at once see the same one: one runs it, the other follows', async () => {
      const world = await copied();
      const freezer = new Freezer(12);
      const a = await machine(world, freezer);
      const here = { ...a, store: { ...a.store, runs: world.b.store.runs } };
      const proposals = [
        await proposeSwitchover(here, 'web'),
        await proposeSwitchover(world.b, 'web'),
      ] as const;
      const first = switchOver(here, proposals[0]);
      await freezer.frozen;
      const second = switchOver(world.b, proposals[1]);
      await expect
        .poll(() => JSON.stringify(world.b.told), { timeout: 40_000 })
        .toContain('This one follows it');
      freezer.thaw();
      const [one, other]: SwitchoverOutcome[] = await Promise.all([first, second]);
      expect(other?.run.id).toBe(one?.run.id);
      expect(other?.report).toEqual(one?.report);
      expect(await outcome(world)).toMatchObject({ state: 'switched-over', isOurs: true });
    }, 60_000);
  });
});
