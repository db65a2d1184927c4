import { StandbyError } from '../../errors.ts';
import type { Collection, Named } from '../../ports/store.ts';
import type { Database } from './database.ts';
import type { CollectionName } from './schema.ts';

const WORDS: Readonly<Record<CollectionName, string>> = {
  accounts: 'account',
  appliances: 'appliance',
  masters: 'master',
  scenarios: 'scenario',
  statuses: 'scenario status',
  groups: 'group',
};

/** Documents by id and by name. The document is the truth; the other columns are there to find it. */
export function openCollection<Item extends Named>(
  database: Database,
  table: CollectionName,
): Collection<Item> {
  const find = (column: 'id' | 'name_key', value: string) =>
    database.read(async (db) => {
      const row = await db.selectFrom(table).select('body').where(column, '=', value).executeTakeFirst();
      return row === undefined ? undefined : (JSON.parse(row.body) as Item);
    });

  return {
    get: (id) => find('id', id),
    byName: (name) => find('name_key', keyOf(name)),
    list: () =>
      database.read(async (db) => {
        const rows = await db.selectFrom(table).select(['name_key', 'body']).execute();
        // Sorted here: the two databases order text differently.
        rows.sort((a, b) => (a.name_key < b.name_key ? -1 : 1));
        return rows.map((row) => JSON.parse(row.body) as Item);
      }),
    insert: (item) =>
      database.write(async (db) => {
        const write = db
          .insertInto(table)
          .values({ ...columnsOf(item), version: 1 })
          .execute();
        await refusingTaken(database, table, item.name, write);
      }),
    async update(id, change) {
      for (;;) {
        const written = await tryUpdate(database, table, id, change);
        if (written !== undefined) return written;
      }
    },
    remove: (id) =>
      database.write(async (db) => {
        const result = await db.deleteFrom(table).where('id', '=', id).executeTakeFirst();
        return Number(result.numDeletedRows) > 0;
      }),
  };
}

/** Undefined when another update came between: PostgreSQL lets two transactions read the same version. */
function tryUpdate<Item extends Named>(
  database: Database,
  table: CollectionName,
  id: string,
  change: (item: Item) => Item,
): Promise<Item | undefined> {
  return database.write(async (db) => {
    const row = await db
      .selectFrom(table)
      .select(['body', 'version'])
      .where('id', '=', id)
      .executeTakeFirst();
    if (row === undefined) throw notFound(table, id);
    const item = change(JSON.parse(row.body) as Item);
    if (item.id !== id) throw new Error(`An update of ${WORDS[table]} ${id} must not change its id`);
    const write = db
      .updateTable(table)
      .set({ ...columnsOf(item), version: row.version + 1 })
      .where('id', '=', id)
      .where('version', '=', row.version)
      .executeTakeFirst();
    const result = await refusingTaken(database, table, item.name, write);
    return Number(result.numUpdatedRows) === 1 ? item : undefined;
  });
}

function columnsOf(item: Named) {
  return { id: item.id, name: item.name, name_key: keyOf(item.name), body: JSON.stringify(item) };
}

function keyOf(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

async function refusingTaken<Result>(
  database: Database,
  table: CollectionName,
  name: string,
  write: Promise<Result>,
): Promise<Result> {
  try {
    return await write;
  } catch (error) {
    if (!database.driver.isTaken(error)) throw error;
    throw new StandbyError({
      code: 'NAME_TAKEN',
      what: `The name "${name}" is taken by another ${WORDS[table]}.`,
      next: 'Choose another name, or remove the other one first.',
      kind: 'input',
      cause: error,
    });
  }
}

function notFound(table: CollectionName, id: string): StandbyError {
  return new StandbyError({
    code: 'NOT_FOUND',
    what: `The ${WORDS[table]} ${id} is no longer there.`,
    next: 'Somebody removed it; list what there is and try again.',
    kind: 'input',
  });
}
