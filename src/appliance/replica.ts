import { EventEmitter } from 'node:events';
import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { DiskDigest } from '../model/scenario.ts';
import type { Checksum } from '../wire/checksum.ts';
import { type Connection, fromWire, type LaneFrames, toWire } from '../wire/connection.ts';
import type { CopyProgress, SealedReplica } from '../wire/control-session.ts';
import type { Timings } from '../wire/limits.ts';
import type { Params, Result, WireError } from '../wire/messages.ts';
import { CopyRun, doneBytesOf } from './copy-run.ts';
import { mapPath, removeDurableMap } from './durable-map.ts';
import { Rate } from './rate.ts';
import { openReplicaDisks, readDoneBytes } from './replica-disks.ts';
import { newRecord, type ReplicaRecord, type ReplicaSpecOnWire, writeRecord } from './replica-record.ts';
import {
  assertNotSealed,
  assertSameSpec,
  copyWas,
  masterAway,
  replicaClosed,
  stateOf,
} from './replica-rules.ts';

/**
 * One scenario's replica on this appliance. Promises: what control asked is on disk before it is answered; a copy that
 * is wanted goes on whenever the master is here, after any restart, from the last durable chunk; `synchronised` is
 * said only when both ends read their disks again and agree; a sealed replica is never written.
 * Dies at any line: the record and the durable maps say how far it came, and the same loop goes on from there.
 */
export interface ReplicaWorld {
  readonly stateFolder: string;
  readonly lunsFolder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly timings: Timings;
  readonly checksum: Checksum;
  session(masterId: string): Connection | undefined;
}

/** After these the copied chunks are worth nothing: the next start copies everything again. */
const START_OVER = new Set(['DISK_CHANGED', 'DISK_SHRANK']);

export class Replica {
  readonly #world: ReplicaWorld;
  readonly #events = new EventEmitter().setMaxListeners(0);
  #record: ReplicaRecord;
  #run: CopyRun | undefined;
  /** The session that took the current copy. */
  #taker: Connection | undefined;
  #rate = new Rate();
  #turn: Promise<unknown> = Promise.resolve();
  #saving: Promise<void> = Promise.resolve();
  #version = 1;
  #doneBytes = 0;
  /** Nothing is begun any more: a master that comes in this moment must not open disks that another may get. */
  #isClosed = false;

  private constructor(world: ReplicaWorld, record: ReplicaRecord) {
    this.#world = world;
    this.#record = record;
  }

  static async load(world: ReplicaWorld, record: ReplicaRecord): Promise<Replica> {
    const replica = new Replica(world, record);
    replica.#doneBytes = await readDoneBytes(record.spec, world.stateFolder);
    return replica;
  }

  static async make(world: ReplicaWorld, spec: ReplicaSpecOnWire): Promise<Replica> {
    const replica = new Replica(world, newRecord(spec));
    await replica.#save({});
    return replica;
  }

  get spec(): ReplicaSpecOnWire {
    return this.#record.spec;
  }

  get version(): number {
    return this.#version;
  }

  // --- what control asks

  /** The same spec again changes nothing; a higher epoch starts anew. */
  open(spec: ReplicaSpecOnWire): Promise<void> {
    return this.#inTurn(async () => {
      if (spec.epoch > this.spec.epoch) {
        await this.#end('a new epoch begins');
        this.#record = newRecord(spec);
        this.#doneBytes = 0;
        await this.#save({});
        return;
      }
      assertSameSpec(this.spec, spec);
      // A disk that was written once is not blank any more; and a disk may come back at another LUN.
      const disks = spec.disks.map((disk) => {
        const before = this.spec.disks.find((one) => one.diskId === disk.diskId);
        return { ...disk, blank: disk.blank && (before?.blank ?? false) };
      });
      if (JSON.stringify(disks) === JSON.stringify(this.spec.disks)) return;
      await this.#end('the disks of the replica were declared anew');
      await this.#save({
        spec: { ...spec, disks },
        ...(this.#record.wanted ? { wanted: false, phase: 'idle' } : {}),
      });
    });
  }

  startCopy(options: Params<'startCopy'>['options']): Promise<void> {
    return this.#inTurn(async () => {
      assertNotSealed(this.#record);
      if (this.#isClosed) throw replicaClosed(this.spec.scenarioId);
      if (this.#record.phase === 'synchronised' || (this.#run && this.#record.wanted)) return;
      const session = this.#world.session(this.spec.masterId);
      if (!session) throw masterAway(this.spec.masterId);
      const startedAtMs = this.#record.startedAtMs ?? this.#world.clock.now();
      const fresh = { error: undefined, endedAtMs: undefined };
      await this.#save({ ...fresh, options, wanted: true, phase: 'copying', startedAtMs });
      await this.#launch(session);
    });
  }

  stopCopy(): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#record.wanted) return;
      await this.#end('control stopped the copy');
      await this.#save({ wanted: false, phase: 'idle' });
    });
  }

  seal(): Promise<SealedReplica> {
    return this.#inTurn(async () => {
      const { digests, synchronisedAtMs, spec } = this.#record;
      if (this.#record.phase !== 'synchronised' || !digests || synchronisedAtMs === undefined) {
        throw new StandbyError({
          code: 'NOT_SYNCHRONISED',
          what: 'The replica cannot be sealed: it is not a whole copy.',
          why: copyWas(this.#record),
          next: 'Run the scenario until it is synchronised.',
        });
      }
      // The disks were synced before the proof and closed after it; the record makes sure nobody opens them again.
      if (!this.#record.sealed) await this.#save({ sealed: true });
      return { epoch: spec.epoch, synchronisedAtMs, digests };
    });
  }

  unseal(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#record.sealed) await this.#save({ sealed: false });
    });
  }

  /** Ends all work for good; the disks, the record and the maps stay as they are. */
  close(reason: string): Promise<void> {
    this.#isClosed = true;
    return this.#inTurn(() => this.#end(reason));
  }

  progress(): CopyProgress {
    const { spec, phase, sentBytes, wireBytes, resentBlocks, startedAtMs, endedAtMs, digests, error } =
      this.#record;
    const { leftOutBytes } = this.#record;
    const totalBytes = spec.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
    const state = stateOf(this.#record, this.#world.session(spec.masterId) !== undefined);
    return {
      scenarioId: spec.scenarioId,
      epoch: spec.epoch,
      state,
      doneBytes: phase === 'synchronised' ? totalBytes : this.#doneBytes,
      totalBytes,
      sentBytes,
      wireBytes,
      resentBlocks,
      ...(leftOutBytes === undefined ? {} : { leftOutBytes }),
      ...(state === 'copying' ? { bytesPerSecond: this.#rate.perSecond() } : {}),
      ...(startedAtMs === undefined ? {} : { startedAtMs }),
      ...(endedAtMs === undefined ? {} : { endedAtMs }),
      ...(digests ? { digests } : {}),
      ...(error ? { error } : {}),
    };
  }

  /** Resolves when the version is another one, or after `waitMs`, or when nobody waits any more. */
  async changed(version: number, waitMs: number, signal: AbortSignal): Promise<void> {
    if (version !== this.#version) return;
    const change = new AbortController();
    const wake = () => change.abort();
    this.#events.once('change', wake);
    const stop = AbortSignal.any([change.signal, signal]);
    await this.#world.clock.sleep(waitMs, stop).catch(() => undefined); // Changed, or nobody waits.
    this.#events.off('change', wake);
  }

  // --- what the master does

  masterArrived(session: Connection): Promise<void> {
    return this.#inTurn(async () => {
      this.#tellChange();
      // Control may have been quicker than this call: the copy is under way on this very session then.
      if (this.#isClosed || !this.#record.wanted || (this.#run && this.#taker === session)) return;
      await this.#save({ phase: 'copying' });
      try {
        await this.#launch(session);
      } catch (error) {
        // What failed is in the record; a session that was lost comes back and we are here again.
        const { scenarioId } = this.spec;
        this.#world.log.warn('the copy does not go on', { scenarioId, error: messageOf(error) });
      }
    });
  }

  masterLeft(): void {
    this.#run?.masterLeft();
    this.#tellChange();
  }

  begin(attempt: string, leftOutBytes?: number): Promise<void> {
    return this.#inTurn(async () => {
      await this.#expectRun().begin(attempt);
      if (leftOutBytes !== this.#record.leftOutBytes) await this.#save({ leftOutBytes });
    });
  }

  have(diskId: string, fromByte: number): Result<'copyHave'> {
    return this.#expectRun().have(diskId, fromByte);
  }

  addLane(attempt: string, connection: Connection): LaneFrames {
    return this.#expectRun().addLane(attempt, connection);
  }

  proven(digests: readonly DiskDigest[]): void {
    this.#expectRun().proven(digests);
  }

  problem(error: WireError): void {
    void this.#inTurn(() => this.#fail(fromWire(error)));
  }

  // --- inside

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined); // The caller gets the error; the next in turn does not.
    return turn;
  }

  async #launch(session: Connection): Promise<void> {
    const { spec, options, identities } = this.#record;
    if (!options) throw new RangeError('a copy is wanted without options');
    try {
      this.#run ??= await this.#openRun();
      const disks = spec.disks.map(({ diskId, sizeBytes, excluded }) => {
        const identity = identities.find((one) => one.diskId === diskId)?.identity;
        return { diskId, sizeBytes, excluded, ...(identity === undefined ? {} : { identity }) };
      });
      const accepted = await session.request('copyStart', { scenarioId: spec.scenarioId, options, disks });
      this.#taker = session;
      if (identities.length === 0) await this.#save({ identities: accepted.identities });
    } catch (error) {
      // Without the master the copy stays wanted and goes on when it is back.
      const isAway = isStandbyError(error) && ['CONNECTION_LOST', 'REQUEST_LATE'].includes(error.code);
      if (isAway) session.close('it did not take the copy');
      else await this.#fail(error);
      throw error;
    }
  }

  async #openRun(): Promise<CopyRun> {
    const { clock, checksum, timings, stateFolder, lunsFolder } = this.#world;
    const { spec, sentBytes, wireBytes, resentBlocks } = this.#record;
    const disks = await openReplicaDisks(spec, stateFolder, lunsFolder);
    const counters = { sentBytes, wireBytes, resentBlocks };
    this.#rate = new Rate();
    const current = () => this.#run === run;
    const run: CopyRun = new CopyRun({
      scenarioId: spec.scenarioId,
      mode: this.#record.options?.mode,
      disks,
      counters,
      checksum,
      clock,
      durableMs: timings.durableMs,
      session: () => this.#world.session(spec.masterId),
      events: {
        durable: async () => {
          this.#doneBytes = disks.reduce((sum, disk) => sum + doneBytesOf(disk), 0);
          this.#rate.add(clock.now(), this.#doneBytes);
          await this.#save(counters);
        },
        proving: () => this.#save({ ...counters, phase: 'proving' }),
        synchronised: (digests) => void this.#inTurn(async () => current() && this.#synchronised(digests)),
        failed: (error) => void this.#inTurn(async () => current() && this.#fail(error)),
        differs: (error, diskIds) =>
          void this.#inTurn(async () => current() && this.#differs(error, diskIds)),
        incomplete: (error) => void this.#inTurn(async () => current() && this.#again(error)),
      },
    });
    return run;
  }

  async #synchronised(digests: readonly DiskDigest[]): Promise<void> {
    const nowMs = this.#world.clock.now();
    const done = { digests: [...digests], synchronisedAtMs: nowMs, endedAtMs: nowMs };
    await this.#end('the copy is whole');
    await this.#save({ ...done, phase: 'synchronised', wanted: false });
    this.#world.log.info('synchronised', { scenarioId: this.spec.scenarioId });
  }

  async #fail(error: unknown): Promise<void> {
    const { scenarioId } = this.spec;
    const wireError = toWire(error, this.#world.log, 'the copy');
    this.#world.log.error('the copy failed', { scenarioId, code: wireError.code, error: messageOf(error) });
    await this.#end('the copy failed');
    if (START_OVER.has(wireError.code)) await this.#forgetChunks();
    const endedAtMs = this.#world.clock.now();
    await this.#save({ phase: 'failed', wanted: false, error: wireError, endedAtMs });
  }

  /** A master that is away gets it when it is back. */
  async #again(error: StandbyError): Promise<void> {
    this.#world.log.warn('some chunks are copied again', { reason: error.why ?? error.message });
    await this.#save({ phase: 'copying' });
    const session = this.#world.session(this.spec.masterId);
    if (!session) return;
    await this.#launch(session).catch((failed: unknown) => {
      this.#world.log.warn('the copy does not go on', { error: messageOf(failed) }); // It is in the record, or comes again.
    });
  }

  async #differs(error: StandbyError, diskIds: readonly string[]): Promise<void> {
    const disks = this.spec.disks.map((disk) =>
      diskIds.includes(disk.diskId) ? { ...disk, blank: false } : disk,
    );
    await this.#save({ spec: { ...this.spec, disks } });
    this.#doneBytes = await readDoneBytes(this.spec, this.#world.stateFolder);
    await this.#fail(error);
  }

  async #forgetChunks(): Promise<void> {
    for (const { diskId } of this.spec.disks) {
      await removeDurableMap(mapPath(this.#world.stateFolder, this.spec.scenarioId, diskId));
    }
    const disks = this.spec.disks.map((disk) => ({ ...disk, blank: false }));
    this.#doneBytes = 0;
    await this.#save({ spec: { ...this.spec, disks }, identities: [], startedAtMs: undefined });
  }

  /** Nothing of this copy runs any more when this returns, here or (as soon as it hears it) on the master. */
  async #end(reason: string): Promise<void> {
    const run = this.#run;
    if (!run) return;
    this.#run = undefined;
    this.#taker = undefined;
    const { masterId, scenarioId } = this.spec;
    const session = this.#world.session(masterId);
    session?.request('copyStop', { scenarioId }).catch((error: unknown) => {
      // The master left or is slow: its lanes are ended below, so it can write nothing more.
      this.#world.log.debug('the master was not told to stop', { scenarioId, error: messageOf(error) });
    });
    await run.close(reason);
  }

  #expectRun(): CopyRun {
    if (this.#run) return this.#run;
    throw new StandbyError({ code: 'COPY_NOT_WANTED', what: 'No copy of this scenario is running here.' });
  }

  async #save(change: Partial<ReplicaRecord>): Promise<void> {
    const record = { ...this.#record, ...change };
    this.#record = record;
    const saving = this.#saving.then(() => writeRecord(this.#world.stateFolder, record));
    this.#saving = saving.catch(() => undefined); // The caller gets the error; the next save is its own.
    await saving;
    this.#tellChange();
  }

  #tellChange(): void {
    this.#version++;
    this.#events.emit('change');
  }
}
