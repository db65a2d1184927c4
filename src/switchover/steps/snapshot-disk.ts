/**
 * Promises a complete incremental snapshot of one sealed replica disk. The name comes from the run, so after a crash
 * the same call finds the snapshot, waits for the saved operation, or asks again: never two. There is no `find`,
 * because Azure calls a snapshot made before its data is there. Undo deletes it.
 */
import { StandbyError } from '../../errors.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { type DiskPart, RESOURCE_TYPES, scenarioTag, tagsFor } from '../blueprint.ts';
import { CLOUD_RETRY, durably } from '../durably.ts';
import { settled } from '../settled.ts';
import type { Work } from '../work.ts';

export const snapshotDiskId = (diskId: string) => `snapshot-disk-${diskId}`;

export interface MadeSnapshot {
  readonly snapshotId: string;
}

export function snapshotDiskStep(
  work: Work,
  part: DiskPart,
  /** Looks that the replica is as it is to be. */
  before: (context: StepContext) => Promise<unknown> = async () => undefined,
): Step<MadeSnapshot> {
  const { cloud, scenario } = work;
  const { resourceGroup } = scenario.vm;
  const look = () => cloud.disks.getSnapshot(resourceGroup, part.snapshotName);
  return {
    id: snapshotDiskId(part.diskId),
    title: `Snapshot of ${part.diskId}`,
    actions: actionsOf('disks.get', 'disks.getSnapshot', 'disks.createSnapshot', 'disks.deleteSnapshot'),
    makes: [{ type: RESOURCE_TYPES.snapshot, name: part.snapshotName }],
    retry: CLOUD_RETRY,
    async run(context) {
      const replica = await cloud.disks.get(resourceGroup, part.replicaName);
      if (!replica) throw replicaMissing(work, part);
      await before(context);
      const snapshot = await durably(context, (operation) =>
        cloud.disks.createSnapshot(
          {
            resourceGroup,
            name: part.snapshotName,
            location: scenario.region,
            sourceDiskId: replica.id,
            tags: tagsFor(work, 'snapshot'),
          },
          operation,
        ),
      );
      return { snapshotId: snapshot.id };
    },
    async undo(context) {
      const snapshot = await settled(work.clock, context.signal, look);
      if (snapshot)
        await cloud.disks.deleteSnapshot(snapshot.id, scenarioTag(work), { signal: context.signal });
    },
  };
}

function replicaMissing(work: Work, part: DiskPart): StandbyError {
  return new StandbyError({
    code: 'REPLICA_DISK_MISSING',
    what: `The replica of ${part.diskId} is gone: there is no disk "${part.replicaName}" in resource group "${work.scenario.vm.resourceGroup}".`,
    next: `Take the switchover back (standby switchover ${work.scenario.name} --undo) and copy again (standby run ${work.scenario.name}).`,
  });
}
