import type { Group } from '../../model/group.ts';
import type { ScenarioState } from '../../model/scenario.ts';
import type { Context } from '../context.ts';
import { type StatusView, scenarioStatus } from '../status.ts';
import { makeAtMost } from './at-most.ts';
import { GROUP_BACK } from './back-plan.ts';
import { unfinishedGroupRuns, viewOf } from './definition.ts';
import { groupNamed } from './named.ts';
import { type GroupOutcome, pauseOf, viewOfRun } from './run-view.ts';
import { GROUP_SWITCHOVER, type GroupRunInput } from './switch-plan.ts';
import { membersText, onStandbys } from './words.ts';

/** Who serves the clients of a member. `between`: something is under way or was interrupted; `nobody-known`: it is stopped. */
export type Side = 'master' | 'standby' | 'between' | 'nobody-known';

export interface GroupStatus {
  readonly group: Group;
  readonly state: 'masters' | 'standbys' | 'mixed' | 'paused' | 'under-way' | 'interrupted' | 'failed';
  /** One sentence, with what to do. */
  readonly sentence: string;
  readonly members: readonly GroupMember[];
  /** A switchover or way back of the group that has not ended. */
  readonly run?: { readonly id: string; readonly kind: string; readonly held: boolean };
  readonly switchover?: Pick<GroupOutcome, 'members' | 'pause'>;
}

export interface GroupMember {
  readonly wave: number;
  readonly scenario: string;
  readonly side: Side;
  readonly view: StatusView;
}

const LOOKS_AT_ONCE = 8;

export async function groupStatus(context: Context, name: string): Promise<GroupStatus> {
  const group = await groupNamed(context, name);
  const { members } = await viewOf(context, group);
  const atMost = makeAtMost(LOOKS_AT_ONCE);
  const looked = await Promise.all(
    members.map(({ wave, scenario }) =>
      atMost(async () => {
        const view = await scenarioStatus(context, scenario.name);
        return { wave, scenario: scenario.name, side: sideOf(view.status.state), view };
      }),
    ),
  );
  const [run] = await unfinishedGroupRuns(context, group);
  const outcome = run?.kind === GROUP_SWITCHOVER ? viewOfRun(run, run.input as GroupRunInput) : undefined;
  const state = run ? stateOfRun(run) : stateOf(looked);
  return {
    group,
    state,
    sentence: sentenceOf(group, state, looked, outcome, run?.kind === GROUP_BACK),
    members: looked,
    ...(run ? { run: { id: run.id, kind: run.kind, held: run.held !== undefined } } : {}),
    ...(outcome
      ? { switchover: { members: outcome.members, ...(outcome.pause ? { pause: outcome.pause } : {}) } }
      : {}),
  };
}

function sideOf(state: ScenarioState): Side {
  if (state === 'switched-over') return 'standby';
  if (state === 'switching-over' || state === 'failing-back') return 'between';
  return state === 'stopped' ? 'nobody-known' : 'master';
}

function stateOfRun(run: Parameters<typeof pauseOf>[0] & { readonly held?: unknown }): GroupStatus['state'] {
  if (run.held !== undefined) return 'under-way';
  if (pauseOf(run)) return 'paused';
  return run.status === 'failed' ? 'failed' : 'interrupted';
}

function stateOf(members: readonly GroupMember[]): GroupStatus['state'] {
  const standbys = members.filter((one) => one.side === 'standby').length;
  if (members.some((one) => one.side === 'between')) return 'mixed';
  if (standbys === 0) return 'masters';
  return standbys === members.length ? 'standbys' : 'mixed';
}

function sentenceOf(
  { name }: Group,
  state: GroupStatus['state'],
  members: readonly GroupMember[],
  outcome: GroupOutcome | undefined,
  isBack: boolean,
): string {
  const standbys = members.filter((one) => one.side === 'standby').length;
  const count = onStandbys(standbys, members.length);
  const sides = `Choose the side: standby group recover ${name} --side standby, or --side master`;
  const what = isBack ? 'way back to the masters' : 'switchover';
  switch (state) {
    case 'masters':
      return `No member is on its standby (${membersText(members.length)}).`;
    case 'standbys':
      return members.length === 1
        ? 'Its one member is on its standby.'
        : `All ${members.length} members are on their standbys.`;
    case 'mixed':
      return `MIXED: ${count}. ${sides}.`;
    case 'paused':
      return `${outcome?.pause?.text ?? 'Paused'}; ${count}. Go on: standby group resume ${name}. Or back: standby group recover ${name} --side master.`;
    case 'under-way':
      return `A ${what} is under way; ${count}.`;
    case 'interrupted':
      return `A ${what} was interrupted; ${count}. Go on: standby group resume ${name}.`;
    case 'failed':
      return `A ${what} has ${outcome?.failed.length === 1 ? 'a failed member' : 'failed members'}; ${count}. Again: standby group resume ${name}; the next wave all the same: --past-failures. ${sides}.`;
  }
}
