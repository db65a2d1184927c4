/**
 * Promises a network for one drill alone, from which nothing leaves and which nothing enters: a virtual network of its
 * own without peering and routes, and a security group for every NIC that denies all of both directions. The group
 * comes first and its rules stand before any NIC is made. Names come from the run, so dying at any line is repaired by
 * asking again.
 */
import type { Step } from '../../plan/plan.ts';
import type { SecurityRule } from '../../ports/cloud.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { RESOURCE_TYPES, tagsFor } from '../blueprint.ts';
import { DRILL_SUBNET, ownNetwork } from '../drill-work.ts';
import { CLOUD_RETRY } from '../durably.ts';
import type { Work } from '../work.ts';

export const MAKE_DRILL_NETWORK = 'make-drill-network';
const PREFIX = '10.251.0.0/24';

export function makeDrillNetworkStep(work: Work): Step<{ readonly networkId: string }> {
  const { names } = ownNetwork(work.scenario, work.runId);
  const { network } = work.cloud;
  return {
    id: MAKE_DRILL_NETWORK,
    title: 'Network that nothing leaves and nothing enters',
    actions: actionsOf(
      'network.ensureSecurityGroup',
      'network.addSecurityRule',
      'network.ensureVirtualNetwork',
      'network.deleteSecurityGroup',
      'network.deleteVirtualNetwork',
    ),
    makes: [
      { type: RESOURCE_TYPES.securityGroup, name: names.group },
      { type: RESOURCE_TYPES.network, name: names.network },
    ],
    retry: CLOUD_RETRY,
    async run({ signal }) {
      const place = { resourceGroup: work.scenario.vm.resourceGroup, location: work.scenario.region };
      const group = await network.ensureSecurityGroup(
        { ...place, name: names.group, tags: tagsFor(work, 'drill-security-group') },
        { signal },
      );
      for (const rule of DENY_ALL) await network.addSecurityRule(group.id, rule, { signal });
      const made = await network.ensureVirtualNetwork(
        {
          ...place,
          name: names.network,
          prefix: PREFIX,
          subnetName: DRILL_SUBNET,
          subnetPrefix: PREFIX,
          tags: tagsFor(work, 'drill-network'),
        },
        { signal },
      );
      return { networkId: made.id };
    },
  };
}

const DENY_ALL = (['Inbound', 'Outbound'] as const).map(
  (direction): SecurityRule => ({
    name: `Drill-Deny-${direction}`,
    priority: 100,
    direction,
    access: 'Deny',
    protocol: '*',
    sourcePrefixes: ['*'],
    destinationPrefixes: ['*'],
    destinationPorts: ['*'],
  }),
);
