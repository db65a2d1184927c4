import { inputError, isStandbyError, messageOf, StandbyError } from '../errors.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { RunRecord } from '../plan/plan.ts';
import type { StatusChange } from '../switchover/work.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { seenIn } from './live-look.ts';
import { scenarioNamed, unfinishedRuns } from './scenario-named.ts';
import { changeStatus, refuseForeignState, STANDBY_STATES, statusOf } from './scenario-status.ts';
import { RUN } from './scenario-work.ts';

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

/**
 * Gives up a copy that is under way, or ends a live stream, and leaves the scenario `stopped`. What is copied so far
 * stays on the replica disks, and a live replica stays at its last consistent position.
 */
export async function stopScenario(context: Context, name: string): Promise<StopReport> {
  const scenario = await scenarioNamed(context, name);
  const status = await statusOf(context, scenario);
  refuseToStop(scenario, status);
  const run = (await unfinishedRuns(context, scenario)).find((one) => one.kind === RUN);
  const runsLive = isLiveCapture(scenario.capture) && status.epoch > 0 && status.state !== 'stopped';
  const stopped = run || runsLive ? await stopOnAppliance(context, scenario) : { notes: [], change: {} };
  if (run) await cancelRun(context, run);
  const now = await changeStatus(
    context,
    scenario,
    { ...stopped.change, state: 'stopped', activeRunId: undefined },
    refuseForeignState(scenario, STANDBY_STATES),
  );
  const meanwhile = runsLive ? ' Its master is not protected until it runs again.' : '';
  await appendEvent(context, {
    level: 'info',
    code: 'SCENARIO_STOPPED',
    text: `Scenario ${scenario.name} was stopped; its copied disks stay.${meanwhile}`,
    scenarioId: scenario.id,
  });
  return { scenario, status: now, ...(run ? { cancelled: run.id } : {}), notes: stopped.notes };
}

function refuseToStop(scenario: Scenario, status: ScenarioStatus): void {
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
}

interface StoppedThere {
  readonly notes: readonly string[];
  readonly change: StatusChange;
}

/** An appliance that is away copies nothing for us any more, so stopping goes on without it and says so. */
async function stopOnAppliance(context: Context, scenario: Scenario): Promise<StoppedThere> {
  const appliance = await context.store.appliances.get(scenario.applianceId);
  if (!appliance) return { notes: [], change: {} };
  try {
    const session = await context.connect(appliance);
    try {
      await session.stopCopy(scenario.id);
      if (!isLiveCapture(scenario.capture)) return { notes: [], change: {} };
      const seen = seenIn(await session.progress(scenario.id), context.clock.now());
      return { notes: [], change: seen ? { seen } : {} };
    } finally {
      await session.close();
    }
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    const live = isLiveCapture(scenario.capture) ? ' It may go on replicating until it is told.' : '';
    return {
      notes: [`The appliance ${appliance.name} could not be told to stop: ${messageOf(error)}${live}`],
      change: {},
    };
  }
}

/** Waits until the process that works on the run has let go of it: its copy has just been stopped. */
export async function cancelRun(context: Context, run: RunRecord): Promise<void> {
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
