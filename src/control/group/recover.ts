import { randomUUID } from 'node:crypto';
import { timeText } from '../../clock.ts';
import { inputError } from '../../errors.ts';
import type { Group } from '../../model/group.ts';
import type { Scenario, ScenarioStatus } from '../../model/scenario.ts';
import type { RunRecord } from '../../plan/plan.ts';
import type { Context } from '../context.ts';
import { statusOf } from '../scenario-status.ts';
import { carryOut } from '../scenario-work.ts';
import { type BackOutcome, backStepId, GROUP_BACK, type GroupBackInput, groupBackPlan } from './back-plan.ts';
import { unfinishedGroupRuns, viewOf } from './definition.ts';
import { memberContexts } from './member.ts';
import { groupNamed } from './named.ts';
import { outcomeOf } from './run-view.ts';
import { unfinishedSwitchover } from './switch-plan.ts';

/** C-27, the side of the masters: what it does to each member, and what is lost by it. Nothing is changed yet. */
export interface BackProposal {
  readonly group: Group;
  readonly runId: string;
  readonly input: GroupBackInput;
  readonly members: readonly BackMember[];
  readonly unfinished?: RunRecord;
}

export interface BackMember {
  readonly scenario: string;
  readonly state: string;
  readonly text: string;
  /** Something is done to it. */
  readonly moves: boolean;
}

const BACK_AT_ONCE = 10;

export async function proposeBack(
  context: Context,
  name: string,
  options: { readonly remove: boolean },
): Promise<BackProposal> {
  const group = await groupNamed(context, name);
  const runs = await unfinishedGroupRuns(context, group);
  const unfinished = runs.find((run) => run.kind === GROUP_BACK);
  const kept = unfinished?.input as GroupBackInput | undefined;
  if (kept && options.remove && !kept.remove) {
    throw inputError(
      'RUN_NOT_REMOVING',
      `The unfinished way back of group ${group.name} was begun without --remove.`,
      `Let it end first (standby group resume ${group.name}), then remove what is left.`,
    );
  }
  const remove = kept?.remove ?? options.remove;
  const { members } = await viewOf(context, kept?.group ?? group);
  const told = await Promise.all(members.map(({ scenario }) => backMember(context, scenario, remove)));
  if (!unfinished && runs.length === 0 && !told.some((one) => one.moves)) {
    throw inputError(
      'NOTHING_TO_RECOVER',
      members.length === 1
        ? `The one member of group ${group.name} is on its master.`
        : `All members of group ${group.name} are on their masters.`,
      `Look: standby group status ${group.name}`,
    );
  }
  const names = Object.fromEntries(members.map(({ scenario }) => [scenario.id, scenario.name]));
  return {
    group,
    runId: unfinished?.id ?? randomUUID(),
    input: kept ?? { group, names, parallel: group.parallel ?? BACK_AT_ONCE, remove },
    members: told,
    ...(unfinished ? { unfinished } : {}),
  };
}

async function backMember(context: Context, scenario: Scenario, remove: boolean): Promise<BackMember> {
  const status = await statusOf(context, scenario);
  const named = { scenario: scenario.name, state: status.state };
  if (status.state !== 'switched-over' && (await unfinishedSwitchover(context, scenario))) {
    const text = 'Its switchover is not complete and is taken back; its standby has served nobody.';
    return { ...named, text, moves: true };
  }
  const stands = status.state === 'switched-over' || (remove && status.standbyVmId !== undefined);
  if (!stands) return { ...named, text: 'It is on its master; nothing is done.', moves: false };
  return { ...named, text: lossText(status, remove), moves: true };
}

function lossText({ state, sinceMs }: ScenarioStatus, remove: boolean): string {
  const since = state === 'switched-over' ? ` since ${timeText(sinceMs)}` : '';
  return remove
    ? `Its standby is removed: everything that was written there${since} is LOST.`
    : `Its standby is stopped: what was written there${since} is not on the master. It stays on the standby's disks until: standby vm stop --remove. A master that was fenced stays off the network until then.`;
}

export interface BackReport {
  readonly group: Group;
  readonly run: RunRecord;
  readonly members: readonly {
    readonly scenario: string;
    readonly outcome: BackOutcome['outcome'] | 'failed' | 'waiting';
    readonly error?: unknown;
  }[];
}

export async function bringGroupBack(context: Context, proposal: BackProposal): Promise<BackReport> {
  const { runId, input, group, unfinished } = proposal;
  const run =
    unfinished ??
    (await context.store.runs.create({
      id: runId,
      kind: GROUP_BACK,
      subject: group.id,
      title: `Back to the masters of group ${group.name}`,
      input,
    }));
  return resumeBack(context, run);
}

export async function resumeBack(context: Context, run: RunRecord): Promise<BackReport> {
  const input = run.input as GroupBackInput;
  const ended = await outcomeOf(context, run, (results) =>
    carryOut(
      context,
      run,
      groupBackPlan({ context, memberContext: memberContexts(context), runId: run.id, input, results }),
    ),
  );
  return {
    group: input.group,
    run: ended,
    members: input.group.waves.flatMap((wave) =>
      wave.scenarioIds.map((id) => {
        const step = ended.steps.find((one) => one.stepId === backStepId(id));
        const scenario = input.names[id] ?? id;
        if (step?.status === 'done') return { scenario, ...(step.output as BackOutcome) };
        if (step?.status === 'failed') return { scenario, outcome: 'failed' as const, error: step.error };
        return { scenario, outcome: 'waiting' as const };
      }),
    ),
  };
}
