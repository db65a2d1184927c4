import type { BackupSettings } from './backup.ts';
import type { CaptureName } from './capture.ts';
import type { DrillPlace } from './drill-place.ts';
import type { RedirectedRecord, ScenarioRedirect, ScenarioScript } from './redirect.ts';

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
  /** Asked in this order; absent: those of its virtual network. */
  readonly dnsServers?: readonly string[];
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

/** How `standby serve` looks whether a master lives (G-69). It only tells; nothing switches over because of it. */
export interface IsAliveSettings {
  readonly ping: boolean;
  /** A port of the master that accepts connections. */
  readonly tcpPort?: number | undefined;
  /** A program and its arguments, run on the control machine; it ends with 0 when the master lives. */
  readonly script?: readonly string[] | undefined;
  /** Where the master is reached from control; the first address of its inventory unless told. */
  readonly address?: string | undefined;
}

/** A year: longer is a typing error. */
export const SCRUB_HOURS_MAX = 8784;
export const REWIND_HOURS_MAX = 8784;

/** Whichever is reached first. */
export interface RewindWindow {
  readonly hours?: number | undefined;
  readonly bytes?: number | undefined;
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
    /** Tried in this order when Azure has no room for `size`. */
    readonly fallbackSizes?: readonly string[];
    /** Tried in this order, with all sizes, when `zone` has no room for any of them; only with `zone`. */
    readonly fallbackZones?: readonly string[];
  };
  readonly nics: readonly ScenarioNic[];
  /** For a standby that is only tried. */
  readonly drill?: DrillPlace;
  /** When `standby serve` holds drills, in UTC: `weekly sun 03:00` (src/model/drill-schedule.ts). */
  readonly drillSchedule?: string;
  /** Live methods (G-86): after a reboot of its master it goes on by itself. True unless told. */
  readonly runAfterReboot?: boolean;
  /** Off means off and shows as off; always off for migration. */
  readonly isAlive: IsAliveSettings;
  /** Live methods: `standby serve` compares both ends so often. */
  readonly scrubEveryHours?: number;
  /** Live methods: how far back its replica can be brought; the appliance's own measure unless told. */
  readonly rewind?: RewindWindow;
  readonly healthChecks: readonly HealthCheck[];
  /** How clients are sent to the standby; absent: people are told the new address. */
  readonly redirect?: ScenarioRedirect;
  /** At most one for each moment. */
  readonly scripts?: readonly ScenarioScript[];
  /** A switchover that is complete asks for a backup of the standby's disks; so does a failback. */
  readonly backup?: BackupSettings;
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

/** How well a live scenario is protected, in a word. */
export interface WatchedCondition {
  readonly condition:
    | 'protected'
    | 'lagging'
    | 'master-away'
    | 'appliance-unreachable'
    | 'resync-needed'
    | 'unprotected'
    /** Its standby serves, and its master is heard. */
    | 'two-heads';
  readonly sinceMs: number;
  /** It was told that the replica cannot be brought back as far as asked for. */
  readonly rewindShrunk?: boolean;
}

export interface IsAliveFound {
  /** `unknown`: it cannot be tried from this machine, which says nothing about the master. */
  readonly state: 'alive' | 'silent' | 'unknown';
  readonly sinceMs: number;
  readonly atMs: number;
  /** What did not answer, or all that did. */
  readonly found: string;
}

/** The last drill that has come to its end. */
export interface DrillFound {
  readonly runId: string;
  readonly atMs: number;
  /** Only `passed` is. */
  readonly outcome: 'passed' | 'failed' | 'not-proven' | 'skipped';
  /** Of its report, and of the one before it: together they are a chain. */
  readonly sha256: string;
  readonly previousSha256?: string;
}

export interface VerifyFound {
  readonly atMs: number;
  /** Errors, and warnings that nobody has accepted. */
  readonly findings: readonly { readonly code: string; readonly status: 'error' | 'warning' }[];
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
  /** What `standby serve` found last. */
  readonly watched?: WatchedCondition;
  readonly isAliveFound?: IsAliveFound;
  readonly verified?: VerifyFound;
  readonly drilled?: DrillFound;
  /** Between `maintenance begin` and `maintenance end`. */
  readonly maintenanceSinceMs?: number;
  readonly activeRunId?: string;
  /** The standby VM's ARM id while it exists. */
  readonly standbyVmId?: string;
  readonly switchedOverRunId?: string;
  /** While clients are sent to the standby. */
  readonly redirected?: RedirectedRecord;
}
