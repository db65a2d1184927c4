import { Database } from './database.ts';

/** Opens the store's database and brings its schema up to date. */
export async function openDatabase(url: string): Promise<Database> {
  const driver = /^postgres(ql)?:\/\//.test(url)
    ? (await import('./postgres.ts')).openPostgres(url)
    : await (await import('./sqlite.ts')).openSqlite(url);
  const database = new Database(driver);
  try {
    await database.migrate();
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}
