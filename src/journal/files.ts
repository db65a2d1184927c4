/**
 * What the journal needs of a file system, and no more; a simulator with a faulty disk stands behind it as well.
 * Promises of an implementation: what `commit` or `preallocate` wrote is on the medium when they resolve; a new name, a
 * new file or a removal is on the medium when `syncFolder` resolves, and not before. Errors are those of node:fs
 * (`code` is ENOSPC, EIO, ENOENT, ...).
 */
export interface JournalFiles {
  makeFolder(path: string): Promise<void>;
  /** File names in a folder, in no order. */
  list(folder: string): Promise<string[]>;
  /** `create` fails with EEXIST when the file is there; `existing` fails with ENOENT when it is not. */
  open(path: string, how: 'create' | 'existing'): Promise<JournalFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  syncFolder(path: string): Promise<void>;
}

export interface JournalFile {
  readonly sizeBytes: number;
  /** How many bytes were read: fewer than asked for are allowed, 0 is the end of the file. */
  read(target: Uint8Array, offsetBytes: number): Promise<number>;
  /** Writes the buffers one behind the other (writev), then fdatasync. The caller leaves them alone until then. */
  commit(buffers: readonly Uint8Array[], offsetBytes: number): Promise<void>;
  /** Fills the file with zeros up to this size: later commits change no metadata. */
  preallocate(sizeBytes: number): Promise<void>;
  /** fdatasync alone: what an earlier process left in the page cache is on the medium afterwards. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Fills the target from `offsetBytes`; returns how much of it there was before the file ended. */
export async function readFully(file: JournalFile, target: Uint8Array, offsetBytes: number): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const read = await file.read(target.subarray(done), offsetBytes + done);
    if (read === 0) break;
    done += read;
  }
  return done;
}

/** A small file that is there whole or not at all: written beside, synced, renamed, and the folder synced. */
export async function replaceFile(
  files: JournalFiles,
  folder: string,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const beside = `${folder}/${name}.new`;
  await unlinkIfThere(files, beside);
  const file = await files.open(beside, 'create');
  try {
    await file.commit([bytes], 0);
  } finally {
    await file.close();
  }
  await files.rename(beside, `${folder}/${name}`);
  await files.syncFolder(folder);
}

export async function readSmallFile(
  files: JournalFiles,
  folder: string,
  name: string,
): Promise<Buffer | undefined> {
  if (!(await files.list(folder)).includes(name)) return undefined;
  const file = await files.open(`${folder}/${name}`, 'existing');
  try {
    const bytes = Buffer.alloc(file.sizeBytes);
    return bytes.subarray(0, await readFully(file, bytes, 0));
  } finally {
    await file.close();
  }
}

export async function unlinkIfThere(files: JournalFiles, path: string): Promise<void> {
  try {
    await files.unlink(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
