import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { mappedBytes } from '../block/zeros.ts';
import { type BlockBody, checkedParts, readBlockBody } from './block-frame.ts';
import type { Checksum } from './checksum.ts';
import { FLAG_PATCH, FLAG_ZSTD, type FrameHeader, protocolBroken } from './frame.ts';

/** A block that arrived whole: what its receiver writes. */
export interface OpenedBlock {
  readonly pageMap: Uint8Array;
  /** Of a patch. */
  readonly zeroMap?: Uint8Array;
  readonly packed: Buffer;
}

const ROOM_BYTES = 64;
const decompress = promisify(zstdDecompress);

/** Undefined when its checksum is wrong. Throws PROTOCOL_BROKEN for one that could not have been meant. */
export async function openBlock(
  { flags }: Pick<FrameHeader, 'flags'>,
  body: Buffer,
  chunk: { readonly length: number; readonly mayPatch: boolean; readonly checksum: Checksum },
): Promise<OpenedBlock | undefined> {
  const block = readBlockBody(body, (flags & FLAG_PATCH) !== 0);
  assertMaps(block, chunk.length, chunk.mayPatch);
  const packed = await unpack(block, (flags & FLAG_ZSTD) !== 0);
  if (!packed || !isChecked(chunk.checksum, block, packed)) return undefined;
  const { pageMap, zeroMap } = block;
  return { pageMap, packed, ...(zeroMap ? { zeroMap } : {}) };
}

/** Undefined when the data cannot be decompressed to what they should be: as good as a wrong checksum. */
async function unpack(block: BlockBody, isZstd: boolean): Promise<Buffer | undefined> {
  if (!isZstd) return block.data.length === block.packedLength ? block.data : undefined;
  try {
    // Room for a little more than it may be, so that it is one step.
    const chunkSize = block.packedLength + ROOM_BYTES;
    const packed = await decompress(block.data, { maxOutputLength: block.packedLength, chunkSize });
    return packed.length === block.packedLength ? packed : undefined;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code.startsWith('ZSTD_') || code === 'ERR_BUFFER_TOO_LARGE') return undefined;
    throw error;
  }
}

function isChecked(checksum: Checksum, block: BlockBody, packed: Buffer): boolean {
  return Buffer.compare(checksum(...checkedParts(block, packed)), block.checksum) === 0;
}

function assertMaps(block: BlockBody, length: number, mayPatch: boolean): void {
  const { pageMap, zeroMap, packedLength } = block;
  if (mappedBytes(pageMap, length) !== packedLength) {
    throw protocolBroken('a block whose page map and length differ');
  }
  if (!zeroMap) {
    if (packedLength === 0) throw protocolBroken('a block without data');
    return;
  }
  const cleared = mappedBytes(zeroMap, length);
  const isTwice = zeroMap.some((byte, at) => (byte & (pageMap[at] ?? 0)) !== 0);
  if (!mayPatch || cleared < 0 || isTwice || packedLength + cleared === 0) {
    throw protocolBroken('a patch that names no pages, or some twice');
  }
}
