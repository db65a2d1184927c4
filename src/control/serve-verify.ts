import type { Scenario, ScenarioStatus, VerifyFound } from '../model/scenario.ts';
import { openFindings, type Verdict } from '../model/verdict.ts';
import type { Context } from './context.ts';
import { announce, eachScenario, type PeriodicJob } from './periodic-job.ts';
import { verdictsFor } from './scenario.ts';
import { changeStatus } from './scenario-status.ts';

/** Finds today what would fail at the switchover: every check of every scenario, each quarter of an hour. */
export const verifyJob: PeriodicJob = {
  name: 'verify',
  everyMs: 15 * 60_000,
  run: (context) =>
    eachScenario(context, 'verify', async (scenario, status) => {
      const verdicts = await verdictsFor(context, scenario, 'watch');
      context.host.signal.throwIfAborted();
      await keep(context, scenario, status, verdicts);
    }),
};

async function keep(
  context: Context,
  scenario: Scenario,
  { verified: before }: ScenarioStatus,
  verdicts: readonly Verdict[],
): Promise<void> {
  const accepted = scenario.acceptedWarnings.map(({ code }) => code);
  const open = openFindings(verdicts, accepted);
  const findings = open.map(({ code, status }) => ({ code, status }) as VerifyFound['findings'][number]);
  await changeStatus(context, scenario, { verified: { atMs: context.clock.now(), findings } });
  const known = new Set(before?.findings.map(keyOf));
  const fresh = open.filter((one) => !known.has(keyOf(one)));
  if (fresh.length > 0) {
    await announce(context, scenario, {
      level: fresh.some(({ status }) => status === 'error') ? 'error' : 'warning',
      code: 'VERIFY_FOUND',
      text: `"${scenario.name}": ${fresh.map((one) => `${one.title}: ${one.found}`).join(' ')} Look: standby scenario verify ${scenario.name}`,
      data: { findings: fresh.map(({ code, status, found, next }) => ({ code, status, found, next })) },
    });
  } else if (findings.length === 0 && known.size > 0) {
    await announce(context, scenario, {
      level: 'info',
      code: 'VERIFY_CLEAR',
      text: `"${scenario.name}": what the checks had found is in order now.`,
    });
  }
}

function keyOf({ code, status }: { readonly code: string; readonly status: string }): string {
  return `${status} ${code}`;
}
