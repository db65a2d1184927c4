/**
 * Promises that nothing of this scenario's standby is left in Azure: VM, NICs, public addresses, disks, snapshots, in
 * that order, because each is held by the one before. Only what carries this scenario's tag and a standby's role; the
 * replica stays. Everything is looked for again at each try, so dying at any line is repaired by doing it again.
 */

import type { ResourceRole } from '../../model/tags.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import type { CloudMachine } from '../../ports/cloud.ts';
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
    actions: [
      'Microsoft.Compute/virtualMachines/delete',
      'Microsoft.Compute/disks/delete',
      'Microsoft.Compute/snapshots/delete',
      'Microsoft.Network/networkInterfaces/delete',
      'Microsoft.Network/publicIPAddresses/delete',
    ],
    retry: CLOUD_RETRY,
    async run(context) {
      const found = await whatThereIs(work, vmId);
      // Remembered from the first try: the VM knows its parts, and when it is gone nobody else does at once.
      const before = (context.checkpoint as readonly Part[] | undefined) ?? [];
      const parts = [...before, ...found.filter((part) => !before.some((one) => isSame(one, part)))];
      await context.save(parts);
      for (const role of ROLES_IN_ORDER) {
        const ofRole = parts.filter((part) => part.role === role);
        await Promise.all(ofRole.map((part) => remove(work, part, context)));
      }
      return { ids: parts.map((part) => part.id) };
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
  for (const part of machine ? partsOf(machine) : []) {
    if (!parts.some((one) => isSame(one, part))) parts.push(part);
  }
  return parts;
}

function partsOf(machine: CloudMachine): readonly Part[] {
  return [
    { id: machine.id, role: 'standby-vm' },
    ...machine.nicIds.map((id) => ({ id, role: 'standby-nic' }) as const),
    ...(machine.osDiskId ? [{ id: machine.osDiskId, role: 'standby-disk' } as const] : []),
    ...machine.dataDisks.map(({ diskId }) => ({ id: diskId, role: 'standby-disk' }) as const),
  ];
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
