import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { Kysely, SqliteAdapter, type SqliteDatabase, SqliteDialect, sql } from 'kysely';
import { systemClock } from '../../clock.ts';
import { messageOf, StandbyError } from '../../errors.ts';
import type { Driver } from './database.ts';
import type { Schema } from './schema.ts';

/**
 * SQLite through Node's own module. It answers synchronously, so a wait for a lock stands the whole process still:
 * the engine waits briefly, and Database tries again asynchronously.
 *
 * Promises: what a transaction wrote is on the disk when it returns (WAL, synchronous=FULL), and transactions that
 * read before they write never meet a stale snapshot (`begin immediate`).
 */
const LOCK_WAIT_MS = 100;
const OPEN_TRIES_MAX = 200;

const BUSY = 5;
const CANNOT_USE = new Set([3, 8, 10, 11, 13, 14, 23, 26]); // permission, read-only, I/O, corrupt, full, cannot open, auth, not a database
const UNIQUE = new Set([1555, 2067]);

export async function openSqlite(path: string): Promise<Driver> {
  const database = await open(path);
  return {
    kind: 'sqlite',
    kysely: new Kysely<Schema>({ dialect: new ImmediateSqliteDialect({ database: adapt(database) }) }),
    nowMs: sql<number>`cast(unixepoch('subsec') * 1000 as integer)`,
    isBusy: (error) => (codeOf(error) & 0xff) === BUSY,
    isTaken: (error) => UNIQUE.has(codeOf(error)),
    unavailable: (error) => (CANNOT_USE.has(codeOf(error) & 0xff) ? cannotUse(path, error) : undefined),
  };
}

/** SQLite's DDL is transactional; Kysely does not use that on its own, and a half-made schema would be the price. */
class ImmediateSqliteDialect extends SqliteDialect {
  override createAdapter(): SqliteAdapter {
    return new TransactionalDdlAdapter();
  }
}
class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

async function open(path: string): Promise<DatabaseSync> {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // Made here for its mode; the engine's side files take over the mode of this one.
    closeSync(openSync(path, 'a', 0o600));
  } catch (error) {
    throw cannotUse(path, error);
  }
  for (let tries = 1; ; tries++) {
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(path, { timeout: LOCK_WAIT_MS });
      database.exec('pragma journal_mode=wal; pragma synchronous=full; pragma foreign_keys=on');
      return database;
    } catch (error) {
      if (database?.isOpen) database.close();
      // Switching to WAL and recovery after a crash need the file alone for a moment.
      if ((codeOf(error) & 0xff) !== BUSY || tries === OPEN_TRIES_MAX) throw cannotUse(path, error);
      await systemClock.sleep(5 + Math.random() * 20);
    }
  }
}

function adapt(database: DatabaseSync): SqliteDatabase {
  return {
    close: () => database.close(),
    prepare(text) {
      const statement = database.prepare(text === 'begin' ? 'begin immediate' : text);
      return {
        reader: statement.columns().length > 0,
        all: (values) => statement.all(...(values as SQLInputValue[])),
        run: (values) => statement.run(...(values as SQLInputValue[])),
        iterate: (values) => statement.iterate(...(values as SQLInputValue[])),
      };
    },
  };
}

function codeOf(error: unknown): number {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined;
  return typeof code === 'number' ? code : 0;
}

function cannotUse(path: string, cause: unknown): StandbyError {
  return new StandbyError({
    code: 'STORE_UNAVAILABLE',
    what: `The store ${path} cannot be used.`,
    why: messageOf(cause),
    next: 'See that the folder exists on a local disk, has room, and belongs to you; or choose another one with --home or STANDBY_HOME.',
    cause,
  });
}
