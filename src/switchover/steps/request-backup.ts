/**
 * Promises that the backup after this switchover, or failback, is asked for once: as a run of its own that another process
 * carries out. It comes after the commit point, waits for nothing, and is content when it cannot be had: that is told, and
 * what came before stands. Asked twice, the same run is found.
 */
import type { Step } from '../../plan/plan.ts';
import type { Work } from '../work.ts';

export const REQUEST_BACKUP = 'request-backup';

export interface BackupRequested {
  readonly runId?: string;
  readonly notBeforeMs?: number;
  /** What a person has to do instead. */
  readonly manual?: string;
}

export function requestBackupStep({ requestBackup }: Pick<Work, 'requestBackup'>): Step<BackupRequested> {
  return {
    id: REQUEST_BACKUP,
    title: 'Ask for the backup of the standby',
    async run() {
      if (!requestBackup) throw new Error('A plan with a backup is given somebody to ask');
      return requestBackup();
    },
  };
}
