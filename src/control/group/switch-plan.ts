/**
 * Promises that a group switches over wave after wave, each member once. The work itself is the members' own durable
 * switchovers; this plan only says who may begin. Dying at any line leaves the members where they are, each of which can
 * be gone on with; a resume goes on with those that were begun, finds those that were done, and begins the rest.
 * One member's failure stops nobody of its wave, and the next wave does not begin. Behind a pause nothing begins before a
 * person goes on: dying there pauses again.
 */
import { isStandbyError, type StandbyError } from '../../errors.ts';
import type { Group } from '../../model/group.ts';
import type { Scenario } from '../../model/scenario.ts';
import type { Plan, RunRecord, Step, StepContext } from '../../plan/plan.ts';
import type { Context } from '../context.ts';
import { appendEvent } from '../events.ts';
import { scenarioNamed, unfinishedRuns } from '../scenario-named.ts';
import { statusOf } from '../scenario-status.ts';
import { proposeSwitchover, SWITCHOVER, type SwitchoverRequest, switchOver } from '../switchover.ts';
import { makeAtMost } from './at-most.ts';
import type { MemberContext } from './member.ts';
import { paused } from './problems.ts';
import { allSwitchedOver, membersText } from './words.ts';

export const GROUP_SWITCHOVER = 'group-switchover';

/** What a person has said once for all members. */
export type GroupRequest = Pick<
  SwitchoverRequest,
  | 'acceptUnprovenBoot'
  | 'acceptUnprotected'
  | 'leaveOutPatch'
  | 'leaveOutRedirect'
  | 'leaveOutScripts'
  | 'masterIsDown'
  | 'planned'
  | 'point'
  | 'waitForJournals'
>;

/** What a run of a group keeps: enough to build the same plan again. */
export interface GroupRunInput {
  readonly group: Group;
  /** By scenario id, as they were called when it began. */
  readonly names: Readonly<Record<string, string>>;
  readonly request: GroupRequest;
  readonly parallel: number;
}

export interface MemberOutcome {
  readonly outcome: 'switched-over' | 'already' | 'failed';
  readonly vmId?: string;
  readonly runId?: string;
  readonly boot?: string;
  readonly addresses?: unknown;
  readonly totalMs?: number;
  readonly error?: { readonly code: string; readonly what: string; readonly next?: string };
}

export interface PlanParts {
  readonly context: Context;
  readonly memberContext: MemberContext;
  readonly runId: string;
  readonly input: GroupRunInput;
  /** Takes note of the errors that are members'. */
  readonly results: WeakSet<object>;
  /** Said when the run is gone on with, and not kept. */
  readonly pastFailures: boolean;
  /** The pauses that a person has gone on from; or all of them. */
  readonly passes: (pauseId: string) => boolean;
}

export const memberStepId = (scenarioId: string) => `switch-${scenarioId}`;
export const pauseStepId = (wave: number) => `pause-after-${wave}`;

export function groupSwitchoverPlan(parts: PlanParts): Plan {
  const { group, parallel } = parts.input;
  const atMost = makeAtMost(parallel);
  return {
    kind: GROUP_SWITCHOVER,
    title: `Switchover of group ${group.name}`,
    stages: [
      ...group.waves.flatMap(({ scenarioIds, delaySeconds, pause }, index) => [
        scenarioIds.map((id) => memberStep(parts, id, atMost)),
        ...(delaySeconds === undefined ? [] : [[delayStep(parts, index + 1, delaySeconds)]]),
        ...(pause === undefined ? [] : [[pauseStep(parts, index + 1, pause)]]),
      ]),
      [declareStep(parts)],
    ],
  };
}

function memberStep(
  parts: PlanParts,
  scenarioId: string,
  atMost: ReturnType<typeof makeAtMost>,
): Step<MemberOutcome> {
  const { context, input } = parts;
  const name = input.names[scenarioId] ?? scenarioId;
  return {
    id: memberStepId(scenarioId),
    title: `Switch ${name} over`,
    async find() {
      const scenario = await context.store.scenarios.get(scenarioId);
      if (!scenario) return undefined;
      const { state, standbyVmId } = await statusOf(context, scenario);
      if (state !== 'switched-over' || (await unfinishedSwitchover(context, scenario))) return undefined;
      return { outcome: 'already', ...(standbyVmId === undefined ? {} : { vmId: standbyVmId }) };
    },
    run: (step) =>
      atMost(async () => {
        // Who waited for its turn while the run was stopped begins nothing.
        step.signal.throwIfAborted();
        try {
          return await switchMember(parts, scenarioId, name, step);
        } catch (error) {
          if (step.signal.aborted || !isStandbyError(error)) throw error;
          if (parts.pastFailures) return failed(error);
          parts.results.add(error);
          throw error;
        }
      }),
  };
}

/** The status says `switched-over` a moment before its run has ended: who died in between is gone on with. */
export async function unfinishedSwitchover(
  context: Pick<Context, 'store'>,
  scenario: Scenario,
): Promise<RunRecord | undefined> {
  return (await unfinishedRuns(context, scenario)).find((run) => run.kind === SWITCHOVER);
}

async function switchMember(
  { context, memberContext, input }: PlanParts,
  scenarioId: string,
  name: string,
  { signal }: StepContext,
): Promise<MemberOutcome> {
  const member = memberContext(name, signal);
  // It may have been renamed since.
  const scenario = (await context.store.scenarios.get(scenarioId)) ?? (await scenarioNamed(context, name));
  const proposal = await proposeSwitchover(member, scenario.name, input.request);
  const { report, run } = await switchOver(member, proposal);
  return {
    outcome: 'switched-over',
    runId: run.id,
    ...(report.vm ? { vmId: report.vm.id } : {}),
    ...(report.boot ? { boot: report.boot.outcome } : {}),
    addresses: report.addresses,
    totalMs: report.totalMs,
  };
}

function failed({ code, what, next }: StandbyError): MemberOutcome {
  return { outcome: 'failed', error: { code, what, ...(next === undefined ? {} : { next }) } };
}

function delayStep({ context }: PlanParts, wave: number, delaySeconds: number): Step {
  return {
    id: `delay-after-${wave}`,
    title: `Wait ${delaySeconds} s after wave ${wave}`,
    async run(step) {
      const kept = step.checkpoint as { readonly untilMs: number } | undefined;
      const untilMs = kept?.untilMs ?? context.clock.now() + delaySeconds * 1000;
      if (!kept) await step.save({ untilMs });
      const leftMs = Math.min(untilMs - context.clock.now(), delaySeconds * 1000);
      if (leftMs > 0) await context.clock.sleep(leftMs, step.signal);
    },
  };
}

function pauseStep({ context, input, runId, passes }: PlanParts, wave: number, text: string): Step {
  const id = pauseStepId(wave);
  return {
    id,
    title: `Pause after wave ${wave}: ${text}`,
    async run() {
      if (passes(id)) return { passedAtMs: context.clock.now() };
      await appendEvent(context, {
        id: `${runId}/GROUP_PAUSED/${wave}`,
        level: 'warning',
        code: 'GROUP_PAUSED',
        text: `Group ${input.group.name} is paused after wave ${wave}: ${text}. Go on: standby group resume ${input.group.name}`,
        runId,
      });
      throw paused(input.group, wave, text);
    },
  };
}

function declareStep({ context, input, runId }: PlanParts): Step {
  return {
    id: 'declare-group',
    title: 'Say how the group stands',
    async run(step) {
      const ids = input.group.waves.flatMap((wave) => wave.scenarioIds);
      const bad = ids.filter((id) => step.output<MemberOutcome>(memberStepId(id)).outcome === 'failed');
      const names = bad.map((id) => input.names[id]).join(', ');
      const { name } = input.group;
      const text =
        bad.length === 0
          ? allSwitchedOver(name, ids.length)
          : `Of the ${membersText(ids.length)} of group ${name} ${ids.length - bad.length} switched over; not: ${names}. Those left: standby group recover ${name} --side standby`;
      await appendEvent(context, {
        id: `${runId}/GROUP_SWITCHED_OVER`,
        level: bad.length === 0 ? 'info' : 'warning',
        code: 'GROUP_SWITCHED_OVER',
        text,
        runId,
      });
      return { failed: bad.length };
    },
  };
}
