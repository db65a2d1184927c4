import { type JournalFile, readFully } from './files.ts';
import { FRAME_BYTES, type Frame, type FrameCodec, frameSpace } from './frame.ts';

/**
 * Reads the frames of one segment file through a window of memory, in order or from any place. Tells a whole frame from
 * what is not one; what the difference means (end, tear, damage) is for the caller to say. Changes nothing.
 */
const WINDOW_BYTES = 1024 * 1024;

export interface ReadFrame extends Frame {
  readonly offset: number;
  readonly end: number;
  /** A copy: it stays when the window moves on. Empty when there is none, or nobody wanted it. */
  readonly payload: Buffer;
}

const NONE = Buffer.alloc(0);

export type Bad = { readonly bad: 'header' | 'payload'; readonly frame?: Frame };

export class SegmentReader {
  readonly #file: JournalFile;
  readonly #codec: FrameCodec;
  readonly #windowBytes: number;
  #window: Buffer = Buffer.alloc(0);
  #start = 0;
  #filled = 0;
  /** Nothing at or after this byte is read: it may change later. */
  endBytes: number;

  constructor(file: JournalFile, codec: FrameCodec, windowBytes = WINDOW_BYTES) {
    this.#windowBytes = windowBytes;
    this.#file = file;
    this.#codec = codec;
    this.endBytes = file.sizeBytes;
  }

  /** Bytes of the file; shorter where it ends. Valid until the next call. */
  async bytes(offset: number, length: number): Promise<Buffer> {
    const inside = offset >= this.#start && offset + length <= this.#start + this.#filled;
    if (!inside) {
      const wanted = Math.max(length, Math.min(this.#windowBytes, this.endBytes));
      if (this.#window.length < wanted) this.#window = Buffer.allocUnsafeSlow(wanted);
      this.#start = offset;
      const span = Math.min(this.#window.length, Math.max(0, this.endBytes - offset));
      this.#filled = await readFully(this.#file, this.#window.subarray(0, span), offset);
    }
    const at = offset - this.#start;
    return this.#window.subarray(at, Math.min(at + length, this.#filled));
  }

  async header(offset: number): Promise<Frame | undefined> {
    const bytes = await this.bytes(offset, FRAME_BYTES);
    return bytes.length < FRAME_BYTES ? undefined : this.#codec.read(bytes, 0);
  }

  async frame(offset: number, keepPayload = true): Promise<ReadFrame | Bad> {
    const frame = await this.header(offset);
    if (frame === undefined) return { bad: 'header' };
    const end = offset + frameSpace(frame.payloadLength);
    // A length beyond the file cannot be ours, whatever the checksum says; nothing is allocated for it.
    if (end > this.endBytes) return { bad: 'header', frame };
    const bytes = await this.bytes(offset + FRAME_BYTES, frame.payloadLength);
    const whole = bytes.length === frame.payloadLength;
    if (!whole || (frame.payloadLength > 0 && this.#codec.payloadCrc(bytes) !== frame.payloadCrc)) {
      return { bad: 'payload', frame };
    }
    return { ...frame, offset, end, payload: keepPayload ? Buffer.from(bytes) : NONE };
  }

  /** Is there, at `offset` or later, the header of a frame whose group is above `group`? */
  async hasGroupAbove(group: number, offset: number): Promise<boolean> {
    for (let at = offset; at + FRAME_BYTES <= this.endBytes; ) {
      const length = Math.min(this.#windowBytes, this.endBytes - at);
      const bytes = await this.bytes(at, length);
      const whole = bytes.length - (bytes.length % FRAME_BYTES);
      if (whole === 0) return false;
      for (let slot = 0; slot < whole; slot += FRAME_BYTES) {
        const frame = this.#codec.read(bytes, slot);
        if (frame !== undefined && frame.group > group) return true;
      }
      at += whole;
    }
    return false;
  }
}

export function isBad(read: ReadFrame | Bad): read is Bad {
  return 'bad' in read;
}
