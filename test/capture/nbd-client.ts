import type { Socket } from 'node:net';

/** A small NBD client for what the real ones never do: one request at a time, and nonsense on purpose. */
export class NbdClient {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  #waiting: { count: number; resolve(bytes: Buffer): void; reject(error: Error): void } | undefined;
  #closed = false;
  readonly closed: Promise<void>;
  #cookie = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#closed = true;
        this.#waiting?.reject(new Error('the server closed the connection'));
        resolve();
      });
    });
    socket.on('error', () => undefined);
    socket.on('data', (piece) => {
      this.#bytes = Buffer.concat([this.#bytes, piece as Buffer]);
      this.#serve();
    });
  }

  #serve(): void {
    const wait = this.#waiting;
    if (!wait || this.#bytes.length < wait.count) return;
    this.#waiting = undefined;
    wait.resolve(this.take(wait.count));
  }

  take(count: number): Buffer {
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }

  get(count: number): Promise<Buffer> {
    if (this.#bytes.length >= count) return Promise.resolve(this.take(count));
    if (this.#closed) return Promise.reject(new Error('the server closed the connection'));
    return new Promise((resolve, reject) => {
      this.#waiting = { count, resolve, reject };
    });
  }

  async greet(flags = 3): Promise<void> {
    const greeting = await this.get(18);
    if (greeting.toString('latin1', 0, 16) !== 'NBDMAGICIHAVEOPT') throw new Error('no greeting');
    const answer = Buffer.alloc(4);
    answer.writeUInt32BE(flags);
    this.socket.write(answer);
  }

  option(id: number, data: Buffer, claimedBytes = data.length): void {
    const head = Buffer.alloc(16);
    head.write('IHAVEOPT', 0, 'latin1');
    head.writeUInt32BE(id, 8);
    head.writeUInt32BE(claimedBytes, 12);
    this.socket.write(Buffer.concat([head, data]));
  }

  async optionReply(): Promise<{ option: number; type: number; data: Buffer }> {
    const head = await this.get(20);
    const data = await this.get(head.readUInt32BE(16));
    return { option: head.readUInt32BE(8), type: head.readUInt32BE(12), data };
  }

  /** The old way: no reply types; answers the disk's size. */
  async choose(name: string): Promise<number> {
    await this.greet();
    this.option(1, Buffer.from(name));
    return Number((await this.get(10)).readBigUInt64BE(0));
  }

  request(
    facts: { command: number; flags?: number; offset?: bigint; length?: number; magic?: number },
    data?: Buffer,
  ) {
    const head = Buffer.alloc(28);
    head.writeUInt32BE(facts.magic ?? 0x25609513, 0);
    head.writeUInt16BE(facts.flags ?? 0, 4);
    head.writeUInt16BE(facts.command, 6);
    head.writeUInt32BE(++this.#cookie, 12);
    head.writeBigUInt64BE(facts.offset ?? 0n, 16);
    head.writeUInt32BE(facts.length ?? data?.length ?? 0, 24);
    this.socket.write(data ? Buffer.concat([head, data]) : head);
  }

  /** The error of the next simple reply; it must answer the last request. */
  async reply(): Promise<number> {
    const head = await this.get(16);
    if (head.readUInt32BE(0) !== 0x67446698) throw new Error('no simple reply');
    if (head.readUInt32BE(12) !== this.#cookie) throw new Error('another request was answered');
    return head.readUInt32BE(4);
  }

  async write(offset: number, data: Buffer): Promise<void> {
    this.request({ command: 1, offset: BigInt(offset) }, data);
    if ((await this.reply()) !== 0) throw new Error('the write failed');
  }

  async flush(): Promise<void> {
    this.request({ command: 3 });
    if ((await this.reply()) !== 0) throw new Error('the flush failed');
  }
}
