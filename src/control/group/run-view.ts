import { isStandbyError } from '../../errors.ts';
import type { Group } from '../../model/group.ts';
import type { RunRecord, StepRecord } from '../../plan/plan.ts';
import type { Context } from '../context.ts';
import { GROUP_PAUSED } from './problems.ts';
import { type GroupRunInput, type MemberOutcome, memberStepId } from './switch-plan.ts';

/** How far a run of a group has come, read from its record alone. */
export interface GroupOutcome {
  readonly group: Group;
  readonly run: RunRecord;
  readonly members: readonly MemberResult[];
  /** Where it waits for a person. */
  readonly pause?: Pause;
  readonly failed: readonly string[];
}

export interface MemberResult extends Partial<Omit<MemberOutcome, 'outcome'>> {
  readonly wave: number;
  readonly scenarioId: string;
  readonly scenario: string;
  readonly outcome: MemberOutcome['outcome'] | 'waiting' | 'under-way';
}

export interface Pause {
  readonly stepId: string;
  readonly text: string;
}

/**
 * Carries out, and says how it went: a member that failed and a pause are results, told with everything else that was
 * done. Only what stands in the way of the run itself is thrown.
 */
export async function outcomeOf(
  context: Context,
  run: RunRecord,
  carryOut: (results: WeakSet<object>) => Promise<RunRecord>,
): Promise<RunRecord> {
  // Errors of members, as against those of the run itself.
  const results = new WeakSet<object>();
  try {
    return await carryOut(results);
  } catch (error) {
    const isResult = isStandbyError(error) && (error.code === GROUP_PAUSED || results.has(error));
    if (!isResult || context.host.signal.aborted) throw error;
    return (await context.store.runs.get(run.id)) ?? run;
  }
}

export function viewOfRun(run: RunRecord, input: GroupRunInput): GroupOutcome {
  const members = input.group.waves.flatMap((wave, index) =>
    wave.scenarioIds.map((id) => memberResult(run, input, id, index + 1)),
  );
  const pause = pauseOf(run);
  return {
    group: input.group,
    run,
    members,
    ...(pause ? { pause } : {}),
    failed: members.filter((one) => one.outcome === 'failed').map((one) => one.scenario),
  };
}

function memberResult(run: RunRecord, input: GroupRunInput, scenarioId: string, wave: number): MemberResult {
  const step = stepOf(run, memberStepId(scenarioId));
  const named = { wave, scenarioId, scenario: input.names[scenarioId] ?? scenarioId };
  if (step?.status === 'done') return { ...named, ...(step.output as MemberOutcome) };
  if (step?.status === 'failed') {
    const { code = 'STEP_FAILED', what = '', next } = step.error ?? {};
    return { ...named, outcome: 'failed', error: { code, what, ...(next === undefined ? {} : { next }) } };
  }
  return { ...named, outcome: step?.status === 'started' ? 'under-way' : 'waiting' };
}

const stepOf = (run: RunRecord, stepId: string): StepRecord | undefined =>
  run.steps.find((step) => step.stepId === stepId);

export function pauseOf(run: Pick<RunRecord, 'steps' | 'status'>): Pause | undefined {
  const step = run.steps.find(({ status, error }) => status === 'failed' && error?.code === GROUP_PAUSED);
  return step && { stepId: step.stepId, text: step.title };
}

/** A pause is no failure, and is told as what it is. */
export function telling(context: Context, { name }: Pick<Group, 'name'>): Context {
  const { host } = context;
  return {
    ...context,
    host: {
      ...host,
      tell(notice) {
        const isPause =
          notice.kind === 'step' && notice.status === 'failed' && notice.id.startsWith('pause-after-');
        if (!isPause) return host.tell(notice);
        const text = `${notice.title}. Go on: standby group resume ${name}`;
        host.tell({ kind: 'text', level: 'warning', text });
      },
    },
  };
}
