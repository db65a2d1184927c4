/**
 * Promises that a drill in a given subnet begins only if nothing leaves that: a second server of the same name must not
 * meet the first one's partners. Only reads; dying at any line leaves nothing, and a resumed drill looks again.
 */
import { StandbyError } from '../../errors.ts';
import type { DrillSubnet } from '../../model/drill-place.ts';
import type { Step } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { leakOf } from '../../verify/isolated.ts';
import type { Work } from '../work.ts';

export const CHECK_ISOLATION = 'check-isolation';

export function checkIsolationStep(
  work: Work,
  { virtualNetworkId, subnetName }: DrillSubnet,
): Step<{ readonly subnetId: string }> {
  const { network } = work.cloud;
  return {
    id: CHECK_ISOLATION,
    title: 'Check that nothing leaves the subnet for drills',
    actions: actionsOf('network.virtualNetwork', 'network.securityGroup'),
    async run() {
      const found = await network.virtualNetwork(virtualNetworkId);
      const subnet = found?.subnets.find((one) => one.name.toLowerCase() === subnetName.toLowerCase());
      if (!subnet) throw notIsolated(work, `There is no subnet "${subnetName}" in ${virtualNetworkId}.`);
      const { securityGroupId } = subnet;
      const leak = leakOf(securityGroupId ? await network.securityGroup(securityGroupId) : undefined);
      if (leak !== undefined) throw notIsolated(work, `Subnet "${subnetName}": ${leak}.`);
      return { subnetId: subnet.id };
    },
  };
}

function notIsolated({ scenario }: Work, why: string): StandbyError {
  return new StandbyError({
    code: 'DRILL_NOT_ISOLATED',
    what: `The subnet for drills of "${scenario.name}" is not isolated, so nothing was started in it.`,
    why,
    next: 'Put a network security group on it whose first outbound rule denies everything; or take `drill` out of the scenario, and the drill makes a network of its own.',
  });
}
