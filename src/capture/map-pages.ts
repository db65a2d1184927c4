import { crc32 } from 'node:zlib';
import type { StoredFile } from '../block/files.ts';

/**
 * A small file of pages that are replaced one by one. Each page has two places that are written in turn, so a page
 * that tears leaves the one before it. Promises: a page read back is one that was written, whole; the newest of those
 * made durable, or one written after it. Neither place valid = undefined, and the caller assumes the worst.
 */
export const PAGE_BYTES = 4096;
export const PAGE_BODY_BYTES = PAGE_BYTES - 32;

const MAGIC = 0x4d50_5353;

export class MapPages {
  readonly #file: StoredFile;
  /** Generation last written, by page. */
  readonly #generations: number[] = [];

  constructor(file: StoredFile) {
    this.#file = file;
  }

  async read(page: number): Promise<Buffer | undefined> {
    const both = Buffer.alloc(2 * PAGE_BYTES);
    const count = await this.#file.read(both, page * 2 * PAGE_BYTES);
    let newest: { generation: number; body: Buffer } | undefined;
    for (let place = 0; place < 2; place++) {
      const bytes = both.subarray(place * PAGE_BYTES, Math.min((place + 1) * PAGE_BYTES, count));
      const found = decode(bytes, page);
      if (found && found.generation % 2 === place && found.generation > (newest?.generation ?? -1))
        newest = found;
    }
    this.#generations[page] = newest?.generation ?? 0;
    return newest?.body;
  }

  /** Durable when it resolves. A page is never written again before that, or both its places could tear. */
  async write(pages: readonly { readonly page: number; readonly body: Uint8Array }[]): Promise<void> {
    for (const { page, body } of pages) {
      const generation = (this.#generations[page] ?? 0) + 1;
      await this.#file.write([encode(page, generation, body)], (page * 2 + (generation % 2)) * PAGE_BYTES);
      this.#generations[page] = generation;
    }
    await this.#file.sync();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

function encode(page: number, generation: number, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(PAGE_BYTES);
  bytes.writeUInt32LE(MAGIC, 4);
  bytes.writeUInt32LE(page, 8);
  bytes.writeDoubleLE(generation, 16);
  bytes.set(body, 32);
  bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
  return bytes;
}

function decode(bytes: Buffer, page: number): { generation: number; body: Buffer } | undefined {
  if (bytes.length < PAGE_BYTES || bytes.readUInt32LE(4) !== MAGIC || bytes.readUInt32LE(8) !== page)
    return undefined;
  if (crc32(bytes.subarray(4)) !== bytes.readUInt32LE(0)) return undefined;
  return { generation: bytes.readDoubleLE(16), body: bytes.subarray(32) };
}
