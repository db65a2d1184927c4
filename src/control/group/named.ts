import { inputError } from '../../errors.ts';
import { type Group, memberIdsOf } from '../../model/group.ts';
import type { Scenario } from '../../model/scenario.ts';
import type { Context } from '../context.ts';
import { withCommon } from './file.ts';

/** The group of that name, or an input error that names those there are. */
export async function groupNamed(context: Pick<Context, 'store'>, name: string): Promise<Group> {
  const group = await context.store.groups.byName(name.trim());
  if (group) return group;
  const names = (await context.store.groups.list()).map((one) => one.name);
  throw inputError(
    'GROUP_UNKNOWN',
    `There is no group ${name}.`,
    names.length > 0 ? `Choose one of: ${names.join(', ')}.` : 'Make one first: standby group create',
  );
}

/** The one group that a scenario is in. */
export async function groupOf(
  context: Pick<Context, 'store'>,
  scenarioId: string,
): Promise<Group | undefined> {
  return (await context.store.groups.list()).find((group) => memberIdsOf(group).includes(scenarioId));
}

/** A scenario as its runs and checks take it: with what its group sets for all. */
export async function inherited(context: Pick<Context, 'store'>, scenario: Scenario): Promise<Scenario> {
  const group = await groupOf(context, scenario.id);
  return group ? withCommon(scenario, group.common) : scenario;
}
