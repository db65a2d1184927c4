import type { BlockDevice } from '../ports/block-device.ts';
import type { QuickDevice } from './open-device.ts';

/**
 * A device that only takes whole sectors at sector boundaries, as Windows' raw disks do, read at any byte. Reads that
 * do not fit go through a buffer that does. Writes are not widened: a read and a write are not one step, so what does
 * not fit is refused before anything is written.
 */
export class AlignedDevice implements QuickDevice {
  readonly path: string;
  readonly kind: BlockDevice['kind'];
  readonly sizeBytes: number;
  readonly #device: QuickDevice;
  readonly #sectorBytes: number;

  constructor(device: QuickDevice, sectorBytes: number) {
    this.path = device.path;
    this.kind = device.kind;
    this.sizeBytes = device.sizeBytes;
    this.#device = device;
    this.#sectorBytes = sectorBytes;
  }

  async read(target: Uint8Array, offsetBytes: number): Promise<void> {
    const wide = this.#widened(target, offsetBytes);
    await this.#device.read(wide?.bytes ?? target, wide?.offsetBytes ?? offsetBytes);
    wide?.give();
  }

  readNow(target: Uint8Array, offsetBytes: number): void {
    const wide = this.#widened(target, offsetBytes);
    this.#device.readNow(wide?.bytes ?? target, wide?.offsetBytes ?? offsetBytes);
    wide?.give();
  }

  async write(source: Uint8Array, offsetBytes: number): Promise<void> {
    this.#assertAligned(source.byteLength, offsetBytes);
    await this.#device.write(source, offsetBytes);
  }

  async writePieces(pieces: readonly Uint8Array[], offsetBytes: number): Promise<void> {
    for (const piece of pieces) this.#assertAligned(piece.byteLength, offsetBytes);
    await this.#device.writePieces(pieces, offsetBytes);
  }

  writeNow(pieces: readonly Uint8Array[], offsetBytes: number): void {
    for (const piece of pieces) this.#assertAligned(piece.byteLength, offsetBytes);
    this.#device.writeNow(pieces, offsetBytes);
  }

  sync(): Promise<void> {
    return this.#device.sync();
  }

  identity(): Promise<string> {
    return this.#device.identity();
  }

  close(): Promise<void> {
    return this.#device.close();
  }

  /** Undefined where the read fits as it is. */
  #widened(target: Uint8Array, offsetBytes: number) {
    const sector = this.#sectorBytes;
    if (this.#isAligned(target.byteLength, offsetBytes)) return undefined;
    const end = offsetBytes + target.byteLength;
    if (offsetBytes < 0 || end > this.sizeBytes) {
      const outside = `${target.byteLength} bytes at ${offsetBytes} lie outside`;
      throw new RangeError(`${outside} ${this.path} (${this.sizeBytes})`);
    }
    const start = Math.floor(offsetBytes / sector) * sector;
    const bytes = Buffer.allocUnsafeSlow(Math.ceil(end / sector) * sector - start);
    const from = offsetBytes - start;
    const give = () => target.set(bytes.subarray(from, from + target.byteLength));
    return { bytes, offsetBytes: start, give };
  }

  #isAligned(lengthBytes: number, offsetBytes: number): boolean {
    return lengthBytes % this.#sectorBytes === 0 && offsetBytes % this.#sectorBytes === 0;
  }

  #assertAligned(lengthBytes: number, offsetBytes: number): void {
    if (this.#isAligned(lengthBytes, offsetBytes)) return;
    throw new RangeError(
      `${lengthBytes} bytes at ${offsetBytes} are not whole sectors of ${this.#sectorBytes} on ${this.path}`,
    );
  }
}
