import { StandbyError } from '../errors.ts';
import type { MasterInventory } from '../model/disk.ts';
import type { Scenario, ScenarioState } from '../model/scenario.ts';
import type { Plan, RunRecord } from '../plan/plan.ts';
import { runPlan, undoPlan } from '../plan/runner.ts';
import type { StatusChange, Work } from '../switchover/work.ts';
import type { Moment } from '../verify/check.ts';
import { requestBackup } from './backup-request.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { inherited } from './group/named.ts';
import { redirectParts } from './redirect.ts';
import { runTelling } from './run-telling.ts';
import { accountGone, verdictsFor } from './scenario.ts';
import {
  COPYING_STATES,
  changeStatus,
  refuseForeignState,
  STANDBY_STATES,
  statusOf,
} from './scenario-status.ts';

/** The kind of a synchronisation's run. */
export const RUN = 'run';

/** What a run of a scenario keeps: its definition and its master as they were when it began, so a resume builds the same plan. */
export interface ScenarioRunInput {
  readonly scenario: Scenario;
  readonly inventory: MasterInventory;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Makes what the plans of a run work with (src/switchover/work.ts). */
export async function makeWork(
  context: Context,
  facts: { readonly runId: string; readonly input: ScenarioRunInput; readonly moment: Moment },
): Promise<Work> {
  const { scenario, inventory, options } = facts.input;
  const { store, host } = context;
  const account = await store.accounts.get(scenario.accountId);
  if (!account) throw accountGone(scenario);
  const appliance = await store.appliances.get(scenario.applianceId);
  if (!appliance) throw missing(scenario, 'appliance');
  return {
    runId: facts.runId,
    scenario,
    inventory,
    appliance,
    cloud: await context.cloudFor(account),
    clock: context.clock,
    // The record is read again each time: an appliance that enrolled meanwhile is dialled as such.
    connect: async () => context.connect((await store.appliances.get(appliance.id)) ?? appliance),
    status: () => statusOf(context, scenario),
    setStatus: (change) =>
      changeStatus(
        context,
        scenario,
        change,
        refuseForeignState(scenario, statesInTheWay(facts.moment, change, options), facts.runId),
      ),
    event: (event) =>
      appendEvent(context, {
        ...event,
        id: `${facts.runId}/${event.code}`,
        scenarioId: scenario.id,
        runId: facts.runId,
      }),
    verify: async () => {
      // What people accepted after the run had begun counts too.
      const { acceptedWarnings } = (await store.scenarios.get(scenario.id)) ?? scenario;
      return verdictsFor(context, { ...scenario, acceptedWarnings }, facts.moment);
    },
    requestBackup: () => requestBackup(context, scenario, facts.runId),
    ...redirectParts(context, scenario, facts.runId),
    ...(options.masterIsDown === true ? { masterIsDown: true } : {}),
    leaveOut: {
      redirect: options.leaveOutRedirect === true,
      scripts: options.leaveOutScripts === true,
      patch: options.leaveOutPatch === true,
    },
    tellProgress: (progress) => host.tell({ kind: 'progress', ...progress }),
    ...(options.acceptUnprovenBoot === true ? { acceptUnprovenBoot: true } : {}),
    ...(typeof options.bootWaitMs === 'number' ? { patience: { bootMs: options.bootWaitMs } } : {}),
  };
}

function statesInTheWay(
  moment: Moment,
  change: StatusChange,
  options: ScenarioRunInput['options'],
): readonly ScenarioState[] {
  if (change.state === undefined) return [];
  if (moment === 'run') return STANDBY_STATES;
  // The operator has said that the replica need not have caught up.
  const copying = COPYING_STATES.filter(
    (state) => state !== 'draining' || options.acceptUnprotected !== true,
  );
  return change.state === 'switching-over' ? [...copying, ...STANDBY_STATES] : copying;
}

/** The definition, with what its group sets for all, and the master as they are now. */
export async function freshInput(
  context: Context,
  scenario: Scenario,
  options: Readonly<Record<string, unknown>>,
): Promise<ScenarioRunInput> {
  const master = await context.store.masters.get(scenario.masterId);
  if (!master) throw missing(scenario, 'master');
  return { scenario: await inherited(context, scenario), inventory: master.inventory, options };
}

function missing(scenario: Scenario, what: 'appliance' | 'master'): StandbyError {
  return new StandbyError({
    code: `${what.toUpperCase()}_UNKNOWN`,
    what: `The ${what} of scenario ${scenario.name} is not known here any more.`,
    next: `Choose another one: standby scenario edit ${scenario.name}`,
    kind: 'input',
  });
}

/** Runs or goes on with a plan and tells each step; the lease, the record and the resume are the runner's. */
export async function carryOut(context: Context, run: RunRecord, plan: Plan): Promise<RunRecord> {
  return runPlan(runOptions(context, run, plan));
}

export async function takeBack(context: Context, run: RunRecord, plan: Plan): Promise<RunRecord> {
  return undoPlan(runOptions(context, run, plan));
}

function runOptions(context: Context, run: RunRecord, plan: Plan): Parameters<typeof runPlan>[0] {
  const { store, owner, clock, log, host, atPoint } = context;
  return {
    store: store.runs,
    plan,
    run,
    owner,
    clock,
    log,
    signal: host.signal,
    ...runTelling(host),
    ...(atPoint ? { atPoint } : {}),
  };
}
