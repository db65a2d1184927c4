import { systemClock } from '../../src/clock.ts';
import { inputError, StandbyError } from '../../src/errors.ts';
import type { DiskDigest } from '../../src/model/scenario.ts';
import type {
  CopyOptions,
  CopyProgress,
  ReplicaBookmark,
  ReplicaProof,
  Replication,
  SealedReplica,
  SealOptions,
} from '../../src/wire/control-session.ts';

/** A live replica in memory: it copies in a few polls, drains, replicates, and keeps bookmarks, as the engine promises. */
export class FakeLive {
  phase: CopyProgress['state'] = 'idle';
  /** Both ends were equal once in this epoch. */
  whole = false;
  masterHere = true;
  /** What the master has written, what is here, and what is on the disks. */
  written = 100n;
  received = 100n;
  applied = 100n;
  /** The master writes this much between two polls. */
  rate = 10n;
  /** The link takes nothing. */
  cut = false;
  /** The follower stands still: what is received stays in the journal. */
  holding = false;
  /** The next start finds that the order is lost. */
  lost = false;
  /** What the next comparison finds. */
  differs = false;
  journal: Replication['journal']['state'] = 'ready';
  rewindShrunkAtMs: number | undefined;
  /** 0: no change came yet since both ends were equal. */
  rewindFromMs: number | undefined;
  /** Numbers of the stream that no change has. */
  marks = 0n;
  error: CopyProgress['error'];
  proof: ReplicaProof | undefined;
  heardAtMs: number | undefined;
  /** Ahead of control's clock, to show whose time is told. */
  masterAheadMs = 0;
  readonly bookmarks: ReplicaBookmark[] = [];
  readonly started: CopyOptions[] = [];
  #polls = 0;
  #provingPolls = 0;
  #before: CopyProgress['state'] = 'idle';
  readonly #digests: () => DiskDigest[];

  constructor(digests: () => DiskDigest[]) {
    this.#digests = digests;
  }

  rewindFrom(): number {
    return this.rewindFromMs ?? this.masterNow() - 3_600_000;
  }

  masterNow(): number {
    return systemClock.now() + this.masterAheadMs;
  }

  start(options: CopyOptions): void {
    this.started.push(options);
    if (this.phase === 'sealed') throw new StandbyError({ code: 'REPLICA_SEALED', what: 'It is sealed.' });
    if (this.phase === 'resync-needed' && this.whole) {
      throw new StandbyError({ code: 'RESYNC_NEEDED', what: 'The replica cannot go on by itself.' });
    }
    if (this.lost) {
      this.lost = false;
      this.needResync('The map is gone.');
      return;
    }
    this.error = undefined;
    this.#polls = 0;
    this.phase = this.whole ? 'replicating' : 'copying';
  }

  needResync(why: string): void {
    this.phase = 'resync-needed';
    this.error = { code: 'STREAM_LOST', what: 'The order of the changes is lost.', why };
  }

  /** The master was rebooted, and the scenario waits for control. */
  waitAfterReboot(): void {
    this.phase = 'idle';
    this.error = { code: 'MASTER_REBOOTED', what: 'The master was rebooted.' };
  }

  stop(): void {
    if (!['resync-needed', 'sealed'].includes(this.phase)) this.phase = 'idle';
  }

  scrub(): void {
    if (this.phase !== 'replicating')
      throw new StandbyError({ code: 'NOT_REPLICATING', what: 'It does not replicate.' });
    this.#provingPolls = 3;
  }

  bookmark(name: string): ReplicaBookmark {
    if (this.bookmarks.some((one) => one.name === name)) {
      throw inputError('BOOKMARK_EXISTS', `There is a bookmark ${name} already.`);
    }
    const made = { name, sequence: String(this.received), timeMs: this.masterNow() };
    this.bookmarks.push(made);
    return made;
  }

  seal({ point = { latest: true }, drain = true }: SealOptions, epoch: number): SealedReplica {
    if (!this.whole) throw new StandbyError({ code: 'NOT_SYNCHRONISED', what: 'Not whole.' });
    if (this.phase !== 'sealed') this.#before = this.phase;
    const leftOut = 'latest' in point && !drain ? Number(this.received - this.applied) : 0;
    let timeMs = this.rewindFromMs === 0 ? 0 : this.masterNow();
    if ('latest' in point) this.applied = drain ? this.received : this.applied;
    if ('bookmark' in point) {
      const found = this.bookmarks.find((one) => one.name === point.bookmark);
      if (!found) throw inputError('BOOKMARK_UNKNOWN', 'There is none.');
      this.applied = BigInt(found.sequence);
      timeMs = found.timeMs;
    }
    if ('timeMs' in point) timeMs = point.timeMs;
    this.phase = 'sealed';
    const position = { sequence: String(this.applied), timeMs, leftOutChanges: leftOut };
    return { epoch, synchronisedAtMs: 1, digests: this.proof?.digests ?? [], position };
  }

  unseal(): void {
    if (this.phase !== 'sealed') return;
    this.phase = this.#before;
    this.applied = this.received;
  }

  progress(facts: { scenarioId: string; epoch: number; totalBytes: number }): CopyProgress {
    this.#live();
    const { totalBytes } = facts;
    const needsMaster = ['copying', 'draining', 'replicating'].includes(this.phase);
    const doneBytes = this.phase === 'copying' ? (totalBytes * this.#polls) / 4 : totalBytes;
    return {
      ...facts,
      state: needsMaster && !this.masterHere ? 'master-away' : this.phase,
      doneBytes,
      sentBytes: doneBytes / 2,
      wireBytes: doneBytes / 4,
      resentBlocks: 0,
      ...(this.whole ? { digests: this.proof?.digests ?? [], endedAtMs: systemClock.now() } : {}),
      ...(this.error ? { error: this.error } : {}),
      replication: this.#replication(),
    };
  }

  #live(): void {
    this.#polls++;
    if (this.masterHere) this.written += this.rate;
    const flows = ['copying', 'draining', 'replicating'].includes(this.phase) && this.masterHere && !this.cut;
    if (flows) {
      this.received = this.written;
      this.heardAtMs = systemClock.now();
    }
    if (this.phase === 'replicating' && !this.holding) this.applied = this.received;
    if (!this.masterHere) return;
    if (this.phase === 'copying' && this.#polls > 3) this.phase = 'draining';
    else if (this.phase === 'draining' && this.#polls > 5) this.#prove();
    if (this.#provingPolls > 0 && --this.#provingPolls === 0) this.#prove();
  }

  #prove(): void {
    this.applied = this.received;
    const equal = !this.differs;
    this.proof = {
      sequence: String(this.applied),
      atMs: systemClock.now(),
      equal,
      digests: this.#digests(),
      ...(equal ? {} : { differing: [{ diskId: 'disk1', bytes: 4096, firstByte: 65_536 }] }),
    };
    this.whole ||= equal;
    if (equal) this.phase = 'replicating';
    else this.needResync('Both ends differ.');
  }

  #replication(): Replication {
    const lag = Number(this.written - this.received);
    const atMs = this.masterNow();
    return {
      originSequence: '100',
      receivedSequence: String(this.received + this.marks),
      appliedSequence: String(this.applied),
      receivedAtMs: atMs - 1000,
      appliedAtMs: atMs - 2000,
      receivedBytes: Number(this.received) * 4096,
      bytesPerSecond: 4096,
      ...(this.heardAtMs === undefined ? {} : { heardAtMs: this.heardAtMs }),
      ...(this.heardAtMs === undefined
        ? {}
        : {
            stream: {
              mode: 'ordered',
              lastSequence: String(this.written + this.marks),
              durableSequence: String(this.written),
              spooledBytes: lag * 4096,
              spoolLimitBytes: 512 * 1024 ** 2,
              dirtyBytes: 0,
              masterClockMs: this.heardAtMs + this.masterAheadMs,
            } as const,
          }),
      ...(this.heardAtMs === undefined
        ? {}
        : { lagSeconds: (systemClock.now() - this.heardAtMs) / 1000, lagBytes: lag * 4096 }),
      journal: {
        state: this.journal,
        usedBytes: 1024 ** 2,
        limitBytes: 1024 ** 3,
        rewindBytes: 512 * 1024,
        rewindFromMs: this.rewindFrom(),
        ...(this.rewindShrunkAtMs === undefined ? {} : { rewindShrunkAtMs: this.rewindShrunkAtMs }),
        unappliedChanges: Number(this.received - this.applied),
        unappliedBytes: Number(this.received - this.applied) * 4096,
      },
      ...(this.proof ? { proof: this.proof } : {}),
      proving: this.#provingPolls > 0,
    };
  }
}
