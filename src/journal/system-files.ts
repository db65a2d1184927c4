import { constants, type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { CHUNK_BYTES } from '../block/chunks.ts';
import { zeros } from '../block/zeros.ts';
import type { JournalFile, JournalFiles } from './files.ts';

/** The journal's file system as the kernel gives it. Promises what files.ts says. */
export const systemFiles: JournalFiles = {
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  list: (folder) => readdir(folder),
  async open(path, how) {
    // A write to a file that has its size is durable when it is done (O_DSYNC): one call for what would be two.
    const isNew = how === 'create';
    const handle = await open(path, isNew ? 'wx+' : constants.O_RDWR | constants.O_DSYNC, 0o600);
    try {
      return new SystemFile(handle, (await handle.stat()).size, !isNew);
    } catch (error) {
      await handle.close();
      throw error;
    }
  },
  rename,
  unlink,
  async syncFolder(path) {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
};

class SystemFile implements JournalFile {
  readonly #handle: FileHandle;
  #sizeBytes: number;
  readonly #syncsItself: boolean;

  constructor(handle: FileHandle, sizeBytes: number, syncsItself: boolean) {
    this.#handle = handle;
    this.#sizeBytes = sizeBytes;
    this.#syncsItself = syncsItself;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async read(target: Uint8Array, offsetBytes: number): Promise<number> {
    return (await this.#handle.read(target, 0, target.length, offsetBytes)).bytesRead;
  }

  async commit(buffers: readonly Uint8Array[], offsetBytes: number): Promise<void> {
    await this.#writeAll(buffers, offsetBytes);
    if (!this.#syncsItself) await this.#handle.datasync();
  }

  async preallocate(sizeBytes: number): Promise<void> {
    for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) {
      await this.#writeAll([zeros(Math.min(CHUNK_BYTES, sizeBytes - at))], at);
    }
    await this.#handle.sync();
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #writeAll(buffers: readonly Uint8Array[], offsetBytes: number): Promise<void> {
    let left = buffers;
    let at = offsetBytes;
    while (left.length > 0) {
      const { bytesWritten } = await this.#handle.writev(left, at);
      at += bytesWritten;
      left = behind(left, bytesWritten);
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, at);
  }
}

/** What a short write left over. */
function behind(buffers: readonly Uint8Array[], written: number): Uint8Array[] {
  let passed = written;
  const left: Uint8Array[] = [];
  for (const buffer of buffers) {
    const skip = Math.min(passed, buffer.length);
    passed -= skip;
    if (skip < buffer.length) left.push(buffer.subarray(skip));
  }
  return left;
}
