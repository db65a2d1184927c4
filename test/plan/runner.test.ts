import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openStore } from '../../src/control/store/open-store.ts';
import { StandbyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { makeOwner, ownerIsGone } from '../../src/plan/owner.ts';
import type { Plan, RunStore, Step } from '../../src/plan/plan.ts';
import { type RunOptions, runPlan, type StepEvent, undoPlan } from '../../src/plan/runner.ts';
import type { Store } from '../../src/ports/store.ts';

describe('The plan runner', () => {
  let folder = '';
  let store: Store;
  let told: string[] = [];
  let did: string[] = [];
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'standby-runner-'));
    store = await openStore(join(folder, 'standby.db'));
    told = [];
    did = [];
  });
  afterEach(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const optionsFor = async (stages: Step[][], more: Partial<RunOptions> = {}): Promise<RunOptions> => {
    const plan: Plan = { kind: 'test', title: 'A test', stages };
    const id = 'r1';
    const facts = { id, kind: plan.kind, subject: 's', title: plan.title, input: null };
    const run = (await store.runs.get(id)) ?? (await store.runs.create(facts));
    return {
      store: store.runs,
      plan,
      run,
      owner: `test/${Math.random()}`,
      clock: systemClock,
      log: silentLog,
      signal: new AbortController().signal,
      leaseMs: 400,
      onStep: (event: StepEvent) =>
        told.push(`${event.stepId} ${event.status}${event.found ? ' found' : ''}`),
      ...more,
    };
  };
  const step = (id: string, more: Partial<Step> = {}): Step => ({
    id,
    title: `Do ${id}`,
    run: async () => {
      did.push(id);
      return { made: id };
    },
    undo: async (_, out) => {
      did.push(`undo ${id} ${JSON.stringify(out) ?? 'nothing'}`);
    },
    ...more,
  });
  const failing = (id: string, retry: 'never' | 'later' = 'never'): Step =>
    step(id, {
      run: async () => {
        did.push(id);
        throw new StandbyError({ code: 'BROKEN', what: `${id} broke.`, next: 'Mend it.', retry });
      },
    });
  const statuses = async () =>
    (await store.runs.get('r1'))?.steps.map((each) => `${each.stepId} ${each.status}`);

  it('runs stages in order, hands outputs on as they are stored, and frees the run at the end', async () => {
    const seen: unknown[] = [];
    const reads = step('b', {
      run: async ({ output }) => {
        seen.push(output('a'));
      },
    });
    const gives = step('a', { run: async () => ({ at: new Date(0), gone: undefined, kept: null }) });
    const result = await runPlan(await optionsFor([[gives], [reads]]));
    expect(seen).toEqual([{ at: '1970-01-01T00:00:00.000Z', kept: null }]);
    expect(result).toMatchObject({
      status: 'done',
      steps: [{ status: 'done', attempts: 1 }, { status: 'done' }],
    });
    expect(result.held).toBeUndefined();
    expect(told).toEqual(['a started', 'a done', 'b started', 'b done']);
  });

  it('runs the steps of one stage side by side', async () => {
    const met = Promise.withResolvers<void>();
    const first = step('a', { run: () => met.promise });
    const second = step('b', { run: async () => met.resolve() });
    expect(await runPlan(await optionsFor([[first, second]]))).toMatchObject({ status: 'done' });
  });

  it('refuses to read the output of a step that is not done, and writes every step that waits', async () => {
    const early = step('a', { run: async ({ output }) => output('b') });
    const result = runPlan(await optionsFor([[early], [step('b')]]));
    await expect(result).rejects.toMatchObject({
      code: 'STEP_FAILED',
      why: expect.stringContaining('not done'),
    });
    expect(await statuses()).toEqual(['a failed', 'b pending']);
  });

  it('does not run what the world already shows, on a first try or on a resume', async () => {
    const found = step('a', { find: async () => ({ was: 'there' }) });
    const options = await optionsFor([[found, failing('b')]]);
    await expect(runPlan(options)).rejects.toMatchObject({ code: 'BROKEN' });
    const mended = await optionsFor([[found, step('b')]]);
    expect((await runPlan(mended)).steps[0]).toMatchObject({ output: { was: 'there' }, attempts: 1 });
    expect(did).toEqual(['b', 'b']);
    const events = [
      'a started',
      'b started',
      'a done found',
      'b failed',
      'a skipped found',
      'b started',
      'b done',
    ];
    // Steps side by side tell in any order.
    expect(told.sort()).toEqual(events.sort());
  });

  it('lets the steps beside a failed one end, does not begin the next stage, and stores the reason', async () => {
    const slow = step('a', { run: ({ progress }) => systemClock.sleep(50).then(() => progress('there')) });
    const options = await optionsFor([[failing('b'), slow], [step('c')]]);
    await expect(runPlan(options)).rejects.toMatchObject({ code: 'BROKEN', next: 'Mend it.' });
    const run = await store.runs.get('r1');
    expect(run).toMatchObject({ status: 'failed' });
    expect(await statuses()).toEqual(['b failed', 'a done', 'c pending']);
    expect(run?.steps[0]?.error).toEqual({ code: 'BROKEN', what: 'b broke.', next: 'Mend it.' });
    expect(run?.held).toBeUndefined();
  });

  it('tries again as the policy says, looking first each time, but not what can never succeed', async () => {
    const retry = { attemptsMax: 3, delayMs: 1 };
    const looks: string[] = [];
    const patient = { ...failing('a', 'later'), retry, find: async () => void looks.push('look') };
    await expect(runPlan(await optionsFor([[patient]]))).rejects.toMatchObject({ code: 'BROKEN' });
    expect(did).toEqual(['a', 'a', 'a']);
    expect(looks).toHaveLength(3);
    expect((await store.runs.get('r1'))?.steps[0]).toMatchObject({ attempts: 3, status: 'failed' });
    did = [];
    await expect(runPlan(await optionsFor([[{ ...failing('a'), retry }]]))).rejects.toMatchObject({
      code: 'BROKEN',
    });
    expect(did).toEqual(['a']);
  });

  it('hands a saved checkpoint to the next try', async () => {
    const seen: unknown[] = [];
    const flaky = step('a', {
      retry: { attemptsMax: 2, delayMs: 1 },
      run: async ({ checkpoint, save }) => {
        seen.push(checkpoint);
        if (checkpoint !== undefined) return checkpoint;
        await save({ poller: 'state' });
        throw new Error('connection lost');
      },
    });
    const result = await runPlan(await optionsFor([[flaky]]));
    expect(seen).toEqual([undefined, { poller: 'state' }]);
    expect(result.steps[0]).toMatchObject({ status: 'done', output: { poller: 'state' } });
    expect(result.steps[0]).not.toHaveProperty('checkpoint');
  });

  it('stops the step when it is aborted, says how to go on, and goes on', async () => {
    const controller = new AbortController();
    const waits = step('a', {
      run: async ({ signal, save }) => {
        await save('half');
        controller.abort(new Error('Ctrl-C'));
        await systemClock.sleep(60_000, signal);
      },
    });
    const stages = (first: Step) => [[step('z')], [first], [step('b')]];
    const result = runPlan(await optionsFor(stages(waits), { signal: controller.signal }));
    await expect(result).rejects.toMatchObject({
      code: 'RUN_INTERRUPTED',
      kind: 'interrupted',
      next: 'standby resume r1',
    });
    expect(await store.runs.get('r1')).toMatchObject({ status: 'running' });
    expect(await statuses()).toEqual(['z done', 'a started', 'b pending']);
    const goesOn = step('a', { run: async ({ checkpoint }) => checkpoint });
    expect((await runPlan(await optionsFor(stages(goesOn)))).steps[1]).toMatchObject({
      output: 'half',
      attempts: 2,
    });
    expect(did).toEqual(['z', 'b']);
  });

  it('takes back the last first, with what each step made, and can then not be resumed', async () => {
    const stages = [[step('a')], [step('b'), step('c')], [failing('d')], [step('e')]];
    await expect(runPlan(await optionsFor(stages))).rejects.toMatchObject({ code: 'BROKEN' });
    did = [];
    const result = await undoPlan(await optionsFor(stages));
    expect(did).toEqual([
      'undo d nothing',
      'undo c {"made":"c"}',
      'undo b {"made":"b"}',
      'undo a {"made":"a"}',
    ]);
    expect(result.status).toBe('undone');
    expect(await statuses()).toEqual(['a undone', 'b undone', 'c undone', 'd undone', 'e pending']);
    await expect(runPlan(await optionsFor(stages))).rejects.toMatchObject({ code: 'RUN_ENDED' });
    did = [];
    expect((await undoPlan(await optionsFor(stages))).status).toBe('undone');
    expect(did).toEqual([]);
  });

  it('goes on with an undo that failed; what could not be taken back counts as neither done nor gone', async () => {
    const stuck = step('b', {
      undo: async () => {
        throw new StandbyError({ code: 'IN_USE', what: 'b is in use.' });
      },
    });
    const stages = [[step('a')], [stuck], [failing('c')]];
    await expect(runPlan(await optionsFor(stages))).rejects.toThrow();
    await expect(undoPlan(await optionsFor(stages))).rejects.toMatchObject({ code: 'IN_USE' });
    expect(await statuses()).toEqual(['a done', 'b failed', 'c undone']);
    expect(await store.runs.get('r1')).toMatchObject({ status: 'failed' });
    await undoPlan(await optionsFor([[step('a')], [step('b')], [failing('c')]]));
    expect(await statuses()).toEqual(['a undone', 'b undone', 'c undone']);
  });

  it('only goes forward once the commit step is done, and a refused undo changes nothing', async () => {
    const stages = [[step('a')], [step('b', { commit: true })], [failing('c')]];
    await expect(runPlan(await optionsFor(stages))).rejects.toMatchObject({ code: 'BROKEN' });
    const before = await store.runs.get('r1');
    did = [];
    await expect(undoPlan(await optionsFor(stages))).rejects.toMatchObject({
      code: 'PAST_COMMIT',
      kind: 'input',
    });
    expect(await store.runs.get('r1')).toEqual(before);
    expect(did).toEqual([]);
    expect(
      await runPlan(await optionsFor([[step('a')], [step('b', { commit: true })], [step('c')]])),
    ).toMatchObject({ status: 'done' });
  });

  it('can be undone while the commit step has begun but is not done', async () => {
    const stages = [[step('a')], [{ ...failing('b'), commit: true }]];
    await expect(runPlan(await optionsFor(stages))).rejects.toMatchObject({ code: 'BROKEN' });
    expect(await undoPlan(await optionsFor(stages))).toMatchObject({ status: 'undone' });
  });

  it('lets one of two runners work, tells the other who does, and enters no step twice', async () => {
    const slow = () => [[step('a', { run: () => systemClock.sleep(700).then(() => did.push('a')) })]];
    const results = await Promise.allSettled([
      runPlan(await optionsFor(slow(), { owner: makeOwner() })),
      runPlan(await optionsFor(slow(), { owner: makeOwner() })),
    ]);
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = results.find((result) => result.status === 'rejected');
    expect(refused?.reason).toMatchObject({ code: 'LEASE_HELD', kind: 'failed', retry: 'later' });
    expect(refused?.reason.why).toMatch(new RegExp(`^It is held by process ${process.pid} on `));
    expect(did).toEqual(['a']);
  });

  it('waits for the lease of a process that died, and takes over at once when it can tell that it did', async () => {
    const options = await optionsFor([[step('a')]]);
    await store.runs.claim('r1', 'elsewhere/1/x', 300);
    expect(await runPlan(options)).toMatchObject({ status: 'done' });

    const gone = makeOwner().replace(/\d+$/, '1');
    expect([ownerIsGone(gone), ownerIsGone(makeOwner()), ownerIsGone('elsewhere/1/x')]).toEqual([
      true,
      false,
      false,
    ]);
    const run = await store.runs.create({ id: 'r2', kind: 'test', subject: 's', title: 'Two', input: null });
    await store.runs.claim('r2', gone, 3_600_000);
    expect(await runPlan({ ...options, run, leaseMs: 3_600_000 })).toMatchObject({ status: 'done' });
  });

  it('stops acting when another process has taken the run over, and writes nothing more', async () => {
    const options = await optionsFor([
      [
        step('a', {
          run: async ({ signal }) => {
            await store.runs.claim('r1', 'usurper', 60_000, 'me');
            await systemClock.sleep(60_000, signal);
          },
        }),
      ],
    ]);
    await expect(runPlan({ ...options, owner: 'me' })).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(await store.runs.get('r1')).toMatchObject({ status: 'running', held: { owner: 'usurper' } });
    expect(await statuses()).toEqual(['a started']);
  });

  it('stops acting when the lease could not be renewed for as long as it lasts', async () => {
    const deaf: RunStore = {
      ...store.runs,
      renew: () => Promise.reject(new StandbyError({ code: 'STORE_UNAVAILABLE', what: 'Gone.' })),
    };
    const waits = step('a', { run: ({ signal }) => systemClock.sleep(60_000, signal) });
    const options = await optionsFor([[waits]], { store: deaf });
    await expect(runPlan(options)).rejects.toMatchObject({ code: 'LEASE_LOST', retry: 'later' });
    expect(await runPlan(await optionsFor([[step('a')]]))).toMatchObject({ status: 'done' });
  });

  it('refuses a plan with two steps of one id, or two commit points', async () => {
    await expect(runPlan(await optionsFor([[step('a'), step('a')]]))).rejects.toThrow('same id');
    const twice = [[step('a', { commit: true }), step('b', { commit: true })]];
    await expect(runPlan(await optionsFor(twice))).rejects.toThrow('commit point');
  });
});
