import { describe, expect, it } from 'vitest';
import { type Calls, makeCalls } from '../../../infra/azure/calls.ts';
import { type Poller, runOperation, type Work } from '../../../infra/azure/operation.ts';
import { type Clock, systemClock } from '../../../src/clock.ts';
import { silentLog } from '../../../src/log.ts';
import { failureOf, rememberingOperation } from './local-account.ts';

/** What Local Azure cannot be brought to do: forget an operation, or never finish one. */
const ENDPOINT = 'https://management.example';

interface Script {
  /** What each poll does, one after the other; the last one stays. */
  readonly polls: readonly (() => 'running' | 'succeeded')[];
  submissions: number;
  restores: number;
}

function restError(statusCode: number): Error {
  return Object.assign(new Error(`status ${statusCode}`), { name: 'RestError', statusCode, code: 'X' });
}

function workOf(script: Script): Work<string> {
  let polled = 0;
  const poller = (): Poller<string> => {
    const state = { status: 'running' };
    return {
      get isDone() {
        return state.status === 'succeeded';
      },
      operationState: state,
      result: 'made',
      submitted: async () => undefined,
      serialize: async () => 'the poller',
      poll: async () => {
        const next = script.polls[Math.min(polled, script.polls.length - 1)];
        polled += 1;
        state.status = next?.() ?? 'succeeded';
      },
    };
  };
  return {
    what: 'The thing could not be made.',
    key: 'thing/create',
    submit: () => {
      script.submissions += 1;
      return poller();
    },
    restore: () => {
      script.restores += 1;
      return poller();
    },
  };
}

/** Sleeping takes no time; the hours pass on the clock only. */
function quickClock(): Clock & { readonly slept: number[] } {
  let nowMs = 0;
  const slept: number[] = [];
  return {
    slept,
    now: () => nowMs,
    sleep: async (ms) => {
      slept.push(ms);
      nowMs += ms;
    },
  };
}

/** Every answer comes with that Retry-After. */
function asksForPauses(calls: Calls, retryAfterMs: number): Calls {
  const { answers } = calls;
  return {
    ...calls,
    answers: {
      ...answers,
      listen: (answer, work) =>
        answers.listen(answer, async () => {
          const result = await work();
          answer.retryAfterMs = retryAfterMs;
          return result;
        }),
    },
  };
}

function fails(statusCode: number): () => never {
  return () => {
    throw restError(statusCode);
  };
}

const saved = { azureOperation: 'thing/create', endpoint: ENDPOINT, poller: 'the poller' };

describe('a long-running operation', () => {
  it('is submitted again when Azure no longer knows the one that was saved', async () => {
    const script: Script = { polls: [fails(404), () => 'succeeded'], submissions: 0, restores: 0 };
    const calls = makeCalls({ clock: quickClock(), log: silentLog });
    expect(await runOperation(calls, ENDPOINT, workOf(script), { saved })).toBe('made');
    expect(script).toMatchObject({ submissions: 1, restores: 1 });
  });

  it('is not polled at an address of another cloud', async () => {
    const script: Script = { polls: [() => 'succeeded'], submissions: 0, restores: 0 };
    const calls = makeCalls({ clock: quickClock(), log: silentLog });
    await runOperation(calls, 'https://another.example', workOf(script), { saved });
    expect(script).toMatchObject({ submissions: 1, restores: 0 });
  });

  it('outlives polls that fail, but not for ever, and can be taken up again afterwards', async () => {
    const script: Script = { polls: [fails(503)], submissions: 0, restores: 0 };
    const calls = makeCalls({ clock: quickClock(), log: silentLog });
    const operation = rememberingOperation();
    const failure = await failureOf(runOperation(calls, ENDPOINT, workOf(script), operation));
    expect(failure).toMatchObject({ code: 'X', retry: 'later' });
    expect(script).toMatchObject({ submissions: 1, restores: 5 });
    expect(operation.states).toEqual([saved]);
  });

  it('is waited for with growing pauses, and given up after two hours without losing it', async () => {
    const script: Script = { polls: [() => 'running'], submissions: 0, restores: 0 };
    const clock = quickClock();
    const operation = rememberingOperation();
    const work = runOperation(makeCalls({ clock, log: silentLog }), ENDPOINT, workOf(script), operation);
    expect(await failureOf(work)).toMatchObject({ code: 'OPERATION_TOO_LONG', retry: 'later' });
    expect(clock.slept[0]).toBe(250);
    expect(clock.slept.at(-1)).toBe(10_000);
    expect(clock.slept.length).toBeLessThan(800);
    expect(operation.states).toEqual([saved]);
  });

  it('is seen to have ended before Azure wants to be asked again, and not looked at in a short pause', async () => {
    const script: Script = { polls: [() => 'running'], submissions: 0, restores: 0 };
    const clock = quickClock();
    const looks: { readonly sinceMs: number; readonly untilMs: number }[] = [];
    const look: Work<string>['look'] = async (times) => {
      looks.push(times);
      return { result: 'seen' };
    };
    const quick = asksForPauses(makeCalls({ clock, log: silentLog }), 2000);
    await failureOf(runOperation(quick, ENDPOINT, { ...workOf(script), look }));
    expect(looks).toEqual([]);
    const sinceMs = clock.now();
    const slow = asksForPauses(makeCalls({ clock, log: silentLog }), 30_000);
    expect(await runOperation(slow, ENDPOINT, { ...workOf(script), look })).toBe('seen');
    expect(looks).toEqual([{ sinceMs, untilMs: sinceMs + 30_000 }]);
  });

  it('that is seen to have failed is asked why at once, one time, and then in the pauses that Azure wants', async () => {
    const script: Script = { polls: [() => 'running'], submissions: 0, restores: 0 };
    const clock = quickClock();
    let looks = 0;
    const look = async () => {
      looks += 1;
      await clock.sleep(500);
      return 'failed' as const;
    };
    const calls = asksForPauses(makeCalls({ clock, log: silentLog }), 30_000);
    await failureOf(runOperation(calls, ENDPOINT, { ...workOf(script), look }));
    expect(looks).toBe(1);
    expect(clock.slept.slice(0, 3)).toEqual([500, 30_000, 30_000]);
  });

  it('is not asked earlier because nothing was seen', async () => {
    const script: Script = { polls: [() => 'running'], submissions: 0, restores: 0 };
    const clock = quickClock();
    const look = async () => undefined;
    const calls = asksForPauses(makeCalls({ clock, log: silentLog }), 30_000);
    await failureOf(runOperation(calls, ENDPOINT, { ...workOf(script), look }));
    expect(new Set(clock.slept)).toEqual(new Set([30_000]));
  });

  it('sends nothing when the person has already said stop', async () => {
    const script: Script = { polls: [() => 'succeeded'], submissions: 0, restores: 0 };
    const calls = makeCalls({ clock: systemClock, log: silentLog });
    const signal = AbortSignal.abort(new Error('Ctrl-C'));
    expect((await failureOf(runOperation(calls, ENDPOINT, workOf(script), { signal }))).what).toBe('Ctrl-C');
    expect(script.submissions).toBe(0);
  });
});
