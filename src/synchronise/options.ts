import type { SyncChoice } from './sync-choice.ts';

/** How the engines copy; asked for by `standby run`. */
export interface SynchroniseOptions {
  readonly lanes: number;
  readonly compression: 'none' | 'zstd';
  /** Chosen by history when the run began. Runs of versions before it have none: they copy by volume. */
  readonly sync?: SyncChoice;
  /** Nothing begins before (G-66). */
  readonly startAtMs?: number;
  /** Nothing is copied: the replica disks are made and wait for a seed (M-11). */
  readonly forSeed?: boolean;
}
