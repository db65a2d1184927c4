import type { CaptureName } from '../model/capture.ts';
import type { MasterDisk } from '../model/disk.ts';
import type { BlockDevice } from '../ports/block-device.ts';

/**
 * How changes on the master are seen. A method gives a consistent view of the chosen disks for a synchronisation
 * and, when it can, the stream of later changes. One file per method, listed in index.ts; all pass the same contract suite.
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
  /** Ranges that are read as zeros: excluded volumes. */
  readonly excluded: readonly {
    readonly diskId: string;
    readonly offsetBytes: number;
    readonly sizeBytes: number;
  }[];
}

export interface CaptureSession {
  /** A view that does not change while it is open; reads of excluded ranges give zeros. */
  view(diskId: string): BlockDevice;
  /** Throws DISK_CHANGED, DISK_SHRANK or DISK_VANISHED, naming the disk, if the view was not what it promised. */
  assertUnchanged(): Promise<void>;
  /** Later changes in order; undefined for a method that is not live. */
  readonly changes?: ChangeStream;
  close(): Promise<void>;
}

/** The contract of live methods. */
export interface ChangeStream {
  next(signal: AbortSignal): Promise<readonly Change[]>;
  /** Everything up to and including this sequence is durable on the appliance and may be forgotten. */
  acknowledge(sequence: bigint): Promise<void>;
}

export interface Change {
  readonly sequence: bigint;
  readonly diskId: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly kind: 'data' | 'zero' | 'trim';
  readonly data?: Uint8Array;
  readonly masterClockMs: number;
}
