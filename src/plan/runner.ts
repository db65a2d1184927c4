/**
 * Runs a plan, and goes on with one: the same loop. Promises: a step that is recorded as done is never entered again;
 * a process that dies at any line leaves a run from which another one goes on; two processes never both write.
 * A step may be entered more than once before it is done, so steps look first and act idempotently.
 */
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import { type HeldLease, holdLease } from './lease.ts';
import type { Plan, RunRecord, RunStatus, Step } from './plan.ts';
import type { RunOptions } from './run-options.ts';
import { doStep, type StepWork } from './step-loop.ts';
import { undoStep } from './undo-step.ts';
import { WorkRecord } from './work-record.ts';

export type { RunOptions, StepEvent } from './run-options.ts';

const LEASE_MS = 12_000;

/** Throws the first failed step's error, after it has been written and the steps beside it have ended. */
export async function runPlan(options: RunOptions): Promise<RunRecord> {
  const steps = stepsOf(options.plan);
  return underLease(options, async (work) => {
    const { status } = await current(options);
    if (status === 'done') return undefined;
    if (status === 'undone' || status === 'cancelled') throw hasEnded(options.run, status);
    const unknown = steps.filter((step) => !work.record.isKnown(step));
    if (unknown.length > 0) await work.record.write(...unknown.map((step) => work.record.of(step)));
    for (const stage of options.plan.stages) {
      const results = await Promise.allSettled(stage.map((step) => doStep(work, step)));
      throwFirst(results);
    }
    return 'done';
  });
}

/** Takes back what the plan's steps made, the last one first. Refuses once the commit step is done. */
export async function undoPlan(options: RunOptions): Promise<RunRecord> {
  const steps = stepsOf(options.plan);
  const commit = steps.find((step) => step.commit === true);
  // Looked at before the lease is taken, so that a refused undo changes nothing, and again under it.
  refusePastCommit(await current(options), commit);
  return underLease(options, async (work) => {
    const run = await current(options);
    refusePastCommit(run, commit);
    if (run.status === 'undone') return undefined;
    if (run.status === 'cancelled') throw hasEnded(run, run.status);
    for (const step of steps.toReversed()) await undoStep(work, step);
    return 'undone';
  });
}

async function underLease(
  options: RunOptions,
  work: (work: StepWork) => Promise<RunStatus | undefined>,
): Promise<RunRecord> {
  const { store, run, signal } = options;
  let held: HeldLease;
  try {
    held = await holdLease(run.id, { ...options, leaseMs: options.leaseMs ?? LEASE_MS });
  } catch (error) {
    throw signal.aborted ? interrupted(run, error) : error;
  }
  try {
    // Read again under the lease: another process may have gone on since the caller read it.
    const record = new WorkRecord(await current(options), (...changed) =>
      store.writeStep(held.lease, ...changed),
    );
    const status = await work({
      options,
      record,
      signal: AbortSignal.any([signal, held.signal]),
      assertHeld: () => held.assertHeld(),
    });
    if (status !== undefined) await store.finish(held.lease, status);
  } catch (error) {
    if (held.signal.aborted) throw held.signal.reason;
    if (signal.aborted) throw interrupted(run, error);
    if (!isRefusal(error) && !stopsOnPurpose(error)) await finishFailed(options, held);
    throw error;
  } finally {
    await held.release();
  }
  return current(options);
}

/** The step's own error matters more than a store that cannot be written; the run then counts as interrupted. */
async function finishFailed({ store, run, log }: RunOptions, held: HeldLease): Promise<void> {
  try {
    await store.finish(held.lease, 'failed');
  } catch (error) {
    log.error('the run could not be marked as failed', { runId: run.id, why: messageOf(error) });
  }
}

async function current({ store, run }: RunOptions): Promise<RunRecord> {
  const record = await store.get(run.id);
  if (record === undefined) throw new Error(`Run ${run.id} has gone from the store`);
  return record;
}

function stepsOf(plan: Plan): readonly Step[] {
  const steps = plan.stages.flat();
  const ids = new Set(steps.map((step) => step.id));
  if (ids.size !== steps.length) throw new Error(`Plan ${plan.kind} has two steps with the same id`);
  if (steps.filter((step) => step.commit === true).length > 1) {
    throw new Error(`Plan ${plan.kind} has more than one commit point`);
  }
  return steps;
}

function throwFirst(results: readonly PromiseSettledResult<void>[]): void {
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** Nothing was tried, so the run is what it was. */
function isRefusal(error: unknown): boolean {
  return isStandbyError(error) && ['PAST_COMMIT', 'RUN_ENDED', 'LEASE_LOST'].includes(error.code);
}

/** A step that waits for a person: the run is unfinished, and nothing of it has failed. */
function stopsOnPurpose(error: unknown): boolean {
  return isStandbyError(error) && error.kind === 'interrupted';
}

function interrupted(run: RunRecord, cause: unknown): StandbyError {
  return new StandbyError({
    code: 'RUN_INTERRUPTED',
    what: `"${run.title}" was interrupted.`,
    next: `standby resume ${run.id}`,
    kind: 'interrupted',
    retry: 'later',
    cause,
  });
}

function hasEnded(run: RunRecord, status: RunStatus): StandbyError {
  return new StandbyError({
    code: 'RUN_ENDED',
    what: `"${run.title}" cannot go on.`,
    why: `It was ${status === 'undone' ? 'taken back' : status}.`,
    next: 'Start it anew.',
    kind: 'input',
  });
}

function refusePastCommit(run: RunRecord, commit: Step | undefined): void {
  if (commit === undefined) return;
  if (run.steps.find((step) => step.stepId === commit.id)?.status !== 'done') return;
  throw new StandbyError({
    code: 'PAST_COMMIT',
    what: `"${run.title}" can no longer be undone.`,
    why: `"${commit.title}" is done; from there it only goes forward.`,
    next: `standby resume ${run.id}`,
    kind: 'input',
  });
}
