/**
 * Promises a report of the drill, whatever came of it, and then the word of it: the scenario's last drill, and an event.
 * The report is made of the run's record alone, so dying at any line is repaired by writing the same again.
 */
import type { DrillFound } from '../../model/scenario.ts';
import type { Step } from '../../plan/plan.ts';

export const DECLARE_DRILLED = 'declare-drilled';

export interface DrillDeclared {
  readonly outcome: DrillOutcome;
  /** Of report.json. */
  readonly sha256: string;
  readonly folder: string;
}

/** `passed`: the guest was seen to live. `skipped`: there was none to be seen. */
export type DrillOutcome = DrillFound['outcome'];

export function declareDrilledStep(declare: () => Promise<DrillDeclared>): Step<DrillDeclared> {
  return { id: DECLARE_DRILLED, title: 'Write the report', run: declare };
}
