import type { Clock } from '../clock.ts';
import { isStandbyError, StandbyError } from '../errors.ts';
import { type Journal, openJournal } from '../journal/journal.ts';
import type { JournalLimits } from '../journal/limits.ts';
import type { Target } from '../journal/position.ts';
import { systemFiles } from '../journal/system-files.ts';
import type { Amount } from '../journal/targets.ts';
import type { Log } from '../log.ts';
import type { Checksum } from '../wire/checksum.ts';
import type { Connection, LaneFrames } from '../wire/connection.ts';
import type { ReplicaBookmark, ReplicaPoint, ReplicaProof, Replication } from '../wire/control-session.ts';
import type { Params } from '../wire/messages.ts';
import { ChangeReceiver, type DurableNews } from './change-receiver.ts';
import { journalFolder, journalLimits, openSetFile, rewindChange, rewindLimits } from './journal-room.ts';
import type { ReceivingDisk } from './receiver.ts';
import { closeDisks, openReplicaDisks } from './replica-disks.ts';
import type { LiveRecord, ReplicaSpecOnWire } from './replica-record.ts';
import { replicaUnwritable } from './replica-unwritable.ts';
import { ReplicationFacts } from './replication-facts.ts';
import { StreamFollower } from './stream-follower.ts';
import { type ProofOutcome, proofStopped, StreamProof } from './stream-proof.ts';

/**
 * The stream, the journal and the disks of one live replica while the engine runs. Promises: before anything else the
 * journal brings the disks, in whatever state a crash left them, to a consistent position; one mover at a time (the
 * follower, a proof, a seal); while sealed nothing of the stream is taken and nothing moves. It decides nothing for
 * later: live-phases.ts does. Dies at any line: `open` finds all of it again in journal and record.
 */
export interface LiveWorld {
  readonly stateFolder: string;
  readonly lunsFolder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly checksum: Checksum;
  /** Tests: small journals. */
  readonly journal?: Partial<JournalLimits>;
  hashing<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
}

export interface LiveReplicaOptions {
  readonly world: LiveWorld;
  readonly spec: ReplicaSpecOnWire;
  readonly live: LiveRecord;
  readonly isCompared: boolean;
  /** It needs a new synchronisation: what the journal still has serves a switchover. */
  readonly isLost: boolean;
  /** More is known, for whoever waits for progress. */
  onNews(): void;
  /** The journal or a replica disk refuses. */
  onProblem(error: StandbyError): void;
}

const ROOM_MS = 200;
const IDLE_MS = 1_000;

export class LiveReplica {
  readonly journal: Journal;
  readonly disks: readonly ReceivingDisk[];
  readonly #options: LiveReplicaOptions;
  readonly #receiver: ChangeReceiver;
  readonly #follower: StreamFollower;
  readonly #facts: ReplicationFacts;
  readonly #over = new AbortController();
  readonly #ticking: Promise<void>;
  #accepts = false;
  #proof: StreamProof | undefined;
  #proofEnded: Promise<unknown> = Promise.resolve();
  /** Where the replica stood when the journal was full before: full again without a step is full for good. */
  #stuckAt: bigint | undefined;
  /** While the disks are held: there is no room for more of the stream. */
  #onNoRoom: ((why: string) => void) | undefined;

  private constructor(
    options: LiveReplicaOptions,
    parts: {
      readonly journal: Journal;
      readonly disks: readonly ReceivingDisk[];
      readonly unapplied: Amount;
    },
  ) {
    const { world, spec, live, isCompared } = options;
    const { clock, log, checksum, stateFolder } = world;
    this.#options = options;
    this.journal = parts.journal;
    this.disks = parts.disks;
    const { journal } = parts;
    this.#facts = new ReplicationFacts({
      originSequence: BigInt(live.originSequence),
      receivedSequence: journal.durablePosition.sequence,
      unapplied: parts.unapplied,
      isCompared,
      applied: this.#appliedAt(),
      consistentAtMs: journal.usage().markedAtMs,
    });
    this.#follower = new StreamFollower({
      journal,
      clock,
      onMoved: () => this.#moved(),
      onProblem: (error) => options.onProblem(error),
    });
    this.#receiver = new ChangeReceiver({
      journal,
      disks: spec.disks.map(({ diskId }) => diskId),
      checksum,
      clock,
      log,
      openSet: openSetFile(stateFolder, spec.scenarioId, spec.epoch),
      onDurable: (news) => this.#received(news),
      untilRoom: (error, signal) => this.#untilRoom(error, signal),
      onProblem: (error) => options.onProblem(error),
    });
    this.#ticking = this.#tick();
  }

  static async open(options: LiveReplicaOptions): Promise<LiveReplica> {
    const { world, spec, live } = options;
    const { stateFolder, lunsFolder, clock, log } = world;
    const disks = await openReplicaDisks(spec, stateFolder, lunsFolder, log);
    let journal: Journal | undefined;
    try {
      const folder = journalFolder(stateFolder, spec.scenarioId, spec.epoch);
      const { segmentBytes } = live;
      journal = await openJournal({
        folder,
        scenarioId: spec.scenarioId,
        epoch: spec.epoch,
        originSequence: BigInt(live.originSequence),
        disks: spec.disks.map(({ diskId, sizeBytes }) => ({ diskId, sizeBytes })),
        files: systemFiles,
        clock,
        limits: await journalLimits(stateFolder, folder, {
          ...world.journal,
          ...rewindChange(spec.rewind),
          segmentBytes,
        }),
        onNotice: ({ code, text }) => log.warn(text, { scenarioId: spec.scenarioId, code }),
      });
      if (!options.isLost && journal.state.kind !== 'damaged')
        journal.assertHolds(BigInt(live.knownSequence));
      await journal.attach(new Map(disks.map(({ diskId, device }) => [diskId, device])));
      const unapplied = await journal.countUnapplied();
      return new LiveReplica(options, { journal, disks, unapplied });
    } catch (error) {
      await journal?.close();
      await closeDisks(disks);
      throw replicaUnwritable(error);
    }
  }

  /** Of the stream, marks included. */
  get durableSequence(): bigint {
    return this.#receiver.durableSequence;
  }

  get isProving(): boolean {
    return this.#proof !== undefined;
  }

  get isHeld(): boolean {
    return this.#follower.isHeld;
  }

  // --- the stream

  /** From here on a connection for changes is taken. */
  accept(): void {
    this.#accepts = true;
  }

  async openChanges(connection: Connection): Promise<{ after: bigint; lane: LaneFrames }> {
    if (!this.#accepts) throw streamNotWanted();
    return await this.#receiver.open(connection);
  }

  hear({ state }: Params<'streamState'>): void {
    this.#facts.hear(state, this.#options.world.clock.now());
    this.#options.onNews();
  }

  /** From here on the replica follows. */
  follow(): void {
    this.#follower.start();
  }

  /** Nothing of the stream is taken and nothing moves when this returns. */
  async quiet(reason: string): Promise<void> {
    this.#accepts = false;
    this.#proof?.abort(reason);
    await this.#proofEnded;
    await this.#receiver.end(reason);
    await this.#follower.stop();
  }

  /** From here on the disks stand still at the last consistent position; the stream is taken as before. */
  async hold(onNoRoom: (why: string) => void): Promise<{ sequence: string; timeMs: number }> {
    await this.#follower.hold();
    try {
      const { sequence, timeMs } = await this.moveTo({ latest: true }, true);
      this.#onNoRoom = onNoRoom;
      return { sequence, timeMs };
    } catch (error) {
      this.release();
      throw error;
    }
  }

  release(): void {
    this.#onNoRoom = undefined;
    this.#follower.release();
  }

  // --- the proof

  /** Throws PROOF_STOPPED when it was given up. The follower goes on afterwards if it was on before. */
  async prove(session: Connection, isRewindable: boolean): Promise<ProofOutcome> {
    this.#proof?.abort('a newer one begins');
    await this.#proofEnded;
    if (this.isHeld) throw proofStopped('its disks are held');
    const ended = Promise.withResolvers<void>();
    this.#proofEnded = ended.promise;
    const { spec, world } = this.#options;
    const proof = new StreamProof({
      scenarioId: spec.scenarioId,
      journal: this.journal,
      receiver: this.#receiver,
      disks: this.disks,
      session,
      isRewindable,
      hashing: (work, signal) => world.hashing(work, signal),
    });
    this.#proof = proof;
    const follows = this.#follower.isOn;
    await this.#follower.stop();
    try {
      return await proof.run();
    } catch (error) {
      proof.signal.throwIfAborted();
      throw error;
    } finally {
      if (this.#proof === proof) this.#proof = undefined;
      if (follows && this.#accepts) this.#follower.start();
      ended.resolve();
      this.#moved();
    }
  }

  proving(sequence: string): void {
    this.#proof?.tellPosition(BigInt(sequence));
  }

  proven({ sequence, digests }: Params<'streamProven'>): void {
    this.#proof?.tellDigests(BigInt(sequence), digests);
  }

  /** Another one may begin. */
  giveUpProof(reason: string): void {
    this.#proof?.abort(reason);
  }

  // --- positions

  /** Brings the replica to a point, once all is quiet; answers where it stands. */
  async moveTo(
    point: ReplicaPoint,
    drain: boolean,
  ): Promise<{ sequence: string; timeMs: number; leftOutChanges: number }> {
    if ('latest' in point) {
      if (drain) await this.#toLast();
    } else await this.#toTarget(targetOf(point));
    for (const { device } of this.disks) await device.sync();
    const leftOut = await this.journal.countUnapplied();
    this.#facts.recount(leftOut, this.#appliedAt());
    return {
      sequence: String(this.journal.appliedPosition.sequence),
      timeMs: this.journal.usage().appliedAtMs,
      leftOutChanges: leftOut.changes,
    };
  }

  async bookmark(name: string): Promise<ReplicaBookmark> {
    const { position, timeMs } = await this.journal.bookmark(name);
    return { name, sequence: String(position.sequence), timeMs };
  }

  bookmarks(): { bookmarks: ReplicaBookmark[]; rewindFromMs: number } {
    const bookmarks = this.journal.bookmarks().map(({ name, position, timeMs }) => {
      return { name, sequence: String(position.sequence), timeMs };
    });
    return { bookmarks, rewindFromMs: this.journal.usage().rewindFromMs };
  }

  keepRewind(rewind: ReplicaSpecOnWire['rewind']): Promise<void> {
    return this.journal.keepRewind(rewindLimits(this.journal.usage().limitBytes, rewind));
  }

  replication(proof: ReplicaProof | undefined): Replication {
    const { state, durablePosition } = this.journal;
    const view = { state, usage: this.journal.usage(), durableSequence: durablePosition.sequence };
    return this.#facts.tell(view, proof, this.isProving, this.#options.world.clock.now());
  }

  async close(reason: string): Promise<void> {
    this.#over.abort();
    await this.quiet(reason);
    await this.#ticking;
    await this.journal.close();
    await closeDisks(this.disks);
  }

  // --- inside

  #appliedAt(): { sequence: bigint; timeMs: number } {
    return {
      sequence: this.journal.appliedPosition.sequence,
      timeMs: this.journal.usage().appliedAtMs,
    };
  }

  #received(news: DurableNews): void {
    const { clock } = this.#options.world;
    this.#facts.receive(news, this.journal.markedPosition?.sequence, clock.now());
    this.#stuckAt = undefined;
    this.#follower.kick();
  }

  #moved(): void {
    this.#facts.moved(this.#appliedAt());
    this.#options.onNews();
  }

  async #tick(): Promise<void> {
    const { clock } = this.#options.world;
    while (!this.#over.signal.aborted) {
      await clock.sleep(IDLE_MS, this.#over.signal).catch(() => undefined); // Closed: the loop ends.
      this.#receiver.markIdle();
      this.#follower.kick();
    }
  }

  /** A full journal empties itself while the replica follows; during a copy, once it is over. */
  async #untilRoom(error: StandbyError, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options.world;
    this.#options.onNews();
    this.#onNoRoom?.(error.what);
    const { appliedPosition, markedPosition } = this.journal;
    const isAtEnd = (markedPosition?.sequence ?? 0n) <= appliedPosition.sequence;
    const isMoving = this.#follower.isOn || this.#proof !== undefined;
    if (error.code === 'JOURNAL_FULL' && isMoving && isAtEnd) {
      if (this.#stuckAt === appliedPosition.sequence) throw journalTooSmall(error);
      this.#stuckAt = appliedPosition.sequence;
    } else this.#stuckAt = undefined;
    if (this.#proof && !isAtEnd && !this.#proof.makeRoom()) {
      this.#proof.abort('the journal was full before its position was known');
    }
    this.#follower.kick();
    await clock.sleep(ROOM_MS, signal).catch(() => undefined); // The connection has ended: the caller looks.
  }

  /** With a damaged journal the last position that can be reached is where it stands. */
  async #toLast(): Promise<void> {
    try {
      await this.journal.applyTo();
    } catch (error) {
      const isWhole = this.journal.isReplicaConsistent;
      if (!isStandbyError(error) || error.code !== 'JOURNAL_DAMAGED' || !isWhole) throw error;
    }
  }

  async #toTarget(target: Target): Promise<void> {
    try {
      await this.journal.applyTo(target);
    } catch (error) {
      if (!isStandbyError(error) || error.code !== 'WRONG_WAY') throw error;
      const oneWay = this.journal.state.kind === 'damaged';
      await this.journal.rewind(target, { oneWay });
    }
  }
}

function targetOf(point: Exclude<ReplicaPoint, { readonly latest: true }>): Target {
  return 'sequence' in point ? { sequence: BigInt(point.sequence) } : point;
}

export function streamNotWanted(): StandbyError {
  return new StandbyError({
    code: 'STREAM_NOT_WANTED',
    what: 'The appliance does not follow this scenario now.',
    retry: 'later',
  });
}

function journalTooSmall(cause: StandbyError): StandbyError {
  return new StandbyError({
    code: 'JOURNAL_TOO_SMALL',
    what: 'Changes that belong together do not fit into the journal, and nothing in it can be applied before them.',
    why: cause.what,
    next: 'Give the appliance a larger journal disk, then resynchronise the scenario.',
    cause,
  });
}
