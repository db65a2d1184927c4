/**
 * Promises one disk of the standby VM, made from its snapshot; the replica itself stays where it is. Found, waited
 * for or asked for again after a crash, never made twice. Undo deletes it.
 */
import type { Step } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { type Blueprint, type DiskPart, RESOURCE_TYPES, scenarioTag, tagsFor } from '../blueprint.ts';
import { assertOurs, CLOUD_RETRY, durably } from '../durably.ts';
import { settled } from '../settled.ts';
import type { Work } from '../work.ts';
import { type MadeSnapshot, snapshotDiskId } from './snapshot-disk.ts';

export const createStandbyDiskId = (diskId: string) => `create-standby-disk-${diskId}`;

export interface MadeDisk {
  readonly diskId: string;
}

export function createStandbyDiskStep(work: Work, blueprint: Blueprint, part: DiskPart): Step<MadeDisk> {
  const { cloud, scenario } = work;
  const { resourceGroup, diskType, zone } = scenario.vm;
  const look = () => cloud.disks.get(resourceGroup, part.diskName);
  return {
    id: createStandbyDiskId(part.diskId),
    title: part.lun === undefined ? `OS disk from ${part.diskId}` : `Data disk from ${part.diskId}`,
    actions: actionsOf('disks.get', 'disks.createFromSnapshot', 'disks.delete'),
    makes: [{ type: RESOURCE_TYPES.disk, name: part.diskName }],
    retry: CLOUD_RETRY,
    async find() {
      const disk = await look();
      if (!disk) return undefined;
      assertOurs(work, disk);
      return disk.provisioning === 'Succeeded' ? { diskId: disk.id } : undefined;
    },
    async run(context) {
      const { snapshotId } = context.output<MadeSnapshot>(snapshotDiskId(part.diskId));
      const disk = await durably(context, (operation) =>
        cloud.disks.createFromSnapshot(
          {
            resourceGroup,
            name: part.diskName,
            location: scenario.region,
            type: diskType,
            ...(zone ? { zone } : {}),
            ...(part.lun === undefined ? { os: blueprint.os } : {}),
            tags: tagsFor(work, 'standby-disk'),
            snapshotId,
          },
          operation,
        ),
      );
      return { diskId: disk.id };
    },
    async undo(context) {
      const disk = await settled(work.clock, context.signal, look);
      if (disk) await cloud.disks.delete(disk.id, scenarioTag(work), { signal: context.signal });
    },
  };
}
