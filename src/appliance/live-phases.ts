import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import { DEFAULT_LIMITS } from '../journal/limits.ts';
import { type Connection, fromWire, type LaneFrames, toWire } from '../wire/connection.ts';
import type { ReplicaBookmark, Replication, SealedReplica, SealOptions } from '../wire/control-session.ts';
import { protocolBroken } from '../wire/frame.ts';
import type { Params, WireError } from '../wire/messages.ts';
import { journalFolder, journalLimits, removeJournals } from './journal-room.ts';
import { LiveReplica, type LiveWorld, streamNotWanted } from './live-replica.ts';
import type { ReceivingDisk } from './receiver.ts';
import type { ReplicaBook } from './replica-book.ts';
import { isAway } from './replica-copy.ts';
import type { LiveRecord } from './replica-record.ts';
import { StreamAsks } from './stream-asks.ts';
import { forgetDiffering, type ProofOutcome, replicaProof, replicaStrays } from './stream-proof.ts';

/**
 * The phases of a replica that follows its master: stream, copy, drain, proof, replicating (docs/WIRE.md). Promises:
 * each phase is on disk before its work begins; `replicating` is said only after both ends agreed at one position; what
 * cannot go on says `resync-needed` with the reason, and the replica stays at its last consistent position.
 * Dies at any line: record, journal and chunk maps say how far it came, and `launch` goes on from there.
 */
export interface PhasesHost {
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  session(): Connection | undefined;
  launchCopy(session: Connection): Promise<void>;
  endCopy(reason: string): Promise<void>;
  /** The copy begins anew, and the disks are not blank any more. */
  forgetChunks(): Promise<void>;
  fail(error: unknown): Promise<void>;
}

/** So many proofs in a row with differences are no chance: a disk is broken. */
const PROOFS_MAX = 5;
/** Before a proof that was given up begins anew. */
const AGAIN_MS = 200;
/** Journals that say this cannot be gone on with. */
const LOST = /^(JOURNAL_(DAMAGED|FOREIGN|VERSION|LOST|WRITE_FAILED|TOO_SMALL)|REPLICA_INCONSISTENT)$/;

export class LivePhases {
  readonly #world: LiveWorld;
  readonly #book: ReplicaBook;
  readonly #host: PhasesHost;
  readonly #asks: StreamAsks;
  #live: LiveReplica | undefined;
  #proofs = 0;
  #problem: { readonly error: WireError; readonly at: bigint | undefined } | undefined;

  constructor(world: LiveWorld, book: ReplicaBook, host: PhasesHost) {
    this.#world = world;
    this.#book = book;
    this.#host = host;
    this.#asks = new StreamAsks(book, world.log, () => host.session());
  }

  get #record() {
    return this.#book.record;
  }

  /** The disks of the replica: opened once for copy and journal. */
  get disks(): readonly ReceivingDisk[] {
    if (!this.#live) throw new RangeError('the replica is not open');
    return this.#live.disks;
  }

  get replica(): LiveReplica | undefined {
    return this.#live;
  }

  /** At the engine's start: the journal settles the disks before anything else. What fails is tried again when needed. */
  async load(): Promise<void> {
    const { live, spec, phase } = this.#record;
    if (!live) return;
    try {
      await this.#open(live);
    } catch (error) {
      const { log } = this.#world;
      log.error('the replica cannot be opened', { scenarioId: spec.scenarioId, error: messageOf(error) });
      if (isStandbyError(error) && LOST.test(error.code) && phase !== 'resync-needed')
        await this.#mark(error);
    }
  }

  /** In turn. The master is here and the copy is wanted. */
  async launch(session: Connection): Promise<void> {
    if (this.#record.live) {
      const live = this.#live ?? (await this.#open(this.#record.live));
      live.accept();
      await this.#asks.start(session, false);
    } else {
      await this.#begin(session);
    }
    if (this.#record.live?.whole) await this.#replicate(session);
    else {
      await this.#book.save({ phase: 'copying' });
      await this.#host.launchCopy(session);
    }
  }

  /** In turn. Every chunk is durable: what came meanwhile is applied, and both ends look at the same position. */
  async copied(): Promise<void> {
    await this.#host.endCopy('all is copied');
    await this.#book.save({ phase: 'draining' });
    this.#prove();
  }

  /** In turn. */
  async scrub(): Promise<void> {
    const { live, phase } = this.#record;
    if (!live || phase !== 'replicating') throw notReplicating(phase);
    if (!this.#host.session()) throw notReplicating('waiting for its master');
    if (this.#live?.isProving) return;
    await this.#book.save({ live: { ...live, scrub: true } });
    this.#prove();
  }

  /** In turn. Nothing is taken or moved any more; the master keeps what changes. */
  async stop(reason: string): Promise<void> {
    await this.#live?.quiet(reason);
    if (this.#record.live) this.#asks.stop(false);
    await this.#remember();
  }

  /** In turn. Nothing of the stream stays: another one begins, or none. */
  async drop(reason: string, forget: boolean): Promise<void> {
    if (!this.#record.live) return;
    await this.close(reason);
    if (forget) this.#asks.stop(true);
    await this.#book.save({ live: undefined });
    await removeJournals(this.#world.stateFolder, this.#record.spec.scenarioId);
  }

  /** In turn. The disks are let go. */
  async close(reason: string): Promise<void> {
    const live = this.#live;
    this.#live = undefined;
    await live?.close(reason);
  }

  /** In turn. */
  async seal(options: SealOptions): Promise<NonNullable<SealedReplica['position']>> {
    const live = await this.opened();
    await live.quiet('the replica is sealed');
    try {
      const position = await live.moveTo(options.point ?? { latest: true }, options.drain ?? true);
      await this.#remember();
      return position;
    } catch (error) {
      if (!this.#record.sealed) this.#goOn(live);
      throw error;
    }
  }

  /** In turn. Forward again, wherever the seal had brought it. */
  async unseal(): Promise<void> {
    if (!this.#record.live) return;
    const live = await this.opened();
    this.#goOn(live);
    if (!this.#record.wanted) await live.moveTo({ latest: true }, true);
  }

  async bookmark(name: string): Promise<ReplicaBookmark> {
    if (!this.#record.live?.whole) throw notReplicating(this.#record.phase);
    return await (await this.opened()).bookmark(name);
  }

  async bookmarks(): Promise<{ bookmarks: ReplicaBookmark[]; rewindFromMs: number }> {
    if (!this.#record.live) throw notReplicating(this.#record.phase);
    return (await this.opened()).bookmarks();
  }

  /** In turn. */
  async keepRewind(): Promise<void> {
    await this.#live?.keepRewind(this.#record.spec.rewind);
  }

  replication(): Replication | undefined {
    return this.#live?.replication(this.#record.live?.proof);
  }

  giveUpAsking(reason: string): void {
    this.#asks.giveUp(reason);
  }

  // --- what the master does

  async openChanges(epoch: number, connection: Connection): Promise<{ after: bigint; lane: LaneFrames }> {
    if (!this.#live || epoch !== this.#record.spec.epoch) throw streamNotWanted();
    return await this.#live.openChanges(connection);
  }

  /** What the master said of its stream and has not taken back by sending changes. */
  get problemNow(): WireError | undefined {
    const { durableSequence } = this.#live ?? {};
    return this.#problem && this.#problem.at === durableSequence ? this.#problem.error : undefined;
  }

  hear(params: Params<'streamState'>): void {
    this.#live?.hear(params);
  }

  proving(sequence: string): void {
    this.#live?.proving(sequence);
  }

  proven(params: Params<'streamProven'>): void {
    this.#live?.proven(params);
  }

  /** One that passes by itself is only shown. */
  problem({ error, lost }: Params<'streamProblem'>): void {
    const problem = fromWire(error);
    const { scenarioId } = this.#record.spec;
    this.#world.log.warn('the master has a problem with its stream', { scenarioId, error: problem.message });
    if (lost) this.#lose(problem);
    else if (problem.retry === 'later') this.#show(error);
    else void this.#host.inTurn(() => this.#host.fail(problem));
  }

  masterLeft(): void {
    this.#live?.giveUpProof('the master left');
  }

  // --- inside

  #show(error: WireError): void {
    if (error.code.startsWith('PROOF_')) this.#live?.giveUpProof(error.what);
    this.#problem = { error, at: this.#live?.durableSequence };
    this.#book.tellChange();
  }

  async #begin(session: Connection): Promise<void> {
    const { spec, identities } = this.#record;
    const { stateFolder } = this.#world;
    // What an earlier attempt copied is older than the stream that begins now.
    if (identities.length > 0) await this.#host.forgetChunks();
    const { originSequence } = await this.#asks.start(session, true);
    if (originSequence === undefined) throw protocolBroken('no sequence to begin a stream with');
    await removeJournals(stateFolder, spec.scenarioId);
    const folder = journalFolder(stateFolder, spec.scenarioId, spec.epoch);
    const limits = await journalLimits(stateFolder, folder, { ...this.#world.journal });
    const live: LiveRecord = {
      originSequence,
      segmentBytes: limits.segmentBytes ?? DEFAULT_LIMITS.segmentBytes,
      whole: false,
      scrub: false,
      knownSequence: originSequence,
    };
    await this.#book.save({ live });
    (await this.#open(live)).accept();
  }

  async #replicate(session: Connection): Promise<void> {
    await this.#book.save({ phase: 'replicating' });
    this.#live?.follow();
    if (this.#record.live?.scrub && session.isOpen) this.#prove();
  }

  #goOn(live: LiveReplica): void {
    const { wanted, phase } = this.#record;
    if (!wanted) return;
    live.accept();
    if (phase === 'replicating') live.follow();
  }

  async opened(): Promise<LiveReplica> {
    const { live } = this.#record;
    if (!live) throw notReplicating(this.#record.phase);
    return this.#live ?? (await this.#open(live));
  }

  async #open(live: LiveRecord): Promise<LiveReplica> {
    const { spec, options, phase, wanted, sealed } = this.#record;
    const opened: LiveReplica = await LiveReplica.open({
      world: this.#world,
      spec,
      live,
      isCompared: options?.capture !== 'nbd',
      isLost: phase === 'resync-needed',
      onNews: () => this.#book.tellChange(),
      onProblem: (error) => void this.#host.inTurn(async () => this.#live === opened && this.trouble(error)),
    });
    this.#live = opened;
    // What is in the journal goes on the disks even while the master is away.
    if (live.whole && wanted && !sealed && phase === 'replicating') opened.follow();
    const { error } = opened.journal.state;
    if (error && LOST.test(error.code) && phase !== 'resync-needed') this.#lose(error);
    return opened;
  }

  #prove(): void {
    const session = this.#host.session();
    const live = this.#live;
    if (!session || !live || live.isHeld) return; // It begins again when the master is back, or the hold is over.
    const isWhole = this.#record.live?.whole ?? false;
    const isCurrent = () => this.#live === live && !this.#record.sealed && this.#record.wanted;
    live.prove(session, isWhole).then(
      (outcome) =>
        void this.#host.inTurn(
          async () => isCurrent() && this.#proven(outcome).catch((e) => this.trouble(e)),
        ),
      (error: unknown) => void this.#host.inTurn(async () => isCurrent() && this.#unproven(error, session)),
    );
    this.#book.tellChange();
  }

  async #unproven(error: unknown, session: Connection): Promise<void> {
    const { log } = this.#world;
    const { scenarioId } = this.#record.spec;
    log.warn('the proof did not end', { scenarioId, error: messageOf(error) });
    const isPassing = isStandbyError(error) && error.retry === 'later';
    if (!isPassing) return await this.trouble(error);
    if (error.code === 'PROOF_STOPPED') {
      await this.#world.clock.sleep(AGAIN_MS);
      if (session.isOpen && session === this.#host.session()) this.#prove();
    } else session.close('it did not answer for the proof');
  }

  async #proven(outcome: ProofOutcome): Promise<void> {
    const { sequence, digests, differences } = outcome;
    const { live, spec } = this.#record;
    if (!live) return;
    const nowMs = this.#world.clock.now();
    const equal = differences.length === 0;
    const proof = replicaProof(outcome, nowMs);
    const proven = { ...live, proof, scrub: false };
    if (equal) {
      this.#proofs = 0;
      const known = String(this.#live?.journal.durablePosition.sequence ?? live.knownSequence);
      const done = { digests: [...digests], synchronisedAtMs: nowMs, endedAtMs: nowMs, error: undefined };
      await this.#book.save({
        ...done,
        phase: 'replicating',
        live: { ...proven, whole: true, knownSequence: known },
      });
      this.#live?.follow();
      this.#world.log.info('equal to its master', {
        scenarioId: spec.scenarioId,
        sequence: String(sequence),
      });
      return;
    }
    await this.#book.save({ live: proven });
    const error = replicaStrays(differences, sequence);
    if (live.whole || ++this.#proofs >= PROOFS_MAX) return await this.#giveUp(error);
    await forgetDiffering(differences);
    const disks = spec.disks.map((disk) => ({ ...disk, blank: false }));
    await this.#book.save({ phase: 'copying', spec: { ...spec, disks } });
    const session = this.#host.session();
    if (!session) return;
    await this.#host.launchCopy(session).catch((failed: unknown) => {
      if (!isAway(failed)) throw failed;
      session.close('it did not take the copy');
    });
  }

  /** In turn. Ends what is under way: for good when only a new synchronisation helps. */
  async trouble(error: unknown): Promise<void> {
    if (this.#record.live && isStandbyError(error) && LOST.test(error.code)) await this.#giveUp(error);
    else await this.#host.fail(error);
  }

  #lose(error: StandbyError): void {
    void this.#host.inTurn(() => this.#giveUp(error));
  }

  async #giveUp(error: StandbyError): Promise<void> {
    if (this.#record.phase === 'resync-needed' || !this.#record.live) return;
    await this.#host.endCopy('a new synchronisation is needed');
    await this.#live?.quiet('a new synchronisation is needed');
    this.#asks.stop(false);
    await this.#mark(error);
  }

  async #mark(error: StandbyError): Promise<void> {
    const { log, clock } = this.#world;
    const { scenarioId } = this.#record.spec;
    log.error('a new synchronisation is needed', { scenarioId, code: error.code, error: messageOf(error) });
    const wireError = toWire(error, log, 'the stream');
    const ended = { wanted: false, error: wireError, endedAtMs: clock.now() };
    await this.#book.save({ ...ended, phase: 'resync-needed' });
  }

  /** What the journal holds now is held for good: the next start asks for it. */
  async #remember(): Promise<void> {
    const { live } = this.#record;
    if (!live || !this.#live) return;
    const knownSequence = String(this.#live.journal.durablePosition.sequence);
    if (knownSequence !== live.knownSequence) await this.#book.save({ live: { ...live, knownSequence } });
  }
}

function notReplicating(phase: string): StandbyError {
  return new StandbyError({
    code: 'NOT_REPLICATING',
    what: 'The replica does not follow its master now.',
    why: `It is ${phase}.`,
    next: 'Run the scenario until it is replicating.',
  });
}
