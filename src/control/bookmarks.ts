import { isoTime } from '../clock.ts';
import { inputError } from '../errors.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Scenario } from '../model/scenario.ts';
import type { ControlSession, ReplicaBookmark } from '../wire/control-session.ts';
import { keepReadiness } from './bookmark-readiness.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { scenarioNamed } from './scenario-named.ts';
import { statusOf } from './scenario-status.ts';

/** Named positions that a live replica can be brought back to. They live in the appliance's journal. */
export async function setBookmark(
  context: Context,
  name: string,
  bookmark: string,
): Promise<ReplicaBookmark> {
  const wanted = bookmark.trim();
  const problem = bookmarkProblem(wanted);
  if (problem) throw inputError('BOOKMARK_NAME_INVALID', problem, 'Choose another name.');
  const scenario = await liveScenario(context, name);
  return await withAppliance(context, scenario, async (session) => {
    const made = await session.bookmark(scenario.id, wanted);
    await appendEvent(context, {
      level: 'info',
      code: 'BOOKMARK_SET',
      text: `Bookmark "${made.name}" of "${scenario.name}" is at position ${made.sequence}, ${isoTime(made.timeMs)} by the master's clock.`,
      scenarioId: scenario.id,
      data: { ...made },
    });
    await keepReadiness(context, scenario, made, session);
    return made;
  });
}

/** `latest` means something else, and what is shown in lists should be typed easily. */
function bookmarkProblem(name: string): string | undefined {
  if (name.toLowerCase() === 'latest')
    return 'A bookmark cannot be called latest: that is the newest position.';
  return /^[\p{L}\p{N}][\p{L}\p{N} _.:+-]{0,126}$/u.test(name)
    ? undefined
    : 'A bookmark has 1 to 127 letters, digits, spaces and _ . : + - and begins with a letter or digit.';
}

export interface BookmarkList {
  readonly scenario: Scenario;
  /** Oldest first. */
  readonly bookmarks: readonly ReplicaBookmark[];
  /** How far back a time may lie, by the master's clock. */
  readonly rewindFromMs: number;
}

export async function listBookmarks(context: Context, name: string): Promise<BookmarkList> {
  const scenario = await liveScenario(context, name);
  const found = await withAppliance(context, scenario, (session) => session.bookmarks(scenario.id));
  return { scenario, ...found, bookmarks: found.bookmarks.toSorted((a, b) => a.timeMs - b.timeMs) };
}

/** A scenario that has a journal; an error says why one has none. */
export async function liveScenario(context: Context, name: string): Promise<Scenario> {
  const scenario = await scenarioNamed(context, name);
  if (!isLiveCapture(scenario.capture)) {
    throw inputError(
      'NOT_LIVE',
      `Scenario ${scenario.name} is copied at rest: it has one state and no journal.`,
      `Choose a live capture method: standby scenario edit ${scenario.name} --capture nbd|tracked|compare`,
    );
  }
  const status = await statusOf(context, scenario);
  if (status.epoch > 0) return scenario;
  throw inputError(
    'NOTHING_COPIED',
    `Scenario ${scenario.name} has never run: there is nothing on its appliance.`,
    `Run it: standby run ${scenario.name}`,
  );
}

export async function withAppliance<Out>(
  context: Context,
  scenario: Scenario,
  ask: (session: ControlSession) => Promise<Out>,
): Promise<Out> {
  const appliance = await context.store.appliances.get(scenario.applianceId);
  if (!appliance) {
    throw inputError('APPLIANCE_UNKNOWN', `The appliance of ${scenario.name} is not known here any more.`);
  }
  const session = await context.connect(appliance);
  try {
    return await ask(session);
  } finally {
    await session.close();
  }
}
