import { type Check, doubtful, type Finding, ok, skipped, unseen, warning } from '../check.ts';
import { durationText, liveState } from '../replica-state.ts';

const BOOKMARK_AGE_MS = 24 * 3_600_000;

/** There is a named point to go back to, and it is not old. */
export const bookmarks: Check = {
  id: 'bookmarks',
  title: 'Bookmarks',
  group: 'Replication',
  moments: ['watch'],
  uses: [],
  codes: {
    BOOKMARK_OLD: warning('The newest bookmark is over a day old.', '`standby bookmark`.'),
    BOOKMARK_NONE: warning(
      'A live scenario has no bookmark: no named point to go back to.',
      '`standby bookmark`.',
    ),
    BOOKMARKS_UNKNOWN: unseen(
      'Nothing is replicated, or the appliance did not answer.',
      'Nothing, for a scenario that is copied at rest.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    const { scenario, session, clock } = facts;
    const state = await liveState(facts);
    if ('nothing' in state || !session) {
      return [
        skipped('BOOKMARKS_UNKNOWN', 'nothing' in state ? state.nothing : 'the appliance was not asked'),
      ];
    }
    const { bookmarks: known } = await session.bookmarks(scenario.id);
    const next = `standby bookmark ${scenario.name}`;
    const newest = known.reduce((time, one) => Math.max(time, one.timeMs), 0);
    if (newest === 0) return [doubtful('BOOKMARK_NONE', 'There is no bookmark.', 'one of today', next)];
    const ageMs = clock.now() - newest;
    const found = `${known.length} bookmarks, the newest ${durationText(ageMs)} old`;
    if (ageMs <= BOOKMARK_AGE_MS) return [ok('BOOKMARK_FRESH', found)];
    return [doubtful('BOOKMARK_OLD', `${found}.`, 'one of today', next)];
  },
};
