import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';
import { StandbyError } from '../../errors.ts';
import type { Lease, RunRecord, RunStatus, RunStore, StepRecord } from '../../plan/plan.ts';
import type { Database } from './database.ts';
import type { Schema, StepTable } from './schema.ts';

/**
 * Runs and their steps. Every write under a lease happens in one transaction with the check of its fence:
 * a process that was believed dead and wakes up again cannot write over its successor.
 */
const UNFINISHED: readonly RunStatus[] = ['running', 'failed'];

export function openRuns(database: Database): RunStore {
  return {
    create: (run) => create(database, run),
    get: (runId) => database.read((db) => load(db, database, runId)),
    list: (filter = {}) => list(database, filter),
    claim: (runId, owner, leaseMs, insteadOf) => claim(database, runId, owner, leaseMs, insteadOf),
    renew: (lease, leaseMs) =>
      fenced(database, lease, async (db) => {
        await db
          .updateTable('runs')
          .set({ lease_until_ms: sql<number>`${database.driver.nowMs} + ${sql.lit(leaseMs)}` })
          .where('id', '=', lease.runId)
          .execute();
      }),
    release: (lease) =>
      database.write(async (db) => {
        await db
          .updateTable('runs')
          .set({ owner: null, lease_until_ms: 0 })
          .where('id', '=', lease.runId)
          .where('fence', '=', lease.fence)
          .execute();
      }),
    writeStep: (lease, ...steps) =>
      fenced(database, lease, async (db) => {
        for (const step of steps) await writeStep(db, lease.runId, step);
      }),
    finish: (lease, status) =>
      fenced(database, lease, async (db) => {
        await db
          .updateTable('runs')
          .set({ status, ended_at_ms: database.driver.nowMs })
          .where('id', '=', lease.runId)
          .execute();
      }),
  };
}

async function create(
  database: Database,
  run: Pick<RunRecord, 'id' | 'kind' | 'subject' | 'title' | 'input'>,
): Promise<RunRecord> {
  try {
    return await database.write(async (db) => {
      await db
        .insertInto('runs')
        .values({
          id: run.id,
          kind: run.kind,
          subject: run.subject,
          title: run.title,
          input: JSON.stringify(run.input ?? null),
          status: 'running',
          created_at_ms: database.driver.nowMs,
          lease_until_ms: 0,
          fence: 0,
        })
        .execute();
      const made = await load(db, database, run.id);
      if (made === undefined) throw new Error(`Run ${run.id} is not there after it was written`);
      return made;
    });
  } catch (error) {
    if (!database.driver.isTaken(error)) throw error;
    throw await runInProgress(database, run, error);
  }
}

async function runInProgress(
  database: Database,
  run: Pick<RunRecord, 'kind' | 'subject' | 'title'>,
  cause: unknown,
): Promise<StandbyError> {
  const [other] = await list(database, { subject: run.subject, kind: run.kind, statuses: UNFINISHED });
  const name = other === undefined ? 'Another run' : `"${other.title}" (${other.id})`;
  return new StandbyError({
    code: 'RUN_IN_PROGRESS',
    what: `"${run.title}" cannot begin.`,
    why: `${name} of the same kind has not ended: it ${other?.status === 'failed' ? 'failed' : 'is under way or was interrupted'}.`,
    ...(other === undefined ? {} : { next: `Go on with it: standby resume ${other.id}` }),
    cause,
  });
}

async function list(
  database: Database,
  filter: { subject?: string; kind?: string; statuses?: readonly RunStatus[] },
): Promise<RunRecord[]> {
  return database.read(async (db) => {
    let query = runColumns(db, database).orderBy('created_at_ms').orderBy('id');
    if (filter.subject !== undefined) query = query.where('subject', '=', filter.subject);
    if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind);
    if (filter.statuses !== undefined) query = query.where('status', 'in', [...filter.statuses]);
    const rows = await query.execute();
    const chosen = query.clearSelect().clearOrderBy().select('id');
    const steps = await db
      .selectFrom('steps')
      .selectAll()
      .where('run_id', 'in', chosen)
      .orderBy('position')
      .execute();
    const byRun = Map.groupBy(steps, (step) => step.run_id);
    return rows.map((row) => toRun(row, byRun.get(row.id) ?? []));
  });
}

async function load(db: Kysely<Schema>, database: Database, runId: string): Promise<RunRecord | undefined> {
  const row = await runColumns(db, database).where('id', '=', runId).executeTakeFirst();
  if (row === undefined) return undefined;
  const steps = await db
    .selectFrom('steps')
    .selectAll()
    .where('run_id', '=', runId)
    .orderBy('position')
    .execute();
  return toRun(row, steps);
}

/** Compare-and-swap on the fence: it works the same on both databases, and of several claimants one wins. */
async function claim(
  database: Database,
  runId: string,
  owner: string,
  leaseMs: number,
  insteadOf?: string,
): Promise<Lease | undefined> {
  return database.write(async (db) => {
    const run = await db
      .selectFrom('runs')
      .select(['fence', 'status'])
      .where('id', '=', runId)
      .executeTakeFirst();
    if (run === undefined) throw noSuchRun(runId);
    const fence = run.fence + 1;
    const result = await db
      .updateTable('runs')
      .set({
        owner,
        fence,
        lease_until_ms: sql<number>`${database.driver.nowMs} + ${sql.lit(leaseMs)}`,
        ...(run.status === 'failed' ? { status: 'running', ended_at_ms: null } : {}),
      })
      .where('id', '=', runId)
      .where('fence', '=', run.fence)
      .where((where) =>
        where.or([
          where('lease_until_ms', '<=', database.driver.nowMs),
          ...(insteadOf === undefined ? [] : [where('owner', '=', insteadOf)]),
        ]),
      )
      .executeTakeFirst();
    return Number(result.numUpdatedRows) === 1 ? { runId, owner, fence } : undefined;
  });
}

/** The row stays locked until the transaction ends, so nobody can take the lease between the check and the write. */
async function fenced(
  database: Database,
  lease: Lease,
  work: (db: Transaction<Schema>) => Promise<void>,
): Promise<void> {
  await database.write(async (db) => {
    const held = await db
      .updateTable('runs')
      .set({ fence: lease.fence })
      .where('id', '=', lease.runId)
      .where('fence', '=', lease.fence)
      .executeTakeFirst();
    if (Number(held.numUpdatedRows) !== 1) throw leaseLost(lease);
    await work(db);
  });
}

async function writeStep(db: Transaction<Schema>, runId: string, step: StepRecord): Promise<void> {
  const values = {
    title: step.title,
    status: step.status,
    attempts: step.attempts,
    started_at_ms: step.startedAtMs ?? null,
    ended_at_ms: step.endedAtMs ?? null,
    checkpoint: textOf(step.checkpoint),
    output: textOf(step.output),
    error: textOf(step.error),
  };
  const { next } = await db
    .selectFrom('steps')
    .select((select) => sql<number>`coalesce(${select.fn.max('position')}, 0) + 1`.as('next'))
    .where('run_id', '=', runId)
    .executeTakeFirstOrThrow();
  await db
    .insertInto('steps')
    .values({ run_id: runId, step_id: step.stepId, position: Number(next), ...values })
    .onConflict((conflict) => conflict.columns(['run_id', 'step_id']).doUpdateSet(values))
    .execute();
}

function runColumns(db: Kysely<Schema>, database: Database) {
  return db
    .selectFrom('runs')
    .select(['id', 'kind', 'subject', 'title', 'input', 'status', 'created_at_ms', 'ended_at_ms'])
    .select(['owner', 'lease_until_ms', database.driver.nowMs.as('now_ms')]);
}

type RunRow = Awaited<ReturnType<ReturnType<typeof runColumns>['execute']>>[number];

function toRun(row: RunRow, steps: readonly Selectable<StepTable>[]): RunRecord {
  const isHeld = row.owner !== null && row.lease_until_ms > row.now_ms;
  return {
    id: row.id,
    kind: row.kind,
    subject: row.subject,
    title: row.title,
    input: JSON.parse(row.input),
    status: row.status as RunStatus,
    createdAtMs: row.created_at_ms,
    ...(row.ended_at_ms === null ? {} : { endedAtMs: row.ended_at_ms }),
    ...(isHeld ? { held: { owner: row.owner ?? '', untilMs: row.lease_until_ms } } : {}),
    steps: steps.map(toStep),
  };
}

function toStep(row: Selectable<StepTable>): StepRecord {
  return {
    stepId: row.step_id,
    title: row.title,
    status: row.status as StepRecord['status'],
    attempts: row.attempts,
    ...(row.started_at_ms === null ? {} : { startedAtMs: row.started_at_ms }),
    ...(row.ended_at_ms === null ? {} : { endedAtMs: row.ended_at_ms }),
    ...(row.checkpoint === null ? {} : { checkpoint: JSON.parse(row.checkpoint) }),
    ...(row.output === null ? {} : { output: JSON.parse(row.output) }),
    ...(row.error === null ? {} : { error: JSON.parse(row.error) }),
  };
}

function textOf(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function noSuchRun(runId: string): StandbyError {
  return new StandbyError({
    code: 'NOT_FOUND',
    what: `There is no run ${runId}.`,
    next: 'List the runs: standby runs',
    kind: 'input',
  });
}

function leaseLost(lease: Lease): StandbyError {
  return new StandbyError({
    code: 'LEASE_LOST',
    what: `This process no longer works on run ${lease.runId}.`,
    why: 'Another process has taken it over.',
    next: `Follow it there; if that one has died: standby resume ${lease.runId}`,
  });
}
