import type { Socket } from 'node:net';
import type { DiskWrite } from '../recorded-disk.ts';
import { ByteQueue } from './byte-queue.ts';
import { type NamedDisk, Negotiation } from './negotiation.ts';
import {
  COMMAND,
  COMMAND_FLAG,
  decodeRequest,
  ERROR,
  NBD_LIMITS,
  REQUEST_BYTES,
  type Request,
  SIMPLE_REPLY_BYTES,
  writeSimpleReply,
} from './protocol.ts';

/** A disk as the server sees it. */
export interface ServedDisk extends NamedDisk {
  /** Undefined when the target is full already. */
  read(target: Uint8Array, offsetBytes: number): Promise<void> | undefined;
  submit(write: DiskWrite): void;
  /** Everything answered before, on any connection, is durable when it resolves. */
  flush(): Promise<void>;
}

/**
 * One client. Promises: each request is answered once, after it is done; never more is kept in memory than
 * NBD_LIMITS says, because nothing is read from a client that has too much under way; a client that breaks the
 * protocol is closed. Dies at any line: an unanswered write may or may not be on the disk, as with any disk.
 */
export class NbdConnection {
  readonly #socket: Socket;
  readonly #queue = new ByteQueue();
  readonly #negotiation: Negotiation<ServedDisk>;
  readonly #onReason: (reason: string) => void;
  #disk: ServedDisk | undefined;
  #request: Request | undefined;
  #requests = 0;
  #bytes = 0;
  #advancing = false;
  #leaving = false;
  readonly closed: Promise<void>;

  constructor(socket: Socket, disks: readonly ServedDisk[], onReason: (reason: string) => void) {
    this.#socket = socket;
    this.#onReason = onReason;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => resolve());
    });
    this.#negotiation = new Negotiation(disks, (bytes) => void socket.write(bytes));
    socket.on('error', () => undefined); // 'close' follows, and is all there is to know.
    socket.on('drain', () => this.#advance());
    socket.on('data', (piece: Buffer) => {
      this.#queue.push(piece);
      this.#advance();
    });
  }

  get isChosen(): boolean {
    return this.#disk !== undefined;
  }

  /** What is under way is answered first. */
  leave(): void {
    this.#leaving = true;
    if (this.#requests === 0) this.#socket.destroySoon();
  }

  #close(reason: string): void {
    this.#leaving = true;
    this.#onReason(reason);
    // What was said before is still sent; nothing more is read.
    this.#socket.pause();
    this.#socket.destroySoon();
  }

  #advance(): void {
    // A request that is done at once comes back here; the loop below goes on by itself.
    if (this.#advancing) return;
    this.#advancing = true;
    this.#socket.cork();
    while (!this.#leaving && !this.#hasTooMuch() && this.#step());
    this.#socket.uncork();
    this.#advancing = false;
    if (this.#leaving) return;
    if (this.#hasTooMuch()) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  #hasTooMuch(): boolean {
    return (
      this.#requests >= NBD_LIMITS.requestsInFlight ||
      this.#bytes >= NBD_LIMITS.bytesInFlight ||
      this.#socket.writableLength >= NBD_LIMITS.bytesInFlight
    );
  }

  /** False: more bytes must come first. */
  #step(): boolean {
    if (!this.#disk) {
      const outcome = this.#negotiation.advance(this.#queue);
      if (outcome.state === 'close') this.#close(outcome.reason);
      if (outcome.state !== 'chosen') return false;
      this.#disk = outcome.disk;
      return true;
    }
    if (!this.#request) {
      if (this.#queue.length < REQUEST_BYTES) return false;
      this.#request = decodeRequest(this.#queue.take(REQUEST_BYTES));
      if (!this.#request) {
        this.#close('no request');
        return false;
      }
    }
    const request = this.#request;
    const payloadBytes = request.command === COMMAND.write ? request.lengthBytes : 0;
    if (payloadBytes > NBD_LIMITS.requestBytes) {
      this.#close('a write is too long');
      return false;
    }
    if (this.#queue.length < payloadBytes) return false;
    this.#request = undefined;
    this.#take(this.#disk, request, payloadBytes > 0 ? this.#queue.takePieces(payloadBytes) : []);
    return true;
  }

  #take(disk: ServedDisk, request: Request, pieces: readonly Buffer[]): void {
    if (request.command === COMMAND.disconnect) {
      this.leave();
      return;
    }
    this.#requests++;
    const refusal = refusalOf(disk, request);
    if (refusal !== 0) {
      this.#answer(request, refusal);
      return;
    }
    switch (request.command) {
      case COMMAND.read:
        this.#read(disk, request);
        break;
      case COMMAND.write:
        this.#bytes += request.lengthBytes;
        this.#write(disk, request, 'data', pieces);
        break;
      case COMMAND.writeZeroes:
        this.#write(disk, request, 'zero', []);
        break;
      default:
        // A trim leaves the bytes as they are, which the protocol allows; master and replica stay equal.
        if (request.command === COMMAND.flush || (request.flags & COMMAND_FLAG.fua) !== 0)
          this.#flush(disk, request);
        else this.#answer(request, 0);
    }
  }

  #read(disk: ServedDisk, request: Request): void {
    const { offsetBytes, lengthBytes } = request;
    this.#bytes += lengthBytes;
    const reply = Buffer.allocUnsafe(SIMPLE_REPLY_BYTES + lengthBytes);
    const done = (error?: unknown) => {
      this.#bytes -= lengthBytes;
      if (error !== undefined) this.#fail(request, error);
      else {
        writeSimpleReply(reply, request, 0);
        this.#finish(reply);
      }
    };
    let wait: Promise<void> | undefined;
    try {
      wait = disk.read(reply.subarray(SIMPLE_REPLY_BYTES), offsetBytes);
    } catch (error) {
      done(error);
      return;
    }
    if (wait) wait.then(() => done(), done);
    else done();
  }

  #write(disk: ServedDisk, request: Request, kind: 'data' | 'zero', pieces: readonly Buffer[]): void {
    const { offsetBytes, lengthBytes, flags } = request;
    const partBytes = kind === 'zero' ? ZERO_PART_BYTES : lengthBytes;
    let left = Math.ceil(lengthBytes / partBytes);
    let failed: unknown;
    const done = (error?: unknown) => {
      failed ??= error;
      if (--left > 0) return;
      if (kind === 'data') this.#bytes -= lengthBytes;
      if (failed !== undefined) this.#fail(request, failed);
      else if ((flags & COMMAND_FLAG.fua) !== 0) this.#flush(disk, request);
      else this.#answer(request, 0);
    };
    for (let at = 0; at < lengthBytes; at += partBytes) {
      const length = Math.min(partBytes, lengthBytes - at);
      disk.submit({ kind, offsetBytes: offsetBytes + at, lengthBytes: length, pieces, done });
    }
  }

  #flush(disk: ServedDisk, request: Request): void {
    disk.flush().then(
      () => this.#answer(request, 0),
      (error: unknown) => this.#fail(request, error),
    );
  }

  #fail(request: Request, error: unknown): void {
    this.#onReason(`a request failed: ${error instanceof Error ? error.message : String(error)}`);
    this.#answer(request, (error as NodeJS.ErrnoException).code === 'ENOSPC' ? ERROR.noSpace : ERROR.io);
  }

  #answer(request: Request, error: number): void {
    const reply = Buffer.allocUnsafe(SIMPLE_REPLY_BYTES);
    writeSimpleReply(reply, request, error);
    this.#finish(reply);
  }

  #finish(reply: Buffer): void {
    this.#requests--;
    if (!this.#socket.destroyed) this.#socket.write(reply);
    if (this.#leaving && this.#requests === 0) this.#socket.destroySoon();
    else this.#advance();
  }
}

/** Longer ranges of zeros are written one part after the other. */
const ZERO_PART_BYTES = 16 * 1024 * 1024;

/** 0: the request can be carried out. */
function refusalOf(disk: ServedDisk, { command, flags, offsetBytes, lengthBytes }: Request): number {
  const allowed = FLAGS_OF[command];
  if (allowed === undefined || (flags & ~allowed) !== 0) return ERROR.invalid;
  if (command === COMMAND.flush) return 0;
  const isWriting = command !== COMMAND.read;
  if (lengthBytes === 0) return ERROR.invalid;
  if (offsetBytes + lengthBytes > disk.sizeBytes) return isWriting ? ERROR.noSpace : ERROR.invalid;
  return command === COMMAND.read && lengthBytes > NBD_LIMITS.requestBytes ? ERROR.invalid : 0;
}

const FLAGS_OF: Readonly<Record<number, number>> = {
  [COMMAND.read]: COMMAND_FLAG.fua,
  [COMMAND.write]: COMMAND_FLAG.fua,
  [COMMAND.flush]: COMMAND_FLAG.fua,
  [COMMAND.trim]: COMMAND_FLAG.fua,
  [COMMAND.writeZeroes]: COMMAND_FLAG.fua | COMMAND_FLAG.noHole,
};
