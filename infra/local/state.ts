import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StandbyError } from '../../src/errors.ts';

/**
 * All state of Local Azure in one SQLite file: resources, operations and named documents.
 *
 * Promise: what a transaction wrote is on disk (WAL, synchronous=FULL) when `transaction` returns; killed at any
 * line, the next start sees each transaction wholly or not at all. The file is locked while it is open, so two
 * Local Azures never share a folder.
 */
export interface State {
  /** Nested calls become savepoints: an inner failure that is caught undoes only the inner work. */
  transaction<T>(work: () => T): T;
  getDocument<T>(name: string): T | undefined;
  setDocument(name: string, value: unknown): void;
  readonly database: DatabaseSync;
  close(): void;
}

const SCHEMA = `
create table if not exists documents (name text primary key, json text not null) strict;
create table if not exists resources (
  seq integer primary key autoincrement,
  key text not null unique,
  type_key text not null,
  group_key text not null,
  parent_key text,
  json text not null
) strict;
create index if not exists resources_type on resources (type_key, seq);
create index if not exists resources_parent on resources (parent_key, seq);
create index if not exists resources_group on resources (group_key, seq);
create table if not exists groups (key text primary key, json text not null) strict;
create table if not exists operations (
  seq integer primary key autoincrement,
  id text not null unique,
  queue_key text not null,
  status text not null,
  ended_at_ms integer,
  json text not null
) strict;
create index if not exists operations_queue on operations (queue_key, seq);
create index if not exists operations_status on operations (status, seq);
`;

export function openState(folder: string): State {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = openLocked(path.join(folder, 'state.sqlite'));
  let depth = 0;
  return {
    database,
    transaction(work) {
      const level = depth;
      database.exec(level === 0 ? 'begin immediate' : `savepoint level${level}`);
      depth += 1;
      try {
        const result = work();
        database.exec(level === 0 ? 'commit' : `release level${level}`);
        return result;
      } catch (error) {
        // A full disk can end the transaction by itself; there is nothing to roll back then.
        if (database.isTransaction) {
          database.exec(level === 0 ? 'rollback' : `rollback to level${level}; release level${level}`);
        }
        throw error;
      } finally {
        depth -= 1;
      }
    },
    getDocument<T>(name: string): T | undefined {
      const row = database.prepare('select json from documents where name = ?').get(name);
      return row === undefined ? undefined : (JSON.parse(String(row.json)) as T);
    },
    setDocument(name, value) {
      database
        .prepare(
          'insert into documents (name, json) values (?, ?) on conflict (name) do update set json = excluded.json',
        )
        .run(name, JSON.stringify(value));
    },
    close: () => database.close(),
  };
}

function openLocked(file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  try {
    database.exec('pragma locking_mode = exclusive');
    database.exec('pragma journal_mode = wal');
    database.exec('pragma synchronous = full');
    database.exec('begin exclusive; commit');
    database.exec(SCHEMA);
    return database;
  } catch (error) {
    database.close();
    if (!(error instanceof Error && /locked|busy/i.test(error.message))) throw error;
    throw new StandbyError({
      code: 'LOCAL_AZURE_RUNNING',
      what: `Another Local Azure has ${path.dirname(file)} open.`,
      next: 'Use that one, or end it first: standby local down',
      cause: error,
    });
  }
}
