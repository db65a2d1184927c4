import { inputError, type StandbyError } from '../errors.ts';
import { drillSubnetOf } from '../model/drill-place.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { Plan, Step, StepContext } from '../plan/plan.ts';
import { blueprintOf } from './blueprint.ts';
import { attempts } from './drill-attempt.ts';
import { drillWork } from './drill-work.ts';
import { reachedAt } from './made-addresses.ts';
import { scriptFacts } from './script-facts.ts';
import { checkIsolationStep } from './steps/check-isolation.ts';
import { createNetworkInterfaceStep } from './steps/create-network-interface.ts';
import { createPublicIpSteps } from './steps/create-public-ip.ts';
import { createStandbyDiskStep } from './steps/create-standby-disk.ts';
import {
  CREATE_VIRTUAL_MACHINE,
  createVirtualMachineStep,
  type MadeMachine,
} from './steps/create-virtual-machine.ts';
import { type DrillDeclared, declareDrilledStep } from './steps/declare-drilled.ts';
import { type KeptFile, keepEvidenceStep } from './steps/keep-evidence.ts';
import { makeDrillNetworkStep } from './steps/make-drill-network.ts';
import { patchedStill, patchStillReplicaStep } from './steps/patch-replica.ts';
import { proveBootStep } from './steps/prove-boot.ts';
import { proveNothingRemainsStep, removeDrillStep } from './steps/remove-drill.ts';
import { scriptStages } from './steps/run-script.ts';
import { snapshotDiskStep } from './steps/snapshot-disk.ts';
import { releaseReplicaStep, stillReplicaStep, whileStill } from './steps/still-replica.ts';
import { verifyScenarioStep } from './steps/verify-scenario.ts';
import { waitRunningStep } from './steps/wait-running.ts';
import { watchConsoleStep } from './steps/watch-console.ts';
import type { Work } from './work.ts';

export interface DrillOptions {
  /** What is made stays until somebody removes it, or its time is over. */
  readonly isKept: boolean;
  /** Nothing more is tried: what is there is removed, and the report says so. */
  readonly isGivenUp: boolean;
  /** Puts a file beside the report. */
  keep(name: string, content: string | Uint8Array): Promise<KeptFile>;
  declare(): Promise<DrillDeclared>;
}

/**
 * `standby drill`: the standby VM from snapshots of the replica, in an isolated network, while replication goes on; then
 * everything is removed again, and the report says how it went. The scenario stays what it is. Kind `drill`.
 */
export function drillPlan(original: Work, options: DrillOptions): Plan {
  const { isGivenUp, isKept } = options;
  const work = drillWork(original);
  const blueprint = blueprintOf(work);
  const subnet = drillSubnetOf(original.scenario);
  const vmIdOf = (context: StepContext) => context.output<MadeMachine>(CREATE_VIRTUAL_MACHINE).vmId;
  const scripts = scriptStages(work, {
    event: 'DRILL',
    factsOf: (at, context) => scriptFacts(work, blueprint, at, context),
  });
  const pictured: Step[][] = [
    [verifyScenarioStep(work, refusalToDrill)],
    // Around the hold and never in it: nobody's script keeps a replica from following.
    ...scripts('before-seal'),
    ...(subnet ? [[checkIsolationStep(work, subnet)]] : []),
    [stillReplicaStep(work)],
    [whileStill(work, patchStillReplicaStep(work))],
    blueprint.disks.map((part) =>
      whileStill(
        work,
        snapshotDiskStep(work, part, () => patchedStill(work)),
      ),
    ),
  ];
  const tried: Step[][] = [
    ...scripts('after-seal'),
    ...scripts('before-build'),
    ...(subnet ? [] : [[makeDrillNetworkStep(work), ...createPublicIpSteps(work, blueprint)]]),
    [
      ...blueprint.disks.map((part) => createStandbyDiskStep(work, blueprint, part)),
      ...blueprint.nics.map((part) => createNetworkInterfaceStep(work, part)),
    ],
    [createVirtualMachineStep(work, blueprint)],
    ...scripts('after-build'),
    ...scripts('before-boot'),
    [waitRunningStep(work, { vmIdOf, hasRunBefore: false })],
    [proveBootStep(work, { addressOf: async (context) => reachedAt(blueprint, context) })],
    [watchConsoleStep(work, vmIdOf)],
    [keepEvidenceStep(work, vmIdOf, options.keep)],
    ...scripts('after-boot'),
  ];
  return {
    kind: 'drill',
    title: `Drill of ${work.scenario.name}`,
    stages: [
      ...attempts(work, pictured, { isGivenUp }),
      [releaseReplicaStep(work)],
      ...attempts(work, tried, { isGivenUp, after: pictured }),
      ...(isKept ? [] : [[removeDrillStep(work)], [proveNothingRemainsStep(work)]]),
      [declareDrilledStep(options.declare)],
    ],
  };
}

/** What a kept drill has made goes. Kind `drill-remove`; the work is that of the drill's own run. */
export function drillRemovePlan(original: Work, declare: () => Promise<void>): Plan {
  const work = drillWork(original);
  return {
    kind: 'drill-remove',
    title: `Remove the drill of ${work.scenario.name}`,
    stages: [
      [removeDrillStep(work)],
      [proveNothingRemainsStep(work)],
      [{ id: 'declare-removed', title: 'Write down that it is gone', run: declare }],
    ],
  };
}

/** Why a drill cannot begin now; undefined when it can: the replica is whole and nobody else needs it. */
export function refusalToDrill(
  { name }: Pick<Scenario, 'name'>,
  status: ScenarioStatus,
): StandbyError | undefined {
  if (status.state === 'synchronised' || status.state === 'replicating') return undefined;
  return inputError(
    'DRILL_NOT_NOW',
    `Scenario "${name}" is ${status.state}: a drill needs a replica that is synchronised or replicating.`,
    `Look: standby status ${name}`,
  );
}
