import { PAGE_MAP_BYTES } from '../block/zeros.ts';
import { CHECKSUM_BYTES } from './checksum.ts';
import { protocolBroken } from './frame.ts';
import { BLOCK_HEADER_BYTES } from './limits.ts';

/**
 * The body of a block frame: 0 checksum (16), 16 u32 length of the packed data, 20 zeros (12), 32 page map (32), 64 data.
 * Packed data are the chunk's pages that are not all zeros, in order; the map says which. Flag 1: data are zstd.
 * Flag 2, a patch: a second map (32) follows at 64 and the data at 96. The first map names the pages that come, the second
 * those that are zeros now; all other pages stay as they are.
 */
const PACKED_LENGTH_AT = CHECKSUM_BYTES;
export const PATCH_HEADER_BYTES = BLOCK_HEADER_BYTES + PAGE_MAP_BYTES;
const MAP_AT = BLOCK_HEADER_BYTES - PAGE_MAP_BYTES;

export interface BlockBody {
  readonly checksum: Uint8Array;
  readonly packedLength: number;
  readonly pageMap: Uint8Array;
  /** Of a patch. */
  readonly zeroMap?: Uint8Array;
  readonly data: Buffer;
}

export function writeBlockHeader(target: Buffer, checksum: Uint8Array, packedLength: number): void {
  target.set(checksum, 0);
  target.writeUInt32LE(packedLength, PACKED_LENGTH_AT);
  target.fill(0, PACKED_LENGTH_AT + 4, MAP_AT);
}

/** Where the page map lies in a block's body: gathered in place, so it is never copied. */
export function pageMapOf(body: Buffer): Uint8Array {
  return body.subarray(MAP_AT, BLOCK_HEADER_BYTES);
}

/** Of a patch: right behind the page map, so the data begin at the same place of a chunk's buffer. */
export function zeroMapOf(body: Buffer): Uint8Array {
  return body.subarray(BLOCK_HEADER_BYTES, PATCH_HEADER_BYTES);
}

export function readBlockBody(body: Buffer, isPatch: boolean): BlockBody {
  const headerBytes = isPatch ? PATCH_HEADER_BYTES : BLOCK_HEADER_BYTES;
  if (body.length < headerBytes) throw protocolBroken('a block without a header');
  return {
    checksum: body.subarray(0, CHECKSUM_BYTES),
    packedLength: body.readUInt32LE(PACKED_LENGTH_AT),
    pageMap: pageMapOf(body),
    ...(isPatch ? { zeroMap: zeroMapOf(body) } : {}),
    data: body.subarray(headerBytes),
  };
}

/** What the checksum is over, in order. */
export function checkedParts(
  block: Pick<BlockBody, 'pageMap' | 'zeroMap'>,
  packed: Uint8Array,
): Uint8Array[] {
  return block.zeroMap ? [block.pageMap, block.zeroMap, packed] : [block.pageMap, packed];
}
