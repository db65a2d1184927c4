/**
 * Promises that nothing of one drill is left in Azure: VM, NICs, disks, snapshots, its public address, then its network and security group,
 * because each is held by the one before. What it may have made is known twice: by its derived names and by its tags; and
 * only what carries this scenario's tag goes. A delete that fails is tried again within bounds while the others go on.
 * `prove-nothing-remains` asks for each name and lists by tag until neither finds anything; what then still is there is
 * named, and the run counts as failed. Everything is looked for anew at each try, so dying at any line is repaired by
 * doing it again.
 */
import { isStandbyError, messageOf, StandbyError } from '../../errors.ts';
import { drillSubnetOf } from '../../model/drill-place.ts';
import type { DrillRole } from '../../model/tags.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { blueprintOf, idInGroup, RESOURCE_TYPES, scenarioTag } from '../blueprint.ts';
import { ownNetwork } from '../drill-work.ts';
import { settled } from '../settled.ts';
import type { Work } from '../work.ts';

export const REMOVE_DRILL = 'remove-drill';
export const PROVE_NOTHING_REMAINS = 'prove-nothing-remains';

export interface RemovedDrill {
  readonly ids: readonly string[];
  /** Under one of its names, and somebody else's. */
  readonly notOurs: readonly string[];
}

export interface NothingRemains {
  readonly atMs: number;
  /** Names that were asked for, one by one. */
  readonly names: readonly string[];
  /** What the list by tag held: nothing. */
  readonly listed: readonly string[];
}

interface Part {
  readonly id: string;
  readonly role: DrillRole;
}

const ROUNDS_MAX = 5;
const ROUND_MS = 10_000;
/** Azure's list by tag goes on showing what is gone for a while. */
const LIST_MS = 5 * 60_000;
const POLL_MS = 5_000;

/** Waiting does not help here: somebody has to allow it. */
const FORBIDDEN = /Authorization|Forbidden/i;

const ORDER: readonly DrillRole[][] = [
  ['drill-vm'],
  ['drill-nic'],
  ['drill-disk', 'drill-snapshot', 'drill-public-ip'],
  ['drill-network', 'drill-security-group'],
];

export function removeDrillStep(work: Work): Step<RemovedDrill> {
  return {
    id: REMOVE_DRILL,
    title: 'Remove everything that the drill has made',
    actions: actionsOf(
      'listTagged',
      'groups.get',
      'machines.get',
      'machines.delete',
      'network.networkInterface',
      'network.deleteNetworkInterface',
      'network.publicIp',
      'network.deletePublicIp',
      'network.deleteVirtualNetwork',
      'network.deleteSecurityGroup',
      'disks.get',
      'disks.getSnapshot',
      'disks.delete',
      'disks.deleteSnapshot',
    ),
    async run(context) {
      const removed = new Set((context.checkpoint as readonly string[] | undefined) ?? []);
      const notOurs = new Set<string>();
      for (let round = 1; ; round++) {
        const failures = await removeRound(work, context, { removed, notOurs });
        await context.save([...removed]);
        if (failures.length === 0) return { ids: [...removed].sort(), notOurs: [...notOurs] };
        if (round >= ROUNDS_MAX) throw leftOver(work, failures.join(' '));
        context.progress(`Not everything is gone yet; trying again in ${ROUND_MS / 1000} s. ${failures[0]}`);
        await work.clock.sleep(ROUND_MS, context.signal);
      }
    },
  };
}

export function proveNothingRemainsStep(work: Work): Step<NothingRemains> {
  return {
    id: PROVE_NOTHING_REMAINS,
    title: 'Prove that nothing of it remains',
    actions: actionsOf(
      'listTagged',
      'groups.get',
      'disks.get',
      'disks.getSnapshot',
      'machines.get',
      'network.networkInterface',
      'network.publicIp',
      'network.virtualNetwork',
      'network.securityGroup',
    ),
    async run(context) {
      const untilMs = work.clock.now() + LIST_MS;
      const { notOurs } = context.output<RemovedDrill>(REMOVE_DRILL);
      for (;;) {
        const named = (await partsByName(work)).filter(({ id }) => !notOurs.includes(id));
        const there = await Promise.all(
          named.map(async (part) => ((await isThere(work, part)) ? part.id : [])),
        );
        const left = [...new Set([...there.flat(), ...(await partsByTag(work)).map((part) => part.id)])];
        if (left.length === 0) {
          return { atMs: work.clock.now(), names: named.map(({ id }) => nameOf(id)), listed: [] };
        }
        if (work.clock.now() >= untilMs) throw leftOver(work, `Still there: ${left.join(', ')}`);
        context.progress(`Still listed: ${left.map(nameOf).join(', ')}`, { passing: true });
        await work.clock.sleep(POLL_MS, context.signal);
      }
    },
  };
}

async function removeRound(
  work: Work,
  context: StepContext,
  kept: { readonly removed: Set<string>; readonly notOurs: Set<string> },
): Promise<string[]> {
  const byName = await partsByName(work);
  const byTag = (await partsByTag(work)).filter((part) => !byName.some((one) => isSame(one, part)));
  const parts = [...byName, ...byTag];
  const failures: string[] = [];
  for (const roles of ORDER) {
    await Promise.all(
      parts
        .filter((part) => roles.includes(part.role))
        .map(async (part) => {
          try {
            if (!(await isSettledThere(work, context, part))) return;
            context.progress(`Removing ${nameOf(part.id)}`);
            await remove(work, part, context.signal);
            kept.removed.add(part.id);
          } catch (error) {
            if (context.signal.aborted || !isStandbyError(error)) throw error;
            if (error.code === 'NOT_OURS') kept.notOurs.add(part.id);
            else if (FORBIDDEN.test(error.code))
              throw leftOver(work, `${nameOf(part.id)}: ${messageOf(error)}`);
            else failures.push(`${nameOf(part.id)}: ${messageOf(error)}`);
          }
        }),
    );
  }
  return failures;
}

/** Everything that this drill may have made: a pure function of scenario and run. */
async function partsByName(work: Work): Promise<readonly Part[]> {
  const { disks, nics } = blueprintOf(work);
  const { networkId, securityGroupId } = ownNetwork(work.scenario, work.runId);
  const idOf = async (type: Parameters<typeof idInGroup>[1], name: string, role: DrillRole) => {
    const id = await idInGroup(work, type, name);
    return id === undefined ? [] : [{ id, role }];
  };
  const found = await Promise.all([
    idOf(RESOURCE_TYPES.machine, work.scenario.vm.name, 'drill-vm'),
    ...nics.map((part) => idOf(RESOURCE_TYPES.nic, part.name, 'drill-nic')),
    ...nics.map((part) =>
      part.publicIpName ? idOf(RESOURCE_TYPES.publicIp, part.publicIpName, 'drill-public-ip') : [],
    ),
    ...disks.map((part) => idOf(RESOURCE_TYPES.disk, part.diskName, 'drill-disk')),
    ...disks.map((part) => idOf(RESOURCE_TYPES.snapshot, part.snapshotName, 'drill-snapshot')),
  ]);
  const network: Part[] = [
    { id: networkId, role: 'drill-network' },
    { id: securityGroupId, role: 'drill-security-group' },
  ];
  return [...found.flat(), ...(drillSubnetOf(work.scenario) ? [] : network)];
}

async function partsByTag(work: Work): Promise<readonly Part[]> {
  const roles = ORDER.flat();
  const tagged = await work.cloud.listTagged('standby-run', work.runId);
  return tagged.flatMap(({ id, tags }) => {
    const role = roles.find((known) => known === tags['standby-role']);
    return role && tags['standby-scenario'] === scenarioTag(work) ? [{ id, role }] : [];
  });
}

function isSame(one: Part, other: Part): boolean {
  return one.id.toLowerCase() === other.id.toLowerCase();
}

async function isThere(work: Work, part: Part): Promise<boolean> {
  return (await look(work, part)) !== undefined;
}

/** Azure refuses to delete what it still builds for a process that died. */
async function isSettledThere(work: Work, context: StepContext, part: Part): Promise<boolean> {
  const resource = await settled(work.clock, context.signal, () => look(work, part));
  return resource !== undefined;
}

async function look(
  { cloud, scenario }: Work,
  { id, role }: Part,
): Promise<{ provisioning: string } | undefined> {
  const { resourceGroup } = scenario.vm;
  const plain = (found: object | undefined) => found && { provisioning: 'Succeeded' };
  switch (role) {
    case 'drill-vm':
      return cloud.machines.get(id);
    case 'drill-disk':
      return cloud.disks.get(resourceGroup, nameOf(id));
    case 'drill-snapshot':
      return cloud.disks.getSnapshot(resourceGroup, nameOf(id));
    case 'drill-nic':
      return plain(await cloud.network.networkInterface(id));
    case 'drill-public-ip':
      return plain(await cloud.network.publicIp(id));
    case 'drill-network':
      return plain(await cloud.network.virtualNetwork(id));
    case 'drill-security-group':
      return plain(await cloud.network.securityGroup(id));
  }
}

async function remove(work: Work, { id, role }: Part, signal: AbortSignal): Promise<void> {
  const { cloud } = work;
  const scenario = scenarioTag(work);
  switch (role) {
    case 'drill-vm':
      return cloud.machines.delete(id, scenario, { signal });
    case 'drill-nic':
      return cloud.network.deleteNetworkInterface(id, scenario, { signal });
    case 'drill-public-ip':
      return cloud.network.deletePublicIp(id, scenario, { signal });
    case 'drill-disk':
      return cloud.disks.delete(id, scenario, { signal });
    case 'drill-snapshot':
      return cloud.disks.deleteSnapshot(id, scenario, { signal });
    case 'drill-network':
      return cloud.network.deleteVirtualNetwork(id, scenario, { signal });
    case 'drill-security-group':
      return cloud.network.deleteSecurityGroup(id, scenario, { signal });
  }
}

function nameOf(id: string): string {
  return id.split('/').at(-1) ?? id;
}

function leftOver({ scenario, runId }: Work, why: string): StandbyError {
  return new StandbyError({
    code: 'DRILL_LEFT_OVER',
    what: `Not everything of the drill of "${scenario.name}" could be removed.`,
    why,
    next: `When the cause is gone: standby resume ${runId}. A switchover is not hindered by it; what is left costs money.`,
    retry: 'later',
  });
}
