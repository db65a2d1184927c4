import type { Plan } from '../plan/plan.ts';
import type { Work } from '../switchover/work.ts';
import type { SynchroniseOptions } from './options.ts';
import { agreeOnDigestsStep } from './steps/agree-on-digests.ts';
import { attachReplicaDisksStep } from './steps/attach-replica-disks.ts';
import { copyDisksStep } from './steps/copy-disks.ts';
import { createReplicaDiskStep } from './steps/create-replica-disk.ts';
import { ensureResourceGroupStep } from './steps/ensure-resource-group.ts';
import { openReplicaStep } from './steps/open-replica.ts';
import { verifyBeforeRunStep } from './steps/verify-before-run.ts';

export type { SynchroniseOptions } from './options.ts';

/** `standby run`: makes the replica equal to the master. Kind `run`. */
export function synchronisePlan(work: Work, options: SynchroniseOptions): Plan {
  return {
    kind: 'run',
    title: `Copy of ${work.scenario.name}`,
    stages: [
      [verifyBeforeRunStep(work)],
      [ensureResourceGroupStep(work)],
      work.inventory.disks.map((disk) => createReplicaDiskStep(work, disk)),
      [attachReplicaDisksStep(work)],
      [openReplicaStep(work)],
      [copyDisksStep(work, options)],
      [agreeOnDigestsStep(work)],
    ],
  };
}
