import { isoTime } from '../clock.ts';
import type { RunRecord } from '../plan/plan.ts';
import { DECLARE_DRILLED, type DrillDeclared } from '../switchover/steps/declare-drilled.ts';
import type { Context } from './context.ts';
import { isUnderWay, keptDrills, listDrills } from './drill.ts';
import type { ScenarioRunInput } from './scenario-work.ts';

export interface DrillTold {
  readonly scenario: string;
  readonly runId: string;
  readonly begunAt: string;
  /** `unfinished`: it may have left something; `standby resume`, or `standby drill SCENARIO --remove`. */
  readonly outcome: DrillDeclared['outcome'] | 'unfinished' | 'under way';
  /** What it has made is still there. */
  readonly keptUntil?: string;
  readonly folder?: string;
}

export async function drillsTold(context: Context, name: string | undefined): Promise<readonly DrillTold[]> {
  const runs = await listDrills(context, name);
  return Promise.all(runs.map((run) => told(context, run)));
}

async function told(context: Context, run: RunRecord): Promise<DrillTold> {
  const { scenario } = run.input as ScenarioRunInput;
  const step = run.steps.find(({ stepId, status }) => stepId === DECLARE_DRILLED && status === 'done');
  const declared = step?.output as DrillDeclared | undefined;
  const kept = (await keptDrills(context, scenario)).find((one) => one.run.id === run.id);
  return {
    scenario: scenario.name,
    runId: run.id,
    begunAt: isoTime(run.createdAtMs),
    outcome: declared?.outcome ?? (isUnderWay(context, run) ? 'under way' : 'unfinished'),
    ...(kept ? { keptUntil: isoTime(kept.untilMs) } : {}),
    ...(declared ? { folder: declared.folder } : {}),
  };
}
