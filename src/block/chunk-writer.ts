import type { BlockDevice } from '../ports/block-device.ts';
import { CHUNK_BYTES, PAGE_BYTES } from './chunks.ts';
import type { QuickDevice } from './open-device.ts';
import { Pace } from './pace.ts';
import { eachRun, isZero, zeros } from './zeros.ts';

/**
 * Puts one chunk on a replica disk. On a blank disk zeros are not written: they are there. On any other, they are
 * written where something else is. Nothing is durable before the caller syncs; dying in the middle of a chunk leaves it
 * half written and not in the durable map, so it is sent again.
 */
export interface ChunkTarget {
  readonly device: BlockDevice;
  readonly blank: boolean;
}

/** More runs than this are put together in memory and written as one: a write costs more than a few zero pages. */
const SINGLE_WRITES_MAX = 8;

export async function writeChunk(
  target: ChunkTarget,
  offsetBytes: number,
  length: number,
  pageMap: Uint8Array,
  packed: Buffer,
): Promise<void> {
  if (packed.length === length) return await target.device.write(packed, offsetBytes);
  if (runCount(pageMap, length) > SINGLE_WRITES_MAX) {
    return await target.device.write(await unpacked(pageMap, packed, length), offsetBytes);
  }
  let at = 0;
  await eachRun(pageMap, length, async (isData, start, end) => {
    if (isData) {
      const run = packed.subarray(at, at + end - start);
      at += end - start;
      await target.device.write(run, offsetBytes + start);
    } else if (!target.blank) {
      await clear(target.device, offsetBytes + start, end - start);
    }
  });
}

/** Scattered pages are many short writes: made at once as long as they only touch the page cache. */
const pace = new Pace();

/** Only the pages that are named; all others stay as they are. */
export async function patchChunk(
  device: QuickDevice,
  place: { readonly offsetBytes: number; readonly length: number },
  patch: { readonly pageMap: Uint8Array; readonly zeroMap: Uint8Array; readonly packed: Buffer },
): Promise<void> {
  let at = 0;
  const write = async (bytes: Uint8Array, offsetBytes: number) => {
    if (pace.isQuick()) pace.make(() => device.writeNow([bytes], offsetBytes));
    else await device.write(bytes, offsetBytes);
  };
  await eachRun(patch.pageMap, place.length, async (isNamed, start, end) => {
    if (!isNamed) return;
    const run = patch.packed.subarray(at, at + end - start);
    at += end - start;
    await write(run, place.offsetBytes + start);
  });
  await eachRun(patch.zeroMap, place.length, async (isNamed, start, end) => {
    if (isNamed) await write(zeros(end - start), place.offsetBytes + start);
  });
}

export async function clearChunk(target: ChunkTarget, offsetBytes: number, length: number): Promise<void> {
  if (!target.blank) await clear(target.device, offsetBytes, length);
}

/** Zeros from `offsetBytes` on, written only where something else is. */
export async function clear(device: BlockDevice, offsetBytes: number, length: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(length, CHUNK_BYTES));
  for (let done = 0; done < length; done += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, length - done));
    await device.read(part, offsetBytes + done);
    if (!isZero(part)) await device.write(zeros(part.length), offsetBytes + done);
  }
}

async function unpacked(pageMap: Uint8Array, packed: Buffer, length: number): Promise<Buffer> {
  const chunk = Buffer.alloc(length);
  let at = 0;
  await eachRun(pageMap, length, async (isData, start, end) => {
    if (!isData) return;
    packed.copy(chunk, start, at, at + end - start);
    at += end - start;
  });
  return chunk;
}

function runCount(pageMap: Uint8Array, length: number): number {
  let runs = 0;
  let before = 0;
  for (let page = 0; page * PAGE_BYTES < length; page++) {
    const bit = ((pageMap[page >>> 3] ?? 0) >>> (page & 7)) & 1;
    if (bit && !before) runs++;
    before = bit;
  }
  return runs;
}
