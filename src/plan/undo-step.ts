import { isStandbyError, messageOf } from '../errors.ts';
import type { Step, StepRecord } from './plan.ts';
import { asFailure, contextOf, type StepWork, tell, writeFailure } from './step-loop.ts';

/**
 * Takes one step back. A step that only started may have made something or nothing: its `undo` is called with no
 * output and looks for itself. If the process dies here, the step counts as started with the output it had: the next
 * undo calls it again, and a plan that is resumed forward enters it again; so `undo` is idempotent like `run`.
 */
export async function undoStep(work: StepWork, step: Step): Promise<void> {
  const { status } = work.record.of(step);
  if (status === 'pending' || status === 'undone') return;
  const attemptsMax = step.retry?.attemptsMax ?? 1;
  for (let attempt = 1; ; attempt++) {
    work.signal.throwIfAborted();
    try {
      return await tryUndo(work, step);
    } catch (error) {
      if (work.signal.aborted) throw work.signal.reason ?? error;
      if (attempt >= attemptsMax || (isStandbyError(error) && error.retry === 'never')) {
        const failure = asFailure(work, step, error);
        await writeFailure(work, step, failure);
        throw failure;
      }
      work.options.log.warn('an undo is tried again', { stepId: step.id, attempt, why: messageOf(error) });
      await work.options.clock.sleep(step.retry?.delayMs ?? 0, work.signal);
    }
  }
}

async function tryUndo(work: StepWork, step: Step): Promise<void> {
  const beganAtMs = work.options.clock.now();
  const record = work.record.of(step);
  // From here on it may be gone: whoever resumes the plan forward has to look, and must not take it for done.
  if (record.status === 'done') await work.record.write({ ...record, status: 'started' });
  work.options.atPoint?.({ stepId: step.id, phase: 'undo-started' });
  await work.assertHeld();
  await step.undo?.(contextOf(work, step), record.output);
  work.options.atPoint?.({ stepId: step.id, phase: 'undo-acted' });
  const undone: StepRecord = {
    stepId: step.id,
    title: step.title,
    status: 'undone',
    attempts: record.attempts,
    ...(record.startedAtMs === undefined ? {} : { startedAtMs: record.startedAtMs }),
    endedAtMs: work.options.clock.now(),
  };
  await work.record.write(undone);
  tell(work, step, { status: 'undone', ms: work.options.clock.now() - beganAtMs });
}
