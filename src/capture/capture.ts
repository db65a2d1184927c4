import type { DiskProof } from '../block/digest.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { CaptureName } from '../model/capture.ts';
import type { MasterDisk } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';

/**
 * How changes on the master are seen. A method gives a view of the chosen disks for a synchronisation and, when it
 * can, the stream of later changes. One file per method, listed in index.ts; all pass the same contract suite.
 */
export interface CaptureMethod {
  readonly name: CaptureName;
  /** One sentence for the wizard. */
  readonly title: string;
  /** `false`: a copy of something that stands still; the scenario is then `synchronised`, not `replicating`. */
  readonly live: boolean;
  /** Throws a StandbyError when the disks cannot be captured this way, naming the disk and the reason. */
  open(disks: readonly MasterDisk[], options: CaptureOptions): Promise<CaptureSession>;
}

export interface CaptureOptions {
  /** Ranges that are read as zeros: excluded volumes. No change inside them is ever told. */
  readonly excluded: readonly ExcludedRange[];
  /** What live methods need; those that are not live ignore it. */
  readonly live?: LiveOptions;
}

export interface ExcludedRange {
  readonly diskId: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

export interface LiveOptions {
  /** Belongs to this capture alone; spool, maps and digests are kept here from one session to the next. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
  /** `nbd`: where the disks are served, and how many bytes of changes the spool may hold. */
  readonly nbd?: {
    readonly listen: { readonly path: string } | { readonly port: number };
    readonly spoolBytes?: number;
  };
  /** `compare` and `tracked`. */
  readonly compare?: {
    /** Between the beginnings of two rounds; a minute unless told. */
    readonly intervalMs?: number;
    /** Command lines (program and arguments; no shell) around the consistent view, such as a snapshot's making and removal. */
    readonly before?: readonly string[];
    readonly after?: readonly string[];
    readonly hookTimeoutMs?: number;
    /** No view is taken by `open`: the stream only goes on. */
    readonly takeLater?: boolean;
    /** Where a disk is read once `before` is done; without an entry at the disk's own path. */
    readonly readPaths?: Readonly<Record<string, string>>;
    /** Takes the view in place of opening each disk at its path; `before` and `after` stay around it. */
    readonly views?: DiskViews;
  };
}

/** A system's own way to read all disks as they were at one moment. */
export interface DiskViews {
  /** `excluded`: what nobody will read. Throws when no view can be had of the rest; then nothing of it is left. */
  take(disks: readonly MasterDisk[], excluded: readonly ExcludedRange[]): Promise<TakenViews>;
}

export interface TakenViews {
  /** By disk id. */
  readonly devices: ReadonlyMap<string, BlockDevice>;
  /** How consistent they are, as a sentence. */
  readonly consistency: string;
  /** Throws when the system gave the view up while it was read. */
  assertStands(): Promise<void>;
  /** Closes the devices and gives the view back to the system. */
  release(): Promise<void>;
}

export interface CaptureSession {
  /**
   * What a first copy reads; excluded ranges give zeros. Of a method that is not live, and of `compare`, it does not
   * change while it is open. Of a live disk it may: every change made while it was read is in `changes`.
   */
  view(diskId: string): BlockDevice;
  /** Throws DISK_CHANGED, DISK_SHRANK or DISK_VANISHED, naming the disk, if the view was not what it promised. */
  assertUnchanged(): Promise<void>;
  /**
   * Live methods whose views last only until their stream goes on: they stand, and the stream waits, until the function
   * that is answered was called.
   */
  holdViews?(): Promise<() => Promise<void>>;
  /** Later changes in order; undefined for a method that is not live. */
  readonly changes?: ChangeStream;
  close(): Promise<void>;
}

/**
 * The contract of live methods. One reader at a time. Only changes that are durable on the master are told, so a
 * sequence never means two things. Sequences only grow, and may skip.
 */
export interface ChangeStream {
  /**
   * The next changes, at least one; waits for them. Rejects with the signal's reason when it is aborted, and then
   * nothing is lost: the next call gives what this one would have given.
   */
  next(signal: AbortSignal): Promise<readonly Change[]>;
  /** Everything up to and including this sequence is durable on the appliance and may be forgotten. */
  acknowledge(sequence: bigint): Promise<void>;
  /**
   * A full copy of the views begins now: all changes until now are in it and are forgotten. Answers the sequence after
   * which the stream goes on. Until this was called once, the whole disk counts as changed.
   */
  restart(): Promise<bigint>;
  /** After a cut link or a restart: the appliance has this sequence durably; the next change told is the one after it. */
  resumeAfter(sequence: bigint): Promise<void>;
  state(): StreamState;
  /**
   * What the disks are at one consistent position of the stream, hashed while they go on changing. `onPosition` is called
   * as soon as the position stands: before any hashing, or behind it where a whole view is compared; again, when a round
   * was given up and another one is proven. A mark at that sequence is, or will be, told by `next`.
   * Waits while the order is lost. One at a time. Writes of the workload may wait for one block at most.
   */
  prove(options: StreamProofOptions): Promise<StreamProof>;
}

export interface StreamProofOptions {
  readonly signal: AbortSignal;
  onPosition(sequence: bigint): void;
}

export interface StreamProof {
  readonly sequence: bigint;
  /** By disk id; excluded ranges count as zeros. */
  readonly disks: ReadonlyMap<string, DiskProof>;
}

export interface StreamState {
  /**
   * `set`: order was lost (the reason says why), and what differs comes as one atomic set, as fast as it is read.
   * The master's disks are whole in either case.
   */
  readonly mode: 'ordered' | 'set';
  readonly reason?: string;
  /** Neither order nor map is there: everything counts as changed, and a new synchronisation costs less. */
  readonly lost?: boolean;
  /** The newest sequence given to a change, and the newest that is durable here. */
  readonly lastSequence: bigint;
  readonly durableSequence: bigint;
  /** Changes kept here in order until they are acknowledged, and how many there may be. */
  readonly spooledBytes: number;
  readonly spoolLimitBytes: number;
  /** What is known only to differ, and will be read from the disk. */
  readonly dirtyBytes: number;
}

/**
 * A change, or a mark between changes:
 * - `flush`: the guest was told that everything before this is durable: a good position to stop at.
 * - `set-begin` ... `set-end`: what lies between them applies together or not at all, across disks; no position inside
 *   is consistent, flushes there mean nothing. `set-begin` with the id of the set that is open goes on with it;
 *   with another id, what came of the open set is dropped.
 */
export interface Change {
  readonly sequence: bigint;
  /** Empty for the marks of a set. */
  readonly diskId: string;
  readonly offsetBytes: number;
  /** At most 1 MiB of any kind: each has a sequence of its own, and the journal takes no longer ones. */
  readonly lengthBytes: number;
  readonly kind: 'data' | 'zero' | 'trim' | 'flush' | 'set-begin' | 'set-end';
  /** Belongs to the reader. */
  readonly data?: Uint8Array;
  /** For the marks of a set. */
  readonly setId?: bigint;
  readonly masterClockMs: number;
}
