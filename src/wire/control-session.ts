import type { MasterInventory } from '../model/disk.ts';
import type { DiskDigest } from '../model/scenario.ts';

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
  /** Flushes the replica, refuses further writes until the next openReplica with a higher epoch, returns what it holds. */
  seal(scenarioId: string): Promise<SealedReplica>;
  /** Takes the seal back (switchover --undo); the replica may be written again. */
  unseal(scenarioId: string): Promise<void>;
  /** Forgets a scenario on this appliance (its disks stay as they are). */
  closeReplica(scenarioId: string): Promise<void>;
  close(): Promise<void>;
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
}

export interface CopyOptions {
  readonly capture: string;
  readonly lanes: number;
  readonly compression: 'none' | 'zstd';
}

export interface CopyProgress {
  readonly scenarioId: string;
  readonly epoch: number;
  readonly state: 'idle' | 'copying' | 'proving' | 'synchronised' | 'failed' | 'sealed' | 'master-away';
  /** Bytes of the master's disks looked at and durable on the replica, zeros included. */
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Bytes of data that travelled (before compression), and bytes on the wire. */
  readonly sentBytes: number;
  readonly wireBytes: number;
  readonly resentBlocks: number;
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
}

export interface SealedReplica {
  readonly epoch: number;
  readonly synchronisedAtMs: number;
  readonly digests: readonly DiskDigest[];
}
