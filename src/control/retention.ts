import { inputError, isStandbyError } from '../errors.ts';
import { isLiveCapture } from '../model/capture.ts';
import { REWIND_HOURS_MAX, type RewindWindow, type Scenario } from '../model/scenario.ts';
import { rewindSpec } from '../synchronise/replica.ts';
import type { Replication } from '../wire/control-session.ts';
import { withAppliance } from './bookmarks.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { scenarioNamed } from './scenario-named.ts';
import { statusOf } from './scenario-status.ts';

/** How far back a live replica can be brought: what is asked for, and what its appliance keeps just now. */
export interface Retention {
  readonly scenario: Scenario;
  /** Absent: the appliance's own measure. */
  readonly wanted?: RewindWindow;
  /** Absent while nothing of it is on the appliance. */
  readonly journal?: Replication['journal'];
}

/**
 * Shows the rewind window, or sets another one: `{}` is the appliance's own measure. The appliance is told before it is
 * saved, so that what is saved holds; a replica that does not exist yet is made with it.
 */
export async function retention(context: Context, name: string, change?: RewindWindow): Promise<Retention> {
  let scenario = await scenarioNamed(context, name);
  if (!isLiveCapture(scenario.capture)) {
    throw inputError(
      'NOT_LIVE',
      `Scenario ${scenario.name} is copied at rest: there is nothing to go back to.`,
      `Choose a live capture method: standby scenario edit ${scenario.name} --capture nbd|tracked|compare`,
    );
  }
  if (change) refuseWrong(change);
  const { epoch } = await statusOf(context, scenario);
  const journal = epoch > 0 ? await onAppliance(context, scenario, change) : undefined;
  if (change) scenario = await save(context, scenario, change);
  return {
    scenario,
    ...(scenario.rewind ? { wanted: scenario.rewind } : {}),
    ...(journal ? { journal } : {}),
  };
}

function refuseWrong({ hours, bytes }: RewindWindow): void {
  const wrong =
    hours !== undefined && !(hours >= 0 && hours <= REWIND_HOURS_MAX)
      ? `It cannot go back ${hours} hours.`
      : bytes !== undefined && !(Number.isSafeInteger(bytes) && bytes >= 0)
        ? `It cannot keep ${bytes} bytes.`
        : undefined;
  if (wrong) throw inputError('RETENTION_INVALID', wrong, `Choose 0 to ${REWIND_HOURS_MAX} hours.`);
}

async function onAppliance(
  context: Context,
  scenario: Scenario,
  change: RewindWindow | undefined,
): Promise<Replication['journal'] | undefined> {
  try {
    return await withAppliance(context, scenario, async (session) => {
      if (change) await session.setRewind(scenario.id, rewindSpec(change));
      return (await session.progress(scenario.id)).replication?.journal;
    });
  } catch (error) {
    // Its replica was closed: the next run opens one, with what is saved.
    if (isStandbyError(error) && error.code === 'REPLICA_UNKNOWN') return undefined;
    throw error;
  }
}

async function save(context: Context, scenario: Scenario, change: RewindWindow): Promise<Scenario> {
  const isOwn = change.hours === undefined && change.bytes === undefined;
  const saved = await context.store.scenarios.update(scenario.id, ({ rewind: _before, ...rest }) =>
    isOwn ? rest : { ...rest, rewind: change },
  );
  await appendEvent(context, {
    level: 'info',
    code: 'RETENTION_SET',
    text: `"${scenario.name}" keeps ${windowText(saved.rewind)} to go back to.`,
    scenarioId: scenario.id,
    data: { ...saved.rewind },
  });
  return saved;
}

const GIB = 1024 ** 3;

function windowText({ hours, bytes }: RewindWindow = {}): string {
  if (hours === undefined && bytes === undefined) return 'as much as the appliance thinks right';
  const parts = [
    ...(hours === undefined ? [] : [`${hours} hours`]),
    ...(bytes === undefined ? [] : [`${(bytes / GIB).toFixed(1)} GiB at most`]),
  ];
  return parts.join(', ');
}
