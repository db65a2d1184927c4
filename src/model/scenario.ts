import type { CaptureName } from './capture.ts';

/** What is protected, by which appliance, and what the standby VM will be. A definition never holds a secret. */
export const DISK_TYPES = ['Standard_LRS', 'StandardSSD_LRS', 'Premium_LRS'] as const;
export type DiskType = (typeof DISK_TYPES)[number];

export type ScenarioAddress = { readonly kind: 'dynamic' } | { readonly kind: 'static'; readonly ip: string };

export interface ScenarioNic {
  /** The master's NIC this one stands for (`nic0` is primary). */
  readonly masterNicId: string;
  readonly virtualNetworkId: string;
  readonly subnetName: string;
  readonly address: ScenarioAddress;
  readonly networkSecurityGroupId?: string;
  readonly publicIp: boolean;
}

export type HealthCheck =
  | { readonly kind: 'tcp'; readonly port: number }
  | { readonly kind: 'http'; readonly port: number; readonly path: string; readonly expectStatus: number };

export interface AcceptedWarning {
  readonly code: string;
  readonly who: string;
  readonly atMs: number;
}

export interface Scenario {
  readonly id: string;
  readonly name: string;
  readonly purpose: 'dr' | 'migration';
  readonly serverType: 'full-system';
  readonly productType: 'high-availability';
  readonly replicaType: 'azure';
  /** Azure full-system scenarios switch over by hand only; any other value is refused. */
  readonly switchoverMode: 'manual';
  readonly accountId: string;
  readonly applianceId: string;
  readonly masterId: string;
  readonly region: string;
  readonly capture: CaptureName;
  readonly excludedVolumeIds: readonly string[];
  readonly vm: {
    readonly name: string;
    readonly size: string;
    readonly resourceGroup: string;
    readonly diskType: DiskType;
    readonly zone?: string;
  };
  readonly nics: readonly ScenarioNic[];
  /** Live methods (G-86): after a reboot of its master it goes on by itself. True unless told. */
  readonly runAfterReboot?: boolean;
  /** Off means off and shows as off; always off for migration. */
  readonly isAlive: { readonly ping: boolean };
  readonly healthChecks: readonly HealthCheck[];
  readonly acceptedWarnings: readonly AcceptedWarning[];
  readonly createdAtMs: number;
}

export const SCENARIO_STATES = [
  'stopped',
  'preparing-disks',
  'synchronising',
  'draining',
  'replicating',
  /** at-rest capture: the copy equals the master as it stands still; nothing is being replicated. */
  'synchronised',
  'resync-needed',
  'switching-over',
  'switched-over',
    /** Tried in this order when Azure has no room for `size`. */
    readonly fallbackSizes?: readonly string[];
    /** Tried in this order, with all sizes, when `zone` has no room for any of them; only with `zone`. */
    readonly fallbackZones?: readonly string[];
  'failing-back',
] as const;
export type ScenarioState = (typeof SCENARIO_STATES)[number];

export interface DiskDigest {
  readonly diskId: string;
  /** Hex SHA-256 root over the disk's 1 MiB chunks (docs/WIRE.md); the same on both ends. */
  readonly digest: string;
  readonly sizeBytes: number;
}

/** What control last heard of a live replica: what is left to say when its appliance cannot be asked. */
export interface SeenReplica {
  /** By control's clock. */
  readonly atMs: number;
  readonly receivedSequence: string;
  readonly appliedSequence: string;
  /** By the master's clock. */
  readonly receivedAtMs?: number;
  readonly appliedAtMs?: number;
  readonly lagSeconds?: number;
  readonly lagBytes?: number;
}

/** What happens to a scenario; kept apart from its definition so an edit and a run never overwrite each other. */
export interface ScenarioStatus {
  /** The scenario's id. */
  readonly id: string;
  readonly name: string;
  readonly state: ScenarioState;
  readonly sinceMs: number;
  readonly reason?: string;
  readonly epoch: number;
  readonly synchronisedAtMs?: number;
  /** Of the last time both ends were compared; a live replica has moved on since. */
  readonly digests?: readonly DiskDigest[];
  readonly seen?: SeenReplica;
  /** Between `maintenance begin` and `maintenance end`. */
  readonly maintenanceSinceMs?: number;
  readonly activeRunId?: string;
  /** The standby VM's ARM id while it exists. */
  readonly standbyVmId?: string;
  readonly switchedOverRunId?: string;
}
