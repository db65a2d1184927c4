import { CHUNK_BYTES, type ChunkSet, chunkLength, PAGE_BYTES, PAGES_PER_CHUNK } from '../block/chunks.ts';
import { PageSigner, type SigningKey, signingKey } from '../block/page-signer.ts';
import {
  SignatureFile,
  type SignatureFileOptions,
  type SignatureFileSeams,
} from '../block/signature-file.ts';
import { makeInTurn } from '../in-turn.ts';
import type { KnownChunk } from '../wire/signature-frame.ts';

/**
 * The page signatures of one replica disk, kept so that a comparison need not read it again. Promises: a chunk is known
 * only while its signatures are those of what the disk holds. They come from bytes that were read while nobody wrote
 * there, or from the very bytes of a write; a chunk is unknown from before a write begins until it has ended well. What
 * cannot be followed (half a page, two writes at once, a failed one) makes it unknown. Every write comes through
 * `guardDevice`. Dies at any line, or loses its file: everything is unknown, and the disk is read.
 */
export interface KeptSignaturesOptions extends SignatureFileOptions {
  /** Nothing is kept from here on: the file cannot be read or written. */
  onLost(error: unknown): void;
  readonly seams?: KeptSignaturesSeams | undefined;
}

/** Tests only: to prove that they would notice. */
export interface KeptSignaturesSeams extends SignatureFileSeams {
  readonly forgetsToMark?: boolean;
  readonly forgetsToSign?: boolean;
  readonly ignoresWatches?: boolean;
  readonly ignoresOverlaps?: boolean;
}

/** A chunk is being read: what is read counts only if nobody wrote there meanwhile. */
export interface Watch {
  readonly chunk: number;
  isVoid: boolean;
}

/** Writes to one chunk that have not ended, or whose signatures are not in place yet. */
interface Busy {
  writing: number;
  placing: number;
  /** Its row is not to be believed whatever comes. */
  isSpoiled: boolean;
  /** It held zeros, so there is no row yet. */
  isBlank: boolean;
}

interface Part {
  readonly chunk: number;
  readonly start: number;
  readonly end: number;
  readonly busy: Busy;
}

/** One for all disks: signing is done at once, and never waits. */
let signer: PageSigner | undefined;

export class KeptSignatures {
  readonly key: string;
  readonly #sizeBytes: number;
  readonly #file: SignatureFile;
  readonly #words: SigningKey;
  readonly #onLost: (error: unknown) => void;
  readonly #seams: KeptSignaturesSeams;
  readonly #busy = new Map<number, Busy>();
  readonly #watches = new Map<number, Set<Watch>>();
  readonly #inTurn = makeInTurn();
  #isLost = false;

  private constructor(options: KeptSignaturesOptions, file: SignatureFile) {
    this.#sizeBytes = options.sizeBytes;
    this.#onLost = options.onLost;
    this.#seams = options.seams ?? {};
    this.#file = file;
    this.key = file.key;
    this.#words = signingKey(file.key);
  }

  static async open(options: KeptSignaturesOptions): Promise<KeptSignatures> {
    return new KeptSignatures(options, await SignatureFile.open(options));
  }

  get #known(): ChunkSet {
    return this.#file.known;
  }

  /** Of a row of chunks; undefined where the disk has to be read. */
  async find(first: number, count: number): Promise<(KnownChunk | undefined)[]> {
    const found: (KnownChunk | undefined)[] = [];
    for (let chunk = first; chunk < first + count; chunk++) found.push(await this.#find(chunk));
    return found;
  }

  async #find(chunk: number): Promise<KnownChunk | undefined> {
    if (!this.#known.has(chunk)) return undefined;
    if (this.#file.zeros.has(chunk)) return 'zeros';
    const row = await this.#inTurn(() => this.#storing(() => this.#file.row(chunk)));
    // A write may have begun meanwhile.
    if (!row || !this.#known.has(chunk)) return undefined;
    return row.some((signature) => signature !== 0) ? row : 'zeros';
  }

  /** Before a chunk is read. Undefined: what is read cannot be, or need not be, kept. */
  watch(chunk: number): Watch | undefined {
    if (this.#isLost || this.#known.has(chunk) || this.#busy.has(chunk)) return undefined;
    const watch: Watch = { chunk, isVoid: false };
    const watches = this.#watches.get(chunk) ?? new Set();
    this.#watches.set(chunk, watches.add(watch));
    return watch;
  }

  /** What was read under a watch. */
  async learn(watch: Watch, bytes: Uint8Array): Promise<void> {
    await this.learnSigned(watch, this.#sign([bytes], 0, bytes.byteLength).slice());
  }

  /** The same, when it was signed already with this key. */
  async learnSigned(watch: Watch, signatures: Uint32Array): Promise<void> {
    const { chunk } = watch;
    const isZeros = signatures.every((signature) => signature === 0);
    const isVoid = () => watch.isVoid && !this.#seams.ignoresWatches;
    const place = async () => {
      if (isVoid()) return;
      if (!isZeros) await this.#file.set(chunk, 0, signatures);
      if (isVoid()) return;
      this.unwatch(watch);
      if (isZeros) this.#file.zeros.add(chunk);
      else this.#file.zeros.remove(chunk);
      this.#known.add(chunk);
    };
    await this.#inTurn(() => this.#storing(place));
  }

  /** The read failed, or nobody wants what it read. */
  unwatch(watch: Watch): void {
    const watches = this.#watches.get(watch.chunk);
    watches?.delete(watch);
    if (watches?.size === 0) this.#watches.delete(watch.chunk);
  }

  /** Something is wrong with this chunk: the next who asks has to read it. */
  forget(chunk: number): void {
    this.#known.remove(chunk);
    const busy = this.#busy.get(chunk);
    if (busy) busy.isSpoiled = true;
    this.#voidWatches(chunk);
  }

  /** Before a write reaches the disk. Its `end` or `fail` follows, whatever happens. */
  begin(offsetBytes: number, lengthBytes: number): KeptWrite {
    const end = Math.min(offsetBytes + lengthBytes, this.#sizeBytes);
    const parts: Part[] = [];
    for (let at = offsetBytes; at < end; ) {
      const chunk = Math.floor(at / CHUNK_BYTES);
      const partEnd = Math.min(end, (chunk + 1) * CHUNK_BYTES);
      parts.push({ chunk, start: at, end: partEnd, busy: this.#beginPart(chunk, at, partEnd) });
      at = partEnd;
    }
    return {
      end: (pieces) => this.#end(parts, offsetBytes, pieces),
      fail: () => {
        for (const part of parts) this.#endPart(part, true);
      },
    };
  }

  #beginPart(chunk: number, start: number, end: number): Busy {
    const isWhole = end - start === chunkLength(this.#sizeBytes, chunk);
    const { zeros } = this.#file;
    const before = this.#busy.get(chunk);
    const isKnown = this.#known.has(chunk);
    const busy = before ?? {
      writing: 0,
      placing: 0,
      isSpoiled: !isKnown && !isWhole,
      isBlank: isKnown && zeros.has(chunk),
    };
    this.#busy.set(chunk, busy);
    if (!this.#seams.forgetsToMark) {
      this.#known.remove(chunk);
      this.#voidWatches(chunk);
    }
    if (busy.writing > 0 && !this.#seams.ignoresOverlaps) busy.isSpoiled = true;
    if (start % PAGE_BYTES !== 0 || (end % PAGE_BYTES !== 0 && end !== this.#sizeBytes))
      busy.isSpoiled = true;
    busy.writing++;
    return busy;
  }

  #voidWatches(chunk: number): void {
    for (const watch of this.#watches.get(chunk) ?? []) watch.isVoid = true;
    this.#watches.delete(chunk);
  }

  /** The disk has the bytes. What is to be signed is signed before this returns, so the pieces are free again then. */
  #end(parts: readonly Part[], offsetBytes: number, pieces: readonly Uint8Array[]): Promise<void> {
    const placed: Promise<void>[] = [];
    for (const part of parts) {
      const { busy, chunk, start, end } = part;
      if (busy.isSpoiled || this.#isLost || this.#seams.forgetsToSign) {
        this.#endPart(part, !this.#seams.forgetsToSign);
        continue;
      }
      const pages = Math.ceil((end - start) / PAGE_BYTES);
      const signatures = this.#sign(pieces, start - offsetBytes, end - start).slice(0, pages);
      busy.placing++;
      this.#endPart(part, false);
      placed.push(this.#place(part, (start - chunk * CHUNK_BYTES) / PAGE_BYTES, signatures));
    }
    return Promise.all(placed).then(() => undefined);
  }

  async #place({ chunk, busy }: Part, firstPage: number, signatures: Uint32Array): Promise<void> {
    const place = async () => {
      if (busy.isBlank) await this.#file.set(chunk, 0, new Uint32Array(PAGES_PER_CHUNK));
      busy.isBlank = false;
      await this.#file.set(chunk, firstPage, signatures);
    };
    await this.#inTurn(async () => {
      await this.#storing(place);
      busy.placing--;
      this.#settle(chunk, busy);
    });
  }

  #endPart({ chunk, busy }: Part, isSpoiled: boolean): void {
    busy.writing--;
    if (isSpoiled) busy.isSpoiled = true;
    this.#settle(chunk, busy);
  }

  /** Nothing of this chunk is under way any more: it is known again, or has to be read. */
  #settle(chunk: number, busy: Busy): void {
    if (busy.writing > 0 || busy.placing > 0) return;
    this.#busy.delete(chunk);
    if (busy.isSpoiled || this.#isLost) return;
    if (!busy.isBlank) this.#file.zeros.remove(chunk);
    this.#known.add(chunk);
  }

  /** Overwritten by the next call. */
  #sign(pieces: readonly Uint8Array[], fromByte: number, length: number): Uint32Array {
    signer ??= new PageSigner(this.#words);
    signer.use(this.#words);
    let skip = fromByte;
    let at = 0;
    for (const piece of pieces) {
      const part = piece.subarray(
        Math.min(skip, piece.byteLength),
        Math.min(skip + length - at, piece.byteLength),
      );
      signer.chunk.set(part, at);
      at += part.byteLength;
      skip = Math.max(0, skip - piece.byteLength);
    }
    return signer.sign(length);
  }

  /** In turn. A file that fails is lost, and with it everything that was known: the disk is read then. */
  async #storing<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#isLost) return undefined;
    try {
      return await work();
    } catch (error) {
      this.#lose(error);
      return undefined;
    }
  }

  #lose(error: unknown): void {
    this.#isLost = true;
    for (let chunk = 0; chunk < this.#known.length; chunk++) this.#known.remove(chunk);
    this.#onLost(error);
  }

  /** After the disk was synced. Without an identity, or with a write that did not end, nothing is believed later. */
  async close(identity: string | undefined): Promise<void> {
    const isSettled = await this.#inTurn(async () => !this.#isLost && this.#busy.size === 0);
    try {
      await this.#file.close(isSettled ? identity : undefined);
    } catch (error) {
      this.#lose(error);
    }
  }
}

export interface KeptWrite {
  end(pieces: readonly Uint8Array[]): Promise<void>;
  fail(): void;
}
