import type { ByteQueue } from './byte-queue.ts';
import {
  BLOCK_SIZES,
  HANDSHAKE,
  INFO,
  NBD_LIMITS,
  OPTION,
  optionReply,
  REPLY,
  TRANSMISSION_FLAGS,
} from './protocol.ts';

/**
 * The talk before the first request: which disk, how large, which commands. It answers each option as its bytes are
 * there and ends with the disk the client chose, or with the reason to close.
 */
export interface NamedDisk {
  readonly name: string;
  readonly sizeBytes: number;
  readonly description?: string;
}

export type Outcome<Disk> =
  | { readonly state: 'more' }
  | { readonly state: 'chosen'; readonly disk: Disk }
  | { readonly state: 'close'; readonly reason: string };

export class Negotiation<Disk extends NamedDisk> {
  readonly #disks: readonly Disk[];
  readonly #send: (bytes: Buffer) => void;
  #noZeroes: boolean | undefined;
  #options = 0;

  constructor(disks: readonly Disk[], send: (bytes: Buffer) => void) {
    this.#disks = disks;
    this.#send = send;
    const greeting = Buffer.alloc(18);
    greeting.write(HANDSHAKE.greeting, 0, 'latin1');
    greeting.writeUInt16BE(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes, 16);
    send(greeting);
  }

  /** Uses what has arrived. */
  advance(queue: ByteQueue): Outcome<Disk> {
    if (this.#noZeroes === undefined) {
      if (queue.length < 4) return { state: 'more' };
      const flags = queue.take(4).readUInt32BE(0);
      if ((flags & ~(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes)) !== 0)
        return close(`unknown flags ${flags}`);
      this.#noZeroes = (flags & HANDSHAKE.noZeroes) !== 0;
    }
    for (;;) {
      const option = this.#takeOption(queue);
      if (option === undefined) return { state: 'more' };
      if ('state' in option) return option;
      const outcome = this.#answer(option.id, option.data);
      if (outcome) return outcome;
    }
  }

  #pending: { id: number; lengthBytes: number } | undefined;

  #takeOption(queue: ByteQueue): { id: number; data: Buffer } | Outcome<Disk> | undefined {
    if (!this.#pending) {
      if (queue.length < 16) return undefined;
      const head = queue.take(16);
      if (head.toString('latin1', 0, 8) !== HANDSHAKE.optionMagic) return close('no option');
      this.#pending = { id: head.readUInt32BE(8), lengthBytes: head.readUInt32BE(12) };
      if (this.#pending.lengthBytes > NBD_LIMITS.optionBytes) return close('an option is too long');
      if (++this.#options > NBD_LIMITS.options) return close('too many options');
    }
    const { id, lengthBytes } = this.#pending;
    if (queue.length < lengthBytes) return undefined;
    this.#pending = undefined;
    return { id, data: queue.take(lengthBytes) };
  }

  /** Undefined: go on with the next option. */
  #answer(id: number, data: Buffer): Outcome<Disk> | undefined {
    switch (id) {
      case OPTION.exportName:
        return this.#exportName(data.toString('utf8'));
      case OPTION.abort:
        this.#send(optionReply(id, REPLY.ack));
        return close('the client left');
      case OPTION.list:
        this.#list(data);
        return undefined;
      case OPTION.info:
      case OPTION.go:
        return this.#infoOrGo(id, data);
      default:
        this.#send(optionReply(id, REPLY.unsupported));
        return undefined;
    }
  }

  #exportName(name: string): Outcome<Disk> {
    const disk = this.#find(name);
    // This old option has no way to say no.
    if (!disk) return close('no such disk');
    const answer = Buffer.alloc(this.#noZeroes ? 10 : 134);
    answer.writeBigUInt64BE(BigInt(disk.sizeBytes), 0);
    answer.writeUInt16BE(TRANSMISSION_FLAGS, 8);
    this.#send(answer);
    return { state: 'chosen', disk };
  }

  #list(data: Buffer): void {
    if (data.length > 0) {
      this.#send(optionReply(OPTION.list, REPLY.invalid));
      return;
    }
    for (const { name } of this.#disks) {
      const text = Buffer.from(name, 'utf8');
      const length = Buffer.alloc(4);
      length.writeUInt32BE(text.length);
      this.#send(optionReply(OPTION.list, REPLY.server, Buffer.concat([length, text])));
    }
    this.#send(optionReply(OPTION.list, REPLY.ack));
  }

  #infoOrGo(id: number, data: Buffer): Outcome<Disk> | undefined {
    const wanted = parseInfoRequest(data);
    if (!wanted) {
      this.#send(optionReply(id, REPLY.invalid));
      return undefined;
    }
    const disk = this.#find(wanted.name);
    if (!disk) {
      this.#send(optionReply(id, REPLY.unknown));
      return undefined;
    }
    const facts = Buffer.alloc(12);
    facts.writeUInt16BE(INFO.export, 0);
    facts.writeBigUInt64BE(BigInt(disk.sizeBytes), 2);
    facts.writeUInt16BE(TRANSMISSION_FLAGS, 10);
    this.#send(optionReply(id, REPLY.info, facts));
    const sizes = Buffer.alloc(14);
    sizes.writeUInt16BE(INFO.blockSize, 0);
    sizes.writeUInt32BE(BLOCK_SIZES.minimum, 2);
    sizes.writeUInt32BE(BLOCK_SIZES.preferred, 6);
    sizes.writeUInt32BE(BLOCK_SIZES.maximum, 10);
    this.#send(optionReply(id, REPLY.info, sizes));
    if (wanted.infos.includes(INFO.name)) this.#sendText(id, INFO.name, disk.name);
    if (wanted.infos.includes(INFO.description) && disk.description !== undefined)
      this.#sendText(id, INFO.description, disk.description);
    this.#send(optionReply(id, REPLY.ack));
    return id === OPTION.go ? { state: 'chosen', disk } : undefined;
  }

  #sendText(id: number, info: number, text: string): void {
    const type = Buffer.alloc(2);
    type.writeUInt16BE(info);
    this.#send(optionReply(id, REPLY.info, Buffer.concat([type, Buffer.from(text, 'utf8')])));
  }

  /** No name means the first disk. */
  #find(name: string): Disk | undefined {
    return name === '' ? this.#disks[0] : this.#disks.find((disk) => disk.name === name);
  }
}

function parseInfoRequest(data: Buffer): { name: string; infos: number[] } | undefined {
  if (data.length < 6) return undefined;
  const nameBytes = data.readUInt32BE(0);
  if (nameBytes > NBD_LIMITS.nameBytes || data.length < 6 + nameBytes) return undefined;
  const count = data.readUInt16BE(4 + nameBytes);
  if (data.length !== 6 + nameBytes + count * 2) return undefined;
  const infos = Array.from({ length: count }, (_, index) => data.readUInt16BE(6 + nameBytes + index * 2));
  return { name: data.toString('utf8', 4, 4 + nameBytes), infos };
}

function close(reason: string): { readonly state: 'close'; readonly reason: string } {
  return { state: 'close', reason };
}
