import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { systemClock } from '../clock.ts';
import { messageOf, StandbyError } from '../errors.ts';

/** Writes of one file by this process go one after the other, in the order in which they were asked for. */
const writing = new Map<string, Promise<void>>();

const isWindows = process.platform === 'win32';

/**
 * Small files that are there whole or not at all: written beside, synced, renamed, and the folder synced.
 * A process that dies at any line leaves the old file or the new one, never a torn one; a left-over `.new` is overwritten.
 * Windows syncs no folders: there the file is synced once more under its name, because NTFS logs the two in order.
 */
export async function writeStateFile(path: string, content: string | Uint8Array): Promise<void> {
  // Who waits here was told about an earlier write's failure by that write itself.
  const before = writing.get(path)?.catch(() => undefined) ?? Promise.resolve();
  const mine = before.then(() => replaceFile(path, content));
  writing.set(path, mine);
  try {
    await mine;
  } finally {
    if (writing.get(path) === mine) writing.delete(path);
  }
}

async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const beside = `${path}.new`;
  await rm(beside, { force: true });
  const file = await open(beside, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await renameOver(beside, path);
  if (isWindows) await syncFile(path);
  else await syncFolder(dirname(path));
}

const HELD = new Set(['EPERM', 'EACCES', 'EBUSY']);
const HELD_TRIES = 40;
const HELD_MS = 50;

/** On Windows a file that somebody reads just now (another call of ours, a virus scanner) may refuse to be replaced. */
async function renameOver(from: string, to: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await rename(from, to);
    } catch (error) {
      const isHeld = isWindows && HELD.has((error as NodeJS.ErrnoException).code ?? '');
      if (!isHeld || tries === HELD_TRIES) throw error;
      await systemClock.sleep(HELD_MS);
    }
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function removeStateFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(dirname(path));
}

export async function readStateFile(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Undefined when there is no such file; a file that is not what it should be is an error, never a guess. */
export async function readStateJson<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.infer<Schema> | undefined> {
  const bytes = await readStateFile(path);
  if (!bytes) return undefined;
  try {
    return schema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    throw new StandbyError({
      code: 'STATE_UNREADABLE',
      what: `The file ${path} cannot be understood.`,
      why: messageOf(error),
      next: 'Restore it from a backup, or move the state folder away and join or enrol again.',
    });
  }
}

/** Nothing on Windows, which has no such thing: what must not come back after a power failure is written, not removed. */
export async function syncFolder(path: string): Promise<void> {
  if (isWindows) return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems cannot sync a folder; the file itself is durable.
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
  } finally {
    await folder.close();
  }
}
