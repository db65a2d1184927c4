/**
 * Promises that the scenario is `stopped` and says why: its replica disks are open on the appliance under a new epoch in
 * which nothing is copied, and wait for `standby seed import` there. Doing it again says the same.
 */
import type { Step } from '../../plan/plan.ts';
import type { Work } from '../../switchover/work.ts';
import { OPEN_REPLICA, type OpenedReplica } from './open-replica.ts';

export function awaitSeedStep(work: Work): Step<OpenedReplica> {
  return {
    id: 'await-seed',
    title: 'Leave the replica disks to a seed',
    async run(context) {
      const { epoch } = context.output<OpenedReplica>(OPEN_REPLICA);
      await work.setStatus({
        state: 'stopped',
        reason: 'its replica disks wait for a seed',
        epoch,
        activeRunId: undefined,
      });
      return { epoch };
    },
  };
}
