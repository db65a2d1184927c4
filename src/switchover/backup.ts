import { timeText } from '../clock.ts';
import { type BackupSettings, clearOfWindow } from '../model/backup.ts';
import { backupSnapshotName } from '../model/names.ts';
import type { Plan, RunRecord, Step, StepContext } from '../plan/plan.ts';
import { blueprintOf } from './blueprint.ts';
import { type BackedUpDisk, backUpDiskId, backUpDiskStep } from './steps/back-up-disk.ts';
import { type BackupComplete, COMMIT_BACKUP, commitBackupStep } from './steps/commit-backup.ts';
import { declareBackedUpStep } from './steps/declare-backed-up.ts';
import { removeOldBackupsStep } from './steps/remove-old-backups.ts';
import { waitForBackupTimeStep } from './steps/wait-for-backup-time.ts';
import type { Work } from './work.ts';

/** Why a backup is taken. */
export type BackupReason = 'switchover' | 'failback' | 'hand';

export interface BackupOptions {
  readonly settings: BackupSettings;
  readonly reason: BackupReason;
  /** The run that made the standby: the names of its disks come from it. */
  readonly standbyRunId: string;
  readonly notBeforeMs: number;
  /** This scenario's, newest first; asked when the new one is complete. */
  completeBackups(): Promise<readonly CompleteBackup[]>;
}

/** A backup as its run's record tells it: every disk was there when it passed its commit point. */
export interface CompleteBackup {
  readonly runId: string;
  readonly atMs: number;
  readonly snapshotIds: readonly string[];
}

/** Undefined while it is not complete. */
export function completeBackupOf({ id, steps }: Pick<RunRecord, 'id' | 'steps'>): CompleteBackup | undefined {
  const done = steps.filter((step) => step.status === 'done');
  const commit = done.find((step) => step.stepId === COMMIT_BACKUP);
  if (!commit) return undefined;
  const disks = done.filter((step) => step.stepId.startsWith(backUpDiskId('')));
  return {
    runId: id,
    atMs: (commit.output as BackupComplete).atMs,
    snapshotIds: disks.map((step) => (step.output as BackedUpDisk).snapshotId),
  };
}

/** One disk of the standby, and its copy. */
export interface BackupPart {
  readonly diskId: string;
  readonly diskName: string;
  readonly snapshotName: string;
}

/**
 * A full copy of every disk of the standby, as snapshots that stand alone. It holds nothing of the standby, the replica
 * or the scenario's status, so it may fail, wait or be taken back while everything else goes on. Kind `backup`.
 */
export function backupPlan(work: Work, options: BackupOptions): Plan {
  const parts: readonly BackupPart[] = blueprintOf({ ...work, runId: options.standbyRunId }).disks.map(
    ({ diskId, diskName }) => ({
      diskId,
      diskName,
      snapshotName: backupSnapshotName(work.scenario, work.runId, diskId),
    }),
  );
  const waitForTurn = (context: StepContext) => whenAllowed(work, options, context);
  const stages: readonly (readonly Step[])[] = [
    [waitForBackupTimeStep(work, waitForTurn)],
    parts.map((part) => backUpDiskStep(work, part, waitForTurn)),
    [commitBackupStep(work)],
    [removeOldBackupsStep(work, options)],
    [declareBackedUpStep(work, options, parts)],
  ];
  return { kind: 'backup', title: `Backup of the standby of ${work.scenario.name}`, stages };
}

const LOOK_MS = 30_000;

/** Sleeps until the chosen time has come and no daily window would be met. Short sleeps: a machine may be suspended. */
async function whenAllowed(
  { clock, runId }: Work,
  { settings, notBeforeMs }: BackupOptions,
  { progress, signal }: StepContext,
): Promise<void> {
  for (;;) {
    const nowMs = clock.now();
    const atMs = clearOfWindow(settings, Math.max(nowMs, notBeforeMs));
    if (atMs <= nowMs) return;
    progress(
      `The backup begins at ${timeText(atMs)}. Ctrl-C ends the wait; standby resume ${runId} goes on.`,
    );
    await clock.sleep(Math.min(atMs - nowMs, LOOK_MS), signal);
  }
}
