import { createHash } from 'node:crypto';
import { isStandbyError } from '../errors.ts';
import { BACKUP_DEFAULTS, backupNotBefore } from '../model/backup.ts';
import type { Scenario } from '../model/scenario.ts';
import type { RunRecord } from '../plan/plan.ts';
import type { BackupReason } from '../switchover/backup.ts';
import type { BackupRequested } from '../switchover/steps/request-backup.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { BACKUP } from './scenario-named.ts';
import type { ScenarioRunInput } from './scenario-work.ts';

/** What the plan of a backup is built from again (src/switchover/backup.ts). */
export interface BackupInput extends ScenarioRunInput {
  readonly options: {
    readonly reason: BackupReason;
    readonly standbyRunId: string;
    readonly notBeforeMs: number;
  };
}

/** The standby that is to be backed up: whose it is, and the run that made it with its definition of then. */
export interface BackupSubject {
  readonly scenario: Scenario;
  readonly standby: Pick<RunRecord, 'id' | 'input'>;
}

type RequestContext = Pick<Context, 'store' | 'clock' | 'log' | 'detach'>;

/**
 * Asks for the backup that follows `causeRunId` (a switchover, a failback): a durable run, begun by a process of its own,
 * so that nothing waits for it and nothing of it can fail whoever asked. Asked again for the same cause it is the same
 * run. While another backup of the scenario has not ended it is not begun: an event says what to do by hand.
 */
export async function requestBackup(
  context: RequestContext,
  subject: BackupSubject,
  cause: { readonly runId: string; readonly reason: Exclude<BackupReason, 'hand'> },
): Promise<BackupRequested> {
  const { scenario } = subject;
  try {
    const run = await createBackupRun(context, subject, {
      id: idAfter(cause.runId),
      reason: cause.reason,
    });
    await beginDetached(context, run);
    const { notBeforeMs } = (run.input as BackupInput).options;
    return { runId: run.id, notBeforeMs };
  } catch (error) {
    if (!isStandbyError(error) || error.code !== 'RUN_IN_PROGRESS') throw error;
    const manual = `Another backup of "${scenario.name}" has not ended, so none was begun after the ${cause.reason}. ${error.why ?? ''} When it has ended: standby backup ${scenario.name}`;
    await appendEvent(context, {
      id: `${cause.runId}/BACKUP_MANUAL_NEEDED`,
      level: 'warning',
      code: 'BACKUP_MANUAL_NEEDED',
      text: manual,
      scenarioId: scenario.id,
      runId: cause.runId,
    });
    return { manual };
  }
}

/** Refuses (RUN_IN_PROGRESS) while another backup of this scenario has not ended. */
export async function createBackupRun(
  { store, clock }: RequestContext,
  { scenario, standby }: BackupSubject,
  facts: { readonly id: string; readonly reason: BackupReason },
): Promise<RunRecord> {
  const known = await store.runs.get(facts.id);
  if (known) return known;
  const settings = scenario.backup ?? BACKUP_DEFAULTS;
  const made = standby.input as ScenarioRunInput;
  const nowMs = clock.now();
  const input: BackupInput = {
    scenario: made.scenario,
    inventory: made.inventory,
    options: {
      reason: facts.reason,
      standbyRunId: standby.id,
      // Who asks by hand wants it now; the daily window counts for all.
      notBeforeMs: facts.reason === 'hand' ? nowMs : backupNotBefore(settings, nowMs),
    },
  };
  return store.runs.create({
    id: facts.id,
    kind: BACKUP,
    subject: scenario.id,
    title: `Backup of the standby of ${scenario.name}`,
    input,
  });
}

/** In a process of its own, which outlives this one. Where none can be started, `standby serve` or a person goes on. */
export async function beginDetached(
  { detach, log }: Pick<Context, 'detach' | 'log'>,
  run: RunRecord,
): Promise<void> {
  if (run.status !== 'running') return;
  try {
    await detach?.(['resume', run.id], `backup-${run.id}`);
  } catch (error) {
    if (!isStandbyError(error)) throw error;
    log.warn('no process could be started for a backup', { runId: run.id, why: error.message });
  }
}

/** One backup for each cause, however often it is asked for. */
function idAfter(causeRunId: string): string {
  const hex = createHash('sha256').update(`backup/${causeRunId}`).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}
