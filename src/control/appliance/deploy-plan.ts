import type { Account } from '../../model/account.ts';
import { applianceNames } from '../../model/names.ts';
import { type StandbyTags, tagsOf } from '../../model/tags.ts';
import type { Plan } from '../../plan/plan.ts';
import type { Cloud } from '../../ports/cloud.ts';
import type { Context } from '../context.ts';
import type { DeployInput } from './deploy-input.ts';
import { makeMachine, waitForMachine } from './deploy-machine-steps.ts';
import { joinNetwork, makeNetwork, makePublicIp, makeSecurityGroup } from './deploy-network-steps.ts';
import { ensureGroup, makeJournalDisk, publishBundle, recordAppliance } from './deploy-steps.ts';

export const DEPLOY_APPLIANCE = 'deploy-appliance';

/** What every step of a deployment works with. Names and tags are the same on every try. */
export interface Deployment {
  readonly context: Pick<Context, 'store' | 'secrets' | 'clock' | 'firstBoot'>;
  readonly cloud: Cloud;
  readonly account: Account;
  readonly input: DeployInput;
  readonly names: ReturnType<typeof applianceNames>;
  readonly tags: StandbyTags;
  /** The VM's ARM id, known before there is one. */
  readonly vmId: string;
}

export function makeDeployment(
  parts: Pick<Deployment, 'context' | 'cloud' | 'account' | 'input'>,
  runId: string,
): Deployment {
  const { account, input } = parts;
  const names = applianceNames(input.name);
  return {
    ...parts,
    names,
    tags: tagsOf(applianceTag(input.name), runId, 'appliance'),
    vmId:
      `/subscriptions/${account.subscriptionId}/resourceGroups/${input.resourceGroup}` +
      `/providers/Microsoft.Compute/virtualMachines/${names.vm}`,
  };
}

/** The standby-scenario tag of what belongs to an appliance and no scenario. */
export function applianceTag(name: string): string {
  return `appliance/${name}`;
}

/**
 * The order in which an appliance comes to be. The record and its one-time token are stored before the VM exists,
 * so that however often this is tried, the VM that boots holds the token that control knows.
 */
export function deployPlan(deployment: Deployment): Plan {
  return {
    kind: DEPLOY_APPLIANCE,
    title: `Deploy the appliance ${deployment.input.name}`,
    stages: [
      [ensureGroup(deployment)],
      [
        makeNetwork(deployment),
        makeSecurityGroup(deployment),
        makePublicIp(deployment),
        makeJournalDisk(deployment),
        publishBundle(deployment),
      ],
      [joinNetwork(deployment)],
      [recordAppliance(deployment)],
      [makeMachine(deployment)],
      [waitForMachine(deployment)],
    ],
  };
}
