import { randomUUID } from 'node:crypto';
import { inputError, isStandbyError, messageOf } from '../errors.ts';
import { BACKUP_DEFAULTS } from '../model/backup.ts';
import type { Scenario } from '../model/scenario.ts';
import type { RunRecord, RunStatus } from '../plan/plan.ts';
import type { Cloud } from '../ports/cloud.ts';
import { type BackupReason, backupPlan, completeBackupOf } from '../switchover/backup.ts';
import type { Work } from '../switchover/work.ts';
import { type BackupInput, backupSubject, beginDetached, createBackupRun } from './backup-request.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { accountGone } from './scenario.ts';
import { BACKUP, scenarioNamed } from './scenario-named.ts';
import { carryOut, makeWork, type ScenarioRunInput, takeBack } from './scenario-work.ts';

const UNFINISHED: readonly RunStatus[] = ['running', 'failed'];

/** Full backups of a standby's disks: after a switchover and a failback, and by hand. Nothing else waits for one. */
export interface BackupReport {
  readonly scenario: Scenario;
  readonly run: RunRecord;
  /** Another process carries it out. */
  readonly detached: boolean;
}

/** `standby backup SCENARIO`: a new one, or the unfinished one gone on with. */
export async function backUp(
  context: Context,
  name: string,
  options: { readonly detach: boolean },
): Promise<BackupReport> {
  const scenario = await scenarioNamed(context, name);
  const [unfinished] = await backupRuns(context, scenario, UNFINISHED);
  const run =
    unfinished ??
    (await createBackupRun(context, await backupSubject(context, scenario), {
      id: randomUUID(),
      reason: 'hand',
    }));
  if (!options.detach) return { scenario, run: await resumeBackup(context, run), detached: false };
  await beginDetached(context, run);
  return { scenario, run, detached: true };
}

/** `standby resume` for a run of this kind. What failed is told as an event too: nobody may be watching. */
export async function resumeBackup(context: Context, run: RunRecord): Promise<RunRecord> {
  const work = await workOf(context, run);
  try {
    return await carryOut(context, run, await planOf(context, run, work));
  } catch (error) {
    if (isStandbyError(error) && isFailure(error.code)) await tellFailure(context, run, error);
    throw error;
  }
}

/** Somebody else works on it, or it was only interrupted. */
function isFailure(code: string): boolean {
  return !['RUN_INTERRUPTED', 'LEASE_HELD', 'LEASE_LOST', 'RUN_ENDED'].includes(code);
}

async function tellFailure(context: Context, run: RunRecord, error: unknown): Promise<void> {
  const { scenario } = run.input as BackupInput;
  const now = await context.store.runs.get(run.id);
  const isComplete = now !== undefined && completeBackupOf(now) !== undefined;
  const what = isComplete
    ? `The backup of the standby of "${scenario.name}" is complete, but older ones could not be removed`
    : `The backup of the standby of "${scenario.name}" failed`;
  const undo = isComplete ? '' : ` To give it up: standby resume ${run.id} --undo`;
  await appendEvent(context, {
    level: 'error',
    code: 'BACKUP_FAILED',
    text: `${what}: ${messageOf(error)} The standby is not touched by this. Go on: standby resume ${run.id}.${undo}`,
    scenarioId: scenario.id,
    runId: run.id,
  });
}

/** Deletes exactly what an unfinished backup has made. */
export async function undoBackup(context: Context, run: RunRecord): Promise<RunRecord> {
  return takeBack(context, run, await planOf(context, run, await workOf(context, run)));
}

function workOf(context: Context, run: RunRecord): Promise<Work> {
  return makeWork(context, { runId: run.id, input: run.input as ScenarioRunInput, moment: 'switchover' });
}

/** The settings are those of now: whoever moved the daily window means the backups that wait, too. */
async function planOf(context: Context, run: RunRecord, work: Work) {
  const { options, scenario } = run.input as BackupInput;
  const now = (await context.store.scenarios.get(scenario.id)) ?? scenario;
  return backupPlan(work, {
    ...options,
    settings: now.backup ?? BACKUP_DEFAULTS,
    completeBackups: async () =>
      (await backupRuns(context, scenario)).flatMap((one) => completeBackupOf(one) ?? []),
  });
}

/** Newest first. */
async function backupRuns(
  { store }: Pick<Context, 'store'>,
  scenario: Scenario,
  statuses?: readonly RunStatus[],
): Promise<readonly RunRecord[]> {
  const runs = await store.runs.list({
    subject: scenario.id,
    kind: BACKUP,
    ...(statuses ? { statuses } : {}),
  });
  return runs.toReversed();
}

export interface ListedBackup {
  readonly runId: string;
  /** `damaged`: somebody deleted a part of it. `unknown`: this store does not know the run of these snapshots. */
  readonly state: 'complete' | 'unfinished' | 'damaged' | 'unknown';
  readonly reason?: BackupReason;
  readonly atMs?: number;
  /** Those that are there. */
  readonly snapshots: readonly Snapshot[];
}

interface Snapshot {
  readonly id: string;
  readonly name: string;
}

/** What Azure has of backups, newest first, and the unfinished ones. */
export async function listBackups(context: Context, name: string): Promise<BackupList> {
  const scenario = await scenarioNamed(context, name);
  const tagged = await (await cloudOf(context, scenario)).listTagged('standby-scenario', scenario.id);
  const backups = tagged.filter(({ tags }) => tags['standby-role'] === 'backup');
  const found = Map.groupBy(backups, ({ tags }) => tags['standby-run'] ?? '');
  const runs = await backupRuns(context, scenario);
  const known = runs
    .filter(({ id, status }) => found.has(id) || UNFINISHED.includes(status))
    .map((run) => listed(run, found.get(run.id) ?? []));
  const unknown = [...found]
    .filter(([runId]) => !runs.some((run) => run.id === runId))
    .map(([runId, snapshots]) => ({ runId, state: 'unknown' as const, snapshots: named(snapshots) }));
  return { scenario, backups: [...known, ...unknown] };
}

export interface BackupList {
  readonly scenario: Scenario;
  readonly backups: readonly ListedBackup[];
}

function listed(run: RunRecord, found: readonly Snapshot[]): ListedBackup {
  const complete = completeBackupOf(run);
  const there = new Set(found.map((one) => one.id.toLowerCase()));
  const isWhole = complete?.snapshotIds.every((id) => there.has(id.toLowerCase()));
  return {
    runId: run.id,
    state: complete ? (isWhole ? 'complete' : 'damaged') : 'unfinished',
    reason: (run.input as BackupInput).options.reason,
    ...(complete ? { atMs: complete.atMs } : {}),
    snapshots: named(found),
  };
}

function named(snapshots: readonly Snapshot[]): readonly Snapshot[] {
  return snapshots.map(({ id, name }) => ({ id, name })).toSorted((a, b) => a.name.localeCompare(b.name));
}

async function cloudOf(context: Context, scenario: Scenario): Promise<Cloud> {
  const account = await context.store.accounts.get(scenario.accountId);
  if (!account) throw accountGone(scenario);
  return context.cloudFor(account);
}

/** By its run, or all of them. An unfinished one is taken back instead: its process may still be at work. */
export async function removeBackups(
  context: Context,
  name: string,
  which: { readonly runId: string } | 'all',
): Promise<BackupList> {
  const { scenario, backups } = await listBackups(context, name);
  const chosen = which === 'all' ? backups : backups.filter((one) => one.runId.startsWith(which.runId));
  if (which !== 'all' && chosen.length !== 1) {
    throw inputError(
      'BACKUP_UNKNOWN',
      `Scenario ${scenario.name} has ${chosen.length === 0 ? 'no' : 'more than one'} backup ${which.runId}.`,
      `List them: standby backup list ${scenario.name}`,
    );
  }
  const unfinished = chosen.find((one) => one.state === 'unfinished');
  if (unfinished) {
    throw inputError(
      'BACKUP_UNFINISHED',
      `The backup ${unfinished.runId} has not ended.`,
      `Take it back: standby resume ${unfinished.runId} --undo`,
    );
  }
  const cloud = await cloudOf(context, scenario);
  // Each call looks at the tag again: a list may be old.
  for (const { snapshots } of chosen)
    for (const { id } of snapshots) await cloud.disks.deleteSnapshot(id, scenario.id);
  return { scenario, backups: chosen };
}
