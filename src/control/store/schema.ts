import { type Generated, type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

/**
 * One schema for SQLite and PostgreSQL: text ids, times in epoch milliseconds, documents as JSON text.
 * A migration, once released, is never edited; a change is a new numbered one below it.
 */
export type StoreKind = 'sqlite' | 'postgres';

const FIRST_COLLECTIONS = ['accounts', 'appliances', 'masters', 'scenarios', 'statuses'] as const;
export type CollectionName = (typeof FIRST_COLLECTIONS)[number] | 'groups';

export interface ItemTable {
  id: string;
  name: string;
  /** The name without regard to case; unique. */
  name_key: string;
  body: string;
  /** Counts writes: an update is refused and tried again when another one came between. */
  version: number;
}

interface RunTable {
  id: string;
  kind: string;
  subject: string;
  title: string;
  input: string;
  status: string;
  created_at_ms: number;
  ended_at_ms: number | null;
  owner: string | null;
  lease_until_ms: number;
  fence: number;
}

export interface StepTable {
  run_id: string;
  step_id: string;
  /** Order of the first write, which is the plan's order. */
  position: number;
  title: string;
  status: string;
  attempts: number;
  started_at_ms: number | null;
  ended_at_ms: number | null;
  checkpoint: string | null;
  output: string | null;
  error: string | null;
}

interface EventTable {
  seq: Generated<number>;
  id: string;
  at_ms: number;
  scenario_id: string | null;
  run_id: string | null;
  body: string;
}

interface SecretTable {
  name: string;
  ciphertext: string;
}

export interface Schema extends Record<CollectionName, ItemTable> {
  runs: RunTable;
  steps: StepTable;
  events: EventTable;
  secrets: SecretTable;
}

export function migrations(kind: StoreKind): Record<string, Migration> {
  return {
    '001_first': { up: (db) => first(db, kind) },
    '002_groups': { up: (db) => createCollection(db, 'groups') },
  };
}

async function createCollection(db: Kysely<unknown>, name: CollectionName): Promise<void> {
  await db.schema
    .createTable(name)
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('name_key', 'text', (column) => column.notNull().unique())
    .addColumn('body', 'text', (column) => column.notNull())
    .addColumn('version', 'bigint', (column) => column.notNull())
    .execute();
}

async function first(db: Kysely<unknown>, kind: StoreKind): Promise<void> {
  for (const name of FIRST_COLLECTIONS) await createCollection(db, name);
  await createRuns(db);
  const events = db.schema.createTable('events');
  const numbered =
    kind === 'sqlite'
      ? events.addColumn('seq', 'integer', (column) => column.primaryKey().autoIncrement())
      : events.addColumn('seq', 'bigserial', (column) => column.primaryKey());
  await numbered
    .addColumn('id', 'text', (column) => column.notNull().unique())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('scenario_id', 'text')
    .addColumn('run_id', 'text')
    .addColumn('body', 'text', (column) => column.notNull())
    .execute();
  await db.schema.createIndex('events_scenario').on('events').columns(['scenario_id', 'seq']).execute();
  await db.schema.createIndex('events_run').on('events').columns(['run_id', 'seq']).execute();
  await db.schema
    .createTable('secrets')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('ciphertext', 'text', (column) => column.notNull())
    .execute();
}

async function createRuns(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('runs')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('title', 'text', (column) => column.notNull())
    .addColumn('input', 'text', (column) => column.notNull())
    .addColumn('status', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('ended_at_ms', 'bigint')
    .addColumn('owner', 'text')
    .addColumn('lease_until_ms', 'bigint', (column) => column.notNull())
    .addColumn('fence', 'bigint', (column) => column.notNull())
    .execute();
  // The rule "one unfinished run of a subject and kind" is the database's own, so no race gets around it.
  await sql`create unique index runs_unfinished on runs (subject, kind)
    where status in ('running', 'failed')`.execute(db);
  await db.schema
    .createTable('steps')
    .addColumn('run_id', 'text', (column) => column.notNull().references('runs.id'))
    .addColumn('step_id', 'text', (column) => column.notNull())
    .addColumn('position', 'integer', (column) => column.notNull())
    .addColumn('title', 'text', (column) => column.notNull())
    .addColumn('status', 'text', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull())
    .addColumn('started_at_ms', 'bigint')
    .addColumn('ended_at_ms', 'bigint')
    .addColumn('checkpoint', 'text')
    .addColumn('output', 'text')
    .addColumn('error', 'text')
    .addPrimaryKeyConstraint('steps_key', ['run_id', 'step_id'])
    .execute();
}
