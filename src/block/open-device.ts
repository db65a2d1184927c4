import { readSync } from 'node:fs';
import { constants, type FileHandle, open, readFile, realpath, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { messageOf, StandbyError } from '../errors.ts';
import { isWindowsDevice } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import { AlignedDevice } from './aligned-device.ts';
import { writeVector, writeVectorNow } from './files.ts';

/**
 * Opens an image file or a block device. Promises what ports/block-device.ts says; it writes nothing by itself,
 * so dying at any line leaves the disk as the last finished write left it.
 */
export interface OpenOptions {
  readonly mode: 'read' | 'write';
  /** Block devices only: refuse one that is mounted or otherwise in use (the kernel checks it, partitions included). */
  readonly exclusive?: boolean;
  /** What the disk should have. Windows tells no size of a device: with this its end is looked for at one place only. */
  readonly sizeBytes?: number;
}

/** What the hot path of a served disk needs beyond the port: several pieces in one call, and calls that are done at once. */
export interface QuickDevice extends BlockDevice {
  writePieces(pieces: readonly Uint8Array[], offsetBytes: number): Promise<void>;
  writeNow(pieces: readonly Uint8Array[], offsetBytes: number): void;
  readNow(target: Uint8Array, offsetBytes: number): void;
}

const SECTOR_BYTES = 512;

export async function openDevice(path: string, options: OpenOptions): Promise<QuickDevice> {
  const kind = await kindOf(path);
  const exclusive = options.exclusive && kind === 'device' ? constants.O_EXCL : 0;
  const access = options.mode === 'write' ? constants.O_RDWR : constants.O_RDONLY;
  let handle: FileHandle;
  try {
    handle = await open(path, access | exclusive);
  } catch (error) {
    throw openError(path, error);
  }
  try {
    if (isWindowsDevice(path)) {
      const sizeBytes = await sizeByReading(handle, options.sizeBytes);
      return new AlignedDevice(new OpenDevice(path, kind, sizeBytes, handle), SECTOR_BYTES);
    }
    const sizeBytes = kind === 'file' ? (await handle.stat()).size : await deviceSize(path, handle);
    return new OpenDevice(path, kind, sizeBytes, handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

class OpenDevice implements QuickDevice {
  readonly path: string;
  readonly kind: 'file' | 'device';
  readonly sizeBytes: number;
  readonly #handle: FileHandle;

  constructor(path: string, kind: 'file' | 'device', sizeBytes: number, handle: FileHandle) {
    this.path = path;
    this.kind = kind;
    this.sizeBytes = sizeBytes;
    this.#handle = handle;
  }

  async read(target: Uint8Array, offsetBytes: number): Promise<void> {
    this.#assertInside(target.byteLength, offsetBytes);
    let done = 0;
    while (done < target.byteLength) {
      const { bytesRead } = await this.#handle.read(
        target,
        done,
        target.byteLength - done,
        offsetBytes + done,
      );
      if (bytesRead === 0) throw this.#shrank(offsetBytes + target.byteLength);
      done += bytesRead;
    }
  }

  readNow(target: Uint8Array, offsetBytes: number): void {
    this.#assertInside(target.byteLength, offsetBytes);
    let done = 0;
    while (done < target.byteLength) {
      const count = readSync(this.#handle.fd, target, done, target.byteLength - done, offsetBytes + done);
      if (count === 0) throw this.#shrank(offsetBytes + target.byteLength);
      done += count;
    }
  }

  async write(source: Uint8Array, offsetBytes: number): Promise<void> {
    this.#assertInside(source.byteLength, offsetBytes);
    let done = 0;
    while (done < source.byteLength) {
      const left = source.byteLength - done;
      const { bytesWritten } = await this.#handle.write(source, done, left, offsetBytes + done);
      done += bytesWritten;
    }
  }

  async writePieces(pieces: readonly Uint8Array[], offsetBytes: number): Promise<void> {
    this.#assertInside(bytesOf(pieces), offsetBytes);
    await writeVector(this.#handle.fd, pieces, offsetBytes);
  }

  writeNow(pieces: readonly Uint8Array[], offsetBytes: number): void {
    this.#assertInside(bytesOf(pieces), offsetBytes);
    writeVectorNow(this.#handle.fd, pieces, offsetBytes);
  }

  async sync(): Promise<void> {
    await this.#handle.datasync();
  }

  async identity(): Promise<string> {
    if (this.kind === 'file') {
      const { size, mtimeNs, ino, dev } = await stat(this.path, { bigint: true });
      return `file size=${size} mtime=${mtimeNs} inode=${dev}:${ino}`;
    }
    // Windows counts nothing that it tells: what is read there must stand still for another reason, as a shadow copy does.
    if (isWindowsDevice(this.path)) return `device size=${this.sizeBytes}`;
    const name = await deviceName(this.path);
    const size = await sysfs(name, 'size');
    // Field 7 of the block layer's counters: sectors written since the device appeared.
    const written = (await sysfs(name, 'stat'))?.trim().split(/\s+/)[6];
    return `device sectors=${size?.trim() ?? this.sizeBytes / SECTOR_BYTES} written=${written ?? 'unknown'}`;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  #shrank(endBytes: number): StandbyError {
    return new StandbyError({
      code: 'DISK_SHRANK',
      what: `The disk ${this.path} ends before byte ${endBytes}.`,
      why: `It had ${this.sizeBytes} bytes when it was opened.`,
    });
  }

  #assertInside(lengthBytes: number, offsetBytes: number): void {
    if (offsetBytes < 0 || offsetBytes + lengthBytes > this.sizeBytes) {
      throw new RangeError(
        `${lengthBytes} bytes at ${offsetBytes} lie outside ${this.path} (${this.sizeBytes})`,
      );
    }
  }
}

function bytesOf(pieces: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += piece.byteLength;
  return bytes;
}

async function kindOf(path: string): Promise<'file' | 'device'> {
  if (isWindowsDevice(path)) return 'device';
  let facts: Awaited<ReturnType<typeof stat>>;
  try {
    facts = await stat(path);
  } catch (error) {
    throw openError(path, error);
  }
  if (facts.isFile()) return 'file';
  if (facts.isBlockDevice()) return 'device';
  throw new StandbyError({
    code: 'DISK_NOT_A_DISK',
    what: `${path} is neither an image file nor a block device.`,
    next: 'Name a disk such as /dev/sda, or a raw disk image.',
    kind: 'input',
  });
}

function openError(path: string, error: unknown): StandbyError {
  const reason = (error as NodeJS.ErrnoException).code;
  const facts = {
    ENOENT: { code: 'DISK_VANISHED', what: `The disk ${path} is not there.`, next: 'Check the path.' },
    EACCES: {
      code: 'DISK_UNREADABLE',
      what: `The disk ${path} cannot be opened: permission denied.`,
      next: 'Run the engine as root, or as a member of the disk group.',
    },
    EPERM: {
      code: 'DISK_UNREADABLE',
      what: `The disk ${path} cannot be opened: the operation is not permitted.`,
      next: 'Run the engine as an administrator or, as its service does, as SYSTEM.',
    },
    EROFS: {
      code: 'DISK_READ_ONLY',
      what: `The disk ${path} cannot be written: it lies on a read-only file system.`,
      next: 'Mount that file system for writing; if the kernel made it read-only by itself, check its disk first.',
    },
    EBUSY: {
      code: 'DISK_IN_USE',
      what: `The disk ${path} is in use: it, or a partition of it, is mounted.`,
      next: 'Unmount it, or copy this server after it was shut down.',
    },
  }[reason ?? ''];
  return new StandbyError({
    ...(facts ?? {
      code: 'DISK_UNREADABLE',
      what: `The disk ${path} cannot be opened.`,
      why: messageOf(error),
    }),
    cause: error,
  });
}

async function deviceName(path: string): Promise<string> {
  return basename(await realpath(path));
}

async function sysfs(name: string, file: string): Promise<string | undefined> {
  try {
    return await readFile(`/sys/class/block/${name}/${file}`, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A device's stat says size 0. The kernel tells it under /sys; without /sys we look for the first byte that is not there. */
async function deviceSize(path: string, handle: FileHandle): Promise<number> {
  const told = await sysfs(await deviceName(path), 'size');
  if (told !== undefined) return Number(told.trim()) * SECTOR_BYTES;
  return await sizeByReading(handle);
}

/** A sector behind the end is not read: Linux gives no bytes, Windows an error. */
async function sizeByReading(handle: FileHandle, expectedBytes = 0): Promise<number> {
  const sector = Buffer.alloc(SECTOR_BYTES);
  const exists = async (index: number) => {
    const { bytesRead } = await handle
      .read(sector, 0, SECTOR_BYTES, index * SECTOR_BYTES)
      .catch((error: unknown) => {
        if (process.platform === 'win32') return { bytesRead: 0 };
        throw error;
      });
    return bytesRead === SECTOR_BYTES;
  };
  const expected = Math.floor(expectedBytes / SECTOR_BYTES);
  if (expected > 0 && (await exists(expected - 1)) && !(await exists(expected))) return expectedBytes;
  let beyond = 1;
  while (await exists(beyond)) beyond *= 2;
  let inside = 0;
  while (beyond - inside > 1) {
    const middle = Math.floor((inside + beyond) / 2);
    if (await exists(middle)) inside = middle;
    else beyond = middle;
  }
  return (await exists(inside)) ? (inside + 1) * SECTOR_BYTES : 0;
}
