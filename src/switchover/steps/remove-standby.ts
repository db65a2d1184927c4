/**
 * Promises that nothing of this scenario's standby is left in Azure: VM, NICs, public addresses, disks, snapshots, in
 * that order, because each is held by the one before. Only what carries this scenario's tag and a standby's role; the
 * replica stays. Everything is looked for again at each try, so dying at any line is repaired by doing it again.
 */

import { isStandbyError } from '../../errors.ts';
import type { ResourceRole } from '../../model/tags.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { CloudMachine } from '../../ports/cloud-machines.ts';
import { scenarioTag } from '../blueprint.ts';
import { CLOUD_RETRY } from '../durably.ts';
import type { Work } from '../work.ts';

export interface Removed {
  readonly ids: readonly string[];
}

const ROLES_IN_ORDER: readonly ResourceRole[] = [
  'standby-vm',
  'standby-nic',
  'standby-public-ip',
  'standby-disk',
  'snapshot',
];

export function removeStandbyStep(work: Work, vmId: string): Step<Removed> {
  return {
    id: 'remove-standby',
    title: 'Remove the standby VM with its NICs, addresses, disks and snapshots',
    actions: actionsOf(
      'listTagged',
      'machines.get',
      'machines.delete',
      'network.networkInterface',
      'network.deleteNetworkInterface',
      'network.deletePublicIp',
      'disks.delete',
      'disks.deleteSnapshot',
    ),
    retry: CLOUD_RETRY,
    async run(context) {
      const found = await whatThereIs(work, vmId);
      // Remembered from the first try: the VM knows its parts, and when it is gone nobody else does at once.
      const before = (context.checkpoint as readonly Part[] | undefined) ?? [];
      const parts = [...before, ...found.filter((part) => !before.some((one) => isSame(one, part)))];
      await context.save(parts);
      const removed: string[] = [];
      for (const role of ROLES_IN_ORDER) {
        const ofRole = parts.filter((part) => part.role === role);
        const gone = await Promise.all(ofRole.map((part) => removeOurs(work, part, context)));
        removed.push(...ofRole.filter((_, index) => gone[index]).map((part) => part.id));
      }
      return { ids: removed };
    },
  };
}

interface Part {
  readonly id: string;
  readonly role: ResourceRole;
}

function isSame(one: Part, other: Part): boolean {
  return one.id.toLowerCase() === other.id.toLowerCase();
}

/** Azure's list by tag lags behind what it made, so the VM's own references count too. */
async function whatThereIs(work: Work, vmId: string): Promise<readonly Part[]> {
  const tagged = await work.cloud.listTagged('standby-scenario', scenarioTag(work));
  const parts: Part[] = tagged.flatMap((one) => {
    const role = ROLES_IN_ORDER.find((known) => known === one.tags['standby-role']);
    return role ? [{ id: one.id, role }] : [];
  });
  const machine = await work.cloud.machines.get(vmId);
  for (const part of machine ? await partsOf(work, machine) : []) {
    if (!parts.some((one) => isSame(one, part))) parts.push(part);
  }
  return parts;
}

async function partsOf({ cloud }: Work, machine: CloudMachine): Promise<readonly Part[]> {
  const nics = await Promise.all(machine.nicIds.map((id) => cloud.network.networkInterface(id)));
  const publicIps = nics.flatMap((nic) => nic?.publicIpId ?? []);
  const disks = [
    ...(machine.osDiskId ? [machine.osDiskId] : []),
    ...machine.dataDisks.map((disk) => disk.diskId),
  ];
  const as = (role: ResourceRole) => (id: string) => ({ id, role });
  return [
    { id: machine.id, role: 'standby-vm' },
    ...machine.nicIds.map(as('standby-nic')),
    ...publicIps.map(as('standby-public-ip')),
    ...disks.map(as('standby-disk')),
  ];
}

/** What somebody else hung on the VM is not ours to delete, and no reason to stop. */
async function removeOurs(work: Work, part: Part, context: StepContext): Promise<boolean> {
  try {
    await remove(work, part, context);
    return true;
  } catch (error) {
    if (!isStandbyError(error) || error.code !== 'NOT_OURS') throw error;
    context.progress(`Left alone, because it is not ours: ${part.id}`);
    return false;
  }
}

/** Each call refuses what does not carry the scenario's tag, and is content when it is gone. */
async function remove(work: Work, part: Part, context: StepContext): Promise<void> {
  const { cloud } = work;
  const scenario = scenarioTag(work);
  const operation = { signal: context.signal };
  context.progress(`Removing ${part.id.split('/').at(-1)}`);
  switch (part.role) {
    case 'standby-vm':
      return cloud.machines.delete(part.id, scenario, operation);
    case 'standby-nic':
      return cloud.network.deleteNetworkInterface(part.id, scenario, operation);
    case 'standby-public-ip':
      return cloud.network.deletePublicIp(part.id, scenario, operation);
    case 'standby-disk':
      return cloud.disks.delete(part.id, scenario, operation);
    case 'snapshot':
      return cloud.disks.deleteSnapshot(part.id, scenario, operation);
    default:
      throw new Error(`A standby has no part of role ${part.role}`);
  }
}
