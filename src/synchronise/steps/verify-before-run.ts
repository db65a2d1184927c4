/** Promises that nothing is changed while a check finds an error (G-64). Only reads. */
import type { Verdict } from '../../model/verdict.ts';
import type { Step } from '../../plan/plan.ts';
import type { Work } from '../../switchover/work.ts';
import { refuseErrors } from '../../verify/verify.ts';

export function verifyBeforeRunStep(work: Work): Step<{ readonly verdicts: readonly Verdict[] }> {
  return {
    id: 'verify-before-run',
    title: 'Verify the scenario again',
    async run() {
      const verdicts = await work.verify();
      refuseErrors(verdicts, work.scenario);
      return { verdicts };
    },
  };
}
