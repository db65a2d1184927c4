/**
 * Promises that the standby VM does not run and costs no compute; its disks stay. A VM that is gone is content. Asking
 * again is harmless, so dying at any line is repaired by doing it again.
 */
import type { Step } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { assertOurs, CLOUD_RETRY, durably } from '../durably.ts';
import type { Work } from '../work.ts';

export function deallocateMachineStep(
  work: Work,
  vmId: string,
): Step<{ readonly vmId: string; readonly gone: boolean }> {
  return {
    id: 'deallocate-machine',
    title: 'Stop the standby VM and give its machine back',
    actions: actionsOf('machines.instance', 'machines.deallocate'),
    retry: CLOUD_RETRY,
    async run(context) {
      const machine = await work.cloud.machines.instance(vmId);
      if (!machine) return { vmId, gone: true };
      assertOurs(work, machine);
      if (machine.power !== 'deallocated') {
        await durably(context, (operation) => work.cloud.machines.deallocate(vmId, operation));
      }
      return { vmId, gone: false };
    },
  };
}
