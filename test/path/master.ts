import { setImmediate as turn } from 'node:timers/promises';
import type { FileFolder } from '../../src/block/files.ts';
import type { ChangeStream } from '../../src/capture/capture.ts';
import { Recorder } from '../../src/capture/recorder.ts';
import type { Clock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import { ChangeSender } from '../../src/master/change-sender.ts';
import type { Checksum } from '../../src/wire/checksum.ts';
import { TIMINGS } from '../../src/wire/limits.ts';
import { Machine, type StorageFaults } from '../capture/faulty-storage.ts';
import type { Random } from '../journal/random.ts';
import { DISK_IDS, type DiskId, History, SECTOR_BYTES, SIZES } from './history.ts';
import type { Link } from './link.ts';

/**
 * A master with a guest: the real recorder on a machine that loses power, the real sender on a link that fails. It knows
 * every moment of its disks, and which of them it may count on once a sequence was said to be durable.
 */
const KIB = 1024;
const LOST = 'lost: ';

export interface MasterSabotage {
  /** The stream is told that the appliance has it as soon as it was read. */
  readonly forgetsEarly?: boolean;
  /** Syncs of the spool do nothing. */
  readonly skipsSpoolSync?: boolean;
  /** After a restart, numbers are given again that were given before. */
  readonly reusesSequences?: boolean;
}

export class PathMaster {
  readonly history = new History();
  readonly problems: string[] = [];
  readonly #random: Random;
  readonly #link: Link;
  readonly #checksum: Checksum;
  readonly #sabotage: MasterSabotage;
  #machine: Machine;
  #recorder: Recorder | undefined;
  #sender: ChangeSender | undefined;
  /** Marks that the guest's flushes made, with the moment they stand for. */
  #flushes: { readonly sequence: bigint; readonly moment: number }[] = [];
  #entry = 0;
  #skewMs = 0;
  #restarts = 0n;
  #flippedBits = 0;
  /** The replica may never be older again. */
  promisedMoment = 0;
  acknowledged = 0n;

  constructor(parts: { random: Random; link: Link; checksum: Checksum; sabotage: MasterSabotage }) {
    this.#random = parts.random;
    this.#link = parts.link;
    this.#checksum = parts.checksum;
    this.#sabotage = parts.sabotage;
    this.#machine = new Machine((below) => parts.random.below(below));
    for (const id of DISK_IDS) this.#machine.addDisk(id, Buffer.alloc(SIZES[id]));
  }

  get recorder(): Recorder {
    if (!this.#recorder) throw new Error('the master was never started');
    return this.#recorder;
  }

  /** It says that its stream does not lead to its disks any more. */
  get isLost(): boolean {
    return this.problems.some((one) => one.startsWith(LOST));
  }

  get faults(): StorageFaults & { readonly flippedBits: number } {
    return { ...this.#machine.faults, flippedBits: this.#flippedBits };
  }

  bytesOf(id: DiskId): Buffer {
    return this.#machine.disks.get(id)?.now ?? Buffer.alloc(0);
  }

  /** Answers where its stream begins. */
  async begin(): Promise<bigint> {
    await this.#open();
    const origin = await this.recorder.restart();
    this.#send(origin);
    return origin;
  }

  stepClock(ms: number): void {
    this.#skewMs += ms;
  }

  async #open(): Promise<void> {
    const machine = this.#machine;
    const clock: Clock = {
      now: () => Math.max(0, machine.clock.now() + this.#skewMs),
      sleep: (ms, signal) => machine.clock.sleep(ms, signal),
    };
    this.#recorder = await Recorder.open({
      folder: this.#folder(machine.folder()),
      disks: DISK_IDS.map((id) => ({ id, device: machine.device(id) })),
      excluded: [],
      clock,
      log: silentLog,
      spoolBytes: 192 * KIB,
      segmentBytes: 32 * KIB,
    });
  }

  #folder(folder: FileFolder): FileFolder {
    if (!this.#sabotage.skipsSpoolSync) return folder;
    const open: FileFolder['open'] = async (name, mode) => {
      const file = await folder.open(name, mode);
      return file && name.endsWith('.spool') ? { ...file, sync: async () => undefined } : file;
    };
    return { ...folder, open };
  }

  #send(origin: bigint | undefined): void {
    const { clock } = this.#machine;
    this.#sender = new ChangeSender({
      appliance: { id: 'appliance', address: 'nowhere', port: 1 },
      credentials: { certificatePem: '', keyPem: '', caPem: '' },
      scenarioId: 'scenario',
      epoch: 1,
      diskIds: DISK_IDS,
      changes: this.#stream(this.recorder),
      origin,
      checksum: this.#checksum,
      clock,
      log: silentLog,
      timings: { ...TIMINGS, reconnectMinMs: 2, reconnectMaxMs: 8 },
      onProblem: ({ message }, lost) => void this.problems.push(`${lost ? LOST : ''}${message}`),
      dial: (lane) => this.#link.dial(lane),
    });
  }

  /** As the recorder is, and noting what it was promised; or spoilt. */
  #stream(recorder: Recorder): ChangeStream {
    const { forgetsEarly, reusesSequences } = this.#sabotage;
    const back = reusesSequences ? this.#restarts * 3n : 0n;
    return {
      state: () => recorder.state(),
      restart: () => recorder.restart(),
      prove: (options) => recorder.prove(options),
      resumeAfter: async (sequence) => {
        // What it goes on behind is durable over there, also when nobody heard the word of it.
        if (recorder === this.#recorder) this.#promise(sequence);
        await recorder.resumeAfter(sequence + back);
      },
      next: async (signal) => {
        const changes = await recorder.next(signal);
        const last = changes.at(-1)?.sequence;
        if (forgetsEarly && last !== undefined) await recorder.acknowledge(last);
        return back === 0n ? changes : changes.map((one) => ({ ...one, sequence: one.sequence - back }));
      },
      acknowledge: async (sequence) => {
        if (recorder === this.#recorder) this.#promise(sequence);
        await recorder.acknowledge(sequence + back);
      },
    };
  }

  #promise(sequence: bigint): void {
    if (sequence > this.acknowledged) this.acknowledged = sequence;
    const kept = this.#flushes.filter((flush) => flush.sequence <= sequence);
    for (const { moment } of kept) this.promisedMoment = Math.max(this.promisedMoment, moment);
    this.#flushes = this.#flushes.filter((flush) => flush.sequence > sequence);
  }

  // --- the guest

  async write(): Promise<void> {
    const entry = ++this.#entry;
    const id = this.#random.pick(DISK_IDS);
    const sectors = 1 + this.#random.below(this.#random.chance(0.2) ? 16 : 4);
    const offsetBytes = SECTOR_BYTES * this.#random.below(SIZES[id] / SECTOR_BYTES - sectors + 1);
    const kind = this.#random.chance(0.12) ? 'zero' : 'data';
    const bytes = Buffer.alloc(sectors * SECTOR_BYTES);
    if (kind === 'data') {
      for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((entry << 8) | (at >>> 9), at);
    }
    this.history.write(id, offsetBytes, bytes);
    const disk = this.recorder.disks[DISK_IDS.indexOf(id)];
    await new Promise<void>((resolve, reject) => {
      const done = (error?: unknown) => (error === undefined ? resolve() : reject(error));
      const pieces = kind === 'data' ? [bytes] : [];
      disk?.submit({ kind, offsetBytes, lengthBytes: bytes.length, pieces, done });
    });
  }

  async flush(): Promise<void> {
    const { recorder } = this;
    const disk = this.#random.pick(recorder.disks);
    const before = recorder.state();
    const { moment } = this.history;
    const flushed = recorder.flush(disk);
    const after = recorder.state();
    await flushed;
    // Only a flush that stands in the stream, in order, promises anything; and only once the guest was told.
    const { lastSequence: sequence } = after;
    if (before.mode !== 'ordered' || after.mode !== 'ordered' || sequence <= before.lastSequence) return;
    this.#flushes.push({ sequence, moment });
    this.#promise(this.acknowledged);
  }

  /** In the middle of something; what was under way is never heard of again. */
  async crash(kind?: 'power' | 'process', options: { readonly flips?: boolean } = {}): Promise<void> {
    const under = this.#random.chance(0.5) ? this.write() : this.flush();
    under.catch(() => undefined); // Whoever did it is dead.
    for (let turns = this.#random.below(8); turns > 0; turns--) await turn();
    this.#machine = this.#machine.crash(kind ?? (this.#random.chance(0.6) ? 'power' : 'process'));
    if (options.flips) this.#flip();
    this.#restarts++;
    this.#link.cut();
    this.history.begin((id) => this.bytesOf(id));
    await this.#open();
    this.#send(undefined);
  }

  /** A bit of the spool, where something was written. */
  #flip(): void {
    const spools = [...this.#machine.files].filter(([name]) => name.endsWith('.spool'));
    const [, { now, durable }] = this.#random.pick(spools);
    const written = now.findLastIndex((byte) => byte !== 0);
    if (written < 0) return;
    const at = this.#random.below(written + 1);
    const bit = 1 << this.#random.below(8);
    this.#flippedBits++;
    for (const bytes of [now, durable]) if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ bit;
  }

  /** Nothing of it happens any more. */
  vanish(): void {
    this.#machine.crash('process');
  }

  async close(): Promise<void> {
    await this.#sender?.stop();
    await this.recorder.close();
  }
}
