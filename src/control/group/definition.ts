import { randomUUID } from 'node:crypto';
import { inputError } from '../../errors.ts';
import { type Group, memberIdsOf } from '../../model/group.ts';
import type { Scenario } from '../../model/scenario.ts';
import type { RunRecord } from '../../plan/plan.ts';
import type { Context } from '../context.ts';
import { type GroupFile, invalid, withCommon } from './file.ts';
import { groupNamed } from './named.ts';

/** Nothing in Azure is touched: a group is only who goes together, in which order. */
export async function createGroup(context: Context, file: GroupFile): Promise<Group> {
  if (await context.store.groups.byName(file.name)) {
    throw inputError(
      'NAME_TAKEN',
      `There is a group ${file.name} already.`,
      `Choose another name, or change it: standby group edit ${file.name}`,
    );
  }
  const group = await resolved(context, file, { id: randomUUID(), createdAtMs: context.clock.now() });
  await context.store.groups.insert(group);
  return group;
}

export async function editGroup(context: Context, name: string, file: GroupFile): Promise<Group> {
  const saved = await groupNamed(context, name);
  await refuseWhileUnderWay(context, saved);
  const group = await resolved(context, file, saved);
  return context.store.groups.update(saved.id, () => group);
}

/** The scenarios stay as they are. */
export async function removeGroup(context: Context, name: string): Promise<Group> {
  const group = await groupNamed(context, name);
  await refuseWhileUnderWay(context, group);
  await context.store.groups.remove(group.id);
  return group;
}

export interface GroupView {
  readonly group: Group;
  /** In the order of the waves, as they are with the group's common settings. */
  readonly members: readonly { readonly wave: number; readonly scenario: Scenario }[];
}

export async function viewOf(context: Pick<Context, 'store'>, group: Group): Promise<GroupView> {
  const scenarios = await context.store.scenarios.list();
  const members = group.waves.flatMap(({ scenarioIds }, index) =>
    scenarioIds.flatMap((id) => {
      const scenario = scenarios.find((one) => one.id === id);
      return scenario ? [{ wave: index + 1, scenario: withCommon(scenario, group.common) }] : [];
    }),
  );
  return { group, members };
}

/** Runs of the group itself that may still go on. */
export async function unfinishedGroupRuns(
  context: Pick<Context, 'store'>,
  group: Pick<Group, 'id'>,
): Promise<readonly RunRecord[]> {
  return context.store.runs.list({ subject: group.id, statuses: ['running', 'failed'] });
}

/** Its run knows its waves as they were. */
export async function refuseWhileUnderWay(context: Context, group: Group): Promise<void> {
  const [run] = await unfinishedGroupRuns(context, group);
  if (!run) return;
  throw inputError(
    'GROUP_BUSY',
    `Group ${group.name} has an unfinished ${run.kind} (${run.id}); it cannot be changed now.`,
    `Let it end first: standby group resume ${group.name}`,
  );
}

async function resolved(
  context: Context,
  file: GroupFile,
  kept: Pick<Group, 'id' | 'createdAtMs'>,
): Promise<Group> {
  const [scenarios, groups] = await Promise.all([
    context.store.scenarios.list(),
    context.store.groups.list(),
  ]);
  const problems: string[] = [];
  const idOf = (name: string): string => {
    const scenario = scenarios.find((one) => one.name.toLowerCase() === name.toLowerCase());
    if (!scenario) {
      problems.push(`waves: there is no scenario ${name}`);
      return '';
    }
    const other = groups.find((one) => one.id !== kept.id && memberIdsOf(one).includes(scenario.id));
    if (other) problems.push(`waves: ${scenario.name} is in group ${other.name} already`);
    return scenario.id;
  };
  const waves = file.waves.map(({ scenarios: names, ...rest }) => ({
    scenarioIds: names.map(idOf),
    ...rest,
  }));
  if (problems.length > 0) throw invalid(problems);
  return {
    id: kept.id,
    name: file.name,
    waves,
    common: file.common ?? {},
    ...(file.parallel === undefined ? {} : { parallel: file.parallel }),
    createdAtMs: kept.createdAtMs,
  };
}
