import { execFile } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSecrets } from '../../src/control/secrets.ts';
import { openStore } from '../../src/control/store/open-store.ts';
import type { Store } from '../../src/ports/store.ts';

const PLAIN = 'Zx8~plain-client-secret-that-must-not-show';

describe('Secrets at rest', () => {
  let folder = '';
  let file = '';
  let store: Store;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'standby-secrets-'));
    file = join(folder, 'home', 'key');
    store = await openStore(join(folder, 'home', 'standby.db'));
  });
  afterEach(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('come back to whoever has the key file, which only its owner can read', async () => {
    await (await openSecrets(store.secrets, { file })).set('account/1', PLAIN);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = await openSecrets(store.secrets, { file });
    expect(await again.get('account/1')).toBe(PLAIN);
    expect(await again.get('account/2')).toBeUndefined();
    await again.remove('account/1');
    expect(await again.get('account/1')).toBeUndefined();
  });

  it('leave no plain text in any file, and the same text is never sealed the same way twice', async () => {
    const secrets = await openSecrets(store.secrets, { file });
    await secrets.set('account/1', PLAIN);
    const first = await store.secrets.get('account/1');
    await secrets.set('account/1', PLAIN);
    expect(await store.secrets.get('account/1')).not.toBe(first);
    const files = readdirSync(join(folder, 'home'));
    expect(files).toContain('standby.db-wal');
    for (const name of files) {
      const bytes = readFileSync(join(folder, 'home', name));
      for (const encoding of ['utf8', 'base64', 'hex'] as const) {
        const text = Buffer.from(PLAIN).toString(encoding).replace(/=+$/, '');
        expect(bytes.includes(text), `${name} as ${encoding}`).toBe(false);
      }
    }
    // The search can find: the name is stored in the clear.
    expect(files.some((name) => readFileSync(join(folder, 'home', name)).includes('account/1'))).toBe(true);
  });

  it('refuse a ciphertext that was changed anywhere, cut off, or moved to another name', async () => {
    const secrets = await openSecrets(store.secrets, { file });
    await secrets.set('one', 'first');
    await secrets.set('two', 'second');
    const sealed = Buffer.from((await store.secrets.get('one')) ?? '', 'base64');
    for (let index = 0; index < sealed.length; index++) {
      const changed = Buffer.from(sealed);
      changed[index] = (changed[index] ?? 0) ^ 1;
      await store.secrets.set('one', changed.toString('base64'));
      await expect(secrets.get('one'), `byte ${index}`).rejects.toMatchObject({ code: 'SECRET_DAMAGED' });
    }
    for (const length of [0, 5, 27, sealed.length - 1]) {
      await store.secrets.set('one', sealed.subarray(0, length).toString('base64'));
      await expect(secrets.get('one'), `${length} bytes`).rejects.toMatchObject({ code: 'SECRET_DAMAGED' });
    }
    await store.secrets.set('one', (await store.secrets.get('two')) ?? '');
    await expect(secrets.get('one')).rejects.toMatchObject({ code: 'SECRET_DAMAGED' });
    await store.secrets.set('one', sealed.toString('base64'));
    expect(await secrets.get('one')).toBe('first');
  });

  it('say what to do when the key file is missing, of another store, readable by others, or no key file', async () => {
    await (await openSecrets(store.secrets, { file })).set('one', PLAIN);
    const fails = async (code: string) => {
      const error: unknown = await (await openSecrets(store.secrets, { file }))
        .get('one')
        .catch((e: unknown) => e);
      expect(error).toMatchObject({ code, kind: 'input', next: expect.stringMatching(/\w{10}|chmod 600/) });
      expect(JSON.stringify(error)).not.toContain(readFileSync(`${file}.kept`, 'utf8').slice(15, 30));
    };
    copyFileSync(file, `${file}.kept`);
    chmodSync(file, 0o640);
    await fails('KEY_FILE_OPEN');
    rmSync(file);
    await fails('KEY_MISSING');
    writeFileSync(file, 'not a key', { mode: 0o600 });
    await fails('KEY_FILE_DAMAGED');
    writeFileSync(file, `standby-key-1 ${Buffer.alloc(32).toString('base64')}\n`, { mode: 0o600 });
    await fails('KEY_WRONG');
    expect(readdirSync(join(folder, 'home')).filter((name) => name.startsWith('key'))).toEqual([
      'key',
      'key.kept',
    ]);
  });

  it('can be kept under a passphrase in place of a file, and a wrong one is told from a missing one', async () => {
    const passphrase = 'correct horse battery';
    await (await openSecrets(store.secrets, { passphrase })).set('one', PLAIN);
    expect(readdirSync(join(folder, 'home'))).not.toContain('key');
    expect(await (await openSecrets(store.secrets, { passphrase })).get('one')).toBe(PLAIN);
    const wrong = await openSecrets(store.secrets, { passphrase: 'correct horse batterz' });
    await expect(wrong.get('one')).rejects.toMatchObject({ code: 'PASSPHRASE_WRONG', kind: 'input' });
    await expect(wrong.set('two', 'x')).rejects.toMatchObject({ code: 'PASSPHRASE_WRONG' });
    const missing = await openSecrets(store.secrets, { file });
    await expect(missing.get('one')).rejects.toMatchObject({ code: 'PASSPHRASE_MISSING' });
    expect(await store.secrets.get('two')).toBeUndefined();
  });

  it('refuse a passphrase for a store that is kept under a key file', async () => {
    await (await openSecrets(store.secrets, { file })).set('one', PLAIN);
    const secrets = await openSecrets(store.secrets, { passphrase: 'correct horse battery' });
    await expect(secrets.get('one')).rejects.toMatchObject({ code: 'PASSPHRASE_UNUSED' });
  });

  it('are made once when several processes come first at once', { timeout: 60_000 }, async () => {
    const script = fileURLToPath(new URL('secrets-maker.ts', import.meta.url));
    const url = join(folder, 'home', 'standby.db');
    const make = () => promisify(execFile)(process.execPath, [script, url, file]);
    const made = await Promise.all([make(), make(), make(), make()]);
    const values = made.map(({ stdout }) => stdout);
    expect(new Set(values).size).toBe(1);
    expect(await (await openSecrets(store.secrets, { file })).get('authority')).toBe(values[0]);
    expect(readdirSync(join(folder, 'home')).filter((name) => name.startsWith('key'))).toEqual(['key']);
  });
});
