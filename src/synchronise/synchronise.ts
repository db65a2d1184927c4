import { isLiveCapture } from '../model/capture.ts';
import type { Plan } from '../plan/plan.ts';
import type { Work } from '../switchover/work.ts';
import type { SynchroniseOptions } from './options.ts';
import { agreeOnDigestsStep } from './steps/agree-on-digests.ts';
import { attachReplicaDisksStep } from './steps/attach-replica-disks.ts';
import { awaitSeedStep } from './steps/await-seed.ts';
import { confirmReplicatingStep } from './steps/confirm-replicating.ts';
import { copyDisksStep } from './steps/copy-disks.ts';
import { createReplicaDiskStep } from './steps/create-replica-disk.ts';
import { ensureResourceGroupStep } from './steps/ensure-resource-group.ts';
import { openReplicaStep } from './steps/open-replica.ts';
import { verifyBeforeRunStep } from './steps/verify-before-run.ts';
import { waitToStartStep } from './steps/wait-to-start.ts';

export type { SynchroniseOptions } from './options.ts';

/**
 * `standby run`: makes the replica equal to the master, and, with a live capture method, begins to follow it;
 * `standby seed prepare`: only makes the replica disks, and leaves them to a seed. Kind `run`.
 */
export function synchronisePlan(work: Work, options: SynchroniseOptions): Plan {
  const isLive = isLiveCapture(work.scenario.capture);
  return {
    kind: 'run',
    title: titleOf(work, options),
    stages: [
      ...(options.startAtMs === undefined ? [] : [[waitToStartStep(work, options.startAtMs)]]),
      [verifyBeforeRunStep(work)],
      [ensureResourceGroupStep(work)],
      work.inventory.disks.map((disk) => createReplicaDiskStep(work, disk)),
      [attachReplicaDisksStep(work)],
      [openReplicaStep(work, { goesOn: options.sync?.mode === 'stream' })],
      ...(options.forSeed === true
        ? [[awaitSeedStep(work)]]
        : [
            [copyDisksStep(work, options)],
            [isLive ? confirmReplicatingStep(work) : agreeOnDigestsStep(work)],
          ]),
    ],
  };
}

function titleOf({ scenario: { name, capture } }: Work, { forSeed }: SynchroniseOptions): string {
  if (forSeed === true) return `Replica disks of ${name}, for a seed`;
  return `${isLiveCapture(capture) ? 'Synchronisation' : 'Copy'} of ${name}`;
}
