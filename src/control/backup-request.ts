import { createHash } from 'node:crypto';
import { inputError, isStandbyError } from '../errors.ts';
import { BACKUP_DEFAULTS, backupNotBefore } from '../model/backup.ts';
import type { Scenario } from '../model/scenario.ts';
import type { RunRecord } from '../plan/plan.ts';
import type { BackupReason } from '../switchover/backup.ts';
import type { BackupRequested } from '../switchover/steps/request-backup.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { BACKUP } from './scenario-named.ts';
import { statusOf } from './scenario-status.ts';
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
interface BackupSubject {
  readonly scenario: Scenario;
  readonly standby: Pick<RunRecord, 'id' | 'input'>;
}

type RequestContext = Pick<Context, 'store' | 'clock' | 'log' | 'detach'>;

/** The run that made the standby knows what its disks are called. */
export async function backupSubject(
  { store }: Pick<Context, 'store'>,
  scenario: Scenario,
): Promise<BackupSubject> {
  const { standbyVmId, switchedOverRunId } = await statusOf({ store }, scenario);
  const standby =
    standbyVmId === undefined || switchedOverRunId === undefined
      ? undefined
      : await store.runs.get(switchedOverRunId);
  if (standby) return { scenario, standby };
  throw inputError(
    'NO_STANDBY',
    `Scenario ${scenario.name} has no standby whose disks could be backed up.`,
    `There is one after a switchover. Look: standby status ${scenario.name}`,
  );
}

/**
 * Asks for the backup that follows `causeRunId`, a switchover or a failback that is complete: a durable run, begun by a
 * process of its own, so that nothing waits for it and nothing of it can fail whoever asked. Asked again for the same cause
 * it is the same run. While another backup of the scenario has not ended it is not begun: an event says what to do by hand.
 */
export async function requestBackup(
  context: RequestContext,
  of: Scenario,
  causeRunId: string,
): Promise<BackupRequested> {
  const scenario = (await context.store.scenarios.get(of.id)) ?? of;
  const subject = await backupSubject(context, scenario);
  const reason = subject.standby.id === causeRunId ? 'switchover' : 'failback';
  try {
    const run = await createBackupRun(context, subject, { id: idAfter(causeRunId), reason });
    await beginDetached(context, run);
    const { notBeforeMs } = (run.input as BackupInput).options;
    return { runId: run.id, notBeforeMs };
  } catch (error) {
    if (!isStandbyError(error) || error.code !== 'RUN_IN_PROGRESS') throw error;
    const manual = `Another backup of "${scenario.name}" has not ended, so none was begun after the ${reason}. ${error.why ?? ''} When it has ended: standby backup ${scenario.name}`;
    await appendEvent(context, {
      id: `${causeRunId}/BACKUP_MANUAL_NEEDED`,
      level: 'warning',
      code: 'BACKUP_MANUAL_NEEDED',
      text: manual,
      scenarioId: scenario.id,
      runId: causeRunId,
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
