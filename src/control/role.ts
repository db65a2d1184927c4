import type { Account } from '../model/account.ts';
import type { Appliance } from '../model/appliance.ts';
import { BACKUP_DEFAULTS } from '../model/backup.ts';
import type { MasterInventory } from '../model/disk.ts';
import type { Scenario } from '../model/scenario.ts';
import type { Plan } from '../plan/plan.ts';
import type { Cloud } from '../ports/cloud.ts';
import { actionsOf, type CloudVerb } from '../ports/cloud-actions.ts';
import { backupPlan } from '../switchover/backup.ts';
import { drillPlan, drillRemovePlan } from '../switchover/drill.ts';
import { failbackCancelPlan, failbackPlan, failbackPreparePlan } from '../switchover/failback.ts';
import { switchoverPlan } from '../switchover/switchover.ts';
import { vmStartPlan, vmStopPlan } from '../switchover/vm.ts';
import type { Work } from '../switchover/work.ts';
import { synchronisePlan } from '../synchronise/synchronise.ts';
import { CHECKS } from '../verify/index.ts';
import { type Deployment, deployPlan, makeDeployment } from './appliance/deploy-plan.ts';
import type { Context } from './context.ts';
import { SPECIMEN } from './specimen.ts';

/**
 * The least-privilege role. Nobody writes it by hand: it is what the steps of all plans declare, what the checks use,
 * and what the use cases around them ask of the cloud. A plan is built for a scenario that has one of everything.
 */
const USE_CASES: Readonly<Record<string, readonly CloudVerb[]>> = {
  'register an account': ['access.signIn', 'access.subscription', 'access.permissions', 'access.providers'],
  'choose in a wizard': [
    'catalogue.locations',
    'catalogue.sizes',
    'groups.list',
    'groups.get',
    'network.virtualNetworks',
    'network.securityGroups',
    'network.addressAvailable',
  ],
  'find, check and open an appliance': [
    'machines.list',
    'machines.instance',
    'network.networkInterface',
    'network.publicIp',
    'network.virtualNetwork',
    'network.securityGroup',
    'network.addSecurityRule',
  ],
  'remove a replica': [
    'listTagged',
    'disks.get',
    'disks.delete',
    'disks.deleteSnapshot',
    'machines.detachDisks',
  ],
};

/** Everything that Standby ever asks of Azure; each action once, in order of the alphabet. */
export function roleActions(): readonly string[] {
  const { scenario, inventory, appliance } = SPECIMEN;
  return unique([
    ...scenarioActions(scenario, inventory, appliance),
    ...[true, false].flatMap((hasNetwork) => actionsIn([deployPlan(specimenDeployment(hasNetwork))])),
    ...actionsOf(...CHECKS.flatMap((check) => check.uses)),
    ...actionsOf(...Object.values(USE_CASES).flat()),
  ]);
}

/** What running, switching over, coming home, starting, stopping and removing this scenario needs. */
export function scenarioActions(
  scenario: Scenario,
  inventory: MasterInventory | undefined,
  appliance: Appliance | undefined,
): readonly string[] {
  const work = workFor(scenario, inventory ?? SPECIMEN.inventory, appliance ?? SPECIMEN.appliance);
  const vmId = 'standby';
  return unique([
    ...actionsIn([
      synchronisePlan(work, { lanes: 1, compression: 'none' }),
      switchoverPlan(work),
      vmStartPlan(work, { existingVmId: vmId }),
      vmStopPlan(work, { vmId, remove: true }),
      failbackPreparePlan(work, { vmId }),
      failbackPlan(work, { vmId, removeStandby: true }),
      failbackCancelPlan(work),
      drillPlan(work, { isKept: false, isGivenUp: false, keep: notRun, declare: notRun }),
      drillRemovePlan(work, notRun),
      backupPlan(work, {
        settings: BACKUP_DEFAULTS,
        reason: 'hand',
        standbyRunId: work.runId,
        notBeforeMs: 0,
        completeBackups: async () => [],
      }),
    ]),
    ...actionsOf(...(USE_CASES['remove a replica'] ?? [])),
  ]);
}

function actionsIn(plans: readonly Plan[]): readonly string[] {
  return plans.flatMap((plan) => plan.stages.flat().flatMap((step) => step.actions ?? []));
}

function unique(actions: readonly string[]): readonly string[] {
  return [...new Set(actions)].sort();
}

async function notRun(): Promise<never> {
  throw new Error('a plan for the role is never run');
}

/** Plans are only built here, never run: nothing of it is called. */
function workFor(scenario: Scenario, inventory: MasterInventory, appliance: Appliance): Work {
  const parts: Pick<Work, 'runId' | 'scenario' | 'inventory' | 'appliance' | 'cloud'> = {
    runId: 'role',
    scenario,
    inventory,
    appliance,
    cloud: {} as Cloud,
  };
  return parts as Work;
}

function specimenDeployment(hasNetwork: boolean): Deployment {
  const { account, network, ...input } = SPECIMEN.deploy;
  const parts = { context: {} as Context, cloud: {} as Cloud, account };
  return makeDeployment({ ...parts, input: { ...input, ...(hasNetwork ? { network } : {}) } }, 'role');
}

/** As `az role definition create --role-definition @file` takes it. */
export interface RoleDefinition {
  readonly Name: string;
  readonly IsCustom: true;
  readonly Description: string;
  readonly Actions: readonly string[];
  readonly NotActions: readonly string[];
  readonly DataActions: readonly string[];
  readonly NotDataActions: readonly string[];
  readonly AssignableScopes: readonly string[];
}

export function roleDefinition(account: Pick<Account, 'subscriptionId'> | undefined): RoleDefinition {
  return {
    Name: 'Standby Operator',
    IsCustom: true,
    Description:
      'What Standby needs to copy servers, switch over to them and remove them again. Printed by `standby account role --print`.',
    Actions: roleActions(),
    NotActions: [],
    DataActions: [],
    NotDataActions: [],
    AssignableScopes: [`/subscriptions/${account?.subscriptionId ?? 'SUBSCRIPTION-ID'}`],
  };
}
