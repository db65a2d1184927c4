import { StandbyError } from '../errors.ts';
import { isDoubt } from './volume.ts';

/**
 * Files of a volume that is not mounted. Read-only. What is damaged, or stored in a way that is not read here, is a
 * named error; a name that is not there is `undefined`, which is not the same.
 */
export interface FileTree {
  /** By names from the root with `/` between them. The tree knows itself whether case matters, and follows links. */
  find(path: string): Promise<TreeFile | undefined>;
  /** The names in a folder, without `.` and `..`; undefined when there is no such folder. */
  list(path: string): Promise<readonly string[] | undefined>;
}

export interface TreeFile {
  readonly kind: 'file' | 'folder' | 'other';
  readonly sizeBytes: number;
  /** Bytes of a file; what lies behind its end is not there. One piece has 1 MiB at most. */
  read(atBytes: number, lengthBytes: number): Promise<Buffer>;
  /** Where bytes of the file lie in its volume, for a change in place; undefined where they have no place of their own. */
  placeOf?(atBytes: number, lengthBytes: number): readonly Place[] | undefined;
}

interface Place {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

export const PIECE_BYTES = 1024 ** 2;

/** The names of a path; empty ones and `.` say nothing. */
export function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

export function unreadable(what: string, why: string | undefined): StandbyError {
  return new StandbyError({
    code: 'GUEST_UNREADABLE',
    what: `${what} cannot be read.`,
    ...(why ? { why } : {}),
    next: 'A check of its file system on the master may help; until then nothing is known about it.',
  });
}

/** What the readers of volumes doubt becomes an error about the thing that was to be read. */
async function reading<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (isDoubt(error)) throw unreadable(what, error.why);
    throw error;
  }
}

/** A tree whose errors name the path that was asked for. */
export function namedTree(tree: FileTree, volume: string): FileTree {
  const named = (path: string) => `${path} on ${volume}`;
  return {
    list: (path) => reading(named(path), () => tree.list(path)),
    async find(path) {
      const file = await reading(named(path), () => tree.find(path));
      if (!file) return undefined;
      return {
        kind: file.kind,
        sizeBytes: file.sizeBytes,
        read: (at, length) => reading(named(path), () => file.read(at, length)),
        ...(file.placeOf ? { placeOf: (at, length) => file.placeOf?.(at, length) } : {}),
      };
    },
  };
}

/** A whole file of a length that its reader can bear. */
export async function readWhole(file: TreeFile, what: string, bytesMax: number): Promise<Buffer> {
  if (file.kind !== 'file') throw unreadable(what, 'It is not a file.');
  if (file.sizeBytes > bytesMax) {
    throw unreadable(what, `It has ${file.sizeBytes} bytes; ${bytesMax} are read at most.`);
  }
  const pieces: Buffer[] = [];
  for (let at = 0; at < file.sizeBytes; at += PIECE_BYTES) {
    pieces.push(await file.read(at, Math.min(PIECE_BYTES, file.sizeBytes - at)));
  }
  return Buffer.concat(pieces);
}

/** A small text file, or undefined when it is not there. */
export async function textOf(tree: FileTree, path: string): Promise<string | undefined> {
  const file = await tree.find(path);
  return file?.kind === 'file' ? (await readWhole(file, path, TEXT_BYTES_MAX)).toString('utf8') : undefined;
}

const TEXT_BYTES_MAX = 4 * 1024 ** 2;
