import { CHUNK_BYTES } from '../block/chunks.ts';
import { PAGE_MAP_BYTES } from '../block/zeros.ts';
import { checkedParts, PATCH_HEADER_BYTES, pageMapOf, writeBlockHeader, zeroMapOf } from './block-frame.ts';
import type { Checksum } from './checksum.ts';
import { FLAG_PATCH, FLAG_ZSTD, FRAME, writeHeader } from './frame.ts';
import { BLOCK_HEADER_BYTES, HEADER_BYTES } from './limits.ts';
import type { Squeezer } from './squeezer.ts';

/**
 * Where one carrier reads a chunk, and frames it in place, so nothing is allocated or copied for a block. A patch has
 * one more map before its data: its frame begins that much earlier, and the chunk stays where it is.
 */
export const ROOM_BYTES = HEADER_BYTES + PATCH_HEADER_BYTES;

export class Framer {
  readonly #whole: Buffer;
  readonly chunk: Buffer;
  readonly pageMap: Uint8Array;
  readonly patch: { readonly pageMap: Uint8Array; readonly zeroMap: Uint8Array };

  /** `whole` has room for the headers before the chunk. */
  constructor(whole: Buffer = Buffer.allocUnsafeSlow(ROOM_BYTES + CHUNK_BYTES)) {
    this.#whole = whole;
    this.chunk = whole.subarray(ROOM_BYTES);
    this.pageMap = pageMapOf(whole.subarray(PAGE_MAP_BYTES + HEADER_BYTES));
    const patch = whole.subarray(HEADER_BYTES);
    this.patch = { pageMap: pageMapOf(patch), zeroMap: zeroMapOf(patch) };
  }

  /** The frame of `packed` bytes at the front of the chunk; it is valid until the buffer is used again. */
  async frame(block: {
    readonly stream: number;
    readonly index: number;
    readonly packed: number;
    readonly isPatch: boolean;
    readonly checksum: Checksum;
    readonly squeezer: Squeezer;
    readonly spoil?: ((stream: number, chunk: number) => boolean) | undefined;
  }): Promise<Buffer> {
    const { stream, index, packed, isPatch } = block;
    const frame = this.#whole.subarray(isPatch ? 0 : PAGE_MAP_BYTES);
    const data = this.chunk.subarray(0, packed);
    const maps = isPatch ? this.patch : { pageMap: this.pageMap };
    writeBlockHeader(frame.subarray(HEADER_BYTES), block.checksum(...checkedParts(maps, data)), packed);
    if (block.spoil?.(stream, index)) data[0] = (data[0] ?? 0) ^ 0xff;
    const squeezed = packed > 0 ? await block.squeezer.squeeze(data) : undefined;
    squeezed?.copy(this.chunk);
    const length = (isPatch ? PATCH_HEADER_BYTES : BLOCK_HEADER_BYTES) + (squeezed?.length ?? packed);
    const flags = (squeezed ? FLAG_ZSTD : 0) | (isPatch ? FLAG_PATCH : 0);
    writeHeader(frame, { length, type: FRAME.block, flags, stream, argument: index });
    return frame.subarray(0, HEADER_BYTES + length);
  }
}
