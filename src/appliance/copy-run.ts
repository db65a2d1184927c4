import { CHUNK_BYTES } from '../block/chunks.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { DiskDigest } from '../model/scenario.ts';
import type { Checksum } from '../wire/checksum.ts';
import type { Connection, LaneFrames } from '../wire/connection.ts';
import type { Result } from '../wire/messages.ts';
import type { Bandwidth } from './bandwidth.ts';
import { type Difference, findDifferences, type OwnProof, proveReplica, replicaDiffers } from './compare.ts';
import { BlockReceiver, type Counters, type ReceivingDisk } from './receiver.ts';
import { clearTails, closeDisks, sliceOfWritten } from './replica-disks.ts';

/**
 * One copy while it runs: disks open, blocks coming in, and at the end the proof. Promises: the proof begins only when
 * every chunk is durable, and reads the disks anew. It decides nothing for later: the replica's record does.
 */
export interface CopyRunOptions {
  readonly scenarioId: string;
  /** `block`: the replica holds an older copy, and the master is told what is on it. */
  readonly mode?: 'volume' | 'block' | undefined;
  readonly disks: readonly ReceivingDisk[];
  readonly counters: Counters;
  readonly bandwidth?: Pick<Bandwidth, 'take'> | undefined;
  readonly checksum: Checksum;
  readonly clock: Clock;
  readonly durableMs: number;
  session(): Connection | undefined;
  readonly events: CopyRunEvents;
}

export interface CopyRunEvents {
  /** More is durable. The record is saved before more is taken. */
  durable(): Promise<void>;
  proving(): Promise<void>;
  synchronised(digests: readonly DiskDigest[]): void;
  failed(error: StandbyError): void;
  /** The proofs differ; the durable maps no longer name these chunks. */
  differs(error: StandbyError, diskIds: readonly string[]): void;
  /** Short signatures let differences pass, as may happen once: those chunks are to be copied again, by the same run. */
  incomplete(error: StandbyError): void;
  /** Of a live copy: every chunk is durable, and the proof is the caller's. May be told more than once. */
  copied?(): void;
}

export class CopyRun {
  readonly #options: CopyRunOptions;
  readonly #receiver: BlockReceiver;
  #attempt: string | undefined;
  #isClosed = false;
  #wasIncomplete = false;
  #proving:
    | { readonly over: AbortController; readonly ended: Promise<void>; tell(d: readonly DiskDigest[]): void }
    | undefined;

  constructor(options: CopyRunOptions) {
    this.#options = options;
    this.#receiver = new BlockReceiver({
      ...options,
      onDurable: async () => {
        await options.events.durable();
        if (this.#receiver.isDurable()) this.#startProof();
      },
      onFailure: (error) => options.events.failed(error),
    });
  }

  get doneBytes(): number {
    return this.#options.disks.reduce((sum, disk) => sum + doneBytesOf(disk), 0);
  }

  /** Lanes of an older attempt are ended, and what they had under way is written before this returns. */
  async begin(attempt: string): Promise<void> {
    await this.#receiver.endLanes('a new attempt begins');
    this.#attempt = attempt;
    if (this.#receiver.isDurable()) this.#startProof();
  }

  /** Of a block-level copy: that of the signatures that are kept. Without any, each attempt is its own. */
  get signatureKey(): string | undefined {
    if (this.#options.mode !== 'block') return undefined;
    return this.#options.disks.find(({ signatures }) => signatures)?.signatures?.key;
  }

  have(diskId: string, fromByte: number): Result<'copyHave'> {
    const disk = this.#options.disks.find((one) => one.diskId === diskId);
    if (!disk) throw new StandbyError({ code: 'DISK_UNKNOWN', what: `The replica has no disk ${diskId}.` });
    return sliceOfWritten(disk, fromByte);
  }

  /** `credit`: blocks it may have under way. */
  addLane(attempt: string, connection: Connection, credit: number): LaneFrames {
    const signatureKey = this.#options.mode === 'block' ? (this.signatureKey ?? attempt) : undefined;
    if (this.#attempt === attempt) return this.#receiver.addLane(connection, credit, signatureKey);
    throw new StandbyError({
      code: 'ATTEMPT_OVER',
      what: 'Another attempt of this copy is running.',
      retry: 'later',
    });
  }

  /** The master's proof. */
  proven(digests: readonly DiskDigest[]): void {
    this.#proving?.tell(digests);
  }

  masterLeft(): void {
    this.#proving?.over.abort(
      new StandbyError({ code: 'CONNECTION_LOST', what: 'The master left.', retry: 'later' }),
    );
  }

  async close(reason: string): Promise<void> {
    this.#isClosed = true;
    this.#proving?.over.abort(
      new StandbyError({ code: 'COPY_STOPPED', what: `The copy was stopped: ${reason}.` }),
    );
    await this.#receiver.close(reason);
    await this.#proving?.ended;
    await closeDisks(this.#options.disks);
  }

  #startProof(): void {
    if (this.#isClosed || (this.#proving && !this.#proving.over.signal.aborted)) return;
    const { copied } = this.#options.events;
    if (copied) {
      copied();
      return;
    }
    const before = this.#proving?.ended;
    const over = new AbortController();
    const theirs = Promise.withResolvers<readonly DiskDigest[]>();
    over.signal.addEventListener('abort', () => theirs.reject(over.signal.reason), { once: true });
    theirs.promise.catch(() => undefined); // Awaited below, unless our own proof is aborted first.
    const ended = (async () => {
      await before;
      await this.#prove(theirs.promise, over.signal);
    })();
    this.#proving = { over, ended, tell: theirs.resolve };
  }

  async #prove(theirs: Promise<readonly DiskDigest[]>, signal: AbortSignal): Promise<void> {
    const { scenarioId, disks, events } = this.#options;
    const session = this.#options.session();
    try {
      await events.proving();
      if (!session) return; // The master left; when it is back a new attempt begins, and with it a new proof.
      await clearTails(disks);
      await session.request('copyProve', { scenarioId });
      const own = await proveReplica(disks, signal);
      const digests = await theirs;
      signal.throwIfAborted();
      const differences = await findDifferences(session, scenarioId, own, digests);
      if (differences.length === 0) events.synchronised(own.map(digestOf));
      else await this.#forget(differences);
    } catch (error) {
      if (signal.aborted) return; // Stopped, or the master left: a new proof begins with the next attempt.
      // A master that is there but does not answer has to come again; the copy goes on then.
      if (isStandbyError(error) && error.retry === 'later') session?.close('it did not answer for the proof');
      else events.failed(isStandbyError(error) ? error : proofFailed(error));
    }
  }

  /**
   * Only what differs is copied again, and zeros are looked at: the disk was not as blank as it was said to be. After a
   * comparison that is no failure, the first time: its signatures are short.
   */
  async #forget(differences: readonly Difference[]): Promise<void> {
    for (const { disk, chunks } of differences) await this.#receiver.forget(disk, chunks);
    const { mode, events } = this.#options;
    const error = replicaDiffers(differences);
    if (mode === 'block' && !this.#wasIncomplete) {
      this.#wasIncomplete = true;
      this.#proving?.over.abort(error); // This proof is over; the next one waits for the chunks.
      events.incomplete(error);
      return;
    }
    events.differs(
      error,
      differences.map(({ disk }) => disk.diskId),
    );
  }
}

export function doneBytesOf(disk: Pick<ReceivingDisk, 'durable' | 'sizeBytes'>): number {
  return Math.min(disk.durable.count * CHUNK_BYTES, disk.sizeBytes);
}

function digestOf({ disk, digest }: OwnProof): DiskDigest {
  return { diskId: disk.diskId, digest, sizeBytes: disk.sizeBytes };
}

function proofFailed(error: unknown): StandbyError {
  return new StandbyError({
    code: 'REPLICA_UNREADABLE',
    what: 'A replica disk cannot be read for the proof.',
    why: messageOf(error),
    next: 'Check the data disks of the appliance, then run the scenario again.',
    cause: error,
  });
}
