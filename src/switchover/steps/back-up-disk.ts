/**
 * Promises a complete snapshot of one disk of the standby that stands alone (full, not incremental). The name comes from
 * the backup's run, so after a crash the same call finds it, waits for the saved operation, or asks again: never two. A
 * resume that still has to ask keeps clear of the daily window too. Undo deletes it.
 */
import { StandbyError } from '../../errors.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { BackupPart } from '../backup.ts';
import { RESOURCE_TYPES, scenarioTag, tagsFor } from '../blueprint.ts';
import { assertOurs, CLOUD_RETRY, durably } from '../durably.ts';
import { settled } from '../settled.ts';
import type { Work } from '../work.ts';

export const backUpDiskId = (diskId: string) => `back-up-disk-${diskId}`;

export interface BackedUpDisk {
  readonly snapshotId: string;
}

export function backUpDiskStep(
  work: Work,
  part: BackupPart,
  waitForTurn: (context: StepContext) => Promise<void>,
): Step<BackedUpDisk> {
  const { cloud, scenario } = work;
  const { resourceGroup } = scenario.vm;
  const look = () => cloud.disks.getSnapshot(resourceGroup, part.snapshotName);
  return {
    id: backUpDiskId(part.diskId),
    title: `Full backup of ${part.diskId}`,
    actions: actionsOf('disks.get', 'disks.getSnapshot', 'disks.createSnapshot', 'disks.deleteSnapshot'),
    makes: [{ type: RESOURCE_TYPES.snapshot, name: part.snapshotName }],
    retry: CLOUD_RETRY,
    async run(context) {
      const isAsked = context.checkpoint !== undefined || (await look()) !== undefined;
      if (!isAsked) await waitForTurn(context);
      const disk = await cloud.disks.get(resourceGroup, part.diskName);
      if (!disk) throw diskMissing(work, part);
      assertOurs(work, disk);
      const snapshot = await durably(context, (operation) =>
        cloud.disks.createSnapshot(
          {
            resourceGroup,
            name: part.snapshotName,
            location: scenario.region,
            sourceDiskId: disk.id,
            full: true,
            tags: tagsFor(work, 'backup'),
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

function diskMissing({ scenario, runId }: Work, { diskId, diskName }: BackupPart): StandbyError {
  return new StandbyError({
    code: 'STANDBY_DISK_MISSING',
    what: `There is no disk ${diskName} in ${scenario.vm.resourceGroup}: the standby's ${diskId} cannot be backed up.`,
    why: 'The standby was removed, or somebody deleted its disk.',
    next: `Give this backup up: standby resume ${runId} --undo`,
  });
}
