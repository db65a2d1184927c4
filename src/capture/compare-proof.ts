import { chunkCount } from '../block/chunks.ts';
import { type DiskProof, LEAF_BYTES, leafOf, rootOf } from '../block/digest.ts';
import { StandbyError } from '../errors.ts';
import type { StreamProof, StreamProofOptions } from './capture.ts';

/**
 * Proofs of a comparing stream: the whole view of one round is hashed while it is compared, and stands at the round's
 * last mark. A round that is dropped takes its proof along, and the next one makes it again. Nothing is kept on disk.
 */
export interface Leaves {
  /** One chunk of the view, whole. */
  add(chunk: number, bytes: Buffer): Promise<void>;
}

interface ProvenDisk extends Leaves {
  readonly sizeBytes: number;
  readonly leaves: Buffer;
}

interface Asked {
  readonly options: StreamProofOptions;
  readonly answer: PromiseWithResolvers<StreamProof>;
}

export class RoundProof {
  readonly asked: Asked;
  readonly #disks = new Map<string, ProvenDisk>();
  #sequence = 0n;

  constructor(asked: Asked) {
    this.asked = asked;
  }

  of({ id, sizeBytes }: { readonly id: string; readonly sizeBytes: number }): Leaves {
    const leaves = Buffer.alloc(chunkCount(sizeBytes) * LEAF_BYTES);
    const add = async (chunk: number, bytes: Buffer) => {
      leaves.set(await leafOf(bytes), chunk * LEAF_BYTES);
    };
    const disk: ProvenDisk = { sizeBytes, leaves, add };
    this.#disks.set(id, disk);
    return disk;
  }

  /** The position is there: everything was read, and the view did not move. */
  stand(sequence: bigint): void {
    this.#sequence = sequence;
    if (!this.asked.options.signal.aborted) this.asked.options.onPosition(sequence);
  }

  get result(): StreamProof {
    const disks = new Map<string, DiskProof>();
    for (const [id, { sizeBytes, leaves }] of this.#disks) {
      disks.set(id, { digest: rootOf(sizeBytes, leaves), leaves });
    }
    return { sequence: this.#sequence, disks };
  }
}

export class CompareProofs {
  #asked: Asked | undefined;
  #isTaken = false;

  get isWanted(): boolean {
    return this.#asked !== undefined && !this.#isTaken;
  }

  async ask(options: StreamProofOptions): Promise<StreamProof> {
    const { signal } = options;
    signal.throwIfAborted();
    if (this.#asked) throw new RangeError('one proof at a time');
    const asked = { options, answer: Promise.withResolvers<StreamProof>() };
    this.#asked = asked;
    this.#isTaken = false;
    const stop = () => asked.answer.reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await asked.answer.promise;
    } finally {
      signal.removeEventListener('abort', stop);
      if (this.#asked === asked) this.#asked = undefined;
    }
  }

  /** A round begins: it makes the proof, if one is wanted. */
  take(): RoundProof | undefined {
    if (!this.#asked || this.#isTaken) return undefined;
    this.#isTaken = true;
    return new RoundProof(this.#asked);
  }

  dropped(): void {
    this.#isTaken = false;
  }

  done(proof: RoundProof): void {
    proof.asked.answer.resolve(proof.result);
  }

  end(): void {
    this.#asked?.answer.reject(
      new StandbyError({ code: 'PROOF_STOPPED', what: 'The capture was closed.', retry: 'later' }),
    );
  }
}
