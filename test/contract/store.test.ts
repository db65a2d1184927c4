import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../src/control/store/open-store.ts';
import { onEachStore } from '../fixtures/stores.ts';
import { storeSuite } from './store.suite.ts';

onEachStore('A store', storeSuite);

describe('The SQLite store', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'standby-sqlite-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('makes its folder and file for its owner only, and writes durably', async () => {
    const path = join(folder, 'new', 'standby.db');
    const store = await openStore(path);
    await store.secrets.set('a', 'b');
    const modes = ['', '-wal', '-shm'].map((suffix) => statSync(path + suffix).mode & 0o777);
    expect(modes).toEqual([0o600, 0o600, 0o600]);
    expect(statSync(join(folder, 'new')).mode & 0o777).toBe(0o700);
    await store.close();
  });

  it('says what to do about a file that is no store, a folder that cannot be made, and a newer store', async () => {
    const broken = join(folder, 'broken.db');
    writeFileSync(broken, 'this is not a database, however long one looks at it'.repeat(100));
    await expect(openStore(broken)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    await expect(openStore(join(broken, 'x', 'y.db'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    const newer = join(folder, 'newer.db');
    await (await openStore(newer)).close();
    const database = new DatabaseSync(newer);
    database.exec("insert into kysely_migration values ('999_future', '2030-01-01T00:00:00.000Z')");
    database.close();
    await expect(openStore(newer)).rejects.toMatchObject({ code: 'STORE_NEWER' });
  });
});

describe('The PostgreSQL store', () => {
  it('says that it cannot be reached, without the password', async () => {
    const url = `postgres://standby:hush-hush@/standby?host=${join(tmpdir(), 'standby-no-such-folder')}`;
    const error: unknown = await openStore(url).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', retry: 'later' });
    expect(JSON.stringify(error)).not.toContain('hush-hush');
  });
});
