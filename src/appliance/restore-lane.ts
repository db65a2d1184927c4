import { CHUNK_BYTES, chunkCount, chunkLength } from '../block/chunks.ts';
import { PageSigner } from '../block/page-signer.ts';
import type { BlockDevice } from '../ports/block-device.ts';
import type { Checksum } from '../wire/checksum.ts';
import { comparePages } from '../wire/compare-pages.ts';
import type { Connection, LaneFrames } from '../wire/connection.ts';
import { FRAME, type FrameHeader, makeFrame, protocolBroken } from '../wire/frame.ts';
import { Framer, ROOM_BYTES } from '../wire/framer.ts';
import { HEADER_BYTES } from '../wire/limits.ts';
import { CHUNK_KNOWN_BYTES_MAX, countBody, readSignatures } from '../wire/signature-frame.ts';
import { Squeezer } from '../wire/squeezer.ts';

/**
 * A lane of the way home: the machine tells what one chunk of its disk holds, and gets what differs from ours. Promises:
 * it only reads; memory is one chunk and the questions that the lane had credit for. It keeps nothing: a lane that ends is
 * opened anew, and what was written there is not asked for again.
 */
export interface RestoreDisk {
  readonly diskId: string;
  readonly sizeBytes: number;
  readonly device: BlockDevice;
}

export interface RestoreCounters {
  doneBytes: number;
  sentBytes: number;
  wireBytes: number;
}

interface LaneParts {
  readonly disks: readonly RestoreDisk[];
  readonly checksum: Checksum;
  readonly credit: number;
  readonly counters: RestoreCounters;
  /** A disk of ours cannot be read. */
  onFailure(error: unknown): void;
}

export class RestoreLane {
  readonly connection: Connection;
  readonly #parts: LaneParts;
  readonly #signer: PageSigner;
  readonly #framer: Framer;
  readonly #squeezer = new Squeezer({ wanted: true, carriers: 1 });
  #asked = 0;
  #work: Promise<void> = Promise.resolve();

  constructor(connection: Connection, attempt: string, parts: LaneParts) {
    this.connection = connection;
    this.#parts = parts;
    this.#signer = new PageSigner(attempt);
    this.#framer = new Framer(this.#signer.withRoom(ROOM_BYTES));
  }

  get frames(): LaneFrames {
    return {
      limitOf: (type) => (type === FRAME.signatures ? CHUNK_KNOWN_BYTES_MAX : undefined),
      bufferFor: (_type, length) => Buffer.allocUnsafe(length),
      onFrame: (header, body) => this.#onAsked(header, body),
    };
  }

  /** Nothing of ours is read any more. */
  async settle(): Promise<void> {
    await this.#work;
  }

  #onAsked(header: FrameHeader, body: Buffer): void {
    const disk = this.#parts.disks[header.stream];
    if (!disk || header.argument >= chunkCount(disk.sizeBytes))
      throw protocolBroken('a chunk that no disk has');
    if (this.#asked >= this.#parts.credit) throw protocolBroken('more questions than it had credit for');
    this.#asked++;
    this.#work = this.#work.then(() => this.#answer(disk, header, body));
  }

  async #answer(disk: RestoreDisk, { stream, argument: index }: FrameHeader, body: Buffer): Promise<void> {
    try {
      if (!this.connection.isOpen) return;
      const [theirs = 'nothing'] = readSignatures(body, 1);
      const length = chunkLength(disk.sizeBytes, index);
      await disk.device.read(this.#signer.chunk.subarray(0, length), index * CHUNK_BYTES);
      const found = comparePages(this.#signer, length, theirs, this.#framer);
      // Before the answer: who has it may ask the next.
      this.#asked--;
      this.#parts.counters.doneBytes += length;
      if (typeof found === 'string') await this.#send(makeFrame(FRAME[found], countBody(1), stream, index));
      else await this.#sendBlock(stream, index, found);
    } catch (error) {
      if (this.connection.isOpen) this.#parts.onFailure(error);
    }
  }

  async #sendBlock(
    stream: number,
    index: number,
    found: { readonly packed: number; readonly isPatch: boolean },
  ): Promise<void> {
    const { checksum, counters } = this.#parts;
    const squeezer = this.#squeezer;
    const frame = await this.#framer.frame({ stream, index, ...found, checksum, squeezer });
    await squeezer.timed(() => this.#send(frame));
    counters.sentBytes += found.packed;
  }

  async #send(frame: Uint8Array): Promise<void> {
    await this.connection.sendFrame(frame);
    this.#parts.counters.wireBytes += frame.length + HEADER_BYTES + CHUNK_KNOWN_BYTES_MAX;
  }
}
