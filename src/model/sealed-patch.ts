import type { Readiness } from './readiness.ts';

/** One thing that a sealed copy has otherwise than the replica, or that could not be given to it. */
export interface SealedChange {
  readonly diskId: string;
  /** That of the fact it cures (model/readiness.ts), or `GPT_BACKUP`. */
  readonly code: string;
  readonly text: string;
}

/** What is changed on a sealed replica just before its snapshots, and taken back after them. */
export interface SealedPatch {
  readonly changes: readonly SealedChange[];
  /** What would have to be changed and was not, with the reason. */
  readonly left: readonly SealedChange[];
  /** With the changes, of the disk that the server starts from; absent where it could not be looked at. */
  readonly verdict?: Readiness['verdict'] | undefined;
  /** Codes of what still stands in the way of its start. */
  readonly faults: readonly string[];
}
