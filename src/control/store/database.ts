import type { Kysely, RawBuilder, Transaction } from 'kysely';
import { Migrator } from 'kysely/migration';
import { systemClock } from '../../clock.ts';
import { messageOf, StandbyError } from '../../errors.ts';
import { migrations, type Schema, type StoreKind } from './schema.ts';

/** What SQLite and PostgreSQL do differently, and nothing else of them. */
export interface Driver {
  readonly kind: StoreKind;
  readonly kysely: Kysely<Schema>;
  /** The database's own clock in epoch milliseconds: machines that share a store need not agree on the time. */
  readonly nowMs: RawBuilder<number>;
  /** Somebody else is in the way; the same call may go through in a moment and has changed nothing. */
  isBusy(error: unknown): boolean;
  isTaken(error: unknown): boolean;
  /** The store itself cannot be used (gone, no access, not a database); undefined for any other error. */
  unavailable(error: unknown): StandbyError | undefined;
}

const BUSY_WAIT_MS = 30_000;
const BUSY_PAUSE_MS = 40;

/**
 * Every read is one statement or one transaction, every write one transaction. Work may be called several times,
 * so it does nothing but talk to the database it is given. A process that dies in it leaves nothing of it behind.
 */
export class Database {
  readonly driver: Driver;

  constructor(driver: Driver) {
    this.driver = driver;
  }

  read<Result>(work: (db: Kysely<Schema>) => Promise<Result>): Promise<Result> {
    return this.#patiently(() => work(this.driver.kysely));
  }

  write<Result>(work: (transaction: Transaction<Schema>) => Promise<Result>): Promise<Result> {
    return this.#patiently(() => this.driver.kysely.transaction().execute(work));
  }

  /** Brings the schema up to date; several processes may come at once, one of them does it. */
  async migrate(): Promise<void> {
    const list = migrations(this.driver.kind);
    const provider = { getMigrations: () => Promise.resolve(list) };
    await this.#patiently(async () => {
      const { error } = await new Migrator({ db: this.driver.kysely, provider }).migrateToLatest();
      if (error === undefined) return;
      if (messageOf(error).startsWith('corrupted migrations')) throw storeIsNewer(error);
      throw error;
    });
  }

  async close(): Promise<void> {
    await this.driver.kysely.destroy();
  }

  async #patiently<Result>(call: () => Promise<Result>): Promise<Result> {
    const giveUpAtMs = systemClock.now() + BUSY_WAIT_MS;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!this.driver.isBusy(error)) throw this.driver.unavailable(error) ?? error;
        if (systemClock.now() > giveUpAtMs) throw storeIsBusy(error);
        await systemClock.sleep(Math.random() * BUSY_PAUSE_MS);
      }
    }
  }
}

function storeIsNewer(cause: unknown): StandbyError {
  return new StandbyError({
    code: 'STORE_NEWER',
    what: 'The store was written by a newer version of Standby.',
    next: 'Use that version here too, or point STANDBY_HOME or STANDBY_STORE at another store.',
    cause,
  });
}

function storeIsBusy(cause: unknown): StandbyError {
  return new StandbyError({
    code: 'STORE_BUSY',
    what: 'The store could not be written.',
    why: `Another process has been writing to it for more than ${BUSY_WAIT_MS / 1000} seconds.`,
    next: 'Try again; if it stays so, look for a process of Standby that hangs.',
    retry: 'later',
    cause,
  });
}
