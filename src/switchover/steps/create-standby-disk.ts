/**
 * Promises one disk of the standby VM, made from its snapshot; the replica itself stays where it is. Found, waited
 * for or asked for again after a crash, never made twice. Undo deletes it.
 */
import type { Step, StepContext } from '../../plan/plan.ts';
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
  const { resourceGroup, zone } = scenario.vm;
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
      const spec = standbyDiskSpec(work, blueprint, part, context, zone);
      const disk = await durably(context, (operation) => cloud.disks.createFromSnapshot(spec, operation));
      return { diskId: disk.id };
    },
    async undo(context) {
      const disk = await settled(work.clock, context.signal, look);
      if (disk) await cloud.disks.delete(disk.id, scenarioTag(work), { signal: context.signal });
    },
  };
}

function standbyDiskSpec(
  work: Work,
  blueprint: Blueprint,
  part: DiskPart,
  context: StepContext,
  zone: string | undefined,
) {
  const { scenario } = work;
  return {
    resourceGroup: scenario.vm.resourceGroup,
    name: part.diskName,
    location: scenario.region,
    type: scenario.vm.diskType,
    ...(zone ? { zone } : {}),
    ...(part.lun === undefined ? { os: blueprint.os } : {}),
    tags: tagsFor(work, 'standby-disk'),
    snapshotId: context.output<MadeSnapshot>(snapshotDiskId(part.diskId)).snapshotId,
  };
}

/**
 * Has every disk stand in the zone that the VM will be in, for a VM that could not be placed in the first one. A disk of
 * another zone fits no VM there, so it goes and is made again from its snapshot, under its name; what is in the right
 * zone stays. Dying at any line leaves disks in either zone or none, and the next try looks again.
 */
export async function moveStandbyDisks(
  work: Work,
  blueprint: Blueprint,
  context: StepContext,
  zone: string,
): Promise<void> {
  const { disks } = work.cloud;
  const { signal } = context;
  await Promise.all(
    blueprint.disks.map(async (part) => {
      const look = () => disks.get(work.scenario.vm.resourceGroup, part.diskName);
      const disk = await settled(work.clock, signal, look);
      if (disk) assertOurs(work, disk);
      if (disk?.zone === zone && disk.provisioning === 'Succeeded') return;
      if (disk && disk.zone !== zone) {
        context.progress(`Making ${part.diskName} again in zone ${zone}`);
        await disks.delete(disk.id, scenarioTag(work), { signal });
      }
      await disks.createFromSnapshot(standbyDiskSpec(work, blueprint, part, context, zone), { signal });
    }),
  );
}
