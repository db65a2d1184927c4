import { createHash } from 'node:crypto';
import { chmod, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CHUNK_BYTES, ChunkSet, PAGE_BYTES } from '../../src/block/chunks.ts';
import { differingChunks, proveDisk } from '../../src/block/digest.ts';
import { openDevice } from '../../src/block/open-device.ts';
import { readStateJson, writeStateFile } from '../../src/block/state-file.ts';
import { eachRun, gatherPages, mappedBytes, PAGE_MAP_BYTES } from '../../src/block/zeros.ts';
import { MIB, makeFolder, makeImage } from '../fixtures/engines.ts';

let folder: string;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('pages of a chunk', () => {
  it('packed and unpacked by their map are the chunk again, whatever is zero and however short it is', async () => {
    const shape = fc.tuple(
      fc.array(fc.boolean(), { minLength: 1, maxLength: 256 }),
      fc.integer({ min: 0, max: 4095 }),
    );
    await fc.assert(
      fc.asyncProperty(shape, async ([pages, cut]) => {
        const length = Math.max(512, pages.length * PAGE_BYTES - (cut - (cut % 512)));
        const chunk = Buffer.alloc(CHUNK_BYTES);
        // One byte is enough to make a page worth sending, wherever it is.
        for (const [page, isData] of pages.entries()) {
          const at = Math.min(length - 1, page * PAGE_BYTES + ((page * 37) % PAGE_BYTES));
          if (isData) chunk[at] = 1 + (page % 250);
        }
        const before = Buffer.from(chunk.subarray(0, length));
        const map = new Uint8Array(PAGE_MAP_BYTES);
        const packed = gatherPages(chunk, length, map);
        expect(mappedBytes(map, length)).toBe(packed);
        const after = Buffer.alloc(length);
        let at = 0;
        await eachRun(map, length, async (isData, start, end) => {
          if (isData) chunk.copy(after, start, at, at + end - start);
          if (isData) at += end - start;
        });
        expect(at).toBe(packed);
        expect(after.equals(before)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('named beyond the end of a short chunk are refused', () => {
    const map = new Uint8Array(PAGE_MAP_BYTES);
    map[1] = 1;
    expect(mappedBytes(map, 8 * PAGE_BYTES)).toBe(-1);
    expect(mappedBytes(map, 8 * PAGE_BYTES + 512)).toBe(512);
  });
});

describe('a chunk set', () => {
  it('counts, forgets, and is put together from slices', () => {
    const set = new ChunkSet(21);
    for (const index of [0, 7, 8, 20, 20]) set.add(index);
    expect(set.count).toBe(4);
    const copy = new ChunkSet(21);
    copy.addBytes(set.bytes.subarray(0, 1), 0);
    copy.addBytes(set.bytes.subarray(1), 1);
    expect(copy.bytes).toEqual(set.bytes);
    copy.remove(7);
    copy.remove(7);
    expect([copy.count, copy.has(7), copy.has(8)]).toEqual([3, false, true]);
    expect(() => set.add(21)).toThrow(RangeError);
  });
});

describe("a disk's digest", () => {
  it('is SHA-256 over the size and the leaves of its chunks, the last one short', async () => {
    const path = join(folder, 'disk.img');
    const sizeBytes = 5 * MIB + 1536;
    await makeImage(path, sizeBytes, { full: [1, 5] });
    const bytes = await readFile(path);
    const root = createHash('sha256');
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(sizeBytes));
    root.update(size);
    for (let at = 0; at < sizeBytes; at += MIB) {
      root.update(
        createHash('sha256')
          .update(bytes.subarray(at, at + MIB))
          .digest(),
      );
    }
    const device = await openDevice(path, { mode: 'write' });
    const signal = new AbortController().signal;
    const proof = await proveDisk(device, { sizeBytes, signal });
    expect(proof.digest).toBe(root.digest('hex'));
    await device.write(Buffer.from([1]), 3 * MIB);
    const other = await proveDisk(device, { sizeBytes, signal });
    expect(other.digest).not.toBe(proof.digest);
    expect(differingChunks(proof.leaves, other.leaves)).toEqual([3]);
    await device.close();
  });
});

describe('a device', () => {
  it('that is a symbolic link to an image is read and written, and never beyond its end', async () => {
    const path = join(folder, 'disk.img');
    await makeImage(path, 2 * MIB);
    await symlink(path, join(folder, 'lun1'));
    const device = await openDevice(join(folder, 'lun1'), { mode: 'write', exclusive: true });
    expect([device.kind, device.sizeBytes]).toEqual(['file', 2 * MIB]);
    await device.write(Buffer.from('hello'), 2 * MIB - 5);
    await device.sync();
    const end = Buffer.alloc(5);
    await device.read(end, 2 * MIB - 5);
    expect(end.toString()).toBe('hello');
    await expect(device.write(Buffer.from('hello'), 2 * MIB - 4)).rejects.toThrow(RangeError);
    await device.close();
    await expect(openDevice(folder, { mode: 'read' })).rejects.toMatchObject({ code: 'DISK_NOT_A_DISK' });
    await expect(openDevice('/dev/null', { mode: 'read' })).rejects.toMatchObject({
      code: 'DISK_NOT_A_DISK',
    });
  });
});

describe('a state file', () => {
  it('is written whole, readable by its owner only, and refused when it is not what it should be', async () => {
    const path = join(folder, 'deep', 'state.json');
    const schema = z.object({ count: z.number() });
    expect(await readStateJson(path, schema)).toBeUndefined();
    await writeStateFile(path, JSON.stringify({ count: 1 }));
    await writeFile(`${path}.new`, 'left by a process that died');
    await chmod(`${path}.new`, 0o400);
    await writeStateFile(path, JSON.stringify({ count: 2 }));
    expect(await readStateJson(path, schema)).toEqual({ count: 2 });
    expect(await readdir(join(folder, 'deep'))).toEqual(['state.json']);
    await writeFile(path, '{"count":');
    await expect(readStateJson(path, schema)).rejects.toMatchObject({ code: 'STATE_UNREADABLE' });
  });
});
