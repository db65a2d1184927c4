import { inputError } from '../errors.ts';
import type { Scenario } from '../model/scenario.ts';
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

/** Runs of a scenario that may still go on. */
export async function unfinishedRuns(context: Pick<Context, 'store'>, scenario: Scenario) {
  return context.store.runs.list({ subject: scenario.id, statuses: ['running', 'failed'] });
}
