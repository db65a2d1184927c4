import { isStandbyError, messageOf } from '../errors.ts';
import { lastDrillTimeMs, parseDrillSchedule } from '../model/drill-schedule.ts';
import type { Scenario } from '../model/scenario.ts';
import type { Context } from './context.ts';
import {
  giveUpDrill,
  isUnderWay,
  listDrills,
  proposeDrill,
  removeExpiredDrills,
  startDrill,
  unfinishedDrills,
} from './drill.ts';
import { inherited } from './group/named.ts';
import { announce, eachScenario, type PeriodicJob } from './periodic-job.ts';

const LOOK_MS = 60_000;
/** A drill that could not begin in time is left out: nobody expects it at another hour. */
const LATE_MS = 2 * 3_600_000;
/** An interrupted one costs money until somebody resumes it. */
const LEFT_MS = 3_600_000;

/**
 * Holds the drills that are due, and removes what drills have left: kept ones whose time is over, and interrupted ones
 * that nobody has gone on with for an hour.
 */
export const drillJob: PeriodicJob = {
  name: 'drills',
  everyMs: LOOK_MS,
  run: (context) =>
    eachScenario(context, 'drills', async (scenario) => {
      const quiet = { ...context, host: { ...context.host, tell: () => undefined } };
      await removeExpiredDrills(quiet, scenario);
      await giveUpLeftOnes(quiet, scenario);
      if (await isDue(context, scenario)) await hold(context, quiet, scenario);
    }),
};

async function giveUpLeftOnes(context: Context, scenario: Scenario): Promise<void> {
  const nowMs = context.clock.now();
  for (const run of await unfinishedDrills(context, scenario)) {
    const lastMs = Math.max(run.createdAtMs, ...run.steps.flatMap((step) => step.startedAtMs ?? []));
    if (!isUnderWay(context, run) && nowMs - lastMs >= LEFT_MS) await giveUpDrill(context, run);
  }
}

/** One that was begun since the time it was due at counts, also one by hand. */
async function isDue(context: Context, scenario: Scenario): Promise<boolean> {
  const { drillSchedule } = await inherited(context, scenario);
  const schedule = drillSchedule && parseDrillSchedule(drillSchedule);
  if (!schedule) return false;
  const nowMs = context.clock.now();
  const dueMs = lastDrillTimeMs(schedule, nowMs);
  if (nowMs - dueMs > LATE_MS) return false;
  const [last] = await listDrills(context, scenario.name);
  const told = await context.store.events.list({ scenarioId: scenario.id });
  const isTold = told.some((event) => event.code === 'DRILL_NOT_HELD' && event.atMs >= dueMs);
  return !isTold && (last === undefined || last.createdAtMs < dueMs);
}

async function hold(context: Context, quiet: Context, scenario: Scenario): Promise<void> {
  try {
    const { report, folder } = await startDrill(quiet, await proposeDrill(quiet, scenario.name));
    const text = `"${scenario.name}": the scheduled drill ${report.outcome === 'passed' ? 'passed' : `is ${report.outcome.toUpperCase()}`}; ${folder}`;
    context.host.tell({ kind: 'text', level: report.outcome === 'passed' ? 'info' : 'error', text });
  } catch (error) {
    context.host.signal.throwIfAborted();
    if (!isStandbyError(error)) throw error;
    await announce(context, scenario, {
      level: 'warning',
      code: 'DRILL_NOT_HELD',
      text: `The scheduled drill of "${scenario.name}" did not come to its end: ${messageOf(error)}`,
    });
  }
}
