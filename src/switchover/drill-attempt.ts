import { isStandbyError, messageOf } from '../errors.ts';
import type { Step, StepContext } from '../plan/plan.ts';
import type { Work } from './work.ts';

/**
 * A drill is an experiment: that it fails is a result, and whatever it made is removed all the same. So its steps never
 * fail the run: the first one that fails says so in its output, and those after it do nothing. What fails a run is only
 * what is left over.
 */
export interface DrillFailure {
  readonly stepId: string;
  readonly code: string;
  readonly what: string;
  readonly why?: string;
}

interface Failed {
  readonly drillFailure: DrillFailure;
}

const NOTHING_DONE = { drillSkipped: true } as const;

const GIVEN_UP: Omit<DrillFailure, 'stepId'> = {
  code: 'DRILL_GIVEN_UP',
  what: 'The drill was given up before its end.',
};

/** Stages in which nothing throws, after those of other stages. `isGivenUp`: what is not done yet is left out. */
export function attempts(
  work: Work,
  stages: readonly (readonly Step[])[],
  options: { readonly isGivenUp: boolean; readonly after?: readonly (readonly Step[])[] },
): Step[][] {
  const before = (options.after ?? []).flat().map((step) => step.id);
  return stages.map((stage) => {
    const earlier = [...before];
    before.push(...stage.map((step) => step.id));
    return stage.map((step) => attempt(work, step, earlier, options.isGivenUp));
  });
}

function attempt(work: Work, step: Step, earlier: readonly string[], isGivenUp: boolean): Step {
  const { retry, find: _, undo: __, ...rest } = step;
  return {
    ...rest,
    async run(context) {
      if (failureIn(earlier.map((id) => context.output(id)))) return NOTHING_DONE;
      if (isGivenUp) return failed(step, GIVEN_UP);
      const attemptsMax = retry?.attemptsMax ?? 1;
      const lasting = lastingCheckpoint(context);
      for (let tries = 1; ; tries++) {
        try {
          return (await step.find?.(lasting)) ?? (await step.run(lasting)) ?? {};
        } catch (error) {
          if (context.signal.aborted) throw error;
          const isFinal = isStandbyError(error) && error.retry === 'never';
          if (isFinal || tries >= attemptsMax) return failed(step, factsOf(error));
          context.progress(`trying again: ${messageOf(error)}`);
          await work.clock.sleep(retry?.delayMs ?? 0, context.signal);
        }
      }
    },
  };
}

/** The runner reads a checkpoint once for each try of the step; within one try of ours it must be what was saved last. */
function lastingCheckpoint(context: StepContext): StepContext {
  let { checkpoint } = context;
  return {
    ...context,
    get checkpoint() {
      return checkpoint;
    },
    async save(next) {
      await context.save(next);
      checkpoint = next;
    },
  };
}

function factsOf(error: unknown): Omit<DrillFailure, 'stepId'> {
  if (!isStandbyError(error)) return { code: 'STEP_FAILED', what: messageOf(error) };
  const { code, what, why } = error;
  return { code, what, ...(why === undefined ? {} : { why }) };
}

function failed(step: Step, failure: Omit<DrillFailure, 'stepId'>): Failed {
  return { drillFailure: { stepId: step.id, ...failure } };
}

/** The first that failed. */
export function failureIn(outputs: readonly unknown[]): DrillFailure | undefined {
  for (const output of outputs) {
    const { drillFailure } = (output ?? {}) as Partial<Failed>;
    if (drillFailure) return drillFailure;
  }
  return undefined;
}

/** The output of a step that was carried out, and undefined of one that failed or did nothing. */
export function outcomeOf<Out extends object>(output: unknown): Out | undefined {
  if (typeof output !== 'object' || output === null) return undefined;
  return 'drillFailure' in output || 'drillSkipped' in output ? undefined : (output as Out);
}
