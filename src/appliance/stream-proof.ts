import { CHUNK_BYTES } from '../block/chunks.ts';
import { StandbyError } from '../errors.ts';
import type { Journal } from '../journal/journal.ts';
import type { DiskDigest } from '../model/scenario.ts';
import type { Connection } from '../wire/connection.ts';
import type { ChangeReceiver } from './change-receiver.ts';
import { type Difference, findDifferences, proveReplica } from './compare.ts';
import type { ReceivingDisk } from './receiver.ts';
import { clearTails } from './replica-disks.ts';
import type { LiveRecord } from './replica-record.ts';

/**
 * One proof of a live replica: both ends hash their disks as they are at one position of the stream. Promises: the
 * replica stands exactly there while it is read, because nobody else moves it; what differs is named by its chunks.
 * Dies at any line: nothing is kept, and the next proof begins anew.
 */
export interface StreamProofParts {
  readonly scenarioId: string;
  readonly journal: Journal;
  readonly receiver: ChangeReceiver;
  readonly disks: readonly ReceivingDisk[];
  readonly session: Connection;
  /** False while nothing of the replica is worth going back to. */
  readonly isRewindable: boolean;
  /** One replica of the appliance is hashed at a time, so that the journals of the others get their share. */
  hashing<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
}

export interface ProofOutcome {
  readonly sequence: bigint;
  readonly digests: readonly DiskDigest[];
  readonly differences: readonly Difference[];
}

interface Position {
  readonly sequence: bigint;
  readonly replaced: AbortController;
  readonly theirs: PromiseWithResolvers<readonly DiskDigest[]>;
}

export class StreamProof {
  readonly #parts: StreamProofParts;
  readonly #over = new AbortController();
  readonly #told = Promise.withResolvers<void>();
  /** The master may find a position void, and name a later one. */
  #known: Position | undefined;
  #isMoving = false;

  constructor(parts: StreamProofParts) {
    this.#parts = parts;
    const { session } = parts;
    void session.closed.then((reason) => this.abort(`the master left: ${reason}`));
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  abort(reason: string): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort(proofStopped(reason));
  }

  tellPosition(sequence: bigint): void {
    const before = this.#known;
    if (before?.sequence === sequence) return;
    this.#known = { sequence, replaced: new AbortController(), theirs: Promise.withResolvers() };
    before?.replaced.abort();
    this.#told.resolve();
  }

  tellDigests(sequence: bigint, digests: readonly DiskDigest[]): void {
    if (this.#known?.sequence === sequence) this.#known.theirs.resolve(digests);
  }

  /** The journal is full: goes on to the position, which makes room. False: nobody knows yet where it is. */
  makeRoom(): boolean {
    if (this.#known === undefined) return false;
    if (this.#isMoving) return true;
    this.#isMoving = true;
    const moved = this.#moveTo(this.#known.sequence).finally(() => {
      this.#isMoving = false;
    });
    moved.catch(() => undefined); // Tried again by `run`, which tells it.
    return true;
  }

  async run(): Promise<ProofOutcome> {
    const { session, scenarioId, journal } = this.#parts;
    const { signal } = this.#over;
    // What is durable now comes before any position the master may name; with it applied, the journal has room.
    await journal.applyTo(undefined, this.#how());
    await Promise.race([session.request('streamProve', { scenarioId }), aborted(signal)]);
    await Promise.race([this.#told.promise, aborted(signal)]);
    for (;;) {
      const position = this.#known;
      if (!position) throw new RangeError('a position was told and is not known');
      try {
        return await this.#at(position, AbortSignal.any([signal, position.replaced.signal]));
      } catch (error) {
        signal.throwIfAborted();
        if (this.#known === position) throw error;
      }
    }
  }

  async #at({ sequence, theirs }: Position, signal: AbortSignal): Promise<ProofOutcome> {
    const { session, scenarioId, receiver, disks, hashing } = this.#parts;
    await receiver.untilDurable(sequence, signal);
    signal.throwIfAborted();
    await this.#moveTo(sequence);
    signal.throwIfAborted();
    await clearTails(disks);
    const own = await hashing(() => proveReplica(disks, signal), signal);
    const told = await Promise.race([theirs.promise, aborted(signal)]);
    const differences = await findDifferences(session, scenarioId, own, told, 'streamLeaves');
    signal.throwIfAborted();
    const digests = own.map(({ disk, digest }) => ({
      diskId: disk.diskId,
      digest,
      sizeBytes: disk.sizeBytes,
    }));
    return { sequence, digests, differences };
  }

  async #moveTo(sequence: bigint): Promise<void> {
    await this.#parts.journal.applyTo({ notAfter: sequence }, this.#how());
  }

  #how(): { readonly rewindable?: boolean } {
    return this.#parts.isRewindable ? {} : { rewindable: false };
  }
}

/** Rejects when the signal is aborted, with its reason. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

export function replicaStrays(differences: readonly Difference[], sequence: bigint): StandbyError {
  const named = differences.map(({ disk, chunks }) => {
    const first = (chunks[0] ?? 0) * CHUNK_BYTES;
    return `${disk.diskId}: ${chunks.length} of its 1 MiB blocks, the first at byte ${first}`;
  });
  return new StandbyError({
    code: 'REPLICA_DIFFERS',
    what: `The replica is not equal to its master at position ${sequence}.`,
    why: `Both read their disks as they were there: ${named.join('; ')}.`,
    next: 'Check the data disks of the appliance, and resynchronise the scenario: only what differs is sent.',
  });
}

/** What is told of it. */
export function replicaProof(
  { sequence, digests, differences }: ProofOutcome,
  atMs: number,
): NonNullable<LiveRecord['proof']> {
  const facts = { sequence: String(sequence), atMs, digests: [...digests] };
  if (differences.length === 0) return { ...facts, equal: true };
  const differing = differences.map(({ disk, chunks }) => ({
    diskId: disk.diskId,
    bytes: Math.min(chunks.length * CHUNK_BYTES, disk.sizeBytes),
    firstByte: (chunks[0] ?? 0) * CHUNK_BYTES,
  }));
  return { ...facts, equal: false, differing };
}

/** These chunks are to be copied again. */
export async function forgetDiffering(differences: readonly Difference[]): Promise<void> {
  for (const { disk, chunks } of differences) {
    for (const index of chunks) {
      disk.signatures?.forget(index);
      disk.durable.remove(index);
      disk.written.remove(index);
    }
    await disk.saveMap(disk.durable);
  }
}

export function proofStopped(reason: string): StandbyError {
  const what = `The proof was given up: ${reason}.`;
  return new StandbyError({ code: 'PROOF_STOPPED', what, retry: 'later' });
}
