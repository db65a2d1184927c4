import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openStore } from '../../src/control/store/open-store.ts';
import type { Account } from '../../src/model/account.ts';
import type { EventRecord } from '../../src/model/event.ts';
import type { Lease, RunRecord } from '../../src/plan/plan.ts';
import type { Store } from '../../src/ports/store.ts';

/** What every store promises, whatever lies under it. */
export function storeSuite(newUrl: () => Promise<string>): void {
  let url = '';
  let store: Store;
  const open: Store[] = [];
  const openAnother = async () => {
    const another = await openStore(url);
    open.push(another);
    return another;
  };
  beforeEach(async () => {
    url = await newUrl();
    store = await openAnother();
  });
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close();
  });

  it('gives back what was put in, also to another process that opens it later', async () => {
    await store.accounts.insert(account('a1', 'Ops@example.org'));
    const other = await openAnother();
    expect(await other.accounts.get('a1')).toEqual(account('a1', 'Ops@example.org'));
    expect(await other.accounts.get('a2')).toBeUndefined();
  });

  it('finds by name without regard to case, and lists by name', async () => {
    for (const [id, name] of [
      ['a1', 'beta'],
      ['a2', 'Alpha'],
      ['a3', 'Übung'],
      ['a4', 'gamma'],
    ] as const) {
      await store.accounts.insert(account(id, name));
    }
    expect((await store.accounts.byName('ALPHA'))?.id).toBe('a2');
    expect((await store.accounts.byName('übung'))?.id).toBe('a3');
    expect(await store.accounts.byName('delta')).toBeUndefined();
    expect((await store.accounts.list()).map((item) => item.name)).toEqual([
      'Alpha',
      'beta',
      'gamma',
      'Übung',
    ]);
  });

  it('refuses a name or an id that is taken, on insert and on rename, and changes nothing', async () => {
    await store.accounts.insert(account('a1', 'one'));
    await store.accounts.insert(account('a2', 'two'));
    await expect(store.accounts.insert(account('a3', 'ONE'))).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    await expect(store.accounts.insert(account('a1', 'new'))).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    const rename = store.accounts.update('a2', (item) => ({ ...item, name: 'One' }));
    await expect(rename).rejects.toMatchObject({ code: 'NAME_TAKEN', kind: 'input' });
    expect((await store.accounts.list()).map((item) => item.name)).toEqual(['one', 'two']);
  });

  it('does not lose an update when several come at once', async () => {
    await store.accounts.insert(account('a1', 'one'));
    const other = await openAnother();
    const add = (into: Store) =>
      into.accounts.update('a1', (item) => ({ ...item, createdAtMs: item.createdAtMs + 1 }));
    await Promise.all(Array.from({ length: 20 }, (_, index) => add(index % 2 === 0 ? store : other)));
    expect((await store.accounts.get('a1'))?.createdAtMs).toBe(20);
  });

  it('says when what is to be changed is gone, and removes once', async () => {
    await store.accounts.insert(account('a1', 'one'));
    expect(await store.accounts.remove('a1')).toBe(true);
    expect(await store.accounts.remove('a1')).toBe(false);
    await expect(store.accounts.update('a1', (item) => item)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('keeps events in order, filters them, follows them, and takes the same one once', async () => {
    for (const index of [1, 2, 3, 4]) await store.events.append(event(index));
    await store.events.append(event(2));
    expect((await store.events.list()).map((item) => item.id)).toEqual(['e1', 'e2', 'e3', 'e4']);
    expect(await store.events.list({ afterId: 'e2', limit: 1 })).toEqual([event(3)]);
    expect((await store.events.list({ scenarioId: 's0' })).map((item) => item.id)).toEqual(['e2', 'e4']);
    expect((await store.events.list({ runId: 'r1' })).map((item) => item.id)).toEqual(['e1', 'e3']);
    await expect(store.events.list({ afterId: 'nope' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('lets two who make the same secret at once agree on one', async () => {
    const other = await openAnother();
    const both = [store, other].map((each, index) => each.secrets.setIfAbsent('ca', `text${index}`));
    const [first, second] = await Promise.all(both);
    expect(first).toBe(second);
    expect(await store.secrets.get('ca')).toBe(first);
    await store.secrets.set('ca', 'new');
    expect(await other.secrets.get('ca')).toBe('new');
    await store.secrets.remove('ca');
    expect(await store.secrets.get('ca')).toBeUndefined();
  });

  it('allows one unfinished run for each subject and kind, however many ask at once', async () => {
    const asked = await Promise.allSettled([1, 2, 3, 4].map((id) => store.runs.create(run(`r${id}`))));
    const made = asked.filter((each) => each.status === 'fulfilled');
    expect(made).toHaveLength(1);
    for (const each of asked) {
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'RUN_IN_PROGRESS' });
    }
    await store.runs.create({ ...run('other-kind'), kind: 'switchover' });
    await store.runs.create({ ...run('other-subject'), subject: 's2' });
    const id = made[0]?.value.id ?? '';
    await finish(store, id, 'failed');
    await expect(store.runs.create(run('r9'))).rejects.toMatchObject({
      code: 'RUN_IN_PROGRESS',
      next: expect.stringContaining(`standby resume ${id}`),
    });
    await finish(store, id, 'undone');
    await store.runs.create(run('r9'));
  });

  it('gives a lease to one of several claimants, and says who holds it', async () => {
    const made = await store.runs.create(run('r1'));
    expect(made).toMatchObject({ status: 'running', steps: [], input: { a: [1] } });
    const other = await openAnother();
    const claims = [store, other, store, other].map((each, index) =>
      each.runs.claim('r1', `o${index}`, 60_000),
    );
    const leases = (await Promise.all(claims)).filter((lease) => lease !== undefined);
    expect(leases).toHaveLength(1);
    expect((await store.runs.get('r1'))?.held?.owner).toBe(leases[0]?.owner);
    await store.runs.release(leases[0] as Lease);
    expect((await store.runs.get('r1'))?.held).toBeUndefined();
    expect(await other.runs.claim('r1', 'next', 60_000)).toMatchObject({ fence: 2 });
    await expect(store.runs.claim('nope', 'o', 1000)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('gives a lease that ran out, or whose owner is known to be dead, to the next, and refuses the old fence', async () => {
    await store.runs.create(run('r1'));
    const old = await claimed(store, 'r1', 'first', 1);
    await until(async () => (await store.runs.get('r1'))?.held === undefined);
    const next = await claimed(store, 'r1', 'second', 60_000);
    const step = { stepId: 's', title: 'S', status: 'done', attempts: 1 } as const;
    await expect(store.runs.writeStep(old, step)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await expect(store.runs.renew(old, 60_000)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await expect(store.runs.finish(old, 'done')).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await store.runs.release(old);
    expect((await store.runs.get('r1'))?.held?.owner).toBe('second');
    await store.runs.writeStep(next, step);
    expect(await store.runs.claim('r1', 'third', 1000, 'first')).toBeUndefined();
    expect(await store.runs.claim('r1', 'third', 1000, 'second')).toMatchObject({ owner: 'third' });
    await expect(store.runs.writeStep(next, step)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  });

  it('keeps steps in the order of their first write, with checkpoint, output and error', async () => {
    await store.runs.create(run('r1'));
    const lease = await claimed(store, 'r1', 'me', 60_000);
    const base = { title: 'T', attempts: 0, status: 'pending' } as const;
    await store.runs.writeStep(lease, { ...base, stepId: 'z' }, { ...base, stepId: 'a' });
    const started = { ...base, stepId: 'z', status: 'started', attempts: 1, startedAtMs: 5 } as const;
    await store.runs.writeStep(lease, { ...started, checkpoint: { poll: 'x' } });
    expect((await store.runs.get('r1'))?.steps[0]).toEqual({ ...started, checkpoint: { poll: 'x' } });
    const error = { code: 'X', what: 'It broke.' };
    await store.runs.writeStep(lease, { ...started, status: 'failed', endedAtMs: 1_800_000_000_000, error });
    await store.runs.writeStep(lease, { ...base, stepId: 'a', status: 'done', output: [null, { b: 1 }] });
    expect((await store.runs.get('r1'))?.steps).toEqual([
      { ...started, status: 'failed', endedAtMs: 1_800_000_000_000, error },
      { ...base, stepId: 'a', status: 'done', output: [null, { b: 1 }] },
    ]);
  });

  it('lists runs by subject, kind and status, and a claimed failed run is running again', async () => {
    for (const [id, kind, subject] of [
      ['r1', 'run', 's1'],
      ['r2', 'switchover', 's1'],
      ['r3', 'run', 's2'],
    ] as const) {
      await store.runs.create({ ...run(id), kind, subject });
    }
    await finish(store, 'r2', 'failed');
    const ids = async (filter: Parameters<Store['runs']['list']>[0]) =>
      (await store.runs.list(filter)).map((each) => each.id).sort();
    expect(await ids({})).toEqual(['r1', 'r2', 'r3']);
    expect(await ids({ subject: 's1' })).toEqual(['r1', 'r2']);
    expect(await ids({ kind: 'run', subject: 's2' })).toEqual(['r3']);
    expect(await ids({ statuses: ['failed'] })).toEqual(['r2']);
    expect((await store.runs.get('r2'))?.endedAtMs).toBeGreaterThan(1_600_000_000_000);
    await claimed(store, 'r2', 'me', 1000);
    expect(await store.runs.get('r2')).toMatchObject({ status: 'running' });
  });

  it('serves several processes that open it and write at once, and loses nothing', {
    timeout: 120_000,
  }, async () => {
    const fresh = await newUrl();
    const script = fileURLToPath(new URL('store-writer.ts', import.meta.url));
    const names = ['w1', 'w2', 'w3', 'w4'];
    await Promise.all(
      names.map((name) => promisify(execFile)(process.execPath, [script, fresh, name, '25'])),
    );
    url = fresh;
    const after = await openAnother();
    expect(await after.accounts.list()).toHaveLength(101);
    expect((await after.accounts.get('shared'))?.createdAtMs).toBe(100);
    expect(await after.events.list()).toHaveLength(100);
  });

  const until = async (isSo: () => Promise<boolean>) => {
    const giveUpAtMs = systemClock.now() + 5000;
    while (!(await isSo())) {
      if (systemClock.now() > giveUpAtMs) throw new Error('It did not become so in 5 s');
      await systemClock.sleep(5);
    }
  };
}

async function claimed(store: Store, runId: string, owner: string, leaseMs: number): Promise<Lease> {
  const lease = await store.runs.claim(runId, owner, leaseMs);
  if (lease === undefined) throw new Error(`${owner} did not get the lease`);
  return lease;
}

async function finish(store: Store, runId: string, status: RunRecord['status']): Promise<void> {
  const lease = await claimed(store, runId, 'finisher', 60_000);
  await store.runs.finish(lease, status);
  await store.runs.release(lease);
}

function account(id: string, name: string): Account {
  const guid = '00000000-0000-4000-8000-000000000000';
  return {
    id,
    name,
    subscriptionId: guid,
    tenantId: guid,
    applicationId: guid,
    environment: 'public',
    createdAtMs: 0,
  };
}

function event(index: number): EventRecord {
  return {
    id: `e${index}`,
    atMs: 1_800_000_000_000 - index,
    level: 'info',
    code: 'TOLD',
    text: `event ${index}`,
    scenarioId: `s${index % 2}`,
    runId: `r${index % 2}`,
    data: { index },
  };
}

function run(id: string) {
  return { id, kind: 'run', subject: 's1', title: 'Copy s1', input: { a: [1] } };
}
