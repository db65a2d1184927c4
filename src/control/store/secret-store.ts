import type { SecretStore } from '../../ports/store.ts';
import type { Database } from './database.ts';

export function openSecretStore(database: Database): SecretStore {
  return {
    get: (name) =>
      database.read(async (db) => {
        const row = await db
          .selectFrom('secrets')
          .select('ciphertext')
          .where('name', '=', name)
          .executeTakeFirst();
        return row?.ciphertext;
      }),
    set: (name, ciphertext) =>
      database.write(async (db) => {
        await db
          .insertInto('secrets')
          .values({ name, ciphertext })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ ciphertext }))
          .execute();
      }),
    setIfAbsent: (name, ciphertext) =>
      database.write(async (db) => {
        await db
          .insertInto('secrets')
          .values({ name, ciphertext })
          .onConflict((conflict) => conflict.column('name').doNothing())
          .execute();
        const row = await db
          .selectFrom('secrets')
          .select('ciphertext')
          .where('name', '=', name)
          .executeTakeFirstOrThrow();
        return row.ciphertext;
      }),
    remove: (name) =>
      database.write(async (db) => {
        await db.deleteFrom('secrets').where('name', '=', name).execute();
      }),
  };
}
