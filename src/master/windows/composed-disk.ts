import type { BlockDevice } from '../../ports/block-device.ts';

/**
 * A disk made of parts: most of it is read from one device, some extents from others, and some read as zeros. Read-only.
 * Promises: every byte comes from exactly one of them. It owns its devices, and closes each once.
 */
export interface Extent {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** Byte 0 of it is the first of the extent; absent: zeros. */
  readonly device?: BlockDevice;
}

export class ComposedDisk implements BlockDevice {
  readonly path: string;
  readonly kind = 'device';
  readonly sizeBytes: number;
  readonly #base: BlockDevice;
  readonly #extents: readonly Piece[];
  readonly #identity: string;

  /** Extents that come later win over earlier ones. */
  constructor(base: BlockDevice, extents: readonly Extent[], identity: string) {
    this.path = base.path;
    this.sizeBytes = base.sizeBytes;
    this.#base = base;
    this.#extents = flattened(extents);
    this.#identity = identity;
    for (const { offsetBytes, sizeBytes, device } of extents) {
      if (offsetBytes + sizeBytes <= base.sizeBytes && (!device || sizeBytes <= device.sizeBytes)) continue;
      throw new RangeError(
        `an extent at ${offsetBytes} of ${base.path} has ${sizeBytes} bytes, which are not there`,
      );
    }
  }

  async read(target: Uint8Array, offsetBytes: number): Promise<void> {
    const end = offsetBytes + target.byteLength;
    if (offsetBytes < 0 || end > this.sizeBytes) {
      throw new RangeError(
        `${target.byteLength} bytes at ${offsetBytes} lie outside ${this.path} (${this.sizeBytes})`,
      );
    }
    const part = (from: number, to: number) => target.subarray(from - offsetBytes, to - offsetBytes);
    let at = offsetBytes;
    for (const extent of this.#extents.slice(this.#firstEndingAfter(offsetBytes))) {
      const from = Math.max(extent.offsetBytes, at);
      const to = Math.min(extent.offsetBytes + extent.sizeBytes, end);
      if (from >= to) break;
      if (from > at) await this.#base.read(part(at, from), at);
      if (extent.device)
        await extent.device.read(part(from, to), extent.deviceBytes + from - extent.offsetBytes);
      else part(from, to).fill(0);
      at = to;
    }
    if (at < end) await this.#base.read(part(at, end), at);
  }

  #firstEndingAfter(offsetBytes: number): number {
    let [low, high] = [0, this.#extents.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const extent = this.#extents[middle];
      if (extent && extent.offsetBytes + extent.sizeBytes > offsetBytes) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  async write(): Promise<void> {
    throw new RangeError(`the view of ${this.path} is read-only`);
  }

  sync(): Promise<void> {
    return this.write();
  }

  async identity(): Promise<string> {
    return this.#identity;
  }

  async close(): Promise<void> {
    const devices = new Set([this.#base, ...this.#extents.flatMap(({ device }) => device ?? [])]);
    for (const device of devices) await device.close();
  }
}

interface Piece extends Extent {
  readonly deviceBytes: number;
}

/** In order and without overlaps. */
function flattened(extents: readonly Extent[]): Piece[] {
  let pieces: Piece[] = [];
  for (const extent of extents) {
    const end = extent.offsetBytes + extent.sizeBytes;
    const kept = pieces.flatMap((piece) => [
      ...cut(piece, piece.offsetBytes, extent.offsetBytes),
      ...cut(piece, end, piece.offsetBytes + piece.sizeBytes),
    ]);
    pieces = [...kept, { ...extent, deviceBytes: 0 }];
  }
  return pieces.sort((a, b) => a.offsetBytes - b.offsetBytes);
}

/** What of a piece lies in `[from, to)`. */
function cut(piece: Piece, from: number, to: number): Piece[] {
  const start = Math.max(piece.offsetBytes, from);
  const end = Math.min(piece.offsetBytes + piece.sizeBytes, to);
  if (start >= end) return [];
  const deviceBytes = piece.deviceBytes + start - piece.offsetBytes;
  return [{ ...piece, offsetBytes: start, sizeBytes: end - start, deviceBytes }];
}
