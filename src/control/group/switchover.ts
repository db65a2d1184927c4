import { randomUUID } from 'node:crypto';
import { inputError, isStandbyError } from '../../errors.ts';
import type { Group } from '../../model/group.ts';
import type { Scenario } from '../../model/scenario.ts';
import type { RunRecord } from '../../plan/plan.ts';
import { RESOURCE_TYPES } from '../../switchover/blueprint.ts';
import type { Context } from '../context.ts';
import type { LossStatement } from '../loss.ts';
import { statusOf } from '../scenario-status.ts';
import { carryOut } from '../scenario-work.ts';
import { fencingOf, proposeSwitchover, type SwitchoverProposal } from '../switchover.ts';
import { makeAtMost } from './at-most.ts';
import { unfinishedGroupRuns, viewOf } from './definition.ts';
import { type MemberWrites, membersAtOnce } from './limits.ts';
import { memberContexts } from './member.ts';
import { groupNamed } from './named.ts';
import { busyWith, notReady, type Refused } from './problems.ts';
import { type GroupOutcome, outcomeOf, pauseOf, telling, viewOfRun } from './run-view.ts';
import {
  GROUP_SWITCHOVER,
  type GroupRequest,
  type GroupRunInput,
  groupSwitchoverPlan,
  unfinishedSwitchover,
} from './switch-plan.ts';

/** What a person confirms, once for all. */
export interface GroupProposal {
  readonly group: Group;
  readonly runId: string;
  readonly input: GroupRunInput;
  readonly members: readonly ProposedMember[];
  readonly unfinished?: RunRecord;
}

export interface ProposedMember {
  readonly wave: number;
  readonly scenario: Scenario;
  readonly state: string;
  /** Absent: it stands already, or cannot be switched over. */
  readonly loss?: LossStatement;
  readonly refused?: Refused;
}

export interface GroupChoice {
  /** Members that cannot be switched over, or fail, hold the next wave back no longer. */
  readonly pastFailures?: boolean;
  /** Nobody is there to look at what the pauses are for. */
  readonly continuePauses?: boolean;
  readonly parallel?: number;
}

const LOOKS_AT_ONCE = 8;

/** Refuses what cannot be switched over, and says what each member would lose. Changes nothing. */
export async function proposeGroupSwitchover(
  context: Context,
  name: string,
  request: GroupRequest = {},
  choice: GroupChoice = {},
): Promise<GroupProposal> {
  const group = await groupNamed(context, name);
  const [unfinished] = await unfinishedGroupRuns(context, group);
  if (unfinished && unfinished.kind !== GROUP_SWITCHOVER) throw busyWith(group, unfinished);
  const kept = unfinished?.input as GroupRunInput | undefined;
  const { members } = await viewOf(context, kept?.group ?? group);
  if (kept) refuseOtherPoint(group, kept.request, request);
  const merged = { ...kept?.request, ...request };
  const contexts = memberContexts(context);
  const atMost = makeAtMost(LOOKS_AT_ONCE);
  const looked = await Promise.all(
    members.map(({ wave, scenario }) =>
      atMost(() => lookAtMember(contexts(scenario.name, context.host.signal), scenario, wave, merged)),
    ),
  );
  const refused = looked.flatMap((one) => one.member.refused ?? []);
  if (refused.length > 0 && !choice.pastFailures) throw notReady(group, refused);
  const parallel =
    choice.parallel ?? kept?.parallel ?? group.parallel ?? membersAtOnce(looked.flatMap((one) => one.writes));
  return {
    group,
    runId: unfinished?.id ?? randomUUID(),
    input: {
      group: kept?.group ?? group,
      names: kept?.names ?? Object.fromEntries(members.map(({ scenario }) => [scenario.id, scenario.name])),
      request: merged,
      parallel,
    },
    members: looked.map((one) => one.member),
    ...(unfinished ? { unfinished } : {}),
  };
}

/** Members may stand at the moment that it was begun to already; the others are to come to the same. */
function refuseOtherPoint({ name }: Group, kept: GroupRequest, asked: GroupRequest): void {
  const { point = { latest: true } } = kept;
  if (asked.point === undefined || JSON.stringify(asked.point) === JSON.stringify(point)) return;
  throw inputError(
    'POINT_IS_CHOSEN',
    `The unfinished switchover of group ${name} was begun to another moment.`,
    `Go on with that: standby group resume ${name}; or bring its members back first: standby group recover ${name} --side master`,
  );
}

async function lookAtMember(
  context: Context,
  scenario: Scenario,
  wave: number,
  request: GroupRequest,
): Promise<{ readonly member: ProposedMember; readonly writes: readonly MemberWrites[] }> {
  const { state } = await statusOf(context, scenario);
  const member = { wave, scenario, state };
  const isDone = state === 'switched-over' && !(await unfinishedSwitchover(context, scenario));
  if (isDone) return { member, writes: [] };
  try {
    const proposal = await proposeSwitchover(context, scenario.name, request);
    const refused = await refusedFence(context, proposal, request);
    if (refused) return { member: { ...member, refused }, writes: [] };
    return { member: { ...member, loss: proposal.loss }, writes: [writesOf(proposal)] };
  } catch (error) {
    if (!isStandbyError(error) || error.kind === 'cancelled') throw error;
    const refused = { scenario: scenario.name, code: error.code, why: sentence(error.message, error.next) };
    return { member: { ...member, refused }, writes: [] };
  }
}

const sentence = (what: string, next: string | undefined) => (next === undefined ? what : `${what} ${next}.`);

/** Two heads never: the same rule as for one scenario, found out before anything is begun. */
async function refusedFence(
  context: Context,
  proposal: SwitchoverProposal,
  { masterIsDown }: GroupRequest,
): Promise<Refused | undefined> {
  const fencing = await fencingOf(context, proposal);
  if (!fencing || fencing.isHere || masterIsDown) return undefined;
  return {
    scenario: proposal.scenario.name,
    code: 'MASTER_NOT_REACHED',
    why: `Its master ${fencing.hostName} is not reached, so it cannot be taken off the network. When you know that such masters are off: --master-is-down.`,
  };
}

function writesOf({ makes }: SwitchoverProposal): MemberWrites {
  const early: readonly string[] = [RESOURCE_TYPES.snapshot, RESOURCE_TYPES.publicIp];
  return { first: makes.filter((one) => early.includes(one.type)).length, all: makes.length };
}

/** Begins or goes on with what was shown. Members that fail do not throw: the outcome says so. */
export async function switchGroupOver(
  context: Context,
  proposal: GroupProposal,
  choice: GroupChoice = {},
): Promise<GroupOutcome> {
  const { runId, input, group } = proposal;
  const run =
    proposal.unfinished ??
    (await context.store.runs.create({
      id: runId,
      kind: GROUP_SWITCHOVER,
      subject: group.id,
      title: `Switch group ${group.name} over`,
      input,
    }));
  return goOn(context, run, input, choice, () => choice.continuePauses === true);
}

/** Goes on where the group's switchover stands: behind the pause that it is at, with members that failed tried again. */
export async function resumeGroupSwitchover(
  context: Context,
  run: RunRecord,
  choice: GroupChoice = {},
): Promise<GroupOutcome> {
  const pause = pauseOf(run);
  const passes = (id: string) => choice.continuePauses === true || id === pause?.stepId;
  return goOn(context, run, run.input as GroupRunInput, choice, passes);
}

async function goOn(
  context: Context,
  run: RunRecord,
  input: GroupRunInput,
  choice: GroupChoice,
  passes: (pauseId: string) => boolean,
): Promise<GroupOutcome> {
  const ended = await outcomeOf(context, run, (results) => {
    const plan = groupSwitchoverPlan({
      context,
      memberContext: memberContexts(context),
      runId: run.id,
      input: { ...input, parallel: choice.parallel ?? input.parallel },
      results,
      pastFailures: choice.pastFailures === true,
      passes,
    });
    return carryOut(telling(context, input.group), run, plan);
  });
  return viewOfRun(ended, input);
}
