import { randomBytes, randomUUID } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { inputError, messageOf, type StandbyError } from '../errors.ts';

/**
 * The key that protects a store's secrets, in a file that only its owner can read. It appears whole or not at all:
 * it is written beside its place, made durable, and then linked there; of two processes that make it, one wins
 * and both use that one.
 */
const HEAD = 'standby-key-1 ';
const KEY_BYTES = 32;

/** Makes the file if it is not there, and reads it. */
export function makeKeyFile(path: string): Buffer {
  const beside = `${path}.${randomUUID()}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const file = openSync(beside, 'wx', 0o600);
    try {
      writeSync(file, `${HEAD}${randomBytes(KEY_BYTES).toString('base64')}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    linkSync(beside, path);
    syncFolder(dirname(path));
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw cannotUse(path, error);
  } finally {
    rmSync(beside, { force: true });
  }
  return readKeyFile(path);
}

export function readKeyFile(path: string): Buffer {
  let text: string;
  try {
    if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0) throw keyFileOpen(path);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw keyMissing(path);
    if (codeOf(error) === 'KEY_FILE_OPEN') throw error;
    throw cannotUse(path, error);
  }
  const key = Buffer.from(text.slice(HEAD.length), 'base64');
  if (text.startsWith(HEAD) && key.length === KEY_BYTES) return key;
  throw inputError(
    'KEY_FILE_DAMAGED',
    `${path} is not a key file of Standby.`,
    'Point STANDBY_KEY_FILE at the right file, or restore it from a backup.',
  );
}

/** A new link is durable only when its folder is; Windows has no such call and needs none. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return;
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function keyMissing(path: string): StandbyError {
  return inputError(
    'KEY_MISSING',
    `The key file ${path} is missing, and without it the secrets of this store cannot be read.`,
    'Restore it from a backup, or copy it from the machine that has it (STANDBY_KEY_FILE names another place).',
  );
}

function keyFileOpen(path: string): StandbyError {
  return inputError(
    'KEY_FILE_OPEN',
    `Others than its owner can read the key file ${path}.`,
    `chmod 600 ${path} - and think about who may have read it.`,
  );
}

function cannotUse(path: string, cause: unknown): StandbyError {
  return inputError(
    'KEY_FILE_UNUSABLE',
    `The key file ${path} cannot be used: ${messageOf(cause)}`,
    'See that it belongs to you and that its folder exists, or name another one with STANDBY_KEY_FILE.',
  );
}
