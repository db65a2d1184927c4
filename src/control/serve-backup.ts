import { isStandbyError, messageOf } from '../errors.ts';
import { clearOfWindow } from '../model/backup.ts';
import { resumeBackup } from './backup.ts';
import type { BackupInput } from './backup-request.ts';
import type { PeriodicJob } from './periodic-job.ts';
import { BACKUP } from './scenario-named.ts';

const LOOK_MS = 60_000;

/**
 * Goes on with backups that were asked for and that nobody carries out: their process died, or their time has come since.
 * One that failed waits for a person, who was told.
 */
export const backupJob: PeriodicJob = {
  name: 'backups that were asked for',
  everyMs: LOOK_MS,
  async run(context) {
    const { store, clock, host, log } = context;
    for (const run of await store.runs.list({ kind: BACKUP, statuses: ['running'] })) {
      const { options, scenario } = run.input as BackupInput;
      const settings = (await store.scenarios.get(scenario.id))?.backup;
      const nowMs = clock.now();
      const isDue = options.notBeforeMs <= nowMs && (!settings || clearOfWindow(settings, nowMs) <= nowMs);
      if (run.held || !isDue) continue;
      try {
        await resumeBackup(context, run);
        host.tell({ kind: 'text', level: 'info', text: `"${scenario.name}": its standby is backed up.` });
      } catch (error) {
        host.signal.throwIfAborted();
        if (!isStandbyError(error)) throw error;
        log.warn('a backup was not gone on with', { runId: run.id, why: messageOf(error) });
      }
    }
  },
};
