import type { RedirectedRecord } from '../model/redirect.ts';
import type { Plan, StepContext } from '../plan/plan.ts';
import { blueprintOf } from './blueprint.ts';
import { findAddress, findAddresses } from './find-address.ts';
import { refusalToStartVm } from './ready.ts';
import { deallocateMachineStep } from './steps/deallocate-machine.ts';
import { declareStoppedStep } from './steps/declare-stopped.ts';
import { declareSwitchedOverStep } from './steps/declare-switched-over.ts';
import { releaseMasterStep } from './steps/fence-master.ts';
import { type BootProof, PROVE_BOOT, proveBootStep } from './steps/prove-boot.ts';
import { redirectBackStep } from './steps/redirect-back.ts';
import { redirectClientsStep } from './steps/redirect-clients.ts';
import { removeStandbyStep } from './steps/remove-standby.ts';
import { sealReplicaStep } from './steps/seal-replica.ts';
import { verifyScenarioStep } from './steps/verify-scenario.ts';
import { waitRunningStep } from './steps/wait-running.ts';
import { standbyStages } from './switchover.ts';
import { tellingWhatIsLeft } from './telling.ts';
import type { Work } from './work.ts';

/**
 * `standby vm start` (G-81, G-82): for a stopped scenario, a VM from the copied disks as they are. The appliance need
 * not answer. With `existingVmId` (from the status, kept in the run's input) the standby exists already and is only
 * started. Kind `vm-start`.
 */
export function vmStartPlan(work: Work, options: { readonly existingVmId?: string } = {}): Plan {
  const { existingVmId } = options;
  if (existingVmId !== undefined) return startExisting(work, existingVmId);
  return {
    kind: 'vm-start',
    title: `Start the VM of ${work.scenario.name}`,
    stages: tellingWhatIsLeft(work, `standby resume ${work.runId} --undo`, [
      [verifyScenarioStep(work, refusalToStartVm)],
      ...standbyStages(work, blueprintOf(work), sealReplicaStep(work, { lenient: true })),
    ]),
  };
}

function startExisting(work: Work, vmId: string): Plan {
  const vmIdOf = (_context: StepContext) => vmId;
  const { redirect } = work.scenario;
  return {
    kind: 'vm-start',
    title: `Start the VM of ${work.scenario.name}`,
    stages: [
      [waitRunningStep(work, { vmIdOf, hasRunBefore: true })],
      [
        proveBootStep(work, {
          addressOf: () => findAddress(work, vmId),
          allAddresses: () => findAddresses(work, vmId),
        }),
      ],
      ...(redirect
        ? [
            [
              redirectClientsStep(
                work,
                redirect,
                (context) => context.output<BootProof>(PROVE_BOOT).addresses?.[0],
              ),
            ],
          ]
        : []),
      [declareSwitchedOverStep(work, vmIdOf, { restarted: true })],
    ],
  };
}

export interface VmStopOptions {
  readonly vmId: string;
  readonly remove: boolean;
  /** From the status, kept in the run's input: clients are sent to this VM. */
  readonly redirected?: RedirectedRecord;
}

/**
 * `standby vm stop`: deallocates the standby VM, so that it costs no compute. With `remove` everything of the standby
 * goes, except the replica; what the standby has written since is lost. Kind `vm-stop`.
 */
export function vmStopPlan(work: Work, options: VmStopOptions): Plan {
  const { vmId, remove, redirected } = options;
  return {
    kind: 'vm-stop',
    title: `${remove ? 'Remove' : 'Stop'} the VM of ${work.scenario.name}`,
    stages: [
      ...(redirected ? [[redirectBackStep(work, redirected)]] : []),
      [deallocateMachineStep(work, vmId)],
      ...(remove ? [[removeStandbyStep(work, vmId)]] : []),
      ...(remove && work.inventory.fence ? [[releaseMasterStep(work)]] : []),
      [declareStoppedStep(work, { removed: remove })],
    ],
  };
}
