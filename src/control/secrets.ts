import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { inputError, StandbyError } from '../errors.ts';
import type { SecretStore } from '../ports/store.ts';
import type { Secrets } from './context.ts';
import { makeKeyFile, readKeyFile } from './key-file.ts';

/**
 * Secrets at rest. A random data key encrypts each secret with AES-256-GCM, bound to the secret's name, so that a
 * ciphertext moved to another name does not open. The data key lies in the same store, itself encrypted with the
 * key file or a key derived from the passphrase: without that, the store's content is worth nothing.
 *
 * Several processes may come first at once: the store takes one data key, and all use that one.
 * A process that dies at any line leaves either no data key or a whole one.
 */
export type SecretsKey = { readonly file: string } | { readonly passphrase: string };

const DATA_KEY_NAME = '$data-key';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** About a third of a second and 128 MiB: dear enough for who guesses, cheap enough for who knows. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1 } as const;
const SCRYPT_MEMORY_BYTES = 256 * 1024 * 1024;

/** How the data key is protected, as stored. */
interface DataKeyRecord {
  readonly version: 1;
  readonly protection: 'key-file' | 'passphrase';
  readonly salt?: string;
  readonly wrapped: string;
}

/** The key is looked for when the first secret is asked for: most commands need none. */
export async function openSecrets(store: SecretStore, key: SecretsKey): Promise<Secrets> {
  let opening: Promise<Buffer> | undefined;
  const dataKey = () => {
    opening ??= openDataKey(store, key);
    return opening;
  };
  return {
    async get(name) {
      const ciphertext = await store.get(named(name));
      return ciphertext === undefined ? undefined : openSecret(await dataKey(), name, ciphertext);
    },
    async set(name, plainText) {
      await store.set(named(name), seal(await dataKey(), name, Buffer.from(plainText)));
    },
    async getOrMake(name, make) {
      const key = await dataKey();
      const ciphertext =
        (await store.get(named(name))) ??
        (await store.setIfAbsent(name, seal(key, name, Buffer.from(await make()))));
      return openSecret(key, name, ciphertext);
    },
    remove: (name) => store.remove(named(name)),
  };
}

function named(name: string): string {
  if (name === '' || name.startsWith('$')) throw new Error(`"${name}" is no name for a secret`);
  return name;
}

async function openDataKey(store: SecretStore, key: SecretsKey): Promise<Buffer> {
  const stored = (await store.get(DATA_KEY_NAME)) ?? (await makeDataKey(store, key));
  const record = JSON.parse(stored) as DataKeyRecord;
  const wrapping = await wrappingKey(record, key);
  const dataKey = unseal(wrapping, DATA_KEY_NAME, record.wrapped);
  if (dataKey === undefined) throw 'passphrase' in key ? passphraseWrong() : keyWrong(key.file);
  return dataKey;
}

async function makeDataKey(store: SecretStore, key: SecretsKey): Promise<string> {
  const dataKey = randomBytes(KEY_BYTES);
  if ('file' in key) {
    const wrapped = seal(makeKeyFile(key.file), DATA_KEY_NAME, dataKey);
    return store.setIfAbsent(DATA_KEY_NAME, textOf({ version: 1, protection: 'key-file', wrapped }));
  }
  const salt = randomBytes(16).toString('base64');
  const wrapped = seal(await derive(key.passphrase, salt), DATA_KEY_NAME, dataKey);
  return store.setIfAbsent(DATA_KEY_NAME, textOf({ version: 1, protection: 'passphrase', salt, wrapped }));
}

function textOf(record: DataKeyRecord): string {
  return JSON.stringify(record);
}

async function wrappingKey(record: DataKeyRecord, key: SecretsKey): Promise<Buffer> {
  if (record.protection === 'passphrase') {
    if (!('passphrase' in key)) {
      throw inputError(
        'PASSPHRASE_MISSING',
        'The secrets of this store are protected by a passphrase.',
        'Give it in the environment variable STANDBY_PASSPHRASE.',
      );
    }
    return derive(key.passphrase, record.salt ?? '');
  }
  if ('file' in key) return readKeyFile(key.file);
  throw inputError(
    'PASSPHRASE_UNUSED',
    'The secrets of this store are protected by a key file, not by a passphrase.',
    'Unset STANDBY_PASSPHRASE; the key file is named by STANDBY_KEY_FILE (default: key in the home folder).',
  );
}

function derive(passphrase: string, salt: string): Promise<Buffer> {
  const options = { ...SCRYPT, maxmem: SCRYPT_MEMORY_BYTES };
  const call = promisify<string, Buffer, number, typeof options, Buffer>(scrypt);
  return call(passphrase.normalize('NFC'), Buffer.from(salt, 'base64'), KEY_BYTES, options);
}

/** Nonce, ciphertext and tag in one text. Nonces are random: a key seals far fewer than 2^32 texts. */
function seal(key: Buffer, name: string, plain: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(name));
  const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return sealed.toString('base64');
}

/** Undefined when the key, the name or the text is not what it was sealed with. */
function unseal(key: Buffer, name: string, text: string): Buffer | undefined {
  const sealed = Buffer.from(text, 'base64');
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(name));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    return Buffer.concat([plain, decipher.final()]);
  } catch {
    // The one thing `final` refuses is a tag that does not fit.
    return undefined;
  }
}

function openSecret(key: Buffer, name: string, ciphertext: string): string {
  const plain = unseal(key, name, ciphertext);
  if (plain !== undefined) return plain.toString();
  throw new StandbyError({
    code: 'SECRET_DAMAGED',
    what: `The stored secret "${name}" cannot be read.`,
    why: 'It was changed, or it belongs to another name.',
    next: 'Restore the store from a backup, or enter the secret again.',
  });
}

function passphraseWrong(): StandbyError {
  return inputError(
    'PASSPHRASE_WRONG',
    'The passphrase does not open the secrets of this store.',
    'Correct STANDBY_PASSPHRASE; it is the one that was set when the first secret was saved.',
  );
}

function keyWrong(file: string): StandbyError {
  return inputError(
    'KEY_WRONG',
    `The key file ${file} does not open the secrets of this store.`,
    'It belongs to another store. Point STANDBY_KEY_FILE at the right one, or restore it from a backup.',
  );
}
