import { describe, expect, it } from 'vitest';
import { makeAnswers } from '../../../infra/azure/answers.ts';
import { BUCKETS, makeRequestBudget } from '../../../infra/azure/request-budget.ts';
import { madeUpClock } from './made-up-clock.ts';

describe('What Azure lets one principal ask', () => {
  it('is asked at once while there is something left, and then only as fast as it comes back', async () => {
    const clock = madeUpClock();
    const budget = makeRequestBudget(BUCKETS.reads, clock);
    const at: number[] = [];
    await Promise.all(
      Array.from({ length: 290 }, async () => {
        await budget.turn();
        at.push(clock.now());
      }),
    );
    expect(at.filter((ms) => ms === 0)).toHaveLength(240);
    expect(at.at(-1)).toBe(2000);
    // Nobody waits for the same moment: 25 of them come back each second.
    expect(new Set(at.slice(240)).size).toBe(50);
  });

  it('is what it says with each answer, less what is on its way, and more with the time', async () => {
    const clock = madeUpClock();
    const budget = makeRequestBudget(BUCKETS.reads, clock);
    await Promise.all([budget.turn(), budget.turn()]);
    expect(budget.left()).toBe(248);
    // Somebody else asks too.
    budget.answered(80);
    expect(budget.left()).toBe(79);
    budget.answered(undefined);
    await clock.sleep(1000);
    expect(budget.left()).toBe(104);
    await clock.sleep(60_000);
    expect(budget.left()).toBe(250);
  });

  it('is given back by one who went away while waiting', async () => {
    const budget = makeRequestBudget({ size: 10, perSecond: 1 }, madeUpClock());
    const stop = new AbortController();
    const waiting = budget.turn(stop.signal);
    stop.abort(new Error('Ctrl-C'));
    await expect(waiting).rejects.toThrow('Ctrl-C');
    expect(budget.left()).toBe(10);
  });

  it('counts reads, writes and deletes of Resource Manager apart, failed ones too, and no sign-in', async () => {
    const { policy, reads } = makeAnswers(madeUpClock());
    const url = 'https://management.azure.com/subscriptions/1/resourceGroups/a';
    const answer = (left: string) => ({
      status: 200,
      headers: { get: (name: string) => (name.endsWith('subscription-reads') ? left : undefined) },
    });
    await policy.sendRequest({ url, method: 'GET' }, async () => answer('190'));
    expect(reads.left()).toBe(190);
    await policy.sendRequest({ url, method: 'PUT' }, async () => answer('7'));
    await policy.sendRequest({ url, method: 'DELETE' }, async () => answer('7'));
    const login = 'https://login.microsoftonline.com/tenant/oauth2/v2.0/token';
    await policy.sendRequest({ url: login, method: 'GET' }, async () => answer('7'));
    expect(reads.left()).toBe(190);
    const failing = policy.sendRequest({ url, method: 'GET' }, async () => {
      throw new Error('reset');
    });
    await expect(failing).rejects.toThrow('reset');
    expect(reads.left()).toBe(189);
  });
});
