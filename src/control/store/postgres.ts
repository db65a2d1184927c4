import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { messageOf, StandbyError } from '../../errors.ts';
import type { Driver } from './database.ts';
import type { Schema } from './schema.ts';

/** PostgreSQL, for teams whose control runs on several machines. A commit is durable when it returns (the server's default). */
const CONNECTIONS_MAX = 4;
const CONNECT_TIMEOUT_MS = 10_000;
const INT8 = 20;

const BUSY = new Set(['40001', '40P01', '55P03']); // serialisation failure, deadlock, lock not available
const TAKEN = '23505';
/** SQLSTATE classes: connection, authorisation, no such database, out of resources, operator intervention, system error. */
const UNAVAILABLE_CLASSES = new Set(['08', '28', '3D', '53', '57', '58']);
const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ENOENT',
  'EACCES',
]);

export function openPostgres(url: string): Driver {
  const pool = new pg.Pool({
    connectionString: url,
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    types: {
      // Counts and times come as 64-bit integers; all of ours fit in a number.
      getTypeParser: (id, format) => (id === INT8 ? Number : pg.types.getTypeParser(id, format)),
    },
  });
  // An idle connection that the server closes is no failure of anybody's call: the pool opens another one.
  pool.on('error', () => {});
  return {
    kind: 'postgres',
    kysely: new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) }),
    nowMs: sql<number>`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`,
    isBusy: (error) => BUSY.has(codeOf(error)),
    isTaken: (error) => codeOf(error) === TAKEN,
    unavailable: (error) => (isUnavailable(error) ? cannotUse(error) : undefined),
  };
}

function isUnavailable(error: unknown): boolean {
  const code = codeOf(error);
  if (SOCKET_CODES.has(code)) return true;
  if (code.length === 5 && UNAVAILABLE_CLASSES.has(code.slice(0, 2))) return true;
  return /connection (terminated|timeout)|timeout exceeded when trying to connect/i.test(messageOf(error));
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}

/** Never names the URL: it may hold a password. */
function cannotUse(cause: unknown): StandbyError {
  return new StandbyError({
    code: 'STORE_UNAVAILABLE',
    what: 'The PostgreSQL store cannot be reached.',
    why: messageOf(cause),
    next: 'See that the server runs and that STANDBY_STORE names its address, database, user and password.',
    retry: 'later',
    cause,
  });
}
