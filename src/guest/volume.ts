import { StandbyError } from '../errors.ts';
import type { BlockDevice } from '../ports/block-device.ts';

/**
 * A volume as bytes, counted from its own beginning. What its metadata names is never trusted: a position outside
 * the volume, or a length that no healthy volume has, is a doubt and not a read.
 */
export class VolumeBytes {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly #device: BlockDevice;
  readonly #signal: AbortSignal | undefined;

  constructor(device: BlockDevice, offsetBytes: number, sizeBytes: number, signal?: AbortSignal) {
    this.#device = device;
    this.offsetBytes = offsetBytes;
    this.sizeBytes = sizeBytes;
    this.#signal = signal;
  }

  async read(atBytes: number, lengthBytes: number): Promise<Buffer> {
    this.#signal?.throwIfAborted();
    if (lengthBytes > READ_BYTES_MAX) throw doubt(`It asks for ${lengthBytes} bytes in one piece.`);
    this.assertInside(atBytes, lengthBytes);
    const bytes = Buffer.allocUnsafe(lengthBytes);
    await this.#device.read(bytes, this.offsetBytes + atBytes);
    return bytes;
  }

  assertInside(atBytes: number, lengthBytes: number): void {
    const sound = Number.isSafeInteger(atBytes) && Number.isSafeInteger(lengthBytes);
    if (!sound || atBytes < 0 || lengthBytes < 0 || atBytes + lengthBytes > this.sizeBytes) {
      throw doubt(`It names ${lengthBytes} bytes at ${atBytes}, outside its ${this.sizeBytes} bytes.`);
    }
  }
}

const READ_BYTES_MAX = 4 * 1024 ** 2;
const DOUBT = 'VOLUME_DOUBTFUL';

/** What cannot be proven free counts as used: a file system with anything odd about it is copied whole. */
export function doubt(why: string): StandbyError {
  return new StandbyError({
    code: DOUBT,
    what: 'It is not certain which blocks of this volume are free.',
    why,
    next: 'Nothing needs to be done: all of the volume counts as used. A check of its file system may help.',
  });
}

export function isDoubt(error: unknown): error is StandbyError {
  return error instanceof StandbyError && error.code === DOUBT;
}
