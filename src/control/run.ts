import { randomUUID } from 'node:crypto';
import { inputError, isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { RunRecord } from '../plan/plan.ts';
import { type SynchroniseOptions, synchronisePlan } from '../synchronise/synchronise.ts';
import { codesOf, refuseFindings } from './checks-failed.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { firstCopyNotices } from './first-copy.ts';
import { acceptWarnings, verdictsFor } from './scenario.ts';
import { scenarioNamed, unfinishedRuns } from './scenario-named.ts';
import { changeStatus, refuseForeignState, STANDBY_STATES, statusOf } from './scenario-status.ts';
import { carryOut, freshInput, makeWork, type ScenarioRunInput } from './scenario-work.ts';

export const RUN = 'run';

export interface RunReport {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  readonly run: RunRecord;
  /** True when an unfinished run was gone on with. */
  readonly resumed: boolean;
}

export interface RunRequest extends Partial<SynchroniseOptions> {
  readonly accept?: readonly string[];
}

const DEFAULT_OPTIONS: SynchroniseOptions = { lanes: 2, compression: 'none' };

/**
 * Makes the replica equal to the master. The same command after a crash goes on with the unfinished run. Before a new
 * one, the scenario is verified again: nothing is written while a check finds an error or an open warning.
 */
export async function runScenario(
  context: Context,
  name: string,
  request: RunRequest = {},
): Promise<RunReport> {
  const scenario = await scenarioNamed(context, name);
  const unfinished = await unfinishedRuns(context, scenario);
  const same = unfinished.find((run) => run.kind === RUN);
  if (same) return resumeRun(context, same);
  const status = await statusOf(context, scenario);
  refuseToRun(scenario, status, unfinished[0]);
  const verdicts = await verdictsFor(context, scenario, 'run');
  const accepted = await acceptWarnings(context, scenario, request.accept ?? [], verdicts);
  refuseFindings(verdicts, {
    scenario: scenario.name,
    accepted: codesOf(
      accepted.acceptedWarnings.map((one) => ({ ...one, status: 'warning', title: '', found: '' })),
    ),
    command: `standby run ${scenario.name}`,
  });
  const options = {
    lanes: request.lanes ?? DEFAULT_OPTIONS.lanes,
    compression: request.compression ?? DEFAULT_OPTIONS.compression,
  };
  const input = await freshInput(context, accepted, options);
  if (status.epoch === 0) {
    for (const notice of firstCopyNotices(scenario, input.inventory)) context.host.tell(notice);
  }
  const run = await context.store.runs.create({
    id: randomUUID(),
    kind: RUN,
    subject: scenario.id,
    title: `Copy ${scenario.name}`,
    input,
  });
  return goOn(context, run, false);
}

/** `standby resume` for a run of this kind. */
export async function resumeRun(context: Context, run: RunRecord): Promise<RunReport> {
  const { scenario } = run.input as ScenarioRunInput;
  refuseForeignState(scenario, STANDBY_STATES, run.id)(await statusOf(context, scenario));
  return goOn(context, run, true);
}

async function goOn(context: Context, run: RunRecord, resumed: boolean): Promise<RunReport> {
  const input = run.input as ScenarioRunInput;
  const work = await makeWork(context, { runId: run.id, input, moment: 'run' });
  const options = { ...DEFAULT_OPTIONS, ...input.options };
  const done = await carryOut(context, run, synchronisePlan(work, options));
  return { scenario: input.scenario, status: await statusOf(context, input.scenario), run: done, resumed };
}

function refuseToRun(scenario: Scenario, status: ScenarioStatus, unfinished: RunRecord | undefined): void {
  if (unfinished) {
    throw inputError(
      'SCENARIO_BUSY',
      `Scenario ${scenario.name} has an unfinished ${unfinished.kind} (${unfinished.id}).`,
      `Let it end first: standby resume ${unfinished.id}`,
    );
  }
  if (!STANDBY_STATES.includes(status.state)) return;
  throw inputError(
    'SCENARIO_BUSY',
    `Scenario ${scenario.name} is ${status.state}; copying now would overwrite the copy that its standby was made from.`,
    `Look: standby status ${scenario.name}. To copy again, remove the standby first: standby vm stop ${scenario.name} --remove`,
  );
}

export interface StopReport {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  /** The run that was given up, if one was under way. */
  readonly cancelled?: string;
  /** What could not be done, and does not matter for the scenario being stopped. */
  readonly notes: readonly string[];
}

const STOP_LEASE_MS = 10_000;
const STOP_WAIT_MS = 60_000;
const STOP_POLL_MS = 250;

/** Gives up a copy that is under way and leaves the scenario `stopped`. What is copied so far stays on the replica disks. */
export async function stopScenario(context: Context, name: string): Promise<StopReport> {
  const scenario = await scenarioNamed(context, name);
  const status = await statusOf(context, scenario);
  if (['switching-over', 'failing-back'].includes(status.state)) {
    throw inputError(
      'SCENARIO_BUSY',
      `Scenario ${scenario.name} is ${status.state} and cannot be stopped half-way.`,
      `Go on (standby resume ${status.activeRunId ?? 'RUN'}) or take it back (standby switchover ${scenario.name} --undo).`,
    );
  }
  if (status.state === 'switched-over') {
    throw inputError(
      'STANDBY_EXISTS',
      `Scenario ${scenario.name} has switched over; its standby is in service.`,
      `To stop the standby: standby vm stop ${scenario.name} (with --remove it goes, and the replica stays)`,
    );
  }
  const run = (await unfinishedRuns(context, scenario)).find((one) => one.kind === RUN);
  const notes = run ? await stopCopy(context, scenario) : [];
  if (run) await cancelRun(context, run);
  const stopped = await changeStatus(
    context,
    scenario,
    { state: 'stopped', activeRunId: undefined },
    refuseForeignState(scenario, STANDBY_STATES),
  );
  await appendEvent(context, {
    level: 'info',
    code: 'SCENARIO_STOPPED',
    text: `Scenario ${scenario.name} was stopped; its copied disks stay.`,
    scenarioId: scenario.id,
  });
  return { scenario, status: stopped, ...(run ? { cancelled: run.id } : {}), notes };
}

/** An appliance that is away copies nothing for us any more, so stopping goes on without it and says so. */
async function stopCopy(context: Context, scenario: Scenario): Promise<readonly string[]> {
  const appliance = await context.store.appliances.get(scenario.applianceId);
  if (!appliance) return [];
  try {
    const session = await context.connect(appliance);
    try {
      await session.stopCopy(scenario.id);
    } finally {
      await session.close();
    }
    return [];
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    return [`The appliance ${appliance.name} could not be told to stop: ${messageOf(error)}`];
  }
}

/** Waits until the process that works on the run has let go of it: its copy has just been stopped. */
async function cancelRun(context: Context, run: RunRecord): Promise<void> {
  const { store, clock, owner, host } = context;
  const untilMs = clock.now() + STOP_WAIT_MS;
  for (;;) {
    const lease = await store.runs.claim(run.id, owner, STOP_LEASE_MS);
    if (lease) return store.runs.finish(lease, 'cancelled');
    if (clock.now() >= untilMs) throw stillHeld(run);
    await clock.sleep(STOP_POLL_MS, host.signal);
  }
}

function stillHeld(run: RunRecord): StandbyError {
  return new StandbyError({
    code: 'LEASE_HELD',
    what: `The run ${run.id} is still being worked on by another process.`,
    next: 'End that process (Ctrl-C where it runs), then stop the scenario again.',
    retry: 'later',
  });
}
