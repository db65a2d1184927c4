/**
 * Promises that a group's masters are the ones that count again: switchovers that are not complete are taken back,
 * standbys that serve are stopped (or removed), the last wave first. The work is the members' own durable runs. Dying at
 * any line leaves members on either side; a resume finds those that are back and goes on with the rest.
 */
import { isStandbyError, StandbyError } from '../../errors.ts';
import type { Scenario } from '../../model/scenario.ts';
import type { Plan, Step } from '../../plan/plan.ts';
import type { Context } from '../context.ts';
import { appendEvent } from '../events.ts';
import { unfinishedRuns } from '../scenario-named.ts';
import { statusOf } from '../scenario-status.ts';
import { cancelRun } from '../stop.ts';
import { resumeSwitchover, SWITCHOVER, undoSwitchoverRun } from '../switchover.ts';
import { stopVm, VM_STOP } from '../vm.ts';
import { makeAtMost } from './at-most.ts';
import { unfinishedGroupRuns } from './definition.ts';
import type { MemberContext } from './member.ts';
import { GROUP_SWITCHOVER, type GroupRunInput } from './switch-plan.ts';

export const GROUP_BACK = 'group-back';

export interface GroupBackInput extends Omit<GroupRunInput, 'request'> {
  /** The standbys go, with what they have written; else they are only stopped. */
  readonly remove: boolean;
}

export interface BackOutcome {
  readonly outcome: 'already' | 'taken-back' | 'stopped' | 'removed';
}

interface BackParts {
  readonly context: Context;
  readonly memberContext: MemberContext;
  readonly runId: string;
  readonly input: GroupBackInput;
  readonly results: WeakSet<object>;
}

export const backStepId = (scenarioId: string) => `back-${scenarioId}`;

export function groupBackPlan(parts: BackParts): Plan {
  const { context, input, runId } = parts;
  const { group } = input;
  const atMost = makeAtMost(input.parallel);
  return {
    kind: GROUP_BACK,
    title: `Back to the masters of group ${group.name}`,
    stages: [
      [endSwitchoverStep(parts)],
      ...group.waves
        .toReversed()
        .map((wave) => wave.scenarioIds.map((id) => backStep(parts, id, (work) => atMost(work)))),
      [
        {
          id: 'declare-group',
          title: 'Say how the group stands',
          run: () =>
            appendEvent(context, {
              id: `${runId}/GROUP_ON_MASTERS`,
              level: 'warning',
              code: 'GROUP_ON_MASTERS',
              text: `Group ${group.name} is back on its masters. Members whose standby was stopped are not protected: standby group run ${group.name}`,
              runId,
            }),
        },
      ],
    ],
  };
}

/** Whoever works on it is waited for; nothing new is begun by it afterwards. */
function endSwitchoverStep({ context, input }: BackParts): Step {
  return {
    id: 'end-switchover',
    title: 'End the switchover of the group',
    async run() {
      const runs = await unfinishedGroupRuns(context, input.group);
      for (const run of runs.filter((one) => one.kind === GROUP_SWITCHOVER)) await cancelRun(context, run);
    },
  };
}

function backStep(
  parts: BackParts,
  scenarioId: string,
  inTurn: (work: () => Promise<BackOutcome>) => Promise<BackOutcome>,
): Step<BackOutcome> {
  const name = parts.input.names[scenarioId] ?? scenarioId;
  return {
    id: backStepId(scenarioId),
    title: `${name}: back to its master`,
    run: (step) =>
      inTurn(async () => {
        step.signal.throwIfAborted();
        const scenario = await parts.context.store.scenarios.get(scenarioId);
        if (!scenario) return { outcome: 'already' };
        try {
          return await bringBack(parts.memberContext(name, step.signal), scenario, parts.input.remove);
        } catch (error) {
          if (isStandbyError(error)) parts.results.add(error);
          throw error;
        }
      }),
  };
}

async function bringBack(context: Context, scenario: Scenario, remove: boolean): Promise<BackOutcome> {
  const unfinished = await unfinishedRuns(context, scenario);
  const stopping = unfinished.find((run) => run.kind === VM_STOP);
  if (stopping) return stopStandby(context, scenario, remove);
  const switching = unfinished.find((run) => run.kind === SWITCHOVER);
  if (switching) {
    try {
      await undoSwitchoverRun(context, switching);
      return { outcome: 'taken-back' };
    } catch (error) {
      if (!isStandbyError(error) || error.code !== 'PAST_COMMIT') throw error;
      // Complete but for being told: it is told, and the standby then stopped like any other.
      await resumeSwitchover(context, switching);
    }
  }
  const { state, standbyVmId } = await statusOf(context, scenario);
  if (state === 'switched-over' || (remove && state === 'stopped' && standbyVmId !== undefined)) {
    return stopStandby(context, scenario, remove);
  }
  if (state === 'failing-back' || state === 'switching-over') throw busy(scenario, state);
  return { outcome: 'already' };
}

async function stopStandby(context: Context, scenario: Scenario, remove: boolean): Promise<BackOutcome> {
  const { status } = await stopVm(context, scenario.name, { remove });
  // One that was begun otherwise went on as it was begun.
  if (remove && status.standbyVmId !== undefined) await stopVm(context, scenario.name, { remove });
  return { outcome: remove ? 'removed' : 'stopped' };
}

function busy({ name }: Scenario, state: string): StandbyError {
  return new StandbyError({
    code: 'SCENARIO_BUSY',
    what: `Scenario ${name} is ${state}, which this cannot take back.`,
    next: `Look: standby status ${name}`,
  });
}
