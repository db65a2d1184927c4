import type { Store } from '../../ports/store.ts';

/** A PostgreSQL URL, or the path of a SQLite file (made with its folder if it is not there). */
export async function openStore(url: string): Promise<Store> {
  // Kysely is slow to load, and most of what a command line does first needs no store.
  const { openDatabase } = await import('./open-database.ts');
  const database = await openDatabase(url);
  const { openCollection } = await import('./collections.ts');
  const { openEvents } = await import('./events.ts');
  const { openRuns } = await import('./runs.ts');
  const { openSecretStore } = await import('./secret-store.ts');
  return {
    accounts: openCollection(database, 'accounts'),
    appliances: openCollection(database, 'appliances'),
    masters: openCollection(database, 'masters'),
    scenarios: openCollection(database, 'scenarios'),
    statuses: openCollection(database, 'statuses'),
    groups: openCollection(database, 'groups'),
    events: openEvents(database),
    runs: openRuns(database),
    secrets: openSecretStore(database),
    close: () => database.close(),
  };
}
