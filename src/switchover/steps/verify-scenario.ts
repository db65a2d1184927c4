/**
 * Promises that a switchover begins only from a finished copy and with no error among the checks. Only reads; dying
 * at any line leaves nothing, and a resumed run looks again.
 */
import type { StandbyError } from '../../errors.ts';
import type { ScenarioState, ScenarioStatus } from '../../model/scenario.ts';
import type { Verdict } from '../../model/verdict.ts';
import type { Step } from '../../plan/plan.ts';
import { refuseErrors } from '../../verify/verify.ts';
import type { Work } from '../work.ts';

export const VERIFY_SCENARIO = 'verify-scenario';

export interface Verified {
  /** What the scenario was before, for undo. */
  readonly stateBefore: ScenarioState;
  readonly verdicts: readonly Verdict[];
}

export function verifyScenarioStep(
  work: Work,
  refusal: (scenario: Work['scenario'], status: ScenarioStatus, runId: string) => StandbyError | undefined,
): Step<Verified> {
  return {
    id: VERIFY_SCENARIO,
    title: 'Verify the scenario again',
    async run() {
      const status = await work.status();
      const refused = refusal(work.scenario, status, work.runId);
      if (refused) throw refused;
      const verdicts = await work.verify();
      refuseErrors(verdicts, work.scenario);
      return { stateBefore: status.state, verdicts };
    },
  };
}
