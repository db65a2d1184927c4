/**
 * The commit point, and nothing else: its `done` in the store is the line. Before it everything can be taken back and
 * nobody has been told that the standby is live; everything that tells people comes after it. There is nothing in it
 * that could be half done.
 */
import type { Step } from '../../plan/plan.ts';
import type { Work } from '../work.ts';

export const COMMIT_SWITCHOVER = 'commit-switchover';

export function commitSwitchoverStep(work: Work): Step<{ readonly atMs: number }> {
  return {
    id: COMMIT_SWITCHOVER,
    title: 'Commit: from here on it only goes forward',
    commit: true,
    async run() {
      return { atMs: work.clock.now() };
    },
  };
}
