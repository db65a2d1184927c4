/**
 * Promises the replica disk of one master disk: at least as large, and able to boot when it holds the system. It
 * outlives runs, so a later run finds it. After a crash it is found, waited for or asked for again, never made twice.
 *
 * Blank means that this very run made it: then nobody has written on it yet, as writing begins later in the run.
 */
import { StandbyError } from '../../errors.ts';
import { type MasterDisk, replicaSizeGib } from '../../model/disk.ts';
import { replicaDiskName } from '../../model/names.ts';
import type { Step } from '../../plan/plan.ts';
import type { CloudDisk } from '../../ports/cloud.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { blueprintOf, RESOURCE_TYPES, tagsFor } from '../../switchover/blueprint.ts';
import { assertOurs, CLOUD_RETRY, durably } from '../../switchover/durably.ts';
import type { Work } from '../../switchover/work.ts';
import { applianceVmId, replicaDiskType } from '../replica.ts';

export const createReplicaDiskId = (diskId: string) => `create-replica-disk-${diskId}`;

export interface ReplicaDisk {
  readonly id: string;
  readonly name: string;
  readonly blank: boolean;
}

export function createReplicaDiskStep(work: Work, disk: MasterDisk): Step<ReplicaDisk> {
  const { cloud, scenario } = work;
  const { resourceGroup, diskType } = scenario.vm;
  const name = replicaDiskName(scenario, disk.id);
  const isBoot = blueprintOf(work).disks[0]?.diskId === disk.id;
  return {
    id: createReplicaDiskId(disk.id),
    title: `Replica disk of ${disk.id}`,
    actions: actionsOf('disks.get', 'disks.createEmpty', 'machines.get'),
    makes: [{ type: RESOURCE_TYPES.disk, name }],
    retry: CLOUD_RETRY,
    async find() {
      const found = await cloud.disks.get(resourceGroup, name);
      if (!found) return undefined;
      assertOurs(work, found);
      if (found.provisioning !== 'Succeeded') return undefined;
      assertFits(work, disk, found);
      return { id: found.id, name: found.name, blank: found.tags['standby-run'] === work.runId };
    },
    async run(context) {
      const machine = await cloud.machines.get(applianceVmId(work));
      const made = await durably(context, (operation) =>
        cloud.disks.createEmpty(
          {
            resourceGroup,
            name,
            location: scenario.region,
            type: replicaDiskType(diskType),
            // A disk can be attached only where its VM is.
            ...(machine?.zone ? { zone: machine.zone } : {}),
            sizeGib: replicaSizeGib(disk.sizeBytes),
            ...(isBoot ? { os: blueprintOf(work).os } : {}),
            tags: tagsFor(work, 'replica-disk'),
          },
          operation,
        ),
      );
      return { id: made.id, name: made.name, blank: made.tags['standby-run'] === work.runId };
    },
  };
}

function assertFits(work: Work, disk: MasterDisk, found: CloudDisk): void {
  const needed = replicaSizeGib(disk.sizeBytes);
  const generation = blueprintOf(work).os.generation;
  const wrongGeneration = found.generation !== undefined && found.generation !== generation;
  if (found.sizeGib >= needed && !wrongGeneration) return;
  throw new StandbyError({
    code: 'REPLICA_DISK_UNFIT',
    what: `The replica disk "${found.name}" of an earlier run does not fit ${disk.id} any more.`,
    why: wrongGeneration
      ? `It is of generation ${found.generation}; the master now boots as generation ${generation}.`
      : `It has ${found.sizeGib} GiB; the master's disk now needs ${needed}.`,
    next: `Detach and delete that disk, then: standby run ${work.scenario.name}`,
  });
}
