/**
 * A disk as bytes: an image file or a block device. Offsets and lengths in bytes. Reads past the end are an error,
 * never short data. No method is called after close.
 */
export interface BlockDevice {
  readonly path: string;
  readonly sizeBytes: number;
  readonly kind: 'file' | 'device';
  /** Fills the whole target from `offsetBytes`. */
  read(target: Uint8Array, offsetBytes: number): Promise<void>;
  write(source: Uint8Array, offsetBytes: number): Promise<void>;
  /** Makes what was written durable (fdatasync). */
  sync(): Promise<void>;
  /**
   * What can be told cheaply about the disk's state, to see that it shrank, vanished or changed while at rest:
   * for a file size, mtime (ns) and inode; for a device size and its count of written sectors. Equal text = unchanged as far as known.
   */
  identity(): Promise<string>;
  close(): Promise<void>;
}
