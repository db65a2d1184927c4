import { isStandbyError, messageOf } from '../errors.ts';
import { makeInTurn } from '../in-turn.ts';
import type { DiskDigest } from '../model/scenario.ts';
import { type Connection, fromWire, type LaneFrames, toWire } from '../wire/connection.ts';
import type { CopyProgress, ReplicaBookmark, SealedReplica, SealOptions } from '../wire/control-session.ts';
import type { Timings } from '../wire/limits.ts';
import type { Params, Result, WireError } from '../wire/messages.ts';
import type { Bandwidth } from './bandwidth.ts';
import { removeJournals } from './journal-room.ts';
import { LivePhases } from './live-phases.ts';
import type { LiveWorld } from './live-replica.ts';
import { ReplicaBook } from './replica-book.ts';
import { isAway, ReplicaCopy } from './replica-copy.ts';
import { ReplicaHold } from './replica-hold.ts';
import { newRecord, type ReplicaRecord, type ReplicaSpecOnWire } from './replica-record.ts';
import {
  assertNotSealed,
  assertSameSpec,
  MASTER_REBOOTED,
  masterAway,
  notSynchronised,
  progressOfReplica,
  replicaClosed,
  resyncNeeded,
} from './replica-rules.ts';
import { ReplicaPatch } from './sealed-patch.ts';

/**
 * One scenario's replica on this appliance. Promises: what control asked is on disk before it is answered; what is
 * wanted goes on whenever the master is here, after any restart, from the last durable chunk or change; `synchronised`
 * and `replicating` are said only when both ends read their disks again and agreed; a sealed replica is never written.
 * Dies at any line: the record, the durable maps and the journal say how far it came, and the same loop goes on.
 */
export interface ReplicaWorld extends LiveWorld {
  readonly bandwidth: Bandwidth;
  readonly timings: Timings;
  session(masterId: string): Connection | undefined;
  bootId(masterId: string): string | undefined;
}

/** After these the copied chunks are worth nothing: the next start copies everything again. */
const START_OVER = new Set(['DISK_CHANGED', 'DISK_SHRANK']);

export class Replica {
  readonly #world: ReplicaWorld;
  readonly #book: ReplicaBook;
  readonly #copy: ReplicaCopy;
  readonly #live: LivePhases;
  readonly hold: ReplicaHold;
  readonly patch: ReplicaPatch;
  /** The session that took the current copy or stream. */
  #taker: Connection | undefined;
  readonly #inTurn = makeInTurn();
  /** Nothing is begun any more: a master that comes in this moment must not open disks that another may get. */
  #isClosed = false;

  private constructor(world: ReplicaWorld, record: ReplicaRecord) {
    this.#world = world;
    this.#book = new ReplicaBook(world.stateFolder, world.clock, record);
    const inTurn = this.#inTurn;
    const fail = (error: unknown) => this.#fail(error);
    this.#copy = new ReplicaCopy(world, this.#book, {
      inTurn,
      fail,
      liveDisks: () => (this.#record.live ? this.#live.disks : undefined),
      copied: () => this.#live.copied(),
    });
    this.#live = new LivePhases(world, this.#book, {
      inTurn,
      fail,
      session: () => world.session(this.spec.masterId),
      launchCopy: (session) => this.#copy.launch(session),
      endCopy: (reason) => this.#copy.end(reason),
      forgetChunks: () => this.#copy.forgetChunks(),
    });
    this.patch = new ReplicaPatch(world, {
      inTurn,
      record: () => this.#record,
      isStill: () => this.#record.sealed || this.hold.isHeld,
      openLive: () => this.#live.opened(),
    });
    this.hold = new ReplicaHold({
      clock: world.clock,
      inTurn,
      record: () => this.#record,
      live: () => this.#live.replica,
      isMasterHere: () => world.session(this.spec.masterId) !== undefined,
      scrub: () => this.#live.scrub(),
      takeBack: async () => (this.#isClosed || this.#record.sealed ? undefined : this.patch.takeBack()),
      fail,
    });
  }

  static async load(world: ReplicaWorld, record: ReplicaRecord): Promise<Replica> {
    const replica = new Replica(world, record);
    await replica.#copy.load();
    // A sealed replica that is patched is opened, and put back, by whoever needs its disks.
    if (!record.sealed || !(await replica.patch.isThere())) await replica.#live.load();
    return replica;
  }

  static async make(world: ReplicaWorld, spec: ReplicaSpecOnWire): Promise<Replica> {
    const replica = new Replica(world, newRecord(spec));
    await replica.#book.save({});
    return replica;
  }

  get spec(): ReplicaSpecOnWire {
    return this.#record.spec;
  }

  get version(): number {
    return this.#book.version;
  }

  get #record(): ReplicaRecord {
    return this.#book.record;
  }

  // --- what control asks

  /** The same spec again changes nothing; a higher epoch starts anew. */
  open(spec: ReplicaSpecOnWire): Promise<void> {
    if (spec.epoch > this.spec.epoch) this.#live.giveUpAsking('a new epoch begins');
    return this.#inTurn(async () => {
      if (spec.epoch > this.spec.epoch) {
        await this.patch.takeBackIfPossible();
        await this.#end('a new epoch begins');
        await this.#live.close('a new epoch begins');
        await this.#book.replace(newRecord(spec));
        await this.patch.forget();
        await removeJournals(this.#world.stateFolder, this.spec.scenarioId);
        await this.#copy.load();
        return;
      }
      assertSameSpec(this.spec, spec);
      await this.#keepSettings(spec);
      // A disk that was written once is not blank any more; and a disk may come back at another LUN.
      const disks = spec.disks.map((disk) => {
        const before = this.spec.disks.find((one) => one.diskId === disk.diskId);
        return { ...disk, blank: disk.blank && (before?.blank ?? false) };
      });
      if (JSON.stringify(disks) === JSON.stringify(this.spec.disks)) return;
      await this.#end('the disks of the replica were declared anew');
      await this.#live.close('the disks of the replica were declared anew');
      await this.#book.save({
        spec: { ...spec, disks },
        ...(this.#record.wanted ? { wanted: false, phase: 'idle' } : {}),
      });
    });
  }

  /** A master that reads its disks before it takes a stream is not waited for: `progress` tells how it went. */
  async startCopy(options: Params<'startCopy'>['options']): Promise<void> {
    const { clock, timings } = this.#world;
    const started = this.#inTurn(async () => {
      assertNotSealed(this.#record);
      if (this.#isClosed) throw replicaClosed(this.spec.scenarioId);
      const session = this.#world.session(this.spec.masterId);
      if (options.capture === this.#record.options?.capture) {
        if (this.#record.phase === 'synchronised' || (this.#record.wanted && this.#isTaken(session))) return;
        if (this.#record.phase === 'resync-needed' && this.#record.live?.whole)
          throw resyncNeeded(this.#record);
      }
      if (!session) throw masterAway(this.spec.masterId);
      const isOther = this.#record.options && options.capture !== this.#record.options.capture;
      if (isOther || this.#record.phase === 'resync-needed') await this.#startOver();
      const startedAtMs = this.#record.startedAtMs ?? this.#world.clock.now();
      const fresh = { error: undefined, endedAtMs: undefined };
      await this.#book.save({ ...fresh, options, wanted: true, phase: this.#goingOn(), startedAtMs });
      await this.#launch(session);
    });
    const over = new AbortController();
    started.then(
      () => over.abort(),
      () => over.abort(), // The caller gets the error, unless it was told to look later.
    );
    await clock.sleep(timings.requestMs / 2, over.signal).catch(() => started);
  }

  stopCopy(): Promise<void> {
    this.#live.giveUpAsking('control stopped the copy');
    return this.#inTurn(async () => {
      if (!this.#record.wanted) return;
      await this.#end('control stopped the copy');
      await this.#book.save({ wanted: false, phase: 'idle' });
    });
  }

  seal(options: SealOptions = {}): Promise<SealedReplica> {
    return this.#inTurn(async () => {
      const { digests, synchronisedAtMs, spec, live, phase } = this.#record;
      const isWhole = live ? live.whole : phase === 'synchronised';
      if (!isWhole || !digests || synchronisedAtMs === undefined) throw notSynchronised(this.#record);
      const sealed = { epoch: spec.epoch, synchronisedAtMs, digests };
      await this.patch.takeBack();
      this.hold.end('the replica was sealed for a switchover');
      const position = live ? await this.#live.seal(options) : undefined;
      // The disks were synced; from here on the record makes sure that nobody writes them.
      if (!this.#record.sealed) await this.#book.save({ sealed: true });
      return position ? { ...sealed, position } : sealed;
    });
  }

  unseal(): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#record.sealed) return;
      await this.patch.takeBack();
      await this.#book.save({ sealed: false });
      await this.#live.unseal();
      const session = this.#world.session(this.spec.masterId);
      if (this.#record.wanted && session && !this.#isTaken(session)) await this.#goOn(session);
    });
  }

  bookmark(name: string): Promise<ReplicaBookmark> {
    return this.#inTurn(() => this.#live.bookmark(name));
  }

  bookmarks(): Promise<{ bookmarks: ReplicaBookmark[]; rewindFromMs: number }> {
    return this.#inTurn(() => this.#live.bookmarks());
  }

  setRewind(rewind: ReplicaSpecOnWire['rewind']): Promise<void> {
    return this.#inTurn(() => this.#keepSettings({ ...this.spec, rewind }));
  }

  scrub(): Promise<void> {
    return this.#inTurn(async () => {
      assertNotSealed(this.#record);
      this.hold.assertNone();
      await this.#live.scrub();
    });
  }

  /** Ends all work for good; the disks, the record, the maps and the journal stay as they are. */
  close(reason: string): Promise<void> {
    this.#isClosed = true;
    this.#live.giveUpAsking(reason);
    return this.#inTurn(async () => {
      this.hold.end(reason);
      await this.#copy.end(reason);
      await this.#live.close(reason);
    });
  }

  /** Before its record goes: the journal goes, and the master forgets. */
  async forget(): Promise<void> {
    await this.#inTurn(() => this.patch.takeBackIfPossible());
    await this.close('control closed the replica');
    await this.#inTurn(() => this.#live.drop('control closed the replica', true));
  }

  progress(): CopyProgress {
    return progressOfReplica(this.#record, {
      masterHere: this.#world.session(this.spec.masterId) !== undefined,
      doneBytes: this.#copy.doneBytes,
      bytesPerSecond: () => this.#copy.bytesPerSecond,
      replication: this.#live.replication(),
      problem: this.#live.problemNow,
    });
  }

  /** Resolves when the version is another one, or after `waitMs`, or when nobody waits any more. */
  changed(version: number, waitMs: number, signal: AbortSignal): Promise<void> {
    return this.#book.changed(version, waitMs, signal);
  }

  // --- what the master does

  masterArrived(session: Connection): Promise<void> {
    return this.#inTurn(async () => {
      this.#book.tellChange();
      // Control may have been quicker than this call: the copy is under way on this very session then.
      const { wanted, sealed } = this.#record;
      if (this.#isClosed || !wanted || sealed || this.#isTaken(session)) return;
      if (this.#wasRebooted()) await this.#stayStopped();
      else await this.#goOn(session);
    });
  }

  masterLeft(): void {
    this.#copy.masterLeft();
    this.#live.masterLeft();
    this.#book.tellChange();
  }

  begin(attempt: string, leftOutBytes?: number): Promise<void> {
    return this.#inTurn(async () => {
      await this.#copy.run.begin(attempt);
      if (leftOutBytes !== this.#record.leftOutBytes) await this.#book.save({ leftOutBytes });
    });
  }

  have(diskId: string, fromByte: number): Result<'copyHave'> {
    return this.#copy.run.have(diskId, fromByte);
  }

  addLane(attempt: string, connection: Connection, credit: number): LaneFrames {
    return this.#copy.run.addLane(attempt, connection, credit);
  }

  proven(digests: readonly DiskDigest[]): void {
    this.#copy.run.proven(digests);
  }

  problem(error: WireError): void {
    void this.#inTurn(() => this.#fail(fromWire(error)));
  }

  /** The stream of a replica that follows its master. */
  get stream(): LivePhases {
    return this.#live;
  }

  // --- inside

  /** What may change within an epoch. */
  async #keepSettings({ rewind, stopAfterReboot }: ReplicaSpecOnWire): Promise<void> {
    const { spec } = this;
    const isSame = JSON.stringify(rewind) === JSON.stringify(spec.rewind);
    if (isSame && stopAfterReboot === spec.stopAfterReboot) return;
    await this.#book.save({ spec: { ...spec, rewind, stopAfterReboot } });
    if (!isSame) await this.#live.keepRewind();
  }

  #isTaken(session: Connection | undefined): boolean {
    return session !== undefined && this.#taker === session;
  }

  #goingOn(): ReplicaRecord['phase'] {
    return this.#record.live?.whole ? 'replicating' : 'copying';
  }

  /** Before the first agreement it is a copy, which goes on. */
  #wasRebooted(): boolean {
    const { spec, live, bootId } = this.#record;
    const now = this.#world.bootId(spec.masterId);
    return spec.stopAfterReboot === true && live?.whole === true && bootId !== undefined && bootId !== now;
  }

  async #stayStopped(): Promise<void> {
    this.#world.log.warn(MASTER_REBOOTED.what, { scenarioId: this.spec.scenarioId });
    await this.#end(MASTER_REBOOTED.what);
    await this.#book.save({ wanted: false, phase: 'idle', error: MASTER_REBOOTED });
  }

  async #goOn(session: Connection): Promise<void> {
    await this.#book.save({ phase: this.#goingOn() });
    try {
      await this.#launch(session);
    } catch (error) {
      // What failed is in the record; a session that was lost comes back and we are here again.
      const { scenarioId } = this.spec;
      this.#world.log.warn('the copy does not go on', { scenarioId, error: messageOf(error) });
    }
  }

  async #launch(session: Connection): Promise<void> {
    try {
      if (this.#record.options?.capture === 'at-rest') await this.#copy.launch(session);
      else await this.#live.launch(session);
      this.#taker = session;
      const bootId = this.#world.bootId(this.spec.masterId);
      if (bootId !== this.#record.bootId) await this.#book.save({ bootId });
    } catch (error) {
      if (isAway(error)) session.close('it did not take the copy');
      else if (isStandbyError(error) && error.code === 'STREAM_STOPPED') this.#world.log.info(error.message);
      else await this.#live.trouble(error);
      throw error;
    }
  }

  /** Another kind of capture: what was copied, and the stream, are of no use to it. */
  async #startOver(): Promise<void> {
    await this.#end('the copy begins anew');
    await this.#live.drop('the copy begins anew', false);
    if (this.#record.identities.length > 0) await this.#copy.forgetChunks();
    await this.#book.save({ digests: undefined, synchronisedAtMs: undefined });
  }

  async #fail(error: unknown): Promise<void> {
    const { scenarioId } = this.spec;
    const wireError = toWire(error, this.#world.log, 'the copy');
    this.#world.log.error('the copy failed', { scenarioId, code: wireError.code, error: messageOf(error) });
    await this.#end('the copy failed');
    if (START_OVER.has(wireError.code) && !this.#record.live?.whole) await this.#copy.forgetChunks();
    const endedAtMs = this.#world.clock.now();
    await this.#book.save({ phase: 'failed', wanted: false, error: wireError, endedAtMs });
  }

  /** Nothing is taken from the master any more when this returns; what it is told to stop it may hear later. */
  async #end(reason: string): Promise<void> {
    this.#taker = undefined;
    this.hold.end(reason);
    if (!this.#record.sealed) await this.patch.takeBackIfPossible();
    await this.#copy.end(reason);
    await this.#live.stop(reason);
  }
}
