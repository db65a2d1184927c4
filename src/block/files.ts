import { fdatasync, read, writev, writevSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from './state-file.ts';

/**
 * The few things that spools and maps need of a file system, so that tests can put a faulty one in its place.
 * Nothing is durable before `sync`; what was written after the last `sync` may be there after a crash, wholly, in parts or not.
 */
export interface StoredFile {
  sizeBytes(): Promise<number>;
  /** Answers how many bytes there were: fewer than asked for only at the file's end. */
  read(target: Uint8Array, offsetBytes: number): Promise<number>;
  write(pieces: readonly Uint8Array[], offsetBytes: number): Promise<void>;
  /** The same, done when it returns: for small pieces on the hot path. */
  writeNow(pieces: readonly Uint8Array[], offsetBytes: number): void;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface FileFolder {
  list(): Promise<readonly string[]>;
  /** Undefined when there is no such file and it shall not be made. */
  open(name: string, mode: 'existing' | 'make'): Promise<StoredFile | undefined>;
  remove(name: string): Promise<void>;
  /** What its file system still has for us. */
  freeBytes?(): Promise<number>;
  /** Makes files that were made or removed durable as such. */
  sync(): Promise<void>;
}

export async function openFolder(path: string): Promise<FileFolder> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  return {
    list: async () => (await readdir(path)).sort(),
    async open(name, mode) {
      try {
        return new PlainFile(await open(join(path, name), 'r+'));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        return mode === 'make' ? new PlainFile(await open(join(path, name), 'wx+', 0o600)) : undefined;
      }
    },
    remove: (name) => rm(join(path, name), { force: true }),
    async freeBytes() {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    },
    sync: () => syncFolder(path),
  };
}

class PlainFile implements StoredFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async sizeBytes(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async read(target: Uint8Array, offsetBytes: number): Promise<number> {
    let done = 0;
    while (done < target.byteLength) {
      const count = await readSome(this.#handle.fd, target, done, offsetBytes + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  write(pieces: readonly Uint8Array[], offsetBytes: number): Promise<void> {
    return writeVector(this.#handle.fd, pieces, offsetBytes);
  }

  writeNow(pieces: readonly Uint8Array[], offsetBytes: number): void {
    writeVectorNow(this.#handle.fd, pieces, offsetBytes);
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#handle.fd, (error) => (error ? reject(error) : resolve()));
    });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

function readSome(fd: number, target: Uint8Array, at: number, offsetBytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, target, at, target.byteLength - at, offsetBytes, (error, count) =>
      error ? reject(error) : resolve(count),
    );
  });
}

/** Writes all of it: a kernel may take less at a time. */
export async function writeVector(
  fd: number,
  pieces: readonly Uint8Array[],
  offsetBytes: number,
): Promise<void> {
  let left = pieces;
  for (let at = offsetBytes; left.length > 0; ) {
    const batch = left.slice(0, PIECES_MAX);
    const count = await new Promise<number>((resolve, reject) => {
      writev(fd, batch, at, (error, written) => (error ? reject(error) : resolve(written)));
    });
    left = without(left, count);
    at += count;
  }
}

export function writeVectorNow(fd: number, pieces: readonly Uint8Array[], offsetBytes: number): void {
  let left = pieces;
  for (let at = offsetBytes; left.length > 0; ) {
    const count = writevSync(fd, left.length > PIECES_MAX ? left.slice(0, PIECES_MAX) : [...left], at);
    left = without(left, count);
    at += count;
  }
}

/** Linux takes 1,024 pieces in one call. */
const PIECES_MAX = 1024;

/** What is left of the pieces after their first `count` bytes. */
function without(pieces: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let bytes = count;
  for (const [index, piece] of pieces.entries()) {
    if (bytes < piece.byteLength) return [piece.subarray(bytes), ...pieces.slice(index + 1)];
    bytes -= piece.byteLength;
  }
  return [];
}
