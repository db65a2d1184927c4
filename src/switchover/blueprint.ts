import type { MasterDisk } from '../model/disk.ts';
import {
  replicaDiskName,
  snapshotName,
  standbyDiskName,
  standbyNicName,
  standbyPublicIpName,
} from '../model/names.ts';
import type { ScenarioNic } from '../model/scenario.ts';
import type { DrillRole, ResourceRole, StandbyTags } from '../model/tags.ts';
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

export function tagsFor(work: Pick<Work, 'scenario' | 'runId' | 'isDrill'>, role: ResourceRole): StandbyTags {
  return tagsOf(scenarioTag(work), work.runId, work.isDrill ? (DRILL_ROLES[role] ?? role) : role);
}

const DRILL_ROLES: Partial<Record<ResourceRole, DrillRole>> = {
  snapshot: 'drill-snapshot',
  'standby-disk': 'drill-disk',
  'standby-nic': 'drill-nic',
  'standby-public-ip': 'drill-public-ip',
  'standby-vm': 'drill-vm',
};

export const RESOURCE_TYPES = {
  disk: 'Microsoft.Compute/disks',
  snapshot: 'Microsoft.Compute/snapshots',
  machine: 'Microsoft.Compute/virtualMachines',
  nic: 'Microsoft.Network/networkInterfaces',
  publicIp: 'Microsoft.Network/publicIPAddresses',
  network: 'Microsoft.Network/virtualNetworks',
  securityGroup: 'Microsoft.Network/networkSecurityGroups',
} as const;

/** The id of a resource in the scenario's group; undefined while the group does not exist (then neither does it). */
export async function idInGroup(
  work: Pick<Work, 'scenario' | 'cloud'>,
  type: (typeof RESOURCE_TYPES)[keyof typeof RESOURCE_TYPES],
  name: string,
): Promise<string | undefined> {
  const { cloud, scenario } = work;
  const key = scenario.vm.resourceGroup.toLowerCase();
  const known = groupIds.get(cloud) ?? new Map<string, string>();
  groupIds.set(cloud, known);
  const id = known.get(key) ?? (await cloud.groups.get(scenario.vm.resourceGroup))?.id;
  if (id !== undefined) known.set(key, id);
  return id && `${id}/providers/${type}/${name}`;
}

/** A group's id never changes, and each question for it would make a standby wait. */
const groupIds = new WeakMap<Work['cloud'], Map<string, string>>();
