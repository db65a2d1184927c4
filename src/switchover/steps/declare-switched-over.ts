/**
 * Tells that the standby is what people work with now: the status first, then the events, each once for a run. It
 * comes after the commit point, so nothing that was told is ever taken back; dying in between is repaired by doing it
 * again.
 */
import type { Step, StepContext } from '../../plan/plan.ts';
import {
  plannedEvents,
  redirectedEvents,
  steppedDownEvents,
  switchedOverEvents,
  vmOnlineEvent,
} from '../words.ts';
import type { Work, WorkEvent } from '../work.ts';
import { CREATE_VIRTUAL_MACHINE, type MadeMachine } from './create-virtual-machine.ts';
import { DRAIN_MASTER, type Drained } from './drain-master.ts';
import { type BootProof, PROVE_BOOT } from './prove-boot.ts';
import { REDIRECT_CLIENTS, type Redirected } from './redirect-clients.ts';
import { SEAL_REPLICA, type Sealed } from './seal-replica.ts';

export const DECLARE_SWITCHED_OVER = 'declare-switched-over';

export interface Declared {
  readonly vmId: string;
  readonly atMs: number;
}

export function declareSwitchedOverStep(
  work: Work,
  vmIdOf: (context: StepContext) => string,
  options: { readonly restarted?: boolean; readonly planned?: boolean } = {},
): Step<Declared> {
  return {
    id: DECLARE_SWITCHED_OVER,
    title: 'Declare the standby live',
    async run(context) {
      const vmId = vmIdOf(context);
      const { outcome } = context.output<BootProof>(PROVE_BOOT);
      await work.setStatus({
        state: 'switched-over',
        standbyVmId: vmId,
        // A VM that is only started again is still that of the run which made it.
        ...(options.restarted ? {} : { switchedOverRunId: work.runId }),
        activeRunId: undefined,
      });
      const events: WorkEvent[] = options.restarted
        ? [vmOnlineEvent(vmId)]
        : [
            ...steppedDownEvents({
              name: work.scenario.vm.name,
              ...context.output<MadeMachine>(CREATE_VIRTUAL_MACHINE),
            }),
            ...switchedOverEvents(
              work.scenario,
              vmId,
              BOOT_WORDS[outcome],
              context.output<Sealed>(SEAL_REPLICA),
            ),
          ];
      if (work.scenario.redirect)
        events.push(...redirectedEvents(context.output<Redirected>(REDIRECT_CLIENTS)));
      if (options.planned) events.unshift(...plannedEvents(context.output<Drained>(DRAIN_MASTER)));
      for (const event of events) await work.event(event);
      return { vmId, atMs: work.clock.now() };
    },
  };
}

export const BOOT_WORDS: Readonly<Record<BootProof['outcome'], string>> = {
  proven: 'proven',
  'not-proven': 'not proven',
  skipped: 'skipped',
  'failed-but-accepted': 'not proven, accepted by the operator',
};
