import { createHash } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { openDevice } from '../block/open-device.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import type { WriteCounter } from './assess.ts';
import { inspectDisk } from './inspect.ts';

const SECTOR_BYTES = 512;
/** Field 7 of the kernel's block statistics: sectors written. */
const WRITTEN_SECTORS = 6;
const BLOCK_BYTES = 256 * 1024;
const DIGEST_BYTES = 16;

/** How much is written to a disk: a device counts by itself, an image is read again at each look. Never writes. */
export async function diskCounter(path: string, sysfs = '/sys'): Promise<WriteCounter> {
  const { kind, sizeBytes, usedBytes } = await inspectDisk({ disk: path });
  const facts = { what: path, diskBytes: sizeBytes, usedBytes };
  if (kind === 'device') {
    const file = join(sysfs, 'class', 'block', basename(await realpath(path)), 'stat');
    return {
      ...facts,
      how: 'the sectors that the kernel counts as written',
      read: () => writtenBytes(file),
      close: async () => undefined,
    };
  }
  const device = await openDevice(path, { mode: 'read' });
  const blocks = new BlockChanges(device, sizeBytes);
  return {
    ...facts,
    how: `blocks of ${BLOCK_BYTES / 1024} KiB that differ between two readings, so several writes to one block count once`,
    read: () => blocks.read(),
    close: () => device.close(),
  };
}

export async function writtenBytes(statFile: string): Promise<number> {
  const fields = (await readFile(statFile, 'utf8')).trim().split(/\s+/).map(Number);
  const sectors = fields[WRITTEN_SECTORS];
  if (sectors === undefined || !Number.isSafeInteger(sectors))
    throw new RangeError(`${statFile} holds no statistics`);
  return sectors * SECTOR_BYTES;
}

/** 16 bytes are kept for each block: 64 MiB for a disk of 1 TiB. */
class BlockChanges {
  readonly #device: BlockDevice;
  readonly #digests: Buffer;
  readonly #sizeBytes: number;
  #changedBytes = 0;
  #isFirst = true;

  constructor(device: BlockDevice, sizeBytes: number) {
    this.#device = device;
    this.#sizeBytes = sizeBytes;
    this.#digests = Buffer.alloc(Math.ceil(sizeBytes / BLOCK_BYTES) * DIGEST_BYTES);
  }

  async read(): Promise<number> {
    const buffer = Buffer.alloc(BLOCK_BYTES);
    for (let offset = 0, at = 0; offset < this.#sizeBytes; offset += BLOCK_BYTES, at += DIGEST_BYTES) {
      const part = buffer.subarray(0, Math.min(BLOCK_BYTES, this.#sizeBytes - offset));
      await this.#device.read(part, offset);
      const digest = createHash('sha256').update(part).digest().subarray(0, DIGEST_BYTES);
      const before = this.#digests.subarray(at, at + DIGEST_BYTES);
      if (!this.#isFirst && !before.equals(digest)) this.#changedBytes += part.length;
      digest.copy(before);
    }
    this.#isFirst = false;
    return this.#changedBytes;
  }
}
