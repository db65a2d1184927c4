import type { BigIntStats } from 'node:fs';
import { constants, type FileHandle, open, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import { platform } from 'node:process';
import { writeVector } from '../block/files.ts';
import { openDevice } from '../block/open-device.ts';
import { syncFolder, writeStateFile } from '../block/state-file.ts';
import { inputError } from '../errors.ts';
import { seedBusy, targetFull } from './problems.ts';

/**
 * Where a seed lies: a file, which grows, or a block device, which does not. One process of a machine writes it at a time:
 * a device is opened exclusively, for a file a name is held. Dies at any line: the kernel lets go of both.
 */
export interface Medium {
  readonly path: string;
  readonly kind: 'file' | 'device';
  sizeBytes(): Promise<number>;
  /** Answers how many bytes there were. */
  read(target: Uint8Array, offsetBytes: number): Promise<number>;
  write(pieces: readonly Uint8Array[], offsetBytes: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export type Place = 'absent' | 'file' | 'device';

/** Throws SEED_PLACE_WRONG for what can hold no seed. */
export async function placeOf(path: string): Promise<Place> {
  try {
    const facts = await stat(path);
    if (facts.isFile()) return 'file';
    if (facts.isBlockDevice()) return 'device';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    throw unusable(path, error);
  }
  throw inputError('SEED_PLACE_WRONG', `${path} is neither a file nor a block device.`, 'Name another one.');
}

/** A new file appears whole, with these first bytes, or not at all. */
export async function makeFile(path: string, first: readonly Uint8Array[]): Promise<void> {
  // The name of a device that is not there would become a file in the machine's memory.
  if (/^\/dev\/(?!shm\/)/.test(resolve(path))) {
    throw inputError('SEED_PLACE_WRONG', `There is no device ${path}.`, 'Check its name, or name a file.');
  }
  try {
    await syncFolder(dirname(path));
    await writeStateFile(path, Buffer.concat(first));
  } catch (error) {
    throw isFull(error) ? targetFull(path, error) : unusable(path, error);
  }
}

export async function openMedium(path: string, mode: 'read' | 'write'): Promise<Medium> {
  const place = await placeOf(path);
  if (place === 'absent') throw inputError('SEED_ABSENT', `There is no ${path}.`, 'Check the path.');
  const mustHold = mode === 'write' && place === 'file';
  const unlock = mustHold ? await hold(path, await stat(path, { bigint: true })) : async () => undefined;
  const exclusive = mode === 'write' && place === 'device' ? constants.O_EXCL : 0;
  try {
    const sizeBytes = place === 'device' ? await deviceBytes(path) : undefined;
    const handle = await open(path, (mode === 'read' ? constants.O_RDONLY : constants.O_RDWR) | exclusive);
    return new OpenMedium(path, handle, sizeBytes, unlock);
  } catch (error) {
    await unlock();
    throw unusable(path, error);
  }
}

class OpenMedium implements Medium {
  readonly path: string;
  readonly kind: 'file' | 'device';
  readonly #handle: FileHandle;
  readonly #deviceBytes: number | undefined;
  readonly #unlock: () => Promise<void>;

  constructor(
    path: string,
    handle: FileHandle,
    deviceBytes: number | undefined,
    unlock: () => Promise<void>,
  ) {
    this.path = path;
    this.kind = deviceBytes === undefined ? 'file' : 'device';
    this.#handle = handle;
    this.#deviceBytes = deviceBytes;
    this.#unlock = unlock;
  }

  async sizeBytes(): Promise<number> {
    return this.#deviceBytes ?? (await this.#handle.stat()).size;
  }

  async read(target: Uint8Array, offsetBytes: number): Promise<number> {
    let done = 0;
    while (done < target.byteLength) {
      const left = target.byteLength - done;
      const { bytesRead } = await this.#handle.read(target, done, left, offsetBytes + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async write(pieces: readonly Uint8Array[], offsetBytes: number): Promise<void> {
    await this.#naming(writeVector(this.#handle.fd, pieces, offsetBytes));
  }

  /** A full disk may be noticed only now. */
  async sync(): Promise<void> {
    await this.#naming(this.#handle.sync());
  }

  async close(): Promise<void> {
    await this.#handle.close();
    await this.#unlock();
  }

  async #naming(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      // A device that is read-only may be opened for writing all the same, and says so only now.
      throw isFull(error) ? targetFull(this.path, error) : unusable(this.path, error);
    }
  }
}

async function deviceBytes(path: string): Promise<number> {
  const device = await openDevice(path, { mode: 'read' });
  await device.close();
  return device.sizeBytes;
}

/** A name that one process at a time can hold, and that is free again the moment it dies, however it dies. */
async function hold(path: string, { dev, ino }: BigIntStats): Promise<() => Promise<void>> {
  const name = `standby-seed-${dev}-${ino}`;
  const server = createServer((caller) => caller.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? seedBusy(path) : error),
    );
    server.listen(platform === 'win32' ? `\\\\.\\pipe\\${name}` : `\0${name}`, resolve);
  });
  return () => new Promise((resolve) => server.close(() => resolve()));
}

function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes((error as NodeJS.ErrnoException).code ?? '');
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'its file system is read-only',
  EBUSY: 'it is in use: mounted, or being written',
  ENOENT: 'its folder is not there',
  ENOTDIR: 'its folder is not there',
};

function unusable(path: string, error: unknown): unknown {
  const reason = REASONS[(error as NodeJS.ErrnoException).code ?? ''];
  if (reason === undefined) return error;
  return inputError(
    'SEED_PLACE_WRONG',
    `${path} cannot be opened: ${reason}.`,
    'Name another file or device.',
  );
}
