/**
 * Promises a snapshot of each disk of the standby, and a disk from it that the appliance can be given: both of this run
 * only, and under names that come from it, so that after a crash they are found, waited for or asked for again, never made
 * twice. The standby's own disks are only read. Undo deletes them.
 */
import { StandbyError } from '../../errors.ts';
import type { DiskType } from '../../model/scenario.ts';
import type { Step } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { CloudMachine } from '../../ports/cloud-machines.ts';
import { type DiskPart, RESOURCE_TYPES, scenarioTag, tagsFor } from '../blueprint.ts';
import { assertOurs, CLOUD_RETRY, durably } from '../durably.ts';
import { settled } from '../settled.ts';
import type { Work } from '../work.ts';
import { standbyGone } from './stop-standby.ts';

const snapshotStandbyDiskId = (diskId: string) => `snapshot-standby-disk-${diskId}`;
export const createCopyDiskId = (diskId: string) => `create-copy-disk-${diskId}`;

export function snapshotStandbyDiskStep(
  work: Work,
  part: DiskPart,
  vmId: string,
): Step<{ readonly snapshotId: string }> {
  const { cloud, scenario } = work;
  const { resourceGroup } = scenario.vm;
  return {
    id: snapshotStandbyDiskId(part.diskId),
    title: `Snapshot of the standby's ${part.diskId}`,
    actions: actionsOf('machines.get', 'disks.getSnapshot', 'disks.createSnapshot', 'disks.deleteSnapshot'),
    makes: [{ type: RESOURCE_TYPES.snapshot, name: part.snapshotName }],
    retry: CLOUD_RETRY,
    async run(context) {
      const machine = await cloud.machines.get(vmId);
      if (!machine) throw standbyGone(work, vmId);
      assertOurs(work, machine);
      const spec = {
        resourceGroup,
        name: part.snapshotName,
        location: scenario.region,
        sourceDiskId: diskOf(work, machine, part),
        tags: tagsFor(work, 'failback-snapshot'),
      };
      const snapshot = await durably(context, (operation) => cloud.disks.createSnapshot(spec, operation));
      return { snapshotId: snapshot.id };
    },
    async undo({ signal }) {
      const look = () => cloud.disks.getSnapshot(resourceGroup, part.snapshotName);
      const snapshot = await settled(work.clock, signal, look);
      if (snapshot) await cloud.disks.deleteSnapshot(snapshot.id, scenarioTag(work), { signal });
    },
  };
}

/** The disks that the VM has, wherever they came from: an operator may have exchanged one. */
function diskOf(work: Work, machine: CloudMachine, { diskId, lun }: DiskPart): string {
  const found =
    lun === undefined ? machine.osDiskId : machine.dataDisks.find((disk) => disk.lun === lun)?.diskId;
  if (found) return found;
  throw new StandbyError({
    code: 'STANDBY_DISK_MISSING',
    what: `The standby VM "${machine.name}" has no disk for ${diskId}.`,
    why: lun === undefined ? 'It has no managed OS disk.' : `Nothing is attached at LUN ${lun}.`,
    next: `Attach it again in Azure, then: standby resume ${work.runId}`,
  });
}

export function createCopyDiskStep(work: Work, part: DiskPart): Step<{ readonly id: string }> {
  const { cloud, scenario, appliance } = work;
  const { resourceGroup, diskType } = scenario.vm;
  const look = () => cloud.disks.get(resourceGroup, part.diskName);
  return {
    id: createCopyDiskId(part.diskId),
    title: `Disk for the appliance from that snapshot of ${part.diskId}`,
    actions: actionsOf('machines.get', 'disks.get', 'disks.createFromSnapshot', 'disks.delete'),
    makes: [{ type: RESOURCE_TYPES.disk, name: part.diskName }],
    retry: CLOUD_RETRY,
    async find() {
      const disk = await look();
      if (disk) assertOurs(work, disk);
      return disk?.provisioning === 'Succeeded' ? { id: disk.id } : undefined;
    },
    async run(context) {
      // A disk can be attached only where its VM is.
      const machine = appliance.azure && (await cloud.machines.get(appliance.azure.vmId));
      const spec = {
        resourceGroup,
        name: part.diskName,
        location: scenario.region,
        type: attachable(diskType),
        ...(machine?.zone ? { zone: machine.zone } : {}),
        tags: tagsFor(work, 'failback-disk'),
        snapshotId: context.output<{ snapshotId: string }>(snapshotStandbyDiskId(part.diskId)).snapshotId,
      };
      const disk = await durably(context, (operation) => cloud.disks.createFromSnapshot(spec, operation));
      return { id: disk.id };
    },
    async undo({ signal }) {
      const disk = await settled(work.clock, signal, look);
      if (disk) await cloud.disks.delete(disk.id, scenarioTag(work), { signal });
    },
  };
}

/** Not every size of an appliance takes premium disks. */
function attachable(type: DiskType): DiskType {
  return type === 'Premium_LRS' ? 'StandardSSD_LRS' : type;
}
