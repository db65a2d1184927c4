/**
 * Promises that the failback is possible, and that the status says `failing-back` before anything is made. What it was
 * before is the first step's output, so that undo can give it back. Doing either again changes nothing.
 */
import type { ScenarioState } from '../../model/scenario.ts';
import type { Step } from '../../plan/plan.ts';
import { type FailbackSource, refusalToFailBack } from '../failback-words.ts';
import type { Work } from '../work.ts';

const VERIFY_FAILBACK = 'verify-failback';

interface VerifiedFailback {
  readonly stateBefore: ScenarioState;
  readonly reasonBefore?: string;
}

export function verifyFailbackStep(work: Work, source: FailbackSource): Step<VerifiedFailback> {
  return {
    id: VERIFY_FAILBACK,
    title: 'Look whether the server can come home',
    async run() {
      const status = await work.status();
      const refusal = refusalToFailBack(work.scenario, status, source, work.runId);
      if (refusal) throw refusal;
      const { state, reason } = status;
      return { stateBefore: state, ...(reason === undefined ? {} : { reasonBefore: reason }) };
    },
  };
}

export function beginFailbackStep(work: Work): Step<{ readonly atMs: number }> {
  return {
    id: 'begin-failback',
    title: 'Say that the server is coming home',
    async run() {
      await work.setStatus({ state: 'failing-back', activeRunId: work.runId, reason: undefined });
      return { atMs: work.clock.now() };
    },
    async undo(context) {
      const { stateBefore, reasonBefore } = context.output<VerifiedFailback>(VERIFY_FAILBACK);
      await work.setStatus({ state: stateBefore, activeRunId: undefined, reason: reasonBefore });
    },
  };
}
