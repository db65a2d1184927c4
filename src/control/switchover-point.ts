import { timeText } from '../clock.ts';
import { inputError, isStandbyError } from '../errors.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Scenario } from '../model/scenario.ts';
import type { ReplicaBookmark, ReplicaPoint, SealOptions } from '../wire/control-session.ts';
import { withAppliance } from './bookmarks.ts';
import type { Context } from './context.ts';
import type { Chosen } from './loss.ts';
import { scenarioNamed, unfinishedRuns } from './scenario-named.ts';
import { statusOf } from './scenario-status.ts';

/** Which moment of the master the standby will have; asked for by flags or by a person. */
export interface PointRequest {
  readonly point?: ReplicaPoint;
  /** G-75; true unless told. */
  readonly waitForJournals?: boolean;
}

/** Refuses a point that the replica cannot be brought to, before anything is changed. */
export async function choosePoint(
  context: Context,
  scenario: Scenario,
  request: PointRequest,
): Promise<Chosen> {
  const { point = { latest: true }, waitForJournals = true } = request;
  const isLatest = 'latest' in point;
  if (!isLiveCapture(scenario.capture)) {
    if (isLatest && waitForJournals) return { point, waitForJournals };
    throw inputError(
      'NO_OTHER_POINT',
      `Scenario ${scenario.name} is copied at rest: there is one state, and no journal to wait for.`,
      'Leave out --to, --to-time and --no-wait-for-journals.',
    );
  }
  if (isLatest) return { point, waitForJournals };
  if (!waitForJournals) {
    throw inputError(
      'POINT_AND_NO_WAIT',
      'A chosen position and --no-wait-for-journals do not go together.',
      'The journal is applied, or taken back, exactly to the position that is chosen.',
    );
  }
  const known = await withAppliance(context, scenario, (session) => session.bookmarks(scenario.id));
  if ('bookmark' in point) {
    const found = known.bookmarks.find((one) => one.name === point.bookmark);
    if (found) return { point, waitForJournals, pointAtMs: found.timeMs };
    const names = known.bookmarks.map((one) => one.name);
    throw inputError(
      'BOOKMARK_UNKNOWN',
      `There is no bookmark ${point.bookmark} of ${scenario.name}.`,
      names.length > 0
        ? `Choose one of: ${names.join(', ')}.`
        : 'There is none at all; leave --to out for the newest position.',
    );
  }
  if ('timeMs' in point) {
    const { synchronisedAtMs = 0 } = await statusOf(context, scenario);
    // Before the first change there is no time of the master's: the replica then begins where both ends were equal.
    refuseTime(context, scenario, point.timeMs, known.rewindFromMs || synchronisedAtMs);
  }
  return { point, waitForJournals };
}

/** Clocks of two machines are never quite the same. */
const CLOCKS_DIFFER_MS = 5 * 60_000;

function refuseTime(context: Context, { name }: Scenario, timeMs: number, earliestMs: number): void {
  if (timeMs < earliestMs) {
    throw inputError(
      'TIME_TOO_EARLY',
      `The replica can be taken back to ${timeText(earliestMs)} at most, not to ${timeText(timeMs)}.`,
      `Choose a later time, or a bookmark: standby bookmarks ${name}`,
    );
  }
  const nowMs = context.clock.now();
  if (timeMs <= nowMs + CLOCKS_DIFFER_MS) return;
  throw inputError(
    'TIME_IN_FUTURE',
    `${timeText(timeMs)} has not come yet; it is ${timeText(nowMs)} now.`,
    'Give a time that is past, or leave --to-time out for everything received.',
  );
}

/** As it is kept in the run, so that a resumed one brings the replica to the same position. */
export function sealOptionsOf(options: Readonly<Record<string, unknown>>): SealOptions | undefined {
  const { point, waitForJournals } = options as PointRequest;
  if (point === undefined && waitForJournals !== false) return undefined;
  return { ...(point ? { point } : {}), ...(waitForJournals === false ? { drain: false } : {}) };
}

/** Bookmarks that a person may choose from; undefined where there is nothing to choose (at rest, or one is gone on with). */
export async function offeredPoints(
  context: Context,
  name: string,
): Promise<readonly ReplicaBookmark[] | undefined> {
  const scenario = await scenarioNamed(context, name);
  if (!isLiveCapture(scenario.capture) || (await unfinishedRuns(context, scenario)).length > 0)
    return undefined;
  try {
    return (await withAppliance(context, scenario, (session) => session.bookmarks(scenario.id))).bookmarks;
  } catch (error) {
    // What stands in the way is told by whoever needs it; here there is only nothing to offer.
    if (!isStandbyError(error) || error.kind === 'cancelled') throw error;
    return [];
  }
}
