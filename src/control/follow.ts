import { isStandbyError, StandbyError } from '../errors.ts';
import { ownerIsGone } from '../plan/owner.ts';
import type { Plan, RunRecord, StepRecord } from '../plan/plan.ts';
import type { Context } from './context.ts';
import { runTelling } from './run-telling.ts';
import { carryOut } from './scenario-work.ts';

const LOOK_MS = 500;

/**
 * Carries a plan out, or follows whoever does: of two operators who start the same thing at once, one runs it and both
 * see it. When the other process dies or lets go half-way, this one goes on; when it fails there, it fails here too.
 */
export async function carryOutOrFollow(context: Context, run: RunRecord, plan: Plan): Promise<RunRecord> {
  for (;;) {
    try {
      return await carryOut(context, run, plan);
    } catch (error) {
      if (!isStandbyError(error) || error.code !== 'LEASE_HELD') throw error;
      const text = `Another process works on this run already. ${error.why ?? ''} This one follows it.`;
      context.host.tell({ kind: 'text', level: 'info', text });
      const now = await follow(context, run);
      if (now.status === 'failed') throw failedElsewhere(now);
      if (now.status !== 'running') continue;
      const goesOn = 'The other process has let go of the run; this one goes on.';
      context.host.tell({ kind: 'text', level: 'info', text: goesOn });
    }
  }
}

/** Until nobody works on it any more. Each step is told when its record changes. */
async function follow({ store, host, clock }: Context, run: RunRecord): Promise<RunRecord> {
  const told = new Map<string, StepRecord['status']>();
  const { onStep } = runTelling(host);
  for (;;) {
    const now = (await store.runs.get(run.id)) ?? run;
    for (const { stepId, title, status } of now.steps) {
      if (status === 'pending' || told.get(stepId) === status) continue;
      told.set(stepId, status);
      onStep({ stepId, title, status });
    }
    if (!now.held || ownerIsGone(now.held.owner)) return now;
    await clock.sleep(LOOK_MS, host.signal);
  }
}

function failedElsewhere({ id, title, steps }: RunRecord): StandbyError {
  const error = steps.find((step) => step.status === 'failed')?.error;
  return new StandbyError({
    code: error?.code ?? 'RUN_FAILED',
    what: `"${title}" failed in the process that worked on it. ${error?.what ?? ''}`.trim(),
    ...(error?.why ? { why: error.why } : {}),
    next: error?.next ?? `Go on: standby resume ${id}`,
    retry: 'later',
  });
}
