import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Recorder } from '../../src/capture/recorder.ts';
import { Spool } from '../../src/capture/spool.ts';
import { silentLog } from '../../src/log.ts';
import { Machine } from './faulty-storage.ts';
import { catchUp, makeRandom, Replica } from './rig.ts';

/**
 * A guest, an appliance and the power switch, driven by a seed. The guest keeps a log on one disk and a head on the
 * other that names the newest entry, so that any position where the order was lost shows at once.
 */
const KIB = 1024;
const SIZES = { disk0: 4352 * KIB, disk1: 320 * KIB + 512 };
const SLOTS = 64;
const LOG_AT = 64 * KIB;
/** More by hand: `SEEDS=2000 FIRST_SEED=1 npx vitest run test/capture/recorder.test.ts`; a seed that fails can be told again. */
const SEEDS = Number(process.env.SEEDS ?? 25);
const FIRST_SEED = Number(process.env.FIRST_SEED ?? 1);

class Story {
  readonly random: (below: number) => number;
  machine: Machine;
  recorder!: Recorder;
  replica: Replica;
  /** What the appliance has durably. */
  durable: { position: bigint; held: Replica };
  entry = 0;
  flushedEntry = 0;
  /** Up to here a power cut may have kept a head and lost an entry that was not flushed: as on any disk. */
  disordered = 0;
  /** Entries that were under way at a crash. */
  readonly cut = new Set<number>();

  constructor(seed: number) {
    this.random = makeRandom(seed * 7919 + 1);
    this.machine = new Machine(this.random);
    for (const [id, size] of Object.entries(SIZES)) this.machine.addDisk(id, Buffer.alloc(size));
    this.replica = new Replica({ disk0: Buffer.alloc(SIZES.disk0), disk1: Buffer.alloc(SIZES.disk1) });
    this.durable = this.snapshot();
  }

  snapshot() {
    return {
      position: this.replica.position,
      held: this.replica.clone(),
    };
  }

  async open(): Promise<void> {
    this.recorder = await Recorder.open({
      folder: this.machine.folder(),
      disks: Object.keys(SIZES).map((id) => ({ id, device: this.machine.device(id) })),
      excluded: [],
      clock: this.machine.clock,
      log: silentLog,
      spoolBytes: 512 * KIB,
      segmentBytes: 64 * KIB,
    });
  }

  write(disk: number, offsetBytes: number, bytes: Buffer, kind: 'data' | 'zero' = 'data'): Promise<void> {
    const target = this.recorder.disks[disk];
    if (!target) throw new Error('no such disk');
    return new Promise((resolve, reject) => {
      const cut = this.random(bytes.length + 1);
      const pieces =
        kind === 'zero'
          ? []
          : [bytes.subarray(0, cut), bytes.subarray(cut)].filter((each) => each.length > 0);
      const done = (error?: unknown) => (error === undefined ? resolve() : reject(error));
      target.submit({ kind, offsetBytes, lengthBytes: bytes.length, pieces, done });
    });
  }

  /** One entry: the log first, then the head; sometimes noise around them, and sometimes a flush. */
  async step(): Promise<void> {
    const entry = ++this.entry;
    const page = Buffer.alloc(4096, entry % 251);
    page.writeUInt32LE(entry, 0);
    await this.write(1, LOG_AT + (entry % SLOTS) * 4096, page);
    const head = Buffer.alloc(512);
    head.writeUInt32LE(entry, 0);
    await this.write(0, 0, head);
    const noise = Array.from({ length: this.random(6) }, () => {
      const length = 512 * (1 + this.random(this.random(5) === 0 ? 300 : 16));
      const offset = 512 + 512 * this.random((SIZES.disk0 - 512 - length) / 512);
      return this.write(
        0,
        offset,
        Buffer.alloc(length, this.random(256)),
        this.random(6) === 0 ? 'zero' : 'data',
      );
    });
    await Promise.all(noise);
    if (this.random(4) === 0) {
      const disk = this.recorder.disks[this.random(2)];
      if (disk) await this.recorder.flush(disk);
      const other = this.recorder.disks[1];
      const first = this.recorder.disks[0];
      if (other && first) await Promise.all([this.recorder.flush(first), this.recorder.flush(other)]);
      this.flushedEntry = entry;
    }
  }

  /** The appliance takes a batch, sometimes keeps it durably, sometimes forgets what it had not kept. */
  async receive(): Promise<void> {
    const patience = new AbortController();
    const coming = this.recorder.next(patience.signal).catch((error: unknown) => {
      if (patience.signal.aborted) return [];
      throw error;
    });
    for (let turns = 0; turns < 60; turns++) await turn();
    patience.abort();
    const changes = await coming;
    for (const change of changes) {
      this.replica.take([change]);
      if (this.replica.openSet === undefined) this.checkOrder();
    }
    const fate = this.random(8);
    if (fate < 4) await this.keep();
    else if (fate === 7) {
      this.replica = this.durable.held.clone();
      await this.recorder.resumeAfter(this.durable.position);
    }
  }

  async checkpoint(): Promise<void> {
    for (const disk of this.recorder.disks) {
      await disk.checkpoint().catch((error: unknown) => {
        if (this.machine.breaksAfter === Number.POSITIVE_INFINITY) throw error;
      });
    }
  }

  async keep(): Promise<void> {
    this.durable = this.snapshot();
    await this.recorder.acknowledge(this.replica.position);
  }

  checkOrder(): void {
    const head = this.replica.disks.get('disk0')?.readUInt32LE(0) ?? 0;
    const log = this.replica.disks.get('disk1');
    for (let entry = Math.max(this.disordered + 1, head - SLOTS + 1); entry <= head; entry++) {
      const found = log?.readUInt32LE(LOG_AT + (entry % SLOTS) * 4096) ?? 0;
      if (found < entry && !this.cut.has(entry))
        throw new Error(`the head says ${head}, the log has ${found} where ${entry} should be`);
    }
  }

  async crash(kind: 'power' | 'process'): Promise<void> {
    this.machine = this.machine.crash(kind);
    this.cut.add(this.entry);
    if (kind === 'power') this.disordered = this.entry;
    const head = this.machine.disks.get('disk0')?.now.readUInt32LE(0) ?? 0;
    expect(head).toBeGreaterThanOrEqual(this.flushedEntry);
    await this.open();
    this.replica = this.durable.held.clone();
    await this.recorder.resumeAfter(this.durable.position);
  }

  async settle(): Promise<void> {
    await catchUp(this.recorder, this.replica);
    await this.keep();
    this.checkOrder();
    for (const id of Object.keys(SIZES)) {
      const ours = this.replica.disks.get(id);
      const theirs = this.machine.disks.get(id)?.now;
      if (!ours || !theirs || !ours.equals(theirs))
        throw new Error(`${id} differs at ${firstDifference(ours, theirs)}`);
    }
  }
}

function firstDifference(a: Buffer | undefined, b: Buffer | undefined): number {
  for (let at = 0; at < (a?.length ?? 0); at++) if (a?.[at] !== b?.[at]) return at;
  return -1;
}

describe('A recorder of disks', () => {
  it(`gives the appliance the master's disks, whatever happens (${SEEDS} seeds)`, {
    timeout: 100_000,
  }, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      try {
        await tell(seed);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });
});

async function tell(seed: number): Promise<void> {
  const story = new Story(seed);
  await story.open();
  story.replica.position = await story.recorder.restart();
  story.durable = story.snapshot();
  for (let round = 0; round < 4; round++) {
    // Sometimes nobody reads for so long that the spool overflows.
    const interest = story.random(3) === 0 ? 60 : 6;
    const breaks = story.random(6) === 0;
    if (breaks) story.machine.breaksAfter = story.random(60);
    for (let step = 0; step < 40; step++) {
      await story.step();
      if (story.random(interest) === 0) await story.receive();
      if (story.random(25) === 0) await story.checkpoint();
    }
    // Without its spool and maps the guest is served all the same; only a new start mends them.
    const ending = breaks ? 2 + story.random(2) : story.random(4);
    if (ending === 0) await story.settle();
    else if (ending === 1) {
      await story.recorder.close();
      await story.open();
      story.replica = story.durable.held.clone();
      await story.recorder.resumeAfter(story.durable.position);
    } else {
      const under = story.step(); // Cut in the middle of it.
      for (let turns = story.random(8); turns > 0; turns--) await turn();
      void under.catch(() => undefined);
      await story.crash(ending === 2 ? 'power' : 'process');
    }
  }
  await story.settle();
  await story.recorder.close();
}

describe('A recorder that cannot keep the order', () => {
  const open = async (machine: Machine) =>
    await Recorder.open({
      folder: machine.folder(),
      disks: [{ id: 'disk0', device: machine.device('disk0') }],
      excluded: [],
      clock: machine.clock,
      log: silentLog,
      spoolBytes: 256 * KIB,
      segmentBytes: 64 * KIB,
    });
  const write = (recorder: Recorder, offsetBytes: number, bytes: Buffer) =>
    new Promise<void>((resolve, reject) => {
      const done = (error?: unknown) => (error === undefined ? resolve() : reject(error));
      recorder.disks[0]?.submit({
        kind: 'data',
        offsetBytes,
        lengthBytes: bytes.length,
        pieces: [bytes],
        done,
      });
    });
  const begin = async () => {
    const machine = new Machine(makeRandom(5));
    machine.addDisk('disk0', Buffer.alloc(2048 * KIB));
    const recorder = await open(machine);
    await recorder.restart();
    return { machine, recorder, replica: new Replica({ disk0: Buffer.alloc(2048 * KIB) }) };
  };
  const diskOf = (machine: Machine) => machine.disks.get('disk0')?.now ?? Buffer.alloc(0);

  it('counts the whole disk as changed until a copy began', async () => {
    const machine = new Machine(makeRandom(5));
    machine.addDisk('disk0', Buffer.alloc(2048 * KIB, 1));
    const recorder = await open(machine);
    expect(recorder.state()).toMatchObject({ mode: 'set', dirtyBytes: 2048 * KIB });
    const replica = new Replica({ disk0: Buffer.alloc(2048 * KIB) });
    await catchUp(recorder, replica);
    expect(replica.disks.get('disk0')?.equals(diskOf(machine))).toBe(true);
    expect(recorder.state()).toMatchObject({ mode: 'ordered', dirtyBytes: 0 });
    await recorder.close();
  });

  it('serves the guest while the spool is full, says so, and becomes ordered again', async () => {
    const { machine, recorder, replica } = await begin();
    for (let at = 0; at < 1024 * KIB; at += 32 * KIB)
      await write(recorder, at, Buffer.alloc(32 * KIB, 1 + at / 32768));
    const state = recorder.state();
    expect(state).toMatchObject({ mode: 'set', reason: expect.stringContaining('full') });
    expect(state.spooledBytes).toBeLessThanOrEqual(256 * KIB);
    expect(state.dirtyBytes).toBeGreaterThan(0);
    let files = 0;
    for (const [name, { now }] of machine.files) if (name.endsWith('.spool')) files += now.length;
    expect(files).toBeLessThanOrEqual(256 * KIB);
    await catchUp(recorder, replica);
    expect(recorder.state()).toMatchObject({ mode: 'ordered', dirtyBytes: 0 });
    expect(recorder.state().reason).toBeUndefined();
    expect([replica.sets, replica.disks.get('disk0')?.equals(diskOf(machine))]).toEqual([1, true]);
    await write(recorder, 0, Buffer.alloc(512, 9));
    await catchUp(recorder, replica);
    expect([replica.sets, replica.disks.get('disk0')?.[0]]).toEqual([1, 9]);
    await recorder.close();
  });

  it('never gives a record with a turned bit: it says so and reads the disk again', async () => {
    const { machine, recorder, replica } = await begin();
    await write(recorder, 100 * KIB, Buffer.alloc(4096, 5));
    const flushed = recorder.disks[0];
    if (flushed) await recorder.flush(flushed);
    for (const [name, { now }] of machine.files) {
      const at = name.endsWith('.spool') ? now.indexOf(Buffer.alloc(4096, 5)) : -1;
      if (at >= 0) now[at + 77] = 4;
    }
    await catchUp(recorder, replica);
    expect(replica.sets).toBe(1);
    expect(replica.disks.get('disk0')?.equals(diskOf(machine))).toBe(true);
    await recorder.close();
  });

  it('never gives a number twice when the appliance knows more than the spool', async () => {
    const { machine, recorder, replica } = await begin();
    await write(recorder, 0, Buffer.alloc(4096, 5));
    await catchUp(recorder, replica);
    const told = replica.position;
    await recorder.close();
    for (const name of [...machine.files.keys()]) if (name.endsWith('.spool')) machine.files.delete(name);
    const again = await open(machine);
    await again.resumeAfter(told);
    await catchUp(again, replica); // It throws when a number comes again.
    expect(replica.position).toBeGreaterThan(told);
    expect(replica.disks.get('disk0')?.equals(diskOf(machine))).toBe(true);
    await again.close();
  });

  it('killed, and its last record damaged, does not pass another change off as the one the appliance has', async () => {
    const { machine, recorder, replica } = await begin();
    await write(recorder, 0, Buffer.alloc(4096, 5));
    await catchUp(recorder, replica);
    const told = replica.position;
    const next = machine.crash('process');
    for (const [name, { now }] of next.files) {
      const at = name.endsWith('.spool') ? now.indexOf(Buffer.alloc(4096, 5)) : -1;
      if (at >= 0) now[at + 77] = 4;
    }
    const again = await open(next);
    for (let page = 1; page < 6; page++) await write(again, page * 4096, Buffer.alloc(4096, 10 + page));
    await again.resumeAfter(told);
    expect(again.state()).toMatchObject({ mode: 'set', lost: true });
    await catchUp(again, replica);
    expect(replica.disks.get('disk0')?.equals(diskOf(next))).toBe(true);
    await again.close();
  });
});

describe('Its spool', () => {
  it('has nothing to read behind skipped numbers until it is durable', async () => {
    const machine = new Machine(makeRandom(1));
    const spool = await Spool.open({
      folder: machine.folder(),
      limitBytes: 256 * KIB,
      clock: machine.clock,
    });
    spool.skipTo(100);
    expect(spool.hasMore).toBe(false);
    spool.append({ kind: 'flush', disk: 0, offsetBytes: 0, lengthBytes: 0 });
    // A reader that was told otherwise would ask again and again, and never let the sync come through.
    expect(spool.hasMore).toBe(false);
    expect(await spool.read()).toEqual([]);
    await spool.sync();
    expect(spool.hasMore).toBe(true);
    expect((await spool.read()).map(({ sequence }) => sequence)).toEqual([101]);
    expect(spool.hasMore).toBe(false);
    await spool.close();
  });
});
