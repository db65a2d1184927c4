/**
 * Promises that a switchover begins only from a finished copy and with no error among the checks. Only reads; dying
 * at any line leaves nothing, and a resumed run looks again.
 */
import type { StandbyError } from '../../errors.ts';
import type { ScenarioState, ScenarioStatus } from '../../model/scenario.ts';
import type { Verdict } from '../../model/verdict.ts';
import type { Step } from '../../plan/plan.ts';
import { refuseErrors } from '../../verify/verify.ts';
import { rungsOf } from '../ladder.ts';
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
      refuseErrors(
        verdicts.filter((one) => !isMendedLater(work, one.code)),
        work.scenario,
      );
      return { stateBefore: status.state, verdicts };
    },
  };
}

/** What another size or zone may put right: with a ladder it is no reason not to begin. */
const OF_THE_FIRST_RUNG = new Set([
  'SIZE_UNKNOWN',
  'SIZE_RESTRICTED',
  'SIZE_NOT_IN_ZONE',
  'SIZE_RESTRICTED_IN_ZONE',
  'QUOTA_EXCEEDED',
]);

/** The standby is worth more than its redirection: a DNS server that is lost too must not stand in the way of it. */
const OF_THE_RECORD = new Set(['RECORD_UNREACHABLE', 'RECORD_UPDATE_REFUSED']);

function isMendedLater({ scenario, leaveOut }: Work, code: string): boolean {
  if (OF_THE_FIRST_RUNG.has(code)) return rungsOf(scenario.vm).length > 1;
  return OF_THE_RECORD.has(code) || (leaveOut?.scripts === true && code.startsWith('SCRIPT_'));
}
