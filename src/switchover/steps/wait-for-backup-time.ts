/**
 * Promises that a backup begins neither before its time nor where it would meet the daily window. Only waits: dying here
 * leaves nothing, and a resumed run waits for the same time, or goes on at once when it is over.
 */
import type { Step, StepContext } from '../../plan/plan.ts';
import type { Work } from '../work.ts';

export const WAIT_FOR_BACKUP_TIME = 'wait-for-backup-time';

export interface BackupBegun {
  readonly atMs: number;
}

export function waitForBackupTimeStep(
  work: Work,
  waitForTurn: (context: StepContext) => Promise<void>,
): Step<BackupBegun> {
  return {
    id: WAIT_FOR_BACKUP_TIME,
    title: 'Wait for the time of the backup',
    async run(context) {
      await waitForTurn(context);
      return { atMs: work.clock.now() };
    },
  };
}
