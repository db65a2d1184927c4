import type { QuickDevice } from '../block/open-device.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { DiskDigest } from '../model/scenario.ts';
import type { Connection } from '../wire/connection.ts';
import { CopyRun, doneBytesOf } from './copy-run.ts';
import { mapPath, removeDurableMap } from './durable-map.ts';
import { Rate } from './rate.ts';
import type { ReceivingDisk } from './receiver.ts';
import type { ReplicaWorld } from './replica.ts';
import type { ReplicaBook } from './replica-book.ts';
import { openReplicaDisks, readDoneBytes } from './replica-disks.ts';

/**
 * The copying of one replica's chunks, whenever the master is here and it is wanted. Promises: it goes on from the last
 * durable chunk; once `end` has returned nothing of it is written. Dies at any line: record and durable maps say how far
 * it came.
 */
export interface CopyHost {
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** In turn. */
  fail(error: unknown): Promise<void>;
  /** The disks that are open already, of a replica that follows its master; such a copy is proven elsewhere. */
  liveDisks(): readonly ReceivingDisk[] | undefined;
  /** In turn. All chunks of a live copy are durable. */
  copied(): Promise<void>;
}

export class ReplicaCopy {
  readonly #world: ReplicaWorld;
  readonly #book: ReplicaBook;
  readonly #host: CopyHost;
  #run: CopyRun | undefined;
  #rate = new Rate();
  #doneBytes = 0;

  constructor(world: ReplicaWorld, book: ReplicaBook, host: CopyHost) {
    this.#world = world;
    this.#book = book;
    this.#host = host;
  }

  get #spec() {
    return this.#book.record.spec;
  }

  get isRunning(): boolean {
    return this.#run !== undefined;
  }

  get doneBytes(): number {
    return this.#doneBytes;
  }

  get bytesPerSecond(): number {
    return this.#rate.perSecond();
  }

  async load(): Promise<void> {
    this.#doneBytes = await readDoneBytes(this.#spec, this.#world.stateFolder);
  }

  /** Throws COPY_NOT_WANTED. */
  get run(): CopyRun {
    if (this.#run) return this.#run;
    throw new StandbyError({ code: 'COPY_NOT_WANTED', what: 'No copy of this scenario is running here.' });
  }

  /** In turn. */
  async launch(session: Connection): Promise<void> {
    const { spec, options, identities } = this.#book.record;
    if (!options) throw new RangeError('a copy is wanted without options');
    this.#run ??= await this.#openRun();
    const disks = spec.disks.map(({ diskId, sizeBytes, excluded }) => {
      const identity = identities.find((one) => one.diskId === diskId)?.identity;
      return { diskId, sizeBytes, excluded, ...(identity === undefined ? {} : { identity }) };
    });
    const { scenarioId } = spec;
    const { signatureKey } = this.#run;
    const accepted = await session.request('copyStart', { scenarioId, options, disks, signatureKey });
    if (identities.length === 0) await this.#book.save({ identities: accepted.identities });
  }

  masterLeft(): void {
    this.#run?.masterLeft();
  }

  /** In turn. What was copied is worth nothing any more. */
  async forgetChunks(): Promise<void> {
    for (const { diskId } of this.#spec.disks) {
      await removeDurableMap(mapPath(this.#world.stateFolder, this.#spec.scenarioId, diskId));
    }
    const disks = this.#spec.disks.map((disk) => ({ ...disk, blank: false }));
    this.#doneBytes = 0;
    await this.#book.save({ spec: { ...this.#spec, disks }, identities: [], startedAtMs: undefined });
  }

  /** Nothing of this copy runs any more when this returns, here or (as soon as it hears it) on the master. */
  async end(reason: string): Promise<void> {
    const run = this.#run;
    if (!run) return;
    this.#run = undefined;
    const { masterId, scenarioId } = this.#spec;
    const session = this.#world.session(masterId);
    session?.request('copyStop', { scenarioId }).catch((error: unknown) => {
      // The master left or is slow: its lanes are ended below, so it can write nothing more.
      this.#world.log.debug('the master was not told to stop', { scenarioId, error: messageOf(error) });
    });
    await run.close(reason);
  }

  async #openRun(): Promise<CopyRun> {
    const { clock, checksum, timings } = this.#world;
    const { spec, options, sentBytes, wireBytes, resentBlocks } = this.#book.record;
    const isLive = this.#host.liveDisks() !== undefined;
    const disks = await this.#openDisks();
    const counters = { sentBytes, wireBytes, resentBlocks };
    this.#rate = new Rate();
    const { inTurn, fail, copied } = this.#host;
    const current = (work: () => Promise<void>) => void inTurn(async () => this.#run === run && work());
    const run: CopyRun = new CopyRun({
      scenarioId: spec.scenarioId,
      mode: options?.mode,
      disks,
      counters,
      bandwidth: this.#world.bandwidth,
      checksum,
      clock,
      durableMs: timings.durableMs,
      session: () => this.#world.session(spec.masterId),
      events: {
        durable: async () => {
          this.#doneBytes = disks.reduce((sum, disk) => sum + doneBytesOf(disk), 0);
          this.#rate.add(clock.now(), this.#doneBytes);
          await this.#book.save(counters);
        },
        proving: () => this.#book.save({ ...counters, phase: 'proving' }),
        synchronised: (digests) => current(() => this.#synchronised(digests)),
        failed: (error) => current(() => fail(error)),
        differs: (error, diskIds) => current(() => this.#differs(error, diskIds)),
        incomplete: (error) => current(() => this.#again(error)),
        ...(isLive ? { copied: () => current(copied) } : {}),
      },
    });
    return run;
  }

  async #openDisks(): Promise<ReceivingDisk[]> {
    const { stateFolder, lunsFolder, log } = this.#world;
    const live = this.#host.liveDisks();
    if (!live) return await openReplicaDisks(this.#spec, stateFolder, lunsFolder, log);
    return live.map((disk) => {
      const declared = this.#spec.disks.find(({ diskId }) => diskId === disk.diskId)?.blank ?? false;
      const blank = declared && disk.blank;
      // What was written and did not become durable before the run ended is copied again.
      return { ...disk, blank, written: disk.durable.copy(), device: lent(disk.device) };
    });
  }

  async #synchronised(digests: readonly DiskDigest[]): Promise<void> {
    const nowMs = this.#world.clock.now();
    const done = { digests: [...digests], synchronisedAtMs: nowMs, endedAtMs: nowMs };
    await this.end('the copy is whole');
    await this.#book.save({ ...done, phase: 'synchronised', wanted: false });
    this.#world.log.info('synchronised', { scenarioId: this.#spec.scenarioId });
  }

  /** A master that is away gets it when it is back. */
  async #again(error: StandbyError): Promise<void> {
    this.#world.log.warn('some chunks are copied again', { reason: error.why ?? error.message });
    await this.#book.save({ phase: 'copying' });
    const session = this.#world.session(this.#spec.masterId);
    if (!session) return;
    await this.launch(session).catch(async (failed: unknown) => {
      this.#world.log.warn('the copy does not go on', { error: messageOf(failed) });
      if (isAway(failed)) session.close('it did not take the copy');
      else await this.#host.fail(failed);
    });
  }

  async #differs(error: StandbyError, diskIds: readonly string[]): Promise<void> {
    const disks = this.#spec.disks.map((disk) =>
      diskIds.includes(disk.diskId) ? { ...disk, blank: false } : disk,
    );
    await this.#book.save({ spec: { ...this.#spec, disks } });
    await this.load();
    await this.#host.fail(error);
  }
}

/** Without the master a copy stays wanted and goes on when it is back. */
export function isAway(error: unknown): boolean {
  return isStandbyError(error) && ['CONNECTION_LOST', 'REQUEST_LATE'].includes(error.code);
}

/** A disk that stays open when the copy is over: the journal goes on with it. */
function lent(device: QuickDevice): QuickDevice {
  return {
    path: device.path,
    sizeBytes: device.sizeBytes,
    kind: device.kind,
    read: (target, offsetBytes) => device.read(target, offsetBytes),
    write: (source, offsetBytes) => device.write(source, offsetBytes),
    writePieces: (pieces, offsetBytes) => device.writePieces(pieces, offsetBytes),
    readNow: (target, offsetBytes) => device.readNow(target, offsetBytes),
    writeNow: (pieces, offsetBytes) => device.writeNow(pieces, offsetBytes),
    sync: () => device.sync(),
    identity: () => device.identity(),
    close: async () => undefined,
  };
}
