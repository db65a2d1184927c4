import { type DiskProof, LEAF_BYTES } from '../block/digest.ts';
import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Connection } from '../wire/connection.ts';
import { LIMITS } from '../wire/limits.ts';
import type { Result } from '../wire/messages.ts';
import type { LiveStream } from './live-captures.ts';

/**
 * What a stream's disks are at one of its positions, for one session. Promises: the position is told before the digests,
 * and both are of the same moment; a proof that is void is made again by itself. It keeps the leaves of the last one, in
 * memory; dies at any line: the appliance asks again.
 */
export interface StreamProofsOptions {
  readonly stream: LiveStream;
  readonly session: Connection;
  readonly clock: Clock;
  readonly log: Log;
  onProblem(error: StandbyError): void;
}

/** Before a proof that failed is tried again. */
const RETRY_MS = 1_000;

export class StreamProofs {
  readonly #options: StreamProofsOptions;
  #over: AbortController | undefined;
  #work: Promise<void> = Promise.resolve();
  #leaves: ReadonlyMap<string, DiskProof> = new Map();

  constructor(options: StreamProofsOptions) {
    this.#options = options;
  }

  /** Begins at once; one that is under way is given up. */
  begin(): void {
    const over = new AbortController();
    this.#over?.abort(new StandbyError({ code: 'PROOF_STOPPED', what: 'Another proof was asked for.' }));
    this.#over = over;
    this.#work = this.#work.then(() => this.#guard(over.signal));
  }

  leaves(diskId: string, fromByte: number): Result<'streamLeaves'> {
    const proof = this.#leaves.get(diskId);
    if (!proof)
      throw new StandbyError({ code: 'PROOF_MISSING', what: `There is no proof of ${diskId} yet.` });
    const length = LIMITS.sliceBytes - (LIMITS.sliceBytes % LEAF_BYTES);
    const slice = proof.leaves.subarray(fromByte, fromByte + length);
    return { leaves: slice.toString('base64'), totalBytes: proof.leaves.length };
  }

  async stop(): Promise<void> {
    this.#over?.abort(new StandbyError({ code: 'PROOF_STOPPED', what: 'The stream was stopped.' }));
    await this.#work;
  }

  async #guard(over: AbortSignal): Promise<void> {
    const { session, stream, clock, log, onProblem } = this.#options;
    const signal = AbortSignal.any([over, session.signal]);
    while (!signal.aborted) {
      try {
        await this.#prove(signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        const { scenarioId } = stream.known;
        log.warn('a proof failed', { scenarioId, error: messageOf(error) });
        const problem = isStandbyError(error) ? error : proofFailed(error);
        // The appliance waits for a proof: it gets one, of a later position, as soon as that can be.
        if (problem.code !== 'PROOF_VOID') onProblem(problem);
        if (problem.retry !== 'later') return;
        await clock.sleep(RETRY_MS, signal).catch(() => undefined); // Stopped: the loop ends.
      }
    }
  }

  async #prove(signal: AbortSignal): Promise<void> {
    const { session, stream, log } = this.#options;
    const { scenarioId, disks } = stream.known;
    let told: Promise<unknown> = Promise.resolve();
    const onPosition = (position: bigint) => {
      const sequence = String(position);
      log.info('disks are proven at a position of their stream', { scenarioId, sequence });
      told = session.request('streamProving', { scenarioId, sequence });
      told.catch(() => undefined); // Awaited below.
    };
    const proof = await stream.changes.prove({ signal, onPosition });
    await told;
    this.#leaves = proof.disks;
    const digests = disks.map(({ diskId, sizeBytes }) => {
      const { digest } = proof.disks.get(diskId) ?? { digest: undefined };
      if (digest === undefined) throw new RangeError(`no proof of ${diskId}`);
      return { diskId, digest, sizeBytes };
    });
    await session.request('streamProven', { scenarioId, sequence: String(proof.sequence), digests });
  }
}

function proofFailed(error: unknown): StandbyError {
  return new StandbyError({
    code: 'PROOF_FAILED',
    what: 'The master cannot prove what its disks are.',
    why: messageOf(error),
    next: 'Look at the log of the master’s engine, then try again.',
    retry: 'later',
    cause: error,
  });
}
