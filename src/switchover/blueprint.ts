import type { MasterDisk } from '../model/disk.ts';
import {
  replicaDiskName,
  snapshotName,
  standbyDiskName,
  standbyNicName,
  standbyPublicIpName,
} from '../model/names.ts';
import type { ScenarioNic } from '../model/scenario.ts';
import type { ResourceRole, StandbyTags } from '../model/tags.ts';
import { tagsOf } from '../model/tags.ts';
import type { OsDiskFacts } from '../ports/cloud.ts';
import type { Work } from './work.ts';

/**
 * What a standby consists of and what everything is called: a pure function of scenario, inventory and run, so a
 * resumed run finds what an interrupted one made.
 */
export interface Blueprint {
  readonly os: OsDiskFacts;
  /** The boot disk first, then the data disks in the master's order. */
  readonly disks: readonly DiskPart[];
  readonly nics: readonly NicPart[];
}

export interface DiskPart {
  readonly diskId: string;
  readonly disk: MasterDisk;
  /** Where the standby VM sees it; undefined for the OS disk. */
  readonly lun: number | undefined;
  readonly replicaName: string;
  readonly snapshotName: string;
  readonly diskName: string;
}

export interface NicPart {
  readonly nic: ScenarioNic;
  readonly name: string;
  readonly publicIpName: string | undefined;
}

export function blueprintOf({
  scenario,
  inventory,
  runId,
}: Pick<Work, 'scenario' | 'inventory' | 'runId'>): Blueprint {
  const boot = inventory.disks.find((disk) => disk.boot) ?? inventory.disks[0];
  const ordered = inventory.disks.filter((disk) => disk === boot);
  ordered.push(...inventory.disks.filter((disk) => disk !== boot));
  return {
    os: {
      osType: inventory.os.family === 'windows' ? 'Windows' : 'Linux',
      generation: inventory.firmware === 'uefi' ? 'V2' : 'V1',
    },
    disks: ordered.map((disk, index) => ({
      diskId: disk.id,
      disk,
      lun: index === 0 ? undefined : index - 1,
      replicaName: replicaDiskName(scenario, disk.id),
      snapshotName: snapshotName(scenario, runId, disk.id),
      diskName: standbyDiskName(scenario, runId, disk.id),
    })),
    nics: scenario.nics.map((nic) => ({
      nic,
      name: standbyNicName(scenario, runId, nic.masterNicId),
      publicIpName: nic.publicIp ? standbyPublicIpName(scenario, runId, nic.masterNicId) : undefined,
    })),
  };
}

/** The value of `standby-scenario` on everything that belongs to a scenario. */
export function scenarioTag(work: Pick<Work, 'scenario'>): string {
  return work.scenario.id;
}

export function tagsFor(work: Pick<Work, 'scenario' | 'runId'>, role: ResourceRole): StandbyTags {
  return tagsOf(scenarioTag(work), work.runId, role);
}

export const RESOURCE_TYPES = {
  disk: 'Microsoft.Compute/disks',
  snapshot: 'Microsoft.Compute/snapshots',
  machine: 'Microsoft.Compute/virtualMachines',
  nic: 'Microsoft.Network/networkInterfaces',
  publicIp: 'Microsoft.Network/publicIPAddresses',
} as const;

/** The id of a resource in the scenario's group; undefined while the group does not exist (then neither does it). */
export async function idInGroup(
  work: Pick<Work, 'scenario' | 'cloud'>,
  type: (typeof RESOURCE_TYPES)[keyof typeof RESOURCE_TYPES],
  name: string,
): Promise<string | undefined> {
  const group = await work.cloud.groups.get(work.scenario.vm.resourceGroup);
  return group && `${group.id}/providers/${type}/${name}`;
}
