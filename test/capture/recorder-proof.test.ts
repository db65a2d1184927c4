import { describe, expect, it } from 'vitest';
import { LEAF_BYTES, leafOf } from '../../src/block/digest.ts';
import type { QuickDevice } from '../../src/block/open-device.ts';
import type { StreamProof } from '../../src/capture/capture.ts';
import { Recorder } from '../../src/capture/recorder.ts';
import { silentLog } from '../../src/log.ts';
import { Machine } from './faulty-storage.ts';
import { catchUp, follow, makeRandom, Replica } from './rig.ts';

const MIB = 1024 * 1024;
const SIZE = 6 * MIB;

/** A recorder whose disk answers reads of chunks only when the test lets it. */
class Bench {
  readonly machine = new Machine(makeRandom(11));
  readonly replica = new Replica({ disk0: Buffer.alloc(SIZE) });
  readonly asked: number[] = [];
  /** Chunks whose reads wait. */
  readonly blocked = new Map<number, PromiseWithResolvers<void>>();
  fails = false;
  recorder!: Recorder;

  async open(): Promise<this> {
    this.machine.addDisk('disk0', Buffer.alloc(SIZE));
    this.recorder = await Recorder.open({
      folder: this.machine.folder(),
      disks: [{ id: 'disk0', device: this.#device() }],
      excluded: [],
      clock: this.machine.clock,
      log: silentLog,
      spoolBytes: 2 * MIB,
      segmentBytes: 512 * 1024,
    });
    this.replica.position = await this.recorder.restart();
    return this;
  }

  #device(): QuickDevice {
    const device = this.machine.device('disk0');
    return {
      ...device,
      read: async (target, offsetBytes) => {
        if (target.byteLength === MIB) {
          const chunk = offsetBytes / MIB;
          this.asked.push(chunk);
          await this.blocked.get(chunk)?.promise;
          if (this.fails) throw Object.assign(new Error('EIO: planted'), { code: 'EIO' });
        }
        await device.read(target, offsetBytes);
      },
    };
  }

  block(...chunks: number[]): void {
    for (const chunk of chunks) this.blocked.set(chunk, Promise.withResolvers());
  }

  letGo(chunk: number): void {
    this.blocked.get(chunk)?.resolve();
    this.blocked.delete(chunk);
  }

  write(offsetBytes: number, fill: number, lengthBytes = 4096): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: unknown) => (error === undefined ? resolve() : reject(error));
      const pieces = [Buffer.alloc(lengthBytes, fill)];
      this.recorder.disks[0]?.submit({ kind: 'data', offsetBytes, lengthBytes, pieces, done });
    });
  }

  /** Resolves when the position stands, with the proof under way. */
  begin(signal = new AbortController().signal): Promise<{ position: bigint; proof: Promise<StreamProof> }> {
    return new Promise((resolve, reject) => {
      const onPosition = (position: bigint) => resolve({ position, proof });
      const proof = this.recorder.prove({ signal, onPosition });
      proof.catch(reject);
    });
  }

  async turns(count: number): Promise<void> {
    await this.machine.clock.sleep(count);
  }
}

async function isWaiting(bench: Bench, work: Promise<unknown>): Promise<boolean> {
  let isOver = false;
  void work.then(
    () => {
      isOver = true;
    },
    () => {
      isOver = true;
    },
  );
  await bench.turns(300);
  return !isOver;
}

describe('A proof of recorded disks', () => {
  it('lets a write wait for its own chunk only, takes that one first, and hashes what was there before', async () => {
    const bench = await new Bench().open();
    await bench.write(4 * MIB, 7);
    bench.block(0, 1);
    const { proof, position } = await bench.begin();
    const blocked = bench.write(100, 9);
    expect(await isWaiting(bench, blocked)).toBe(true);
    // Both readers are held: a chunk that somebody waits for comes next, before the row goes on.
    const hurried = bench.write(5 * MIB, 9);
    bench.letGo(1);
    expect(await isWaiting(bench, hurried)).toBe(true); // It came behind the write that still waits.
    expect(bench.asked.slice(0, 3)).toEqual([0, 1, 5]);
    bench.letGo(0);
    await Promise.all([blocked, hurried]);
    const { sequence, disks } = await proof;
    expect(sequence).toBe(position);
    const before = Buffer.alloc(SIZE);
    before.fill(7, 4 * MIB, 4 * MIB + 4096);
    for (let chunk = 0; chunk < SIZE / MIB; chunk++) {
      const leaf = await leafOf(before.subarray(chunk * MIB, (chunk + 1) * MIB));
      const leaves = disks.get('disk0')?.leaves;
      expect(leaves?.subarray(chunk * LEAF_BYTES, (chunk + 1) * LEAF_BYTES)).toEqual(Buffer.from(leaf));
    }
    await bench.recorder.close();
  });

  it('that is given up, or cannot read, lets every write go on', async () => {
    for (const way of ['given up', 'unreadable'] as const) {
      const bench = await new Bench().open();
      bench.block(0, 1);
      const over = new AbortController();
      const { proof } = await bench.begin(over.signal);
      const writes = [bench.write(0, 1), bench.write(3 * MIB, 2), bench.write(0, 3)];
      expect(await isWaiting(bench, Promise.all(writes))).toBe(true);
      if (way === 'given up') over.abort(new Error('no longer wanted'));
      else bench.fails = true;
      bench.letGo(0);
      bench.letGo(1);
      const told = way === 'given up' ? 'no longer wanted' : 'EIO';
      await expect(proof).rejects.toThrow(told);
      await Promise.all(writes);
      await catchUp(bench.recorder, bench.replica);
      expect(bench.replica.disks.get('disk0')?.[0]).toBe(3);
      await bench.recorder.close();
    }
  });

  it('waits while the order is lost, and is of a position behind the set', async () => {
    const bench = await new Bench().open();
    for (let at = 0; at < SIZE; at += 256 * 1024) await bench.write(at, 1 + at / 262144, 256 * 1024);
    expect(bench.recorder.state().mode).toBe('set');
    let position: bigint | undefined;
    const proof = bench.recorder.prove({
      signal: new AbortController().signal,
      onPosition: (at) => {
        position = at;
      },
    });
    await bench.turns(300);
    expect(position).toBeUndefined();
    await catchUp(bench.recorder, bench.replica);
    const { sequence } = await proof;
    expect([position, bench.replica.sets]).toEqual([sequence, 1]);
    await bench.recorder.close();
  });

  it('is void when a full copy begins meanwhile', async () => {
    const bench = await new Bench().open();
    bench.block(0);
    const { proof } = await bench.begin();
    const restarted = bench.recorder.restart();
    bench.letGo(0);
    await expect(proof).rejects.toMatchObject({ code: 'PROOF_VOID', retry: 'later' });
    await restarted;
    await bench.recorder.close();
  });
});

describe('A stream that goes on', () => {
  it('is not lost when the appliance only knows of changes, and the marks behind them were forgotten', async () => {
    const bench = await new Bench().open();
    const first = bench.recorder.disks[0];
    if (!first) throw new Error('no disk');
    const { recorder, replica } = bench;
    // Sooner or later a segment ends with a mark, and the next one holds what was not told yet.
    for (let round = 0; round < 12; round++) {
      await bench.write(round * 131_072, round + 1, 130_000);
      const lastChange = recorder.state().lastSequence;
      await recorder.flush(first);
      await follow(recorder, replica, () => replica.position > lastChange, false);
      await bench.write(4 * MIB, round + 1, 130_000);
      await recorder.acknowledge(replica.position);
      await recorder.resumeAfter(lastChange);
      expect(recorder.state()).toMatchObject({ mode: 'ordered', dirtyBytes: 0 });
      replica.position = lastChange;
      await catchUp(recorder, replica);
    }
    expect(bench.recorder.state().lost).toBeUndefined();
    await bench.recorder.close();
  });
});
