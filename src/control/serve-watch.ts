import { timeText } from '../clock.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Scenario, WatchedCondition } from '../model/scenario.ts';
import type { Context } from './context.ts';
import { LagTrend } from './live-figures.ts';
import { announce, eachScenario, type PeriodicJob } from './periodic-job.ts';
import { changeStatus } from './scenario-status.ts';
import { type StatusView, scenarioStatus } from './status.ts';

/** From when on a replica counts as too far behind. */
export interface WatchLimits {
  readonly everyMs: number;
  readonly lagSeconds: number;
}

type Condition = WatchedCondition['condition'];

/** A glitch is no news: a change counts when it is seen so many times in a row. */
const LOOKS = 2;
/** An appliance that does not answer takes its time to be given up; the others do not wait for it. */
const AT_ONCE = 8;

/**
 * Follows how well each live scenario is protected, and writes an event when that changes. What was found last is in the
 * status, so nothing is told twice, whoever looks next.
 */
export function watchJob(limits: WatchLimits, looks = LOOKS): PeriodicJob {
  const trends = new Map<string, LagTrend>();
  const seen = new Map<string, { readonly condition: Condition; readonly times: number }>();
  return {
    name: 'protection',
    everyMs: limits.everyMs,
    run: (context) => eachScenario(context, 'protection', (scenario) => lookAt(context, scenario), AT_ONCE),
  };

  async function lookAt(context: Context, scenario: Scenario): Promise<void> {
    if (!isLiveCapture(scenario.capture)) return;
    const trend = trends.get(scenario.id) ?? new LagTrend();
    trends.set(scenario.id, trend);
    const view = await scenarioStatus(context, scenario.name, trend);
    const condition = conditionOf(view, limits);
    const before = seen.get(scenario.id);
    const times = before !== undefined && before.condition === condition ? before.times + 1 : 1;
    if (condition) seen.set(scenario.id, { condition, times });
    else seen.delete(scenario.id);
    const { watched } = view.status;
    if (condition === undefined && watched?.condition === 'two-heads') return forget(context, scenario);
    if (condition === undefined || condition === watched?.condition) return tellShrunk(context, view);
    if (times >= looks || watched === undefined) await changed(context, view, condition);
  }
}

/** Undefined while that is no question: nothing was copied yet, a run is under way, or its standby serves alone. */
function conditionOf(
  { status, live, masterBeside }: Pick<StatusView, 'status' | 'live' | 'masterBeside'>,
  { lagSeconds }: Pick<WatchLimits, 'lagSeconds'>,
): Condition | undefined {
  switch (status.state) {
    case 'resync-needed':
      return 'resync-needed';
    case 'stopped':
      return status.synchronisedAtMs === undefined ? undefined : 'unprotected';
    case 'switched-over':
      return masterBeside === 'heard' ? 'two-heads' : undefined;
    case 'replicating':
      break;
    default:
      return undefined;
  }
  if (!live || live.appliance === 'silent') return 'appliance-unreachable';
  if (live.master === 'away' || live.old) return 'master-away';
  return (live.rpoSeconds ?? 0) > lagSeconds ? 'lagging' : 'protected';
}

const NEWS: Readonly<
  Record<Condition, { readonly code: string; readonly level: 'info' | 'warning' | 'error' }>
> = {
  protected: { code: 'PROTECTED', level: 'info' },
  lagging: { code: 'REPLICATION_LAGS', level: 'warning' },
  'master-away': { code: 'MASTER_AWAY', level: 'warning' },
  'appliance-unreachable': { code: 'APPLIANCE_UNREACHABLE', level: 'warning' },
  'resync-needed': { code: 'NOT_PROTECTED', level: 'error' },
  unprotected: { code: 'NOT_PROTECTED', level: 'warning' },
  'two-heads': { code: 'MASTER_HEARD', level: 'error' },
};

async function changed(context: Context, view: StatusView, condition: Condition): Promise<void> {
  const { scenario, status } = view;
  const before = status.watched?.condition;
  const watched = { ...status.watched, condition, sinceMs: context.clock.now() };
  await changeStatus(context, scenario, { watched });
  // Nobody needs to hear at the first look that all is well.
  if (before === undefined && condition === 'protected') return;
  const { code, level } = NEWS[condition];
  const isPlanned = status.maintenanceSinceMs !== undefined && level === 'warning';
  const text = `"${scenario.name}": ${textOf(view, condition)}`;
  // Whoever noticed it first has written it down.
  if (condition === 'resync-needed') return context.host.tell({ kind: 'text', level, text });
  await announce(context, scenario, {
    code,
    level: isPlanned ? 'info' : level,
    text,
    data: {
      condition,
      ...(before === undefined ? {} : { before }),
      ...(view.rpoSeconds === null ? {} : { rpoSeconds: view.rpoSeconds }),
      ...(view.rpoBytes === null ? {} : { rpoBytes: view.rpoBytes }),
    },
  });
}

/** It is gone again: when it is heard once more, that is news. */
async function forget(context: Context, scenario: Scenario): Promise<void> {
  await changeStatus(context, scenario, { watched: undefined });
}

/** Nobody should learn at the switchover that it cannot go back as far as was asked for. */
async function tellShrunk(context: Context, { scenario, status, replication }: StatusView): Promise<void> {
  const { watched } = status;
  if (!watched || !replication) return;
  const { rewindShrunkAtMs, rewindFromMs } = replication.journal;
  const rewindShrunk = rewindShrunkAtMs !== undefined;
  if (rewindShrunk === (watched.rewindShrunk ?? false)) return;
  await changeStatus(context, scenario, { watched: { ...watched, rewindShrunk } });
  if (!rewindShrunk) return;
  await announce(context, scenario, {
    level: 'warning',
    code: 'REWIND_WINDOW_SHRUNK',
    text: `"${scenario.name}" can be brought back only to ${timeText(rewindFromMs)}: the journal's space ran short. Enlarge the journal disk, or ask for less: standby retention ${scenario.name}`,
  });
}

function textOf(view: StatusView, condition: Condition): string {
  switch (condition) {
    case 'protected':
      return 'protected again; its replica follows the master.';
    case 'lagging':
      return `its replica is ${Math.round(view.rpoSeconds ?? 0)} s behind the master (${view.live?.trend ?? 'unknown'}).`;
    case 'two-heads':
      return 'its standby serves, and the engine of its master is heard: two servers may be up under one name. See to it that the master stays off the network.';
    default:
      return `${view.sentence}.`;
  }
}
