import type { MasterInventory } from '../model/disk.ts';
import type { Readiness } from '../model/readiness.ts';
import type { DiskDigest } from '../model/scenario.ts';
import type { SealedPatch } from '../model/sealed-patch.ts';
import type { HeldReplica, HoldRequest, ReleasedHold } from './hold-messages.ts';
import type { RestoreSpec } from './restore-messages.ts';

/** What control can ask of an appliance over port 25000. Implemented by control-client.ts; every call has a time limit. */
export interface ControlSession {
  readonly hello: ApplianceHello;
  /** Data disks the appliance sees, by LUN. */
  disks(): Promise<readonly ApplianceDisk[]>;
  /** Lets a master join once with the token whose SHA-256 this is. The appliance never sees the token itself. */
  offerJoin(offer: { tokenId: string; tokenSha256: string; expiresAtMs: number }): Promise<void>;
  /** Masters that presented a token and wait for their certificate. */
  pendingJoins(): Promise<readonly PendingJoin[]>;
  grantJoin(grant: { tokenId: string; masterId: string; certificatePem: string }): Promise<void>;
  masters(): Promise<readonly MasterPresence[]>;
  /** Declares (idempotent) which disks of a scenario lie on which LUN. Refuses a LUN that is too small, absent or taken by another scenario. */
  openReplica(spec: ReplicaSpec): Promise<void>;
  /** Starts or goes on with the copy; returns as soon as the master has accepted. Idempotent while it runs. */
  startCopy(scenarioId: string, options: CopyOptions): Promise<void>;
  /** The state now; `waitMs` holds the answer until something changed or the time is over. */
  progress(scenarioId: string, waitMs?: number): Promise<CopyProgress>;
  stopCopy(scenarioId: string): Promise<void>;
  /** Brings the replica to a position, flushes it, refuses further writes until the next openReplica with a higher epoch. */
  seal(scenarioId: string, options?: SealOptions): Promise<SealedReplica>;
  /** Takes the seal back (switchover --undo); the replica may be written again. */
  unseal(scenarioId: string): Promise<void>;
  /** Gives a sealed replica what its snapshots need, until `unpatchReplica`, `unseal` or a new epoch. Again: no change. */
  patchReplica(scenarioId: string, bootDiskId: string): Promise<SealedPatch>;
  unpatchReplica(scenarioId: string): Promise<void>;
  /**
   * Has the disks stand still at one consistent position while what the master sends is taken as ever. Ends by itself
   * after `ms`, and when replication needs it to: `renew` then throws HOLD_ENDED.
   */
  hold(scenarioId: string, hold: HoldRequest): Promise<HeldReplica>;
  /** Answers whether it had lasted until now. */
  release(scenarioId: string, holdId: string): Promise<ReleasedHold>;
  /**
   * Keeps the scenario's master off the network, now and whenever it comes back; or lets it on again. `insist`: also one
   * that is away, or whose command fails; otherwise nothing of it stays then.
   */
  fence(scenarioId: string, fenced: boolean, insist?: boolean): Promise<FenceOutcome>;
  /** Names the last durable consistent position of a live scenario. */
  bookmark(scenarioId: string, name: string): Promise<ReplicaBookmark>;
  /** Those the replica can still be brought to, and how far back a time may lie (master's clock). */
  bookmarks(scenarioId: string): Promise<{ bookmarks: readonly ReplicaBookmark[]; rewindFromMs: number }>;
  /** How far back a live replica can be brought, from now on. */
  setRewind(scenarioId: string, rewind: RewindSpec): Promise<void>;
  /** Begins a proof that both ends are equal at one position; `progress` tells how it ended. */
  scrub(scenarioId: string): Promise<void>;
  /** What would stop the server's start, read from the replica of one disk at one consistent position. */
  readiness(scenarioId: string, diskId: string): Promise<Readiness>;
  /** What this appliance may receive from its masters together, by hour of its day (UTC); nothing set: no limit. */
  bandwidth(): Promise<BandwidthSchedule>;
  setBandwidth(schedule: BandwidthSchedule): Promise<void>;
  /** The way home: its master's machine, or one that takes its place, is sent what differs from these disks. */
  openRestore(spec: RestoreSpec): Promise<void>;
  /** Undefined while none is open. */
  restoreState(scenarioId: string): Promise<RestoreState | undefined>;
  closeRestore(scenarioId: string): Promise<void>;
  /** Forgets a scenario on this appliance (its disks stay as they are). */
  closeReplica(scenarioId: string): Promise<void>;
  close(): Promise<void>;
}

export interface BandwidthSchedule {
  /** 24 values, bytes per second; 0 = no limit in that hour. */
  readonly bytesPerSecondByHour?: number[] | undefined;
}

/** Whichever is reached first; absent: the appliance's own measure. */
export interface RewindSpec {
  readonly ms?: number | undefined;
  readonly bytes?: number | undefined;
}

export interface ApplianceHello {
  readonly applianceId: string;
  readonly engineVersion: string;
  readonly protocol: number;
  /** Appliance's clock minus ours, in ms, at the hello. */
  readonly clockDifferenceMs: number;
}

export interface ApplianceDisk {
  readonly lun: number;
  readonly path: string;
  readonly sizeBytes: number;
  readonly scenarioId?: string;
  readonly diskId?: string;
}

export interface PendingJoin {
  readonly tokenId: string;
  /** PKCS#10 request of the master's own key. */
  readonly requestPem: string;
  /** Hex HMAC-SHA-256 with the token as key over the request's DER and the inventory: control checks it, so an appliance cannot forge a join. */
  readonly proof: string;
  readonly inventory: MasterInventory;
}

export interface MasterPresence {
  readonly masterId: string;
  readonly connected: boolean;
  readonly engineVersion?: string;
  readonly lastSeenMs?: number;
  readonly inventory?: MasterInventory;
}

export interface ReplicaSpec {
  readonly scenarioId: string;
  readonly masterId: string;
  readonly epoch: number;
  readonly disks: readonly {
    readonly diskId: string;
    readonly lun: number;
    /** The master disk's size; the LUN is at least as large. */
    readonly sizeBytes: number;
    /** True only for a disk created empty for this epoch: zero chunks then need not be checked. */
    readonly blank: boolean;
    readonly excluded: readonly { readonly offsetBytes: number; readonly sizeBytes: number }[];
  }[];
  readonly rewind?: RewindSpec | undefined;
  /** A live replica waits for control when its master was rebooted: state `idle`, error MASTER_REBOOTED. */
  readonly stopAfterReboot?: boolean | undefined;
}

export interface CopyOptions {
  readonly capture: string;
  readonly lanes: number;
  readonly compression: 'none' | 'zstd';
  /** `volume` unless told. */
  readonly mode?: 'volume' | 'block';
}

export interface CopyProgress {
  readonly scenarioId: string;
  readonly epoch: number;
  readonly state:
    | 'idle'
    | 'copying'
    | 'proving'
    | 'draining'
    | 'synchronised'
    | 'replicating'
    | 'resync-needed'
    | 'failed'
    | 'sealed'
    | 'master-away';
  /** Bytes of the master's disks looked at and durable on the replica, zeros included. */
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Bytes of data that travelled (before compression), and bytes on the wire. */
  readonly sentBytes: number;
  readonly wireBytes: number;
  readonly resentBlocks: number;
  /** Of the master's disks: free by their file systems, so not copied; they read as zeros on the replica. */
  readonly leftOutBytes?: number;
  /** Over the last seconds, zeros included; only while copying. */
  readonly bytesPerSecond?: number;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
  readonly digests?: readonly DiskDigest[];
  readonly error?: {
    readonly code: string;
    readonly what: string;
    readonly why?: string;
    readonly next?: string;
  };
  /** Live scenarios, from the first moment of their stream. */
  readonly replication?: Replication;
  /** A whole seed was written onto its disks, and nothing is being copied; by the appliance's clock. */
  readonly seed?: { readonly seedId: string; readonly atMs: number; readonly dataBytes: number };
}

/** Sequences are decimal digits: they have 64 bits. Times are the master's clock unless they say otherwise. */
export interface Replication {
  readonly originSequence: string;
  readonly receivedSequence: string;
  readonly appliedSequence: string;
  readonly receivedAtMs?: number;
  readonly appliedAtMs?: number;
  readonly receivedBytes: number;
  readonly bytesPerSecond: number;
  /** By the appliance's clock. */
  readonly heardAtMs?: number;
  readonly stream?: MasterStream;
  /** What a switchover now would lose, as far as the appliance knows. */
  readonly lagSeconds?: number;
  readonly lagBytes?: number;
  readonly journal: {
    readonly state: 'ready' | 'full' | 'disk-full' | 'failed' | 'damaged';
    readonly reason?: string;
    readonly usedBytes: number;
    readonly limitBytes: number;
    readonly rewindBytes: number;
    readonly rewindFromMs: number;
    /** What is asked to be kept. */
    readonly rewindLimitMs?: number;
    readonly rewindLimitBytes?: number;
    /** By the appliance's clock: space ran short, and the window became smaller than asked for. */
    readonly rewindShrunkAtMs?: number;
    readonly unappliedChanges: number;
    readonly unappliedBytes?: number;
  };
  readonly proof?: ReplicaProof;
  readonly proving: boolean;
}

export interface MasterStream {
  /** `set`: order was lost for the reason given; what differs comes as one atomic set. */
  readonly mode: 'ordered' | 'set';
  readonly reason?: string;
  readonly lastSequence: string;
  readonly durableSequence: string;
  readonly spooledBytes: number;
  readonly spoolLimitBytes: number;
  readonly dirtyBytes: number;
  readonly masterClockMs: number;
}

export interface ReplicaProof {
  readonly sequence: string;
  /** By the appliance's clock. */
  readonly atMs: number;
  readonly equal: boolean;
  readonly digests: readonly DiskDigest[];
  readonly differing?: readonly {
    readonly diskId: string;
    readonly bytes: number;
    readonly firstByte: number;
  }[];
}

/** Where a live replica is brought to. */
export type ReplicaPoint =
  | { readonly latest: true }
  | { readonly bookmark: string }
  | { readonly timeMs: number }
  | { readonly sequence: string };

export interface SealOptions {
  readonly point?: ReplicaPoint;
  /** False: changes in the journal that are not on the disks yet are left out (G-75). */
  readonly drain?: boolean;
}

export interface RestoreState {
  readonly restoreId: string;
  readonly final: boolean;
  /** A machine is here and works on it. */
  readonly connected: boolean;
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly sentBytes: number;
  readonly wireBytes: number;
  /** Both ends read all of their disks and agreed; `sentBytes`: of all attempts. */
  readonly proven?:
    | { readonly atMs: number; readonly digests: readonly DiskDigest[]; readonly sentBytes: number }
    | undefined;
  readonly problem?: string | undefined;
}

export interface FenceOutcome {
  /** `gone`: its session ended meanwhile. `away`: it is not here. */
  readonly outcome: 'done' | 'failed' | 'away' | 'gone';
  readonly why?: string | undefined;
}

export interface ReplicaBookmark {
  readonly name: string;
  readonly sequence: string;
  readonly timeMs: number;
}

export interface SealedReplica {
  readonly epoch: number;
  readonly synchronisedAtMs: number;
  /** Of the last proof; a live replica has moved on since. */
  readonly digests: readonly DiskDigest[];
  /** Live scenarios: the consistent position it was brought to, and what of the journal was left out. */
  readonly position?: {
    readonly sequence: string;
    readonly timeMs: number;
    readonly leftOutChanges: number;
  };
}
