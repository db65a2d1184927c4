import type { Plan, Step, StepContext } from '../plan/plan.ts';
import type { SealOptions } from '../wire/control-session.ts';
import { type Blueprint, blueprintOf } from './blueprint.ts';
import { addressesOf, reachedAt } from './made-addresses.ts';
import { refusalToSwitchOver } from './ready.ts';
import { scriptFacts } from './script-facts.ts';
import { commitSwitchoverStep } from './steps/commit-switchover.ts';
import { createNetworkInterfaceStep } from './steps/create-network-interface.ts';
import { createPublicIpSteps } from './steps/create-public-ip.ts';
import { createStandbyDiskStep } from './steps/create-standby-disk.ts';
import {
  CREATE_VIRTUAL_MACHINE,
  createVirtualMachineStep,
  type MadeMachine,
} from './steps/create-virtual-machine.ts';
import { declareSwitchedOverStep } from './steps/declare-switched-over.ts';
import { drainMasterStep } from './steps/drain-master.ts';
import { fenceMasterStep } from './steps/fence-master.ts';
import { patched, patchReplicaStep, unpatchReplicaStep } from './steps/patch-replica.ts';
import { proveBootStep } from './steps/prove-boot.ts';
import { redirectClientsStep } from './steps/redirect-clients.ts';
import { requestBackupStep } from './steps/request-backup.ts';
import { scriptStages } from './steps/run-script.ts';
import { sealReplicaStep } from './steps/seal-replica.ts';
import { snapshotDiskStep } from './steps/snapshot-disk.ts';
import { verifyScenarioStep } from './steps/verify-scenario.ts';
import { waitRunningStep } from './steps/wait-running.ts';
import { tellingWhatIsLeft } from './telling.ts';
import type { Work } from './work.ts';

export interface SwitchoverOptions {
  /** Live scenarios: where the replica is brought to. */
  readonly seal?: SealOptions;
  /** The replica does not follow its master, and the operator goes on all the same. */
  readonly acceptUnprotected?: boolean;
  /** The master is there: it is stopped, and nothing of it is lost. */
  readonly planned?: boolean;
}

/** `standby switchover`: builds the standby VM from the sealed replica and proves that it boots. Kind `switchover`. */
export function switchoverPlan(work: Work, options: SwitchoverOptions = {}): Plan {
  const blueprint = blueprintOf(work);
  return {
    kind: 'switchover',
    title: `Switchover of ${work.scenario.name}`,
    stages: tellingWhatIsLeft(work, `standby switchover ${work.scenario.name} --undo`, [
      [
        verifyScenarioStep(work, (scenario, status, runId) =>
          refusalToSwitchOver(scenario, status, runId, options),
        ),
      ],
      ...(work.inventory.fence ? [[fenceMasterStep(work)]] : []),
      ...(options.planned ? [[drainMasterStep(work)]] : []),
      ...standbyStages(work, blueprint, sealReplicaStep(work, { ...options.seal, lenient: false }), {
        planned: options.planned === true,
      }),
      ...(work.scenario.backup ? [[requestBackupStep(work)]] : []),
    ]),
  };
}

/** From sealed replica disks to a proven standby; what can be made side by side shares a stage. */
export function standbyStages(
  work: Work,
  blueprint: Blueprint,
  seal: Step,
  options: { readonly planned?: boolean } = {},
): Step[][] {
  const vmIdOf = (context: StepContext) => context.output<MadeMachine>(CREATE_VIRTUAL_MACHINE).vmId;
  const { redirect } = work.scenario;
  const scripts = scriptStages(work, {
    event: 'SWITCHOVER',
    factsOf: (at, context) => scriptFacts(work, blueprint, at, context),
    without: `standby switchover ${work.scenario.name} --no-scripts`,
  });
  return [
    ...scripts('before-seal'),
    [seal],
    ...scripts('after-seal'),
    ...scripts('before-build'),
    [patchReplicaStep(work)],
    [
      ...blueprint.disks.map((part) => snapshotDiskStep(work, part, (context) => patched(work, context))),
      ...createPublicIpSteps(work, blueprint),
    ],
    [unpatchReplicaStep(work)],
    [
      ...blueprint.disks.map((part) => createStandbyDiskStep(work, blueprint, part)),
      ...blueprint.nics.map((part) => createNetworkInterfaceStep(work, part)),
    ],
    [createVirtualMachineStep(work, blueprint)],
    ...scripts('after-build'),
    ...scripts('before-boot'),
    [waitRunningStep(work, { vmIdOf, hasRunBefore: false })],
    [proveBootStep(work, { addressOf: async (context) => reachedAt(blueprint, context) })],
    ...scripts('after-boot'),
    ...scripts('before-redirect'),
    ...(redirect
      ? [[redirectClientsStep(work, redirect, (context) => addressesOf(blueprint, context))]]
      : []),
    ...scripts('after-redirect'),
    [commitSwitchoverStep(work)],
    [declareSwitchedOverStep(work, vmIdOf, options)],
  ];
}
