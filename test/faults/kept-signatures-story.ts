import { setImmediate as turn } from 'node:timers/promises';
import { guardDevice } from '../../src/appliance/guarded-device.ts';
import { KeptSignatures, type KeptSignaturesSeams } from '../../src/appliance/kept-signatures.ts';
import { CHUNK_BYTES, chunkCount, chunkLength, PAGE_BYTES } from '../../src/block/chunks.ts';
import type { QuickDevice } from '../../src/block/open-device.ts';
import { PageSigner } from '../../src/block/page-signer.ts';
import { Machine } from '../capture/faulty-storage.ts';
import { Random } from '../journal/random.ts';

/**
 * A replica disk with kept signatures on a machine that loses power: written through its door in every way the
 * appliance writes, read under a watch, closed, written behind its back, killed. After every step whatever is called
 * known is held against what the disk holds.
 */
const SIZE_BYTES = CHUNK_BYTES + 5 * PAGE_BYTES + 700;
const DEVICE_BYTES = CHUNK_BYTES + 8 * PAGE_BYTES;
const SECTOR_BYTES = 512;

export interface StoryTotals {
  known: number;
  learnt: number;
  crashes: number;
  believed: number;
}

export class KeptStory {
  readonly trail: string[] = [];
  readonly totals: StoryTotals = { known: 0, learnt: 0, crashes: 0, believed: 0 };
  readonly #random: Random;
  readonly #seams: KeptSignaturesSeams;
  #machine: Machine;
  #kept: KeptSignatures | undefined;
  #door: QuickDevice | undefined;
  #isFailing = false;
  /** Whatever writes to the disk changes it, as a file's time of change or a device's counter does. */
  #writes = 0;
  #writesAtOpen = 0;

  constructor(seed: number, seams: KeptSignaturesSeams = {}) {
    this.#random = new Random(seed);
    this.#seams = seams;
    this.#machine = new Machine((below) => this.#random.below(below));
    const bytes = Buffer.alloc(DEVICE_BYTES);
    bytes.fill(7, 9 * PAGE_BYTES, 30 * PAGE_BYTES);
    this.#machine.addDisk('disk0', bytes);
  }

  async run(steps: number): Promise<void> {
    await this.#open();
    for (let step = 0; step < steps; step++) {
      await this.#step();
      await this.#check();
    }
  }

  get #bytes(): Buffer {
    return this.#machine.disks.get('disk0')?.now ?? Buffer.alloc(0);
  }

  async #open(): Promise<void> {
    this.#writesAtOpen = this.#writes;
    this.#kept = await KeptSignatures.open({
      folder: this.#machine.folder(),
      name: 'disk0.signatures',
      sizeBytes: SIZE_BYTES,
      identity: this.#identity(),
      onLost: () => this.trail.push('the file was lost'),
      seams: this.#seams,
    });
    this.#door = guardDevice(this.#rawDevice(), this.#kept, async () => this.#identity());
    const found = await this.#kept.find(0, chunkCount(SIZE_BYTES));
    this.totals.believed += found.filter((one) => one !== undefined).length;
  }

  #identity(): string {
    return `disk written=${this.#writes}`;
  }

  /** A write may fail, with any part of it on the disk. */
  #rawDevice(): QuickDevice {
    const device = this.#machine.device('disk0');
    const spoilt = (source: Uint8Array, offsetBytes: number) => {
      this.#writes++;
      if (!this.#isFailing) return;
      device.writeNow([source.subarray(0, this.#random.below(source.byteLength))], offsetBytes);
      throw Object.assign(new Error('EIO: planted'), { code: 'EIO' });
    };
    return {
      ...device,
      write: async (source, offsetBytes) => {
        spoilt(source, offsetBytes);
        await device.writePieces([source], offsetBytes);
      },
      writePieces: async (pieces, offsetBytes) => {
        spoilt(Buffer.concat(pieces), offsetBytes);
        await device.writePieces(pieces, offsetBytes);
      },
      writeNow: (pieces, offsetBytes) => {
        spoilt(Buffer.concat(pieces), offsetBytes);
        device.writeNow(pieces, offsetBytes);
      },
    };
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const what = random.below(100);
    if (what < 45) return await this.#write();
    if (what < 65) return await this.#read();
    if (what < 72) return await this.#writeTwice();
    if (what < 80) return await this.#readWhileWriting();
    if (what < 84) return this.#failWrite();
    if (what < 93) return await this.#restart();
    if (what < 96) return await this.#crash('power');
    if (what < 99) return await this.#crash('process');
    this.trail.push('the state disk breaks');
    this.#machine.breaksAfter = random.below(3);
  }

  #place(): { readonly offsetBytes: number; readonly bytes: Buffer } {
    const random = this.#random;
    const shape = random.below(5);
    const chunk = random.below(chunkCount(SIZE_BYTES));
    const start = chunk * CHUNK_BYTES;
    const inside = chunkLength(SIZE_BYTES, chunk);
    // A whole chunk; whole pages; pages of two chunks; sectors; what lies beyond the end.
    if (shape === 0) return { offsetBytes: start, bytes: this.#fresh(inside) };
    if (shape === 1) {
      const pages = Math.floor(inside / PAGE_BYTES);
      const first = random.below(pages);
      const count = 1 + random.below(Math.min(4, pages - first));
      return { offsetBytes: start + first * PAGE_BYTES, bytes: this.#fresh(count * PAGE_BYTES) };
    }
    if (shape === 2) return { offsetBytes: CHUNK_BYTES - 2 * PAGE_BYTES, bytes: this.#fresh(4 * PAGE_BYTES) };
    const sector = random.below(Math.floor(DEVICE_BYTES / SECTOR_BYTES) - 9);
    return { offsetBytes: sector * SECTOR_BYTES, bytes: this.#fresh((1 + random.below(9)) * SECTOR_BYTES) };
  }

  #fresh(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    if (this.#random.chance(0.7)) bytes.fill(1 + this.#random.below(255));
    return bytes;
  }

  async #write(): Promise<void> {
    const { offsetBytes, bytes } = this.#place();
    const how = this.#random.below(3);
    this.trail.push(`write ${how} of ${bytes.length} at ${offsetBytes}`);
    if (how === 0) await this.#door?.write(bytes, offsetBytes);
    else if (how === 1) {
      const cut = this.#random.below(bytes.length);
      await this.#door?.writePieces([bytes.subarray(0, cut), bytes.subarray(cut)], offsetBytes);
    } else {
      this.#door?.writeNow([bytes], offsetBytes);
      // The buffer is its owner's again.
      bytes.fill(255);
    }
  }

  async #writeTwice(): Promise<void> {
    const [one, other] = [this.#place(), this.#place()];
    this.trail.push(`two writes at once, at ${one.offsetBytes} and ${other.offsetBytes}`);
    const near = { ...other, offsetBytes: Math.min(one.offsetBytes, DEVICE_BYTES - other.bytes.length) };
    const second = this.#random.chance(0.5) ? near : other;
    await Promise.all([
      this.#door?.write(one.bytes, one.offsetBytes),
      this.#door?.write(second.bytes, second.offsetBytes),
    ]);
  }

  async #read(): Promise<void> {
    const chunk = this.#random.below(chunkCount(SIZE_BYTES));
    this.trail.push(`read ${chunk}`);
    const watch = this.#kept?.watch(chunk);
    const bytes = Buffer.alloc(chunkLength(SIZE_BYTES, chunk));
    await this.#door?.read(bytes, chunk * CHUNK_BYTES);
    if (watch) await this.#kept?.learn(watch, bytes);
    if (watch) this.totals.learnt++;
  }

  async #readWhileWriting(): Promise<void> {
    this.trail.push('a read, and meanwhile');
    await Promise.all([this.#read(), this.#write()]);
  }

  async #failWrite(): Promise<void> {
    this.#isFailing = true;
    await this.#write().catch(() => this.trail.push('it failed'));
    this.#isFailing = false;
  }

  async #restart(): Promise<void> {
    this.trail.push('closed');
    await this.#door?.close();
    if (this.#random.chance(0.3)) {
      const { offsetBytes, bytes } = this.#place();
      this.trail.push(`${bytes.length} bytes at ${offsetBytes} behind its back`);
      this.#machine.device('disk0').writeNow([bytes], offsetBytes);
      this.#writes++;
    }
    if (this.#random.chance(0.3)) this.#lose('power');
    this.#machine.breaksAfter = Number.POSITIVE_INFINITY;
    await this.#open();
  }

  /** In the middle of whatever is under way. */
  async #crash(kind: 'power' | 'process'): Promise<void> {
    const under = this.#random.chance(0.4) ? [this.#door?.close()] : [this.#write(), this.#read()];
    for (const one of under) one?.catch(() => undefined); // Its machine is gone.
    for (let turns = this.#random.below(12); turns > 0; turns--) await turn();
    this.#lose(kind);
    // The clock by which a file's changes are told is coarse: it may say nothing of those since the last look.
    if (this.#random.chance(0.5)) this.#writes = this.#writesAtOpen;
    await this.#open();
  }

  #lose(kind: 'power' | 'process'): void {
    this.trail.push(`crash: ${kind}`);
    this.totals.crashes++;
    const before = this.#bytes;
    this.#machine = this.#machine.crash(kind);
    this.#machine.breaksAfter = Number.POSITIVE_INFINITY;
    // What a power cut takes from the disk was written through its door, and so it is seen by whoever looks at it.
    if (!before.equals(this.#bytes)) this.#writes++;
  }

  async #check(): Promise<void> {
    const count = chunkCount(SIZE_BYTES);
    const found = (await this.#kept?.find(0, count)) ?? [];
    const signer = new PageSigner(this.#kept?.key ?? '');
    for (const [chunk, known] of found.entries()) {
      if (known === undefined) continue;
      this.totals.known++;
      const length = chunkLength(SIZE_BYTES, chunk);
      this.#bytes.copy(signer.chunk, 0, chunk * CHUNK_BYTES, chunk * CHUNK_BYTES + length);
      const are = signer.sign(length);
      const isRight =
        known === 'zeros' ? are.every((one) => one === 0) : are.every((one, page) => one === known[page]);
      if (!isRight) throw new Error(`chunk ${chunk} is called known, and holds something else`);
    }
  }
}
