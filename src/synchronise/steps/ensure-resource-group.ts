/**
 * Promises the scenario's resource group, and that the status says `preparing-disks` and not replication (G-68).
 * Both can be done again at any time.
 */
import type { Step } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { Work } from '../../switchover/work.ts';

export const ENSURE_RESOURCE_GROUP = 'ensure-resource-group';

export interface EnsuredGroup {
  readonly resourceGroupId: string;
}

export function ensureResourceGroupStep(work: Work): Step<EnsuredGroup> {
  const { resourceGroup } = work.scenario.vm;
  return {
    id: ENSURE_RESOURCE_GROUP,
    title: `Resource group ${resourceGroup}`,
    actions: actionsOf('groups.ensure'),
    retry: { attemptsMax: 3, delayMs: 5000 },
    async run() {
      await work.setStatus({ state: 'preparing-disks', activeRunId: work.runId });
      const group = await work.cloud.groups.ensure(resourceGroup, work.scenario.region);
      return { resourceGroupId: group.id };
    },
  };
}
