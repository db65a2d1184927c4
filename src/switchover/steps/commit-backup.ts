/**
 * The commit point of a backup, and nothing else: every disk is there. Before it, undo deletes what was made; after it
 * the backup counts as complete, and only then older ones go. There is nothing in it that could be half done.
 */
import type { Step } from '../../plan/plan.ts';
import type { Work } from '../work.ts';

export const COMMIT_BACKUP = 'commit-backup';

export interface BackupComplete {
  readonly atMs: number;
}

export function commitBackupStep(work: Work): Step<BackupComplete> {
  return {
    id: COMMIT_BACKUP,
    title: 'The backup is complete',
    commit: true,
    async run() {
      return { atMs: work.clock.now() };
    },
  };
}
