/**
 * Tells that there is a backup, once for its run. It comes after the commit point, so nothing that was told is taken
 * back; dying in between is repaired by doing it again.
 */
import { isoTime } from '../../clock.ts';
import { ranIntoWindow } from '../../model/backup.ts';
import type { Step } from '../../plan/plan.ts';
import type { BackupOptions, BackupPart } from '../backup.ts';
import type { Work } from '../work.ts';
import { type BackedUpDisk, backUpDiskId } from './back-up-disk.ts';
import { type BackupComplete, COMMIT_BACKUP } from './commit-backup.ts';
import { type OldBackupsRemoved, REMOVE_OLD_BACKUPS } from './remove-old-backups.ts';
import { type BackupBegun, WAIT_FOR_BACKUP_TIME } from './wait-for-backup-time.ts';

export function declareBackedUpStep(
  work: Work,
  { settings, reason }: BackupOptions,
  parts: readonly BackupPart[],
): Step<{ readonly atMs: number }> {
  return {
    id: 'declare-backed-up',
    title: 'Tell that the backup is there',
    async run(context) {
      const begunAtMs = context.output<BackupBegun>(WAIT_FOR_BACKUP_TIME).atMs;
      const { atMs } = context.output<BackupComplete>(COMMIT_BACKUP);
      const removed = context.output<OldBackupsRemoved>(REMOVE_OLD_BACKUPS).ids;
      const late = ranIntoWindow(settings, begunAtMs, atMs);
      const disks = parts.length === 1 ? 'its disk' : `its ${parts.length} disks`;
      const tooLate = late
        ? ` It took longer than ${settings.minutes} minutes and ran into the daily window ${settings.window}.`
        : '';
      await work.event({
        level: late ? 'warning' : 'info',
        code: 'BACKUP_DONE',
        text: `Full backup of the standby of "${work.scenario.name}": ${disks}.${tooLate}`,
        data: {
          reason,
          begunAt: isoTime(begunAtMs),
          completeAt: isoTime(atMs),
          snapshots: parts.map(({ diskId }) => context.output<BackedUpDisk>(backUpDiskId(diskId)).snapshotId),
          removed,
        },
      });
      return { atMs };
    },
  };
}
