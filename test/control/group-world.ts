import type { Context } from '../../src/control/context.ts';
import { replicaDiskName } from '../../src/model/names.ts';
import type { Scenario, ScenarioStatus } from '../../src/model/scenario.ts';
import { tagsOf } from '../../src/model/tags.ts';
import { makeOwner } from '../../src/plan/owner.ts';
import type { Store } from '../../src/ports/store.ts';
import type { ControlSession, ReplicaPoint } from '../../src/wire/control-session.ts';
import { GROUP, NETWORK_ID, REGION } from '../fakes/fake-cloud.ts';
import { inventory, masterDisk, NOW_MS, scenario } from '../fakes/scene.ts';
import { type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

/** Several small servers, each copied once, on one appliance: what a group is made of. */
export interface GroupWorld extends ScenarioWorld {
  readonly scenarios: readonly Scenario[];
  /** The appliance refuses to seal these. */
  readonly unsealable: Set<string>;
  readonly sealed: Set<string>;
  /** Live members: how far back each can be taken, and where it was brought to. */
  readonly rewindFromMs: Map<string, number>;
  readonly sealedTo: Map<string, ReplicaPoint | undefined>;
  state(name: string): Promise<ScenarioStatus>;
  /** What stands in the cloud, by kind, and what was ever made. */
  counts(): Readonly<Record<string, number>>;
  /** A control process that dies, as by `kill -9`, after so many writes to the store. */
  dyingAfter(writes: number): { readonly context: Context; readonly died: () => boolean };
}

export async function groupWorld(
  names: readonly string[],
  { live = false }: { readonly live?: boolean } = {},
): Promise<GroupWorld> {
  const world = await scenarioWorld();
  const { store } = world.context;
  world.cloud.usages = world.cloud.usages.map((usage) => ({ ...usage, limit: 10_000 }));
  const scenarios = names.map(
    (name): Scenario => ({ ...memberScenario(name), ...(live ? { capture: 'nbd' } : {}) }),
  );
  for (const one of scenarios) await copied(world, one);
  const unsealable = new Set<string>();
  const sealed = new Set<string>();
  const rewindFromMs = new Map<string, number>();
  const sealedTo = new Map<string, ReplicaPoint | undefined>();
  const connect = async () => ({
    ...session(scenarios, unsealable, sealed),
    ...(live ? liveParts(scenarios, sealed, { rewindFromMs, sealedTo }) : {}),
  });
  const context = { ...world.context, connect };
  return {
    ...world,
    context,
    scenarios,
    unsealable,
    sealed,
    rewindFromMs,
    sealedTo,
    async state(name) {
      const status = await store.statuses.byName(name);
      if (!status) throw new Error(`${name} has no status`);
      return status;
    },
    counts: () => countsOf(world),
    dyingAfter: (writes) => dyingAfter(context, world, writes),
  };
}

export function memberScenario(name: string): Scenario {
  return scenario({
    id: `scenario-${name}`,
    name,
    masterId: `master-${name}`,
    vm: { ...scenario().vm, name: `vm-${name}` },
    nics: [
      {
        masterNicId: 'nic0',
        virtualNetworkId: NETWORK_ID,
        subnetName: 'servers',
        address: { kind: 'dynamic' },
        publicIp: false,
      },
    ],
  });
}

async function copied({ context: { store }, cloud }: ScenarioWorld, one: Scenario): Promise<void> {
  await store.masters.insert({
    id: one.masterId,
    name: `server-${one.name}`,
    applianceId: one.applianceId,
    inventory: inventory({
      hostName: `server-${one.name}`,
      disks: [masterDisk('disk0')],
      nics: [{ id: 'nic0', name: 'eth0', addresses: ['192.168.0.10'] }],
    }),
    joinedAtMs: NOW_MS,
  });
  await store.scenarios.insert(one);
  await store.statuses.insert({
    ...{ id: one.id, name: one.name, sinceMs: NOW_MS, epoch: 1 },
    state: one.capture === 'at-rest' ? 'synchronised' : 'replicating',
    synchronisedAtMs: NOW_MS,
    digests: digests(),
  });
  await cloud.cloud.disks.createEmpty({
    ...{ resourceGroup: GROUP, location: REGION, type: 'Standard_LRS', sizeGib: 2 },
    name: replicaDiskName(one, 'disk0'),
    tags: tagsOf(one.id, 'run-0', 'replica-disk'),
  });
}

const digests = () => [{ diskId: 'disk0', digest: 'a'.repeat(64), sizeBytes: masterDisk('disk0').sizeBytes }];

function session(
  scenarios: readonly Scenario[],
  unsealable: ReadonlySet<string>,
  sealed: Set<string>,
): ControlSession {
  const parts = {
    hello: { applianceId: 'appliance-1', engineVersion: '1', protocol: 1, clockDifferenceMs: 0 },
    disks: async () => [],
    masters: async () => scenarios.map((one) => ({ masterId: one.masterId, connected: true })),
    seal: async (id: string) => {
      const name = scenarios.find((one) => one.id === id)?.name ?? '';
      if (unsealable.has(name)) throw new Error(`${name} has lost a disk`);
      sealed.add(name);
      return { epoch: 1, synchronisedAtMs: NOW_MS, digests: digests() };
    },
    unseal: async (id: string) => {
      sealed.delete(scenarios.find((one) => one.id === id)?.name ?? '');
    },
    patchReplica: async () => ({ changes: [], left: [], faults: [] }),
    unpatchReplica: async () => undefined,
    progress: async (scenarioId: string) => ({
      ...{ scenarioId, epoch: 1, state: 'synchronised', doneBytes: 1, totalBytes: 1, sentBytes: 1 },
      ...{ wireBytes: 1, resentBlocks: 0, digests: digests() },
    }),
    stopCopy: async () => undefined,
    close: async () => undefined,
  };
  return parts as Partial<ControlSession> as ControlSession;
}

/** What the appliance of live replicas answers besides. */
function liveParts(
  scenarios: readonly Scenario[],
  sealed: Set<string>,
  { rewindFromMs, sealedTo }: Pick<GroupWorld, 'rewindFromMs' | 'sealedTo'>,
): Partial<ControlSession> {
  const nameOf = (id: string) => scenarios.find((one) => one.id === id)?.name ?? '';
  return {
    bookmarks: async (id) => ({ bookmarks: [], rewindFromMs: rewindFromMs.get(nameOf(id)) ?? NOW_MS }),
    async seal(id, options) {
      const name = nameOf(id);
      sealed.add(name);
      sealedTo.set(name, options?.point);
      const position = { sequence: '7', timeMs: NOW_MS, leftOutChanges: 0 };
      return { epoch: 1, synchronisedAtMs: NOW_MS, digests: digests(), position };
    },
  };
}

function countsOf({ cloud }: ScenarioWorld): Readonly<Record<string, number>> {
  const kinds = (ids: readonly string[]) => ids.map((id) => id.split('/').at(-2) ?? '');
  const counts: Record<string, number> = {};
  for (const kind of kinds(cloud.all())) counts[kind] = (counts[kind] ?? 0) + 1;
  for (const kind of kinds(cloud.made)) counts[`made ${kind}`] = (counts[`made ${kind}`] ?? 0) + 1;
  return counts;
}

function dyingAfter(context: Context, { cloud }: ScenarioWorld, writes: number) {
  const death = new AbortController();
  let written = 0;
  const { beforeChange } = cloud;
  cloud.beforeChange = (name, resource) => {
    death.signal.throwIfAborted();
    beforeChange(name, resource);
  };
  const dying = <Part extends object>(part: Part, isWrite: (name: string) => boolean): Part =>
    new Proxy(part, {
      get(target, name: string & keyof Part) {
        const method = target[name] as (...given: unknown[]) => Promise<unknown>;
        if (typeof method !== 'function') return method;
        return async (...given: unknown[]) => {
          death.signal.throwIfAborted();
          const result = await method.apply(target, given);
          if (isWrite(name) && ++written === writes) death.abort(new Error('killed'));
          death.signal.throwIfAborted();
          return result;
        };
      },
    });
  const { store } = context;
  const mortal: Store = {
    ...store,
    runs: dying(store.runs, (name) => ['create', 'writeStep', 'finish'].includes(name)),
    statuses: dying(store.statuses, (name) => name === 'update'),
    events: dying(store.events, (name) => name === 'append'),
  };
  return {
    context: {
      ...context,
      store: mortal,
      // A process that is known to be gone: the next one need not wait for its lease.
      owner: makeOwner().replace(/[^/]+$/, '1'),
      host: { ...context.host, signal: death.signal },
    },
    died: () => {
      cloud.beforeChange = beforeChange;
      return death.signal.aborted;
    },
  };
}
