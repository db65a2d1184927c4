import type { DiskType } from '../model/scenario.ts';
import type { StandbyTags } from '../model/tags.ts';
import type { CloudMachines } from './cloud-machines.ts';

/**
 * What the core needs from a cloud, in the core's own words. infra/azure implements it with the official SDKs.
 * Ids are full ARM ids. Errors are StandbyErrors whose code is Azure's own (AllocationFailed, QuotaExceeded,
 * SkuNotAvailable, ...) or one of ours (RESOURCE_NOT_FOUND, NOT_OURS, CLOUD_UNREACHABLE, ...).
 * `get...` answers undefined when the thing is not there. `create...`/`ensure...` are idempotent: the same call
 * again finds what the first one made. `delete...` refuses (NOT_OURS) what does not carry `scenario` in its
 * standby-scenario tag, and is content when it is already gone.
 */
export interface Cloud {
  readonly access: CloudAccess;
  readonly catalogue: CloudCatalogue;
  readonly groups: CloudGroups;
  readonly disks: CloudDisks;
  readonly network: CloudNetwork;
  readonly machines: CloudMachines;
  readonly bundles: CloudBundles;
  readonly dns: CloudDns;
  /** Everything (any type) in the subscription that carries this tag, for reports and proofs of removal. */
  listTagged(tag: keyof StandbyTags, value: string): Promise<readonly TaggedResource[]>;
}

/**
 * A long-running operation that survives a crash: `saved` is what an earlier try stored through `save`
 * right after the submission. The implementation re-attaches to it instead of submitting again.
 */
export interface Operation {
  readonly signal?: AbortSignal;
  readonly saved?: unknown;
  save?(state: unknown): Promise<void>;
}

export interface TaggedResource {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
}

// --- account
export interface CloudAccess {
  /** Gets a token; throws with codes SECRET_WRONG, SECRET_EXPIRED, APPLICATION_UNKNOWN, TENANT_UNKNOWN, CA_UNTRUSTED, CLOUD_UNREACHABLE, CLOCK_SKEW. */
  signIn(): Promise<{ readonly expiresAtMs: number }>;
  /** Throws SUBSCRIPTION_NOT_VISIBLE. */
  subscription(): Promise<{ readonly id: string; readonly name: string; readonly state: string }>;
  /**
   * Actions allowed at a scope, the subscription's by default (wildcards as Azure gives them), and those taken away.
   * `roles` keeps them apart: what one role takes away, another may give.
   */
  permissions(scope?: string): Promise<RolePermissions & { readonly roles?: readonly RolePermissions[] }>;
  /** What deny assignments at this scope or above take from everybody or from us; no role gives it back. */
  denials(scope: string): Promise<readonly (RolePermissions & { readonly name: string })[]>;
  /** Locks at this scope, above and below it. */
  locks(scope: string): Promise<readonly ScopeLock[]>;
  /** Policy assignments at this scope and above it that are enforced. */
  policies(scope: string): Promise<readonly PolicyAssignment[]>;
  /** Registration state of the resource providers we need: Microsoft.Compute, Microsoft.Network, Microsoft.Storage. */
  providers(): Promise<readonly { readonly namespace: string; readonly registered: boolean }[]>;
}

export interface RolePermissions {
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
}
export interface ScopeLock {
  readonly name: string;
  readonly scope: string;
  readonly level: 'CanNotDelete' | 'ReadOnly';
}
export interface PolicyAssignment {
  readonly name: string;
  readonly scope: string;
  /** The definition's id; Azure's own definitions end with a GUID that is the same everywhere. */
  readonly definitionId: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

// --- what the region offers
export interface CloudCatalogue {
  locations(): Promise<readonly { readonly name: string; readonly displayName: string }[]>;
  sizes(location: string): Promise<readonly VmSize[]>;
  usages(location: string): Promise<readonly Usage[]>;
}

export interface VmSize {
  readonly name: string;
  readonly family: string;
  readonly vCpus: number;
  readonly memoryGib: number;
  readonly dataDisksMax: number;
  readonly nicsMax: number;
  readonly generations: readonly ('V1' | 'V2')[];
  readonly premiumDisks: boolean;
  readonly zones: readonly string[];
  /** Why this subscription cannot use it here; absent when it can. */
  readonly restricted?: string;
  /** Zones in which it is restricted though the region has it. */
  readonly restrictedZones: readonly string[];
  readonly architecture?: string;
  /** `SCSI`, `NVMe`; absent when Azure does not tell. */
  readonly diskControllers?: readonly string[];
  /** What its uncached disks carry together. */
  readonly diskBytesPerSecond?: number;
}

export interface Usage {
  /** `cores`, `virtualMachines`, a family name, `PublicIPAddresses`, ... */
  readonly name: string;
  readonly current: number;
  readonly limit: number;
}

export interface CloudGroups {
  list(): Promise<readonly ResourceGroup[]>;
  get(name: string): Promise<ResourceGroup | undefined>;
  ensure(name: string, location: string): Promise<ResourceGroup>;
}
export interface ResourceGroup {
  readonly id: string;
  readonly name: string;
  readonly location: string;
}

// --- disks and snapshots
export interface CloudDisk {
  readonly id: string;
  readonly name: string;
  readonly location: string;
  readonly sizeGib: number;
  readonly type: string;
  readonly state: string;
  readonly generation?: 'V1' | 'V2';
  readonly attachedTo?: string;
  readonly zone?: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly provisioning: string;
}
export interface CloudSnapshot {
  readonly id: string;
  readonly name: string;
  readonly provisioning: string;
  readonly sourceId?: string;
  /** False: it stands alone, whatever becomes of other snapshots of its disk. */
  readonly incremental?: boolean;
  readonly tags: Readonly<Record<string, string>>;
}
export interface DiskSpec {
  readonly resourceGroup: string;
  readonly name: string;
  readonly location: string;
  readonly type: DiskType;
  readonly zone?: string;
  readonly tags: StandbyTags;
}
export interface CloudDisks {
  get(resourceGroup: string, name: string): Promise<CloudDisk | undefined>;
  /** Empty data disk, or with `os` an empty disk that a VM can boot from once it has been filled. */
  createEmpty(
    spec: DiskSpec & { readonly sizeGib: number; readonly os?: OsDiskFacts },
    operation?: Operation,
  ): Promise<CloudDisk>;
  createFromSnapshot(
    spec: DiskSpec & { readonly snapshotId: string; readonly os?: OsDiskFacts },
    operation?: Operation,
  ): Promise<CloudDisk>;
  delete(diskId: string, scenario: string, operation?: Operation): Promise<void>;
  getSnapshot(resourceGroup: string, name: string): Promise<CloudSnapshot | undefined>;
  /** Incremental snapshot of a managed disk unless told `full`; waits until it is complete. */
  createSnapshot(
    spec: {
      readonly resourceGroup: string;
      readonly name: string;
      readonly location: string;
      readonly sourceDiskId: string;
      readonly full?: boolean;
      readonly tags: StandbyTags;
    },
    operation?: Operation,
  ): Promise<CloudSnapshot>;
  deleteSnapshot(snapshotId: string, scenario: string, operation?: Operation): Promise<void>;
}
export interface OsDiskFacts {
  readonly osType: 'Linux' | 'Windows';
  readonly generation: 'V1' | 'V2';
}

// --- network
export interface CloudNetwork {
  virtualNetworks(location?: string): Promise<readonly VirtualNetwork[]>;
  virtualNetwork(id: string): Promise<VirtualNetwork | undefined>;
  /** Makes one with one subnet if it is not there; for deploying an appliance into an empty subscription. */
  ensureVirtualNetwork(
    spec: {
      readonly resourceGroup: string;
      readonly name: string;
      readonly location: string;
      readonly prefix: string;
      readonly subnetName: string;
      readonly subnetPrefix: string;
      readonly tags: StandbyTags;
    },
    operation?: Operation,
  ): Promise<VirtualNetwork>;
  /** With its subnets; Azure refuses while anything is in one of them. */
  deleteVirtualNetwork(id: string, scenario: string, operation?: Operation): Promise<void>;
  addressAvailable(
    virtualNetworkId: string,
    ip: string,
  ): Promise<{ readonly available: boolean; readonly free: readonly string[] }>;
  networkInterface(id: string): Promise<CloudNic | undefined>;
  createNetworkInterface(spec: NicSpec, operation?: Operation): Promise<CloudNic>;
  deleteNetworkInterface(id: string, scenario: string, operation?: Operation): Promise<void>;
  publicIp(id: string): Promise<CloudPublicIp | undefined>;
  /** Standard, static. */
  createPublicIp(
    spec: {
      readonly resourceGroup: string;
      readonly name: string;
      readonly location: string;
      readonly zone?: string;
      readonly tags: StandbyTags;
    },
    operation?: Operation,
  ): Promise<CloudPublicIp>;
  deletePublicIp(id: string, scenario: string, operation?: Operation): Promise<void>;
  securityGroups(location?: string): Promise<readonly SecurityGroup[]>;
  securityGroup(id: string): Promise<SecurityGroup | undefined>;
  ensureSecurityGroup(
    spec: {
      readonly resourceGroup: string;
      readonly name: string;
      readonly location: string;
      readonly tags: StandbyTags;
    },
    operation?: Operation,
  ): Promise<SecurityGroup>;
  addSecurityRule(securityGroupId: string, rule: SecurityRule, operation?: Operation): Promise<SecurityGroup>;
  deleteSecurityGroup(id: string, scenario: string, operation?: Operation): Promise<void>;
  routeTable(id: string): Promise<RouteTable | undefined>;
}
export interface RouteTable {
  readonly id: string;
  readonly name: string;
  readonly routes: readonly {
    readonly name: string;
    readonly prefix: string;
    /** `Internet`, `VirtualAppliance`, `VirtualNetworkGateway`, `VnetLocal`, `None`. */
    readonly nextHop: string;
    readonly nextHopIp?: string;
  }[];
}
export interface Subnet {
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  readonly securityGroupId?: string;
  readonly routeTableId?: string;
  /** Addresses that something has; absent when Azure does not tell. */
  readonly addressesUsed?: number;
  /** The service that has it to itself: nothing of ours can be put there. */
  readonly delegatedTo?: string;
}
export interface VirtualNetwork {
  readonly id: string;
  readonly name: string;
  readonly resourceGroup: string;
  readonly location: string;
  readonly prefixes: readonly string[];
  readonly dnsServers: readonly string[];
  readonly subnets: readonly Subnet[];
}
export interface NicSpec {
  readonly resourceGroup: string;
  readonly name: string;
  readonly location: string;
  readonly subnetId: string;
  /** Absent: dynamic. */
  readonly staticIp?: string;
  readonly publicIpId?: string;
  readonly securityGroupId?: string;
  /** Absent: those of the virtual network. */
  readonly dnsServers?: readonly string[];
  readonly tags: StandbyTags;
}
export interface CloudNic {
  readonly id: string;
  readonly name: string;
  readonly privateIp?: string;
  readonly subnetId: string;
  readonly publicIpId?: string;
  readonly securityGroupId?: string;
  /** Its own; absent: those of its network. */
  readonly dnsServers?: readonly string[];
  readonly attachedTo?: string;
  readonly tags: Readonly<Record<string, string>>;
}
export interface CloudPublicIp {
  readonly id: string;
  readonly name: string;
  readonly address?: string;
  readonly tags: Readonly<Record<string, string>>;
}
export interface SecurityRule {
  readonly name: string;
  readonly priority: number;
  readonly direction: 'Inbound' | 'Outbound';
  readonly access: 'Allow' | 'Deny';
  readonly protocol: string;
  readonly sourcePrefixes: readonly string[];
  readonly destinationPrefixes: readonly string[];
  /** As Azure writes them: `25000`, `8000-8100`, `*`. */
  readonly destinationPorts: readonly string[];
}
export interface SecurityGroup {
  readonly id: string;
  readonly name: string;
  readonly location: string;
  /** Own rules and Azure's default rules together. */
  readonly rules: readonly SecurityRule[];
  readonly tags: Readonly<Record<string, string>>;
}

// --- the engine's bundle
export interface CloudBundles {
  /** Makes the storage account if needed (name checked), uploads unless the same digest is already there, and gives a read-only URL that ends at `expiresAtMs`. */
  publish(
    spec: {
      readonly resourceGroup: string;
      readonly location: string;
      readonly accountName: string;
      readonly file: string;
      readonly sha256: string;
      readonly expiresAtMs: number;
      readonly tags: StandbyTags;
    },
    operation?: Operation,
  ): Promise<{ readonly url: string }>;
}

// --- A records in Azure DNS and Azure Private DNS
export interface CloudDns {
  hasZone(zoneId: string): Promise<boolean>;
  /** `name` is relative to the zone; `@` is the zone itself. Undefined when there is no such record set. */
  aRecord(zoneId: string, name: string): Promise<CloudARecord | undefined>;
  /** Refused (PreconditionFailed) when it is no longer what `etag` says; without one it must not be there yet. */
  setARecord(
    zoneId: string,
    name: string,
    wanted: Pick<CloudARecord, 'addresses' | 'ttlSeconds'>,
    etag: string | undefined,
  ): Promise<void>;
  removeARecord(zoneId: string, name: string, etag: string): Promise<void>;
}
export interface CloudARecord {
  readonly addresses: readonly string[];
  readonly ttlSeconds: number;
  readonly etag: string;
}
