import { execFile } from 'node:child_process';
import { constants, copyFile, mkdir, open, rename, rm, stat, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

/**
 * The bytes of managed disks and snapshots: sparse files. Every file appears whole or not at all: it is made under
 * another name and renamed, so work that was killed half-way is simply done again.
 */
const run = promisify(execFile);

function unfinished(file: string): string {
  return `${file}.part`;
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** An empty disk, unless it is there already. */
export async function ensureEmptyDisk(file: string, sizeBytes: number): Promise<void> {
  if (await exists(file)) return;
  await mkdir(dirname(file), { recursive: true });
  await emptyFile(unfinished(file), sizeBytes);
  await rename(unfinished(file), file);
}

/** A copy that shares the blocks where the file system can, else one that keeps the holes; grown to `sizeBytes`. */
export async function ensureDiskCopy(
  source: string,
  file: string,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<void> {
  if (await exists(file)) return;
  await mkdir(dirname(file), { recursive: true });
  const part = unfinished(file);
  await rm(part, { force: true });
  await copySparse(source, part, signal);
  await growDisk(part, sizeBytes);
  await rename(part, file);
}

async function copySparse(source: string, target: string, signal: AbortSignal): Promise<void> {
  try {
    await copyFile(source, target, constants.COPYFILE_FICLONE_FORCE);
    return;
  } catch (error) {
    // The file system cannot share blocks: copy them.
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EINVAL', 'ENOTTY'].includes(code)) throw error;
  }
  const { size, blocks } = await stat(source);
  // Nothing but a hole: a process for each such disk costs more than all the rest.
  if (blocks === 0) return emptyFile(target, size);
  await run('cp', ['--sparse=always', '--', source, target], { signal });
}

async function emptyFile(file: string, sizeBytes: number): Promise<void> {
  const handle = await open(file, 'w');
  await handle.truncate(sizeBytes);
  await handle.close();
}

/** Never shrinks. */
export async function growDisk(file: string, sizeBytes: number): Promise<void> {
  const { size } = await stat(file);
  if (size < sizeBytes) await truncate(file, sizeBytes);
}

export async function removeDisk(file: string): Promise<void> {
  await rm(file, { force: true });
  await rm(unfinished(file), { force: true });
}
