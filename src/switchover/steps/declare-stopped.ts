/** Promises that the status says `stopped`, with the standby VM's id only while it exists. Doing it again says the same. */
import type { Step } from '../../plan/plan.ts';
import type { Work } from '../work.ts';

export function declareStoppedStep(
  work: Work,
  options: { readonly removed: boolean },
): Step<{ readonly atMs: number }> {
  return {
    id: 'declare-stopped',
    title: options.removed ? 'Declare the standby removed' : 'Declare the standby stopped',
    async run() {
      const { removed } = options;
      await work.setStatus({
        state: 'stopped',
        activeRunId: undefined,
        ...(removed ? { standbyVmId: undefined, switchedOverRunId: undefined } : {}),
      });
      await work.event({
        level: 'info',
        code: removed ? 'VM_REMOVED' : 'VM_STOPPED',
        text: `The standby VM "${work.scenario.vm.name}" was ${removed ? 'removed' : 'stopped'}; the replica stays.`,
      });
      return { atMs: work.clock.now() };
    },
  };
}
