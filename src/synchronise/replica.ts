import { StandbyError } from '../errors.ts';
import type { MasterDisk } from '../model/disk.ts';
import type { DiskType, RewindWindow } from '../model/scenario.ts';
import type { Work } from '../switchover/work.ts';
import type { ReplicaSpec, RewindSpec } from '../wire/control-session.ts';

/** LUN 0 of an appliance is its journal disk. */
export const FIRST_REPLICA_LUN = 1;

/** Where each replica disk lies on the appliance, by the master's disk id. */
export type Luns = Readonly<Record<string, number>>;

/** The appliance's VM; verification has refused any other kind of appliance before. */
export function applianceVmId({ appliance }: Pick<Work, 'appliance'>): string {
  if (appliance.azure) return appliance.azure.vmId;
  throw new StandbyError({
    code: 'APPLIANCE_NOT_IN_AZURE',
    what: `"${appliance.name}" is a server of your own; replica disks are attached to an appliance in Azure.`,
    next: 'Deploy one: standby appliance deploy',
  });
}

/** Every appliance can attach it: premium disks need a premium size, and the standby's own disks get theirs later. */
export function replicaDiskType(wanted: DiskType): DiskType {
  return wanted === 'Premium_LRS' ? 'StandardSSD_LRS' : wanted;
}

/** The parts of a disk that the scenario leaves out: they read as zeros. */
export function excludedRanges(disk: MasterDisk, excludedVolumeIds: readonly string[]) {
  return disk.volumes
    .filter((volume) => excludedVolumeIds.includes(volume.id))
    .map(({ offsetBytes, sizeBytes }) => ({ offsetBytes, sizeBytes }));
}

export function replicaSpec(
  { scenario, inventory }: Pick<Work, 'scenario' | 'inventory'>,
  facts: { readonly epoch: number; readonly luns: Luns; isBlank(diskId: string): boolean },
): ReplicaSpec {
  return {
    scenarioId: scenario.id,
    masterId: scenario.masterId,
    epoch: facts.epoch,
    ...(scenario.runAfterReboot === false ? { stopAfterReboot: true } : {}),
    ...(scenario.rewind ? { rewind: rewindSpec(scenario.rewind) } : {}),
    disks: inventory.disks.map((disk) => ({
      diskId: disk.id,
      lun: lunOf(facts.luns, disk.id),
      sizeBytes: disk.sizeBytes,
      blank: facts.isBlank(disk.id),
      excluded: excludedRanges(disk, scenario.excludedVolumeIds),
    })),
  };
}

export function rewindSpec({ hours, bytes }: RewindWindow): RewindSpec {
  return {
    ...(hours === undefined ? {} : { ms: Math.round(hours * 3_600_000) }),
    ...(bytes === undefined ? {} : { bytes }),
  };
}

export function lunOf(luns: Luns, diskId: string): number {
  const lun = luns[diskId];
  if (lun === undefined) throw new Error(`No LUN is known for ${diskId}`);
  return lun;
}
