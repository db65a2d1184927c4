import { sql } from 'kysely';
import { inputError } from '../../errors.ts';
import type { EventRecord } from '../../model/event.ts';
import type { EventStore } from '../../ports/store.ts';
import type { Database } from './database.ts';

/** Any fixed number that no other part of Standby locks. */
const APPEND_LOCK = 7_346_201;

export function openEvents(database: Database): EventStore {
  return {
    append: (event) =>
      database.write(async (db) => {
        // PostgreSQL numbers rows when they are inserted, not when they become visible: without one after the other,
        // somebody who follows the events could miss one that came to light late.
        if (database.driver.kind === 'postgres') {
          await sql`select pg_advisory_xact_lock(${sql.lit(APPEND_LOCK)})`.execute(db);
        }
        await db
          .insertInto('events')
          .values({
            id: event.id,
            at_ms: event.atMs,
            scenario_id: event.scenarioId ?? null,
            run_id: event.runId ?? null,
            body: JSON.stringify(event),
          })
          // A step that is run again tells the same event again.
          .onConflict((conflict) => conflict.column('id').doNothing())
          .execute();
      }),
    list: (filter = {}) =>
      database.read(async (db) => {
        let query = db.selectFrom('events').select('body').orderBy('seq');
        if (filter.scenarioId !== undefined) query = query.where('scenario_id', '=', filter.scenarioId);
        if (filter.runId !== undefined) query = query.where('run_id', '=', filter.runId);
        if (filter.limit !== undefined) query = query.limit(filter.limit);
        if (filter.afterId !== undefined) {
          const after = await db
            .selectFrom('events')
            .select('seq')
            .where('id', '=', filter.afterId)
            .executeTakeFirst();
          if (after === undefined) throw inputError('NOT_FOUND', `There is no event ${filter.afterId}.`);
          query = query.where('seq', '>', after.seq);
        }
        return (await query.execute()).map((row) => JSON.parse(row.body) as EventRecord);
      }),
  };
}
