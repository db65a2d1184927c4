import { readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ChangeReceiver } from '../../src/appliance/change-receiver.ts';
import { StreamFollower } from '../../src/appliance/stream-follower.ts';
import { openFolder } from '../../src/block/files.ts';
import { openDevice, type QuickDevice } from '../../src/block/open-device.ts';
import { Recorder } from '../../src/capture/recorder.ts';
import { type Journal, openJournal } from '../../src/journal/journal.ts';
import { systemFiles } from '../../src/journal/system-files.ts';
import { silentLog } from '../../src/log.ts';
import { ChangeSender } from '../../src/master/change-sender.ts';
import { makeChecksum } from '../../src/wire/checksum.ts';
import { TIMINGS } from '../../src/wire/limits.ts';
import { makeFolder } from '../capture/rig.ts';
import { makeVirtualClock } from '../conformance/replay/virtual-clock.ts';
import { noiseOf } from '../fixtures/engines.ts';
import { IN_MEMORY } from '../fixtures/in-memory.ts';
import { Random } from '../journal/random.ts';
import { Link } from '../path/link.ts';

/**
 * A day in the life of a live master and its replica, both on real files, by a clock that stands still between two
 * bursts of writes: the spool goes round, journal segments come and go, the rewind window of an hour moves on, bookmarks
 * are set and left behind. What one hour takes in memory, descriptors and disk, all later ones take too.
 */
const KIB = 1024;
const MIB = 1024 * KIB;
const HOURS = 24;
const MINUTE_MS = 60_000;
/** By then the window is full, and everything that is kept for the next time has been made. */
const SETTLED_HOURS = 4;
/** Of real time: files are made durable, and the machine may be busy. */
const SETTLES_MS = 20_000;
const DISK_BYTES = 8 * MIB;
const BURSTS_AN_HOUR = 3;
const WRITES = 80;
const LIMITS = {
  segmentBytes: 512 * KIB,
  changeBytes: 64 * KIB,
  groupBytes: 64 * KIB,
  queuedBytes: 256 * KIB,
  pieceBytes: 64 * KIB,
  spaceBytes: 48 * 512 * KIB,
  rewindMs: 60 * MINUTE_MS,
};

let folder: ReturnType<typeof makeFolder>;
beforeEach(() => {
  folder = makeFolder(IN_MEMORY);
});
afterEach(() => folder.remove());

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

interface Taken {
  readonly heapBytes: number;
  readonly descriptors: number;
  readonly diskBytes: number;
}

/** One master, one replica, and what lies between them. */
class Day {
  readonly clock = makeVirtualClock(1_700_000_000_000);
  readonly #random = new Random(24);
  readonly #noise = noiseOf(24);
  readonly #link = new Link(this.#random);
  readonly #ends: (() => Promise<unknown>)[] = [];
  #recorder!: Recorder;
  #journal!: Journal;
  #follower!: StreamFollower;
  #receiver!: ChangeReceiver;
  #problem: unknown;
  #original!: QuickDevice;
  #replica!: QuickDevice;

  async begin(): Promise<void> {
    this.#link.isFaulty = false;
    const { clock } = this;
    const checksum = await makeChecksum();
    this.#original = await this.#disk('disk0');
    this.#replica = await this.#disk('lun1');
    this.#recorder = await Recorder.open({
      folder: await openFolder(join(folder.path, 'master')),
      disks: [{ id: 'disk0', device: this.#original }],
      excluded: [],
      clock,
      log: silentLog,
      spoolBytes: 4 * MIB,
      segmentBytes: 512 * KIB,
    });
    this.#ends.push(() => this.#recorder.close());
    const originSequence = await this.#recorder.restart();
    this.#journal = await openJournal({
      folder: join(folder.path, 'journal'),
      scenarioId: 'churn',
      epoch: 1,
      originSequence,
      disks: [{ diskId: 'disk0', sizeBytes: DISK_BYTES }],
      files: systemFiles,
      clock,
      limits: LIMITS,
    });
    this.#ends.push(() => this.#journal.close());
    await this.#journal.attach(new Map([['disk0', this.#replica]]));
    const onProblem = (error: unknown) => {
      this.#problem ??= error;
    };
    this.#follower = new StreamFollower({
      journal: this.#journal,
      clock,
      onMoved: () => undefined,
      onProblem,
    });
    this.#follower.start();
    this.#ends.push(() => this.#follower.stop());
    this.#receiver = new ChangeReceiver({
      journal: this.#journal,
      disks: ['disk0'],
      checksum,
      clock,
      log: silentLog,
      openSet: { read: async () => undefined, write: async () => undefined },
      onDurable: () => this.#follower.kick(),
      untilRoom: (_error, signal) => clock.sleep(200, signal),
      onProblem,
    });
    this.#link.answer = (connection) => this.#receiver.open(connection);
    const sender = new ChangeSender({
      appliance: { id: 'appliance', address: 'nowhere', port: 1 },
      credentials: { certificatePem: '', keyPem: '', caPem: '' },
      scenarioId: 'churn',
      epoch: 1,
      diskIds: ['disk0'],
      changes: this.#recorder,
      origin: originSequence,
      checksum,
      clock,
      log: silentLog,
      timings: TIMINGS,
      onProblem,
      dial: (lane) => this.#link.dial(lane),
    });
    this.#ends.push(() => sender.stop());
  }

  async #disk(name: string): Promise<QuickDevice> {
    const path = join(folder.path, name);
    writeFileSync(path, '');
    truncateSync(path, DISK_BYTES);
    const device = await openDevice(path, { mode: 'write' });
    this.#ends.push(() => device.close());
    return device;
  }

  /** The link is cut now and then; the guest goes on, and all of it arrives. */
  async burst(): Promise<void> {
    const [disk] = this.#recorder.disks;
    if (!disk) throw new Error('no disk');
    for (let write = 0; write < WRITES; write++) {
      const lengthBytes = 4 * KIB * (1 + this.#random.below(3));
      const offsetBytes = 512 * this.#random.below((DISK_BYTES - lengthBytes) / 512);
      await new Promise<void>((resolve, reject) => {
        const done = (error?: unknown) => (error === undefined ? resolve() : reject(error));
        disk.submit({ kind: 'data', offsetBytes, lengthBytes, pieces: [this.#noise(lengthBytes)], done });
      });
    }
    if (this.#random.chance(0.1)) this.#link.cut();
    await this.#passUntil(this.#recorder.flush(disk));
    await this.#settled();
    this.clock.advance((60 * MINUTE_MS) / BURSTS_AN_HOUR);
  }

  /** A bookmark each hour; now and then the replica is brought back half an hour, and forward again. */
  async hour(index: number): Promise<void> {
    for (let burst = 0; burst < BURSTS_AN_HOUR; burst++) await this.burst();
    await this.#journal.bookmark(`hour ${index}`);
    if (index % 3 !== 0) return;
    await this.#follower.stop();
    await this.#journal.rewind({ timeMs: this.clock.now() - 30 * MINUTE_MS });
    await this.#journal.forward();
    this.#follower.start();
  }

  async #settled(): Promise<void> {
    const { lastSequence } = this.#recorder.state();
    const endMs = performance.now() + SETTLES_MS;
    for (let looks = 0; performance.now() < endMs; looks++) {
      if (this.#problem) throw this.#problem;
      const isReceived = this.#receiver.durableSequence >= lastSequence;
      if (isReceived && this.#journal.usage().unappliedChanges === 0n) return;
      await wait(1);
      this.clock.advance(5);
      if (looks % 100 === 0) this.#receiver.markIdle();
    }
    throw new Error(`not settled: ${lastSequence}, ${this.#receiver.durableSequence}`);
  }

  async #passUntil(work: Promise<unknown>): Promise<void> {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    while (!isDone) {
      await wait(1);
      this.clock.advance(5);
    }
    await done;
  }

  async taken(): Promise<Taken> {
    await turn();
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return {
      heapBytes: heapUsed + arrayBuffers,
      descriptors: readdirSync('/proc/self/fd').length,
      diskBytes: bytesIn(join(folder.path, 'master')) + bytesIn(join(folder.path, 'journal')),
    };
  }

  get journalFacts() {
    const { rewindFromMs } = this.#journal.usage();
    return { rewindMs: this.clock.now() - rewindFromMs, bookmarks: this.#journal.bookmarks().length };
  }

  async expectEqual(): Promise<void> {
    const [ours, theirs] = [Buffer.alloc(DISK_BYTES), Buffer.alloc(DISK_BYTES)];
    await this.#original.read(ours, 0);
    await this.#replica.read(theirs, 0);
    expect(ours.equals(theirs)).toBe(true);
  }

  async end(): Promise<void> {
    this.#link.answer = undefined;
    this.#link.cut();
    for (const end of this.#ends.reverse()) await this.#passUntil(end());
  }
}

function bytesIn(path: string): number {
  return readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
}

/** One look may come at a bad moment. */
function middleHeap(taken: readonly Taken[]): number {
  const sorted = taken.map(({ heapBytes }) => heapBytes).toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

it('24 hours of writes leave memory, descriptors and disk as they were, and the replica equal', async () => {
  const day = new Day();
  await day.begin();
  const hours: Taken[] = [];
  for (let hour = 0; hour < HOURS; hour++) {
    await day.hour(hour);
    hours.push(await day.taken());
  }
  const [early, late] = [hours.slice(SETTLED_HOURS, SETTLED_HOURS + 6), hours.slice(-6)];
  for (const { descriptors, diskBytes } of late) {
    expect(descriptors).toBeLessThanOrEqual(Math.max(...early.map((one) => one.descriptors)));
    expect(diskBytes).toBeLessThanOrEqual(
      Math.max(...early.map((one) => one.diskBytes)) + 2 * LIMITS.segmentBytes,
    );
  }
  expect(middleHeap(late)).toBeLessThan(middleHeap(early) + 2 * MIB);
  // Otherwise nothing was ever given back, and nothing would have shown.
  expect(day.journalFacts.rewindMs).toBeLessThan(90 * MINUTE_MS);
  expect(day.journalFacts.bookmarks).toBeLessThanOrEqual(3);
  await day.expectEqual();
  await day.end();
}, 300_000);
