import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { Step, StepContext, StepRecord } from './plan.ts';
import type { RunOptions, StepEvent } from './run-options.ts';
import type { WorkRecord } from './work-record.ts';

/**
 * One step, from `started` to `done`. What happens if the process dies:
 * before `started` is written, nothing has been done; between `started` and `done`, the record says that the step
 * may have acted, and the next try finds out (`find`, then the idempotent `run` with the last checkpoint);
 * after `done`, the step is never entered again.
 */
export interface StepWork {
  readonly options: RunOptions;
  readonly record: WorkRecord;
  /** Aborted by the caller, or because the lease is lost. */
  readonly signal: AbortSignal;
  /** Asks the store whether the run is still ours when we may have stood still for too long. */
  assertHeld(): Promise<void>;
}

export async function doStep(work: StepWork, step: Step): Promise<void> {
  if (work.record.of(step).status === 'done') {
    tell(work, step, { status: 'skipped', found: true });
    return;
  }
  const attemptsMax = step.retry?.attemptsMax ?? 1;
  for (let attempt = 1; ; attempt++) {
    work.signal.throwIfAborted();
    try {
      return await tryStep(work, step);
    } catch (error) {
      if (work.signal.aborted) throw work.signal.reason ?? error;
      const failure = asFailure(work, step, error);
      const isLast = attempt >= attemptsMax || (isStandbyError(error) && error.retry === 'never');
      if (isLast) {
        await writeFailure(work, step, failure);
        throw failure;
      }
      work.options.log.warn('a step is tried again', { stepId: step.id, attempt, why: messageOf(error) });
      work.options.onProgress?.(step.id, `trying again: ${failure.what}`, { attempt, attemptsMax });
      await work.options.clock.sleep(step.retry?.delayMs ?? 0, work.signal);
    }
  }
}

async function tryStep(work: StepWork, step: Step): Promise<void> {
  const { options, record } = work;
  const startedAtMs = options.clock.now();
  const before = record.of(step);
  await record.write({
    stepId: step.id,
    title: step.title,
    status: 'started',
    attempts: before.attempts + 1,
    startedAtMs,
    ...(before.checkpoint === undefined ? {} : { checkpoint: before.checkpoint }),
  });
  tell(work, step, { status: 'started' });
  options.atPoint?.({ stepId: step.id, phase: 'started' });
  const context = contextOf(work, step);
  let found = true;
  await work.assertHeld();
  let out = await step.find?.(context);
  if (out === undefined) {
    found = false;
    work.signal.throwIfAborted();
    await work.assertHeld();
    out = await step.run(context);
  }
  options.atPoint?.({ stepId: step.id, phase: 'acted' });
  const { checkpoint: _, error: __, ...started } = record.of(step);
  const done: StepRecord = {
    ...started,
    status: 'done',
    endedAtMs: options.clock.now(),
    // Later steps read what the store would give them after a crash, not what this step happened to hold.
    ...(out === undefined ? {} : { output: JSON.parse(JSON.stringify(out)) }),
  };
  options.atPoint?.({ stepId: step.id, phase: 'before-done' });
  await record.write(done);
  tell(work, step, { status: 'done', found, ms: options.clock.now() - startedAtMs });
}

export function contextOf(work: StepWork, step: Step): StepContext {
  const { record, options } = work;
  return {
    runId: options.run.id,
    signal: work.signal,
    assertHeld: () => work.assertHeld(),
    output: <Out>(stepId: string) => record.output(stepId) as Out,
    checkpoint: record.of(step).checkpoint,
    save: (checkpoint) => record.write({ ...record.of(step), checkpoint }),
    progress: (text, facts) => options.onProgress?.(step.id, text, facts),
  };
}

export function tell(work: StepWork, step: Step, event: Omit<StepEvent, 'stepId' | 'title'>): void {
  work.options.onStep?.({ stepId: step.id, title: step.title, ...event });
}

/** A step's own error stays as it is; anything else is named after the step. */
export function asFailure(work: StepWork, step: Step, error: unknown): StandbyError {
  if (isStandbyError(error)) return error;
  return new StandbyError({
    code: 'STEP_FAILED',
    what: `"${step.title}" failed.`,
    why: messageOf(error),
    next: `When the cause is gone: standby resume ${work.options.run.id}`,
    cause: error,
  });
}

export async function writeFailure(work: StepWork, step: Step, failure: StandbyError): Promise<void> {
  const { code, what, why, next } = failure;
  const before = work.record.of(step);
  await work.record.write({
    ...before,
    status: 'failed',
    endedAtMs: work.options.clock.now(),
    error: {
      code,
      what,
      ...(why === undefined ? {} : { why }),
      ...(next === undefined ? {} : { next }),
    },
  });
  tell(work, step, { status: 'failed', error: failure });
}
