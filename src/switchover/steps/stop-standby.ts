/**
 * Promises that the standby writes nothing any more, so that what is copied next is the last of it; its disks and its
 * addresses stay. Asking again is harmless. Undo starts it again: until the commit point it is the server.
 */
import { StandbyError } from '../../errors.ts';
import type { Step } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { assertOurs, CLOUD_RETRY, durably } from '../durably.ts';
import type { Work } from '../work.ts';

export function stopStandbyStep(work: Work, vmId: string): Step<{ readonly vmId: string }> {
  const { machines } = work.cloud;
  return {
    id: 'stop-standby',
    title: 'Stop the standby VM: from here on nothing is written in Azure',
    actions: actionsOf('machines.instance', 'machines.deallocate', 'machines.start'),
    retry: CLOUD_RETRY,
    async run(context) {
      const machine = await machines.instance(vmId);
      if (!machine) throw standbyGone(work, vmId);
      assertOurs(work, machine);
      if (machine.power !== 'deallocated')
        await durably(context, (operation) => machines.deallocate(vmId, operation));
      return { vmId };
    },
    async undo(context) {
      const machine = await machines.instance(vmId);
      if (machine && machine.power !== 'running') await machines.start(vmId, { signal: context.signal });
    },
  };
}

export function standbyGone(work: Work, vmId: string): StandbyError {
  const { name } = work.scenario;
  return new StandbyError({
    code: 'STANDBY_GONE',
    what: `The standby VM of "${name}" is gone: ${vmId}`,
    next: `Take the failback back (standby failback ${name} --undo) and look in Azure for its disks.`,
  });
}
