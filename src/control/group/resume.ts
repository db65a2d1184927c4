import { inputError, StandbyError } from '../../errors.ts';
import type { RunRecord } from '../../plan/plan.ts';
import type { Context } from '../context.ts';
import { GROUP_BACK } from './back-plan.ts';
import { unfinishedGroupRuns } from './definition.ts';
import { groupNamed } from './named.ts';
import { membersFailed } from './problems.ts';
import { type BackReport, resumeBack } from './recover.ts';
import type { GroupOutcome } from './run-view.ts';
import { type GroupChoice, resumeGroupSwitchover } from './switchover.ts';

/** `standby group resume`: whichever of the group's runs has not ended. The way back comes first: it ends the switchover. */
export async function resumeGroup(
  context: Context,
  name: string,
  choice: GroupChoice,
): Promise<GroupOutcome | BackReport> {
  const group = await groupNamed(context, name);
  const runs = await unfinishedGroupRuns(context, group);
  const run = runs.find((one) => one.kind === GROUP_BACK) ?? runs[0];
  if (!run) {
    throw inputError(
      'NOTHING_TO_RESUME',
      `Group ${group.name} has no unfinished run.`,
      `Look: standby group status ${group.name}`,
    );
  }
  return run.kind === GROUP_BACK ? resumeBack(context, run) : resumeGroupSwitchover(context, run, choice);
}

/** `standby resume RUN`: what did not come to its end is an error there. */
export async function resumeGroupRun(context: Context, run: RunRecord): Promise<GroupOutcome> {
  const outcome = await resumeGroupSwitchover(context, run);
  if (outcome.failed.length > 0) throw membersFailed(outcome.group, outcome.failed);
  if (outcome.pause) throw pausedAgain(outcome);
  return outcome;
}

export async function resumeBackRun(context: Context, run: RunRecord): Promise<BackReport> {
  const report = await resumeBack(context, run);
  const failed = report.members.filter((one) => one.outcome === 'failed').map((one) => one.scenario);
  if (failed.length > 0) throw membersFailed(report.group, failed);
  return report;
}

function pausedAgain({ group, pause }: GroupOutcome): StandbyError {
  return new StandbyError({
    code: 'GROUP_PAUSED',
    what: `Group ${group.name}: ${pause?.text}`,
    next: `When it is right, go on: standby group resume ${group.name}`,
    kind: 'interrupted',
    retry: 'later',
  });
}
