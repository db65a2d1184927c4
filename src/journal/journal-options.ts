import type { Clock } from '../clock.ts';
import type { StandbyError } from '../errors.ts';
import type { ApplierSeams } from './applier.ts';
import type { JournalDisk } from './change.ts';
import type { JournalFiles } from './files.ts';
import type { Checksum } from './frame.ts';
import type { JournalLimits, RewindLimits } from './limits.ts';
import type { Position } from './position.ts';
import type { JournalNotice } from './space.ts';

export interface JournalOptions {
  readonly folder: string;
  readonly scenarioId: string;
  readonly epoch: number;
  /** The sender's last sequence before the first change of this journal; 0 unless told. */
  readonly originSequence?: bigint;
  readonly disks: readonly JournalDisk[];
  readonly files: JournalFiles;
  readonly clock: Clock;
  readonly limits?: Partial<JournalLimits>;
  onNotice?(notice: JournalNotice): void;
  /** Tests only: each takes away one promise, to prove that the tests would notice. */
  readonly seams?: JournalSeams;
}

export interface JournalSeams extends ApplierSeams {
  readonly checksum?: Checksum;
  readonly acceptsAnySequence?: boolean;
}

/** What comes behind a change: its sequence. */
export interface MarkFacts {
  readonly sequence: bigint;
  readonly masterClockMs: number;
}

/** `full` and `disk-full` pass by themselves once there is room; the others stay until somebody acts. */
export interface JournalState {
  readonly kind: 'ready' | 'full' | 'disk-full' | 'failed' | 'damaged';
  readonly error?: StandbyError;
}

export interface JournalUsage {
  readonly usedBytes: number;
  readonly limitBytes: number;
  readonly queuedBytes: number;
  readonly rewindBytes: number;
  readonly window: RewindLimits;
  /** When space ran short and the window became smaller than that. */
  readonly shrunkAtMs: number | undefined;
  /** The earliest position to which the replica can be brought back, and its time by the master's clock. */
  readonly rewindFrom: Position;
  readonly rewindFromMs: number;
  readonly unappliedChanges: bigint;
  /** By the master's clock: of the replica's position, and of the last durable consistent one. */
  readonly appliedAtMs: number;
  readonly markedAtMs: number | undefined;
}
