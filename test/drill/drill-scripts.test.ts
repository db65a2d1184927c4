import { afterEach, describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import { MOMENTS_OF, type ScriptMoment } from '../../src/model/redirect.ts';
import type { Bench } from '../fakes/bench.ts';
import { scenario } from '../fakes/scene.ts';
import { closeBenches, plan, RUN, ready, reportOf, SCRIPTS, world } from './drill-bench.ts';

afterEach(closeBenches);

describe('a drill of a scenario with scripts', () => {
  /** Notes each script; the one at `broken` fails. */
  async function scripted(broken?: ScriptMoment) {
    const calls: { at: string; event: string; facts: Readonly<Record<string, string>>; held: boolean }[] = [];
    const on: Bench = await ready({
      scenario: scenario({ capture: 'nbd', scripts: SCRIPTS }),
      runScript: async ({ at }, { event, facts }) => {
        calls.push({ at, event, facts, held: on.appliance.held !== undefined });
        if (at === broken) throw new StandbyError({ code: 'SCRIPT_FAILED', what: 'It failed.', next: 'x' });
        return { seconds: 0, logFile: `${at}.log` };
      },
    });
    return { on, calls };
  }

  it('runs those that are for drills at their moments, never while the replica stands still', async () => {
    const { on, calls } = await scripted();
    await on.run(RUN, plan(on));
    expect(reportOf().outcome).toBe('passed');
    expect(calls.map((one) => `${one.event} ${one.at}`)).toEqual(MOMENTS_OF.DRILL.map((at) => `DRILL ${at}`));
    expect(calls.map((one) => one.held)).not.toContain(true);
    expect(calls[0]?.facts).not.toHaveProperty('POSITION');
    expect(calls.at(-1)?.facts).toMatchObject({
      SCENARIO: 'web',
      VM_NAME: reportOf().vm?.name,
      VM_ID: expect.stringContaining('/virtualMachines/'),
      PRIVATE_IP: expect.any(String),
      POSITION: reportOf().position?.sequence,
    });
  });

  it.each(MOMENTS_OF.DRILL)('whose script %s fails tells so, and nothing is left', async (broken) => {
    const { on, calls } = await scripted(broken);
    const before = await world(on);
    await on.run(RUN, plan(on));
    expect(calls.at(-1)?.at).toBe(broken);
    expect(await world(on)).toEqual(before);
    expect(reportOf()).toMatchObject({
      outcome: 'failed',
      failure: { code: 'SCRIPT_FAILED', stepId: `run-script-${broken}` },
    });
    expect(reportOf().removal.state).toBe('proven');
  });
});
