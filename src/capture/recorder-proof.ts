import type { DiskProof } from '../block/digest.ts';
import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import type { StreamProof, StreamProofOptions } from './capture.ts';
import { DiskGuard } from './disk-guard.ts';
import { diskUnreadable } from './disk-problems.ts';
import type { RecordedDisk } from './recorded-disk.ts';

/**
 * What recorded disks are at one position of their order. Promises: all guards are set while nothing is written, and
 * the mark of the position is the last record before any later write; so leaves and stream meet there exactly.
 * Dies at any line: the mark stays in the stream and means nothing more than any other.
 */
export interface ProofOwner {
  readonly disks: readonly RecordedDisk[];
  readonly clock: Clock;
  /** Holds all writes; when the order is whole, marks, acts while nothing is written, and answers the mark's sequence. */
  markAnd(act: () => void): Promise<number | undefined>;
}

const LOOK_MS = 50;

/** The proof that is under way, if one is. */
export class RecorderProof {
  readonly #owner: ProofOwner;
  #over: AbortController | undefined;

  constructor(owner: ProofOwner) {
    this.#owner = owner;
  }

  async run(options: StreamProofOptions): Promise<StreamProof> {
    if (this.#over) throw new RangeError('one proof at a time');
    this.#over = new AbortController();
    const signal = AbortSignal.any([options.signal, this.#over.signal]);
    try {
      return await proveRecorded(this.#owner, { ...options, signal });
    } finally {
      this.#over = undefined;
    }
  }

  /** Its position may never be told now. */
  void(why: string): void {
    this.#over?.abort(proofVoid(why));
  }
}

async function proveRecorded(
  owner: ProofOwner,
  { signal, onPosition }: StreamProofOptions,
): Promise<StreamProof> {
  const guards = new Map<RecordedDisk, DiskGuard>();
  const set = () => {
    for (const disk of owner.disks) {
      const guard = new DiskGuard(disk.device, disk.excluded);
      guards.set(disk, guard);
      disk.guard(guard);
    }
  };
  let sequence: number | undefined;
  while (sequence === undefined) {
    signal.throwIfAborted();
    sequence = await owner.markAnd(set);
    if (sequence === undefined) await owner.clock.sleep(LOOK_MS, signal);
  }
  const failed = new AbortController();
  const both = AbortSignal.any([signal, failed.signal]);
  try {
    const position = BigInt(sequence);
    onPosition(position);
    const disks = new Map<string, DiskProof>();
    const hash = async (disk: RecordedDisk, guard: DiskGuard) => {
      try {
        disks.set(disk.id, await guard.run(both));
      } catch (error) {
        failed.abort(error);
        signal.throwIfAborted();
        throw diskUnreadable(error);
      } finally {
        disk.guard(undefined);
      }
    };
    const ends = await Promise.allSettled([...guards].map(([disk, guard]) => hash(disk, guard)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    signal.throwIfAborted();
    return { sequence: position, disks };
  } finally {
    for (const disk of guards.keys()) disk.guard(undefined);
  }
}

function proofVoid(why: string): StandbyError {
  return new StandbyError({
    code: 'PROOF_VOID',
    what: 'The proof was given up: the order of changes was lost meanwhile.',
    why,
    next: 'It is made again when the changes are in order.',
    retry: 'later',
  });
}
