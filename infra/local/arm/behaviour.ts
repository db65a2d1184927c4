import type { Clock } from '../../../src/clock.ts';
import type { Log } from '../../../src/log.ts';
import type { GuestHost } from '../guests/guest-host.ts';
import type { Json, JsonObject } from './json.ts';
import type { OperationShape } from './operation-shape.ts';

/**
 * The contract between the generic ARM core and what a resource type does beyond holding state.
 * One file per type under `behaviours/`, one line each in `behaviours/index.ts`.
 *
 * What the core promises a behaviour:
 * - Routing (any case, `//`), tokens, api-versions, name, location and tag checks, paging, provisioning states,
 *   etags, long-running operations, latency and faults are done by the core.
 * - Hooks named `before...` are synchronous and run, together with storing the resource and its operation, in ONE
 *   database transaction: throw an ArmError and nothing at all has changed. Do all checks and all changes of
 *   other resources (a disk's `managedBy`) there.
 * - Hooks named `after...` and `run` are asynchronous and run inside the long-running operation. Local Azure may be
 *   killed at any line of them; after the restart the core runs them AGAIN from their start: make them
 *   idempotent. Throw an ArmError to fail the operation (the resource then shows provisioningState Failed).
 * - Operations on one resource run one after the other, in the order in which they were accepted.
 */
export interface Behaviour {
  /** `Microsoft.Compute/disks`; nested: `Microsoft.Network/virtualNetworks/subnets` (routed and checked below its parent). */
  readonly type: string;
  /** Every api-version that is accepted; the newest first. */
  readonly apiVersions: readonly string[];
  /** Has location and tags of its own. False for nested types; their list is under the parent only. */
  readonly tracked: boolean;
  /** Lies in no region: its location is `global`. */
  readonly global?: boolean;
  /** The name as a whole must match, else 400 with `nameCode` (default InvalidResourceName). */
  readonly namePattern?: RegExp;
  readonly nameCode?: string;
  /** Children that Azure shows, and takes, inside this resource's properties (a vnet's `subnets`, an NSG's `securityRules`). */
  readonly embeds?: readonly Embed[];
  /** How PUT, PATCH and DELETE answer; absent = synchronous (201/200, 200, 200/204). A function sees whether it is new. */
  readonly putShape?: OperationShape | ((put: Put) => OperationShape | undefined);
  /** `now`: a PATCH is carried out before it is answered, whatever a PUT does. */
  readonly patchShape?: OperationShape | 'now';
  readonly deleteShape?: OperationShape;
  /** How long Azure takes, for the latency profile `azure`; keys `create`, `update`, `delete` or an action's name. */
  readonly azureMs?: Readonly<Record<string, number>>;

  /**
   * Checks the request and completes `put.resource`, which the core has filled from the body (PATCH: from the body
   * merged into the resource as it was). Whatever `put.resource` holds when this returns is stored.
   */
  beforePut?(context: ArmContext, put: Put): void;
  /** The side effects of a PUT or PATCH. `work.carry` is what beforePut left in `put.carry`. */
  afterPut?(context: ArmContext, resource: Resource, work: Work): Promise<void>;
  /** Checks (in use? then ArmError 409 or 400) and frees what this resource holds. The resource itself is removed by the core at the operation's end. */
  beforeDelete?(context: ArmContext, resource: Resource, request: DeleteRequest): void;
  /** Side effects of a DELETE, while the resource is still in the graph as `Deleting`. */
  afterDelete?(context: ArmContext, resource: Resource, work: Work): Promise<void>;
  /**
   * What GET and lists show. `shown` is the core's own picture (id, name, type, location, tags, etag, `top`,
   * properties with provisioningState and embedded children); change it and return it. Leave out write-only fields here.
   */
  present?(context: ArmContext, resource: Resource, shown: JsonObject, view: View): JsonObject;
  /** POST verbs on one resource, any case: `start`, `powerOff`, `beginGetAccess`, ... */
  readonly actions?: Readonly<Record<string, Action>>;
  /** GETs below one resource: `instanceView`, `checkIPAddressAvailability`, ... */
  readonly reads?: Readonly<Record<string, (context: ArmContext, resource: Resource, request: Ask) => Reply>>;
}

export interface Embed {
  /** `subnets` */
  readonly property: string;
  /** `Microsoft.Network/virtualNetworks/subnets` */
  readonly type: string;
  /** A PUT of the parent without the property at all: keep the children, or remove them all. Given, the list replaces them. */
  readonly whenAbsent: 'keep' | 'remove';
}

/** What the core holds for one resource. Plain data; changes count only when stored through the graph or returned from beforePut. */
export interface Resource {
  readonly id: string;
  readonly name: string;
  /** As the behaviour spells it. */
  readonly type: string;
  /** Canonical short name (`japaneast`); absent on nested types. */
  location?: string;
  tags: Record<string, string>;
  /** The other fields of the top level: sku, zones, kind, managedBy, identity, ... */
  top: JsonObject;
  /** Without provisioningState: the core keeps and shows it. */
  properties: JsonObject;
  /** Kept with the resource and never shown: file names, guest facts, userData. */
  hidden: JsonObject;
  provisioningState: ProvisioningState;
  readonly createdAtMs: number;
  /** Counts stores; the etag is made of it. */
  readonly version: number;
}
export type ProvisioningState = 'Creating' | 'Updating' | 'Deleting' | 'Succeeded' | 'Failed';

export interface Put {
  /** The draft that will be stored. `top` and `properties` are the body's; `hidden` is the existing one's. */
  readonly resource: Resource;
  /** PUT: the request's body. PATCH: the body merged into the resource as it was. */
  readonly body: JsonObject;
  readonly existing?: Resource;
  readonly method: 'PUT' | 'PATCH';
  readonly apiVersion: string;
  /** The parent, for nested types. */
  readonly parent?: Resource;
  /** For afterPut: stored with the operation. */
  carry: JsonObject;
}

export interface DeleteRequest {
  readonly query: URLSearchParams;
  /** The whole resource group goes: references among its own resources need not hold the deletion up. */
  readonly wholeGroup: boolean;
  carry: JsonObject;
}

/** A long-running operation at work. */
export interface Work {
  readonly operationId: string;
  /** `create`, `update`, `delete` or the action's name. */
  readonly verb: string;
  /** Local Azure was killed or stopped while this ran, and runs it again. */
  readonly again: boolean;
  readonly carry: JsonObject;
  /** Stored at once; for operations that want to know how far they had come. */
  saveCarry(carry: JsonObject): void;
  /** Aborted when Local Azure stops; reject then, the operation goes on after the next start. */
  readonly signal: AbortSignal;
}

/** One request below a resource or a provider. */
export interface Ask {
  /** Names in lower case: ARM does not mind how they are written. */
  readonly query: URLSearchParams;
  readonly body: JsonObject;
  readonly apiVersion: string;
  /** `{location}` of a route's path, in lower case. */
  readonly params: Readonly<Record<string, string>>;
}

/** `list` is paged by the core as `{value, nextLink}`. */
export type Reply =
  | { readonly status?: number; readonly body?: Json; readonly list?: undefined }
  | { readonly list: readonly JsonObject[] };

export interface View {
  readonly query: URLSearchParams;
  readonly from: 'get' | 'list' | 'put' | 'operation';
}

/** A POST verb: answered at once, or as a long-running operation. */
export type Action =
  | {
      readonly kind: 'now';
      answer(context: ArmContext, resource: Resource, request: Ask): Reply | Promise<Reply>;
    }
  | {
      readonly kind: 'operation';
      readonly shape: OperationShape;
      /** Checks and changes in one transaction; what it returns is the operation's `carry`. */
      before?(context: ArmContext, resource: Resource, request: Ask): JsonObject | undefined;
      /** What it returns is the operation's output (`properties.output`, and the body of the Location poll). */
      run?(context: ArmContext, resource: Resource, work: Work): Promise<JsonObject | undefined>;
    };

/**
 * What hangs below a provider and not below a resource: skus, usages, checkNameAvailability.
 * Listed in `behaviours/index.ts` as well.
 */
export interface ProviderRoute {
  readonly method: 'GET' | 'POST';
  /** Below /subscriptions/{id}/providers/: `Microsoft.Compute/locations/{location}/usages` (location is checked by the core). */
  readonly path: string;
  readonly apiVersions: readonly string[];
  /** For faults and permissions: `Microsoft.Compute/locations/usages/read`. */
  readonly action: string;
  answer(context: ArmContext, request: Ask): Reply;
}

/** All stored resources. Synchronous; every change is durable when the enclosing transaction ends. Ids in any case. */
export interface ResourceGraph {
  get(id: string): Resource | undefined;
  /** By type (any case), oldest first. */
  list(
    type: string,
    where?: { readonly location?: string; readonly resourceGroup?: string },
  ): readonly Resource[];
  childrenOf(id: string, type?: string): readonly Resource[];
  /** Every resource whose properties, top or hidden name this id anywhere; for "still in use" checks. */
  referencesTo(id: string, type?: string): readonly Resource[];
  /** Changes a stored resource; throws when it is not there. */
  update(id: string, change: (resource: Resource) => void): Resource;
  /** For resources a behaviour makes by itself (an OS disk from an image). Checks of the type's own behaviour do not run. */
  insert(draft: {
    readonly id: string;
    readonly type: string;
    readonly location?: string;
    readonly tags?: Readonly<Record<string, string>>;
    readonly top?: JsonObject;
    readonly properties?: JsonObject;
    readonly hidden?: JsonObject;
  }): Resource;
  remove(id: string): void;
  /** Several changes at once, outside of `before...` hooks. Must not await. */
  transaction<T>(work: () => T): T;
}

/** What every hook gets. */
export interface ArmContext {
  readonly graph: ResourceGraph;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: SubscriptionSettings;
  /** Disk files and the like; exists. Make sub-folders as needed. */
  readonly dataFolder: string;
  readonly guests: GuestHost;
  readonly storage: BlobStorage;
  /** A URL on this HTTPS listener that serves a file below `dataFolder` (GET, HEAD, Range) until `expiresAtMs`, signed like a SAS. */
  fileUrl(pathInDataFolder: string, expiresAtMs: number): string;
  newGuid(): string;
}

/** Read anew at each request: tests change it through LocalAzure.settings. */
export interface SubscriptionSettings {
  readonly subscriptionId: string;
  readonly tenantId: string;
  readonly displayName: string;
  readonly locations: readonly { readonly name: string; readonly displayName: string }[];
  /** Limits that differ from the behaviours' own tables: `{'japaneast/cores': 4, 'PublicIPAddresses': 10}`. */
  readonly quotas: Readonly<Record<string, number>>;
  /** Azure has subscriptions in which POST attachDetachDataDisks is refused. */
  readonly attachDetachDataDisks: boolean;
  /** Azure gave Basic public IPs until September 2025; recordings of before have them. */
  readonly basicPublicIps: boolean;
  readonly pageSize: number;
  readonly tokenLifetimeSeconds: number;
  /** A role assignment for everybody, at the subscription. Take it away (`actions: []`) to leave only those below. */
  readonly permissions: { readonly actions: readonly string[]; readonly notActions: readonly string[] };
  readonly roleAssignments: readonly RoleGrant[];
  readonly denyAssignments: readonly RoleGrant[];
  readonly locks: readonly ScopeLock[];
  readonly policyAssignments: readonly PolicyAssignment[];
}

/** A role on a scope: `/subscriptions/{s}`, a resource group or a resource. */
export interface RoleGrant {
  readonly name: string;
  readonly scope: string;
  /** A service principal's object id; absent: everybody. */
  readonly principalId?: string;
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
}

export interface ScopeLock {
  readonly name: string;
  readonly scope: string;
  readonly level: 'CanNotDelete' | 'ReadOnly';
}

/** Only Azure's own definitions of policies.ts are carried out. */
export interface PolicyAssignment {
  readonly name: string;
  readonly scope: string;
  readonly policyDefinitionId: string;
  readonly parameters: Readonly<Record<string, { readonly value: Json }>>;
}

/** `japaneast/cores`, else `cores`, else the behaviour's own limit. */
export function quotaLimit(
  settings: SubscriptionSettings,
  location: string,
  name: string,
  usual: number,
): number {
  return settings.quotas[`${location}/${name}`] ?? settings.quotas[name] ?? usual;
}

/** The blob service behind storage accounts (Azurite, started with the first account). */
export interface BlobStorage {
  /** Serves this account from now on; idempotent. `keys` are base64. */
  serveAccount(name: string, keys: readonly [string, string]): Promise<void>;
  /** Refuses it from now on. */
  dropAccount(name: string): Promise<void>;
  endpoint(accountName: string): string;
}
