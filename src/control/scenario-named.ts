import { inputError } from '../errors.ts';
import type { Scenario } from '../model/scenario.ts';
import type { RunRecord } from '../plan/plan.ts';
import type { Context } from './context.ts';

/** The scenario of that name, or an input error that names those there are. */
export async function scenarioNamed(context: Pick<Context, 'store'>, name: string): Promise<Scenario> {
  const scenario = await context.store.scenarios.byName(name.trim());
  if (scenario) return scenario;
  const names = (await context.store.scenarios.list()).map((one) => one.name);
  throw inputError(
    'SCENARIO_UNKNOWN',
    `There is no scenario ${name}.`,
    names.length > 0 ? `Choose one of: ${names.join(', ')}.` : 'Make one first: standby scenario create',
  );
}

/** The kind of a backup's run. */
export const BACKUP = 'backup';

/** The kinds of a drill's run, and of the one that removes a drill that was kept. */
export const DRILL = 'drill';
export const DRILL_REMOVE = 'drill-remove';

const NOBODY_WAITS_FOR = [BACKUP, DRILL, DRILL_REMOVE];

/** Runs of a scenario that may still go on, and that others have to wait for: not for a backup or a drill. */
export async function unfinishedRuns(context: Pick<Context, 'store'>, scenario: Scenario) {
  const runs = await context.store.runs.list({ subject: scenario.id, statuses: ['running', 'failed'] });
  return runs.filter((run) => !NOBODY_WAITS_FOR.includes(run.kind));
}

/** The unfinished run of that kind; one of another kind stands in the way. */
export async function onlyUnfinished(
  context: Pick<Context, 'store'>,
  scenario: Scenario,
  kind: string,
): Promise<RunRecord | undefined> {
  const runs = await unfinishedRuns(context, scenario);
  const other = runs.find((run) => run.kind !== kind);
  if (!other) return runs[0];
  throw inputError(
    'SCENARIO_BUSY',
    `Scenario ${scenario.name} has an unfinished ${other.kind} (${other.id}).`,
    `Let it end first: standby resume ${other.id}`,
  );
}
