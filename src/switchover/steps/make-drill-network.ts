/**
 * Promises a network for one drill alone, from which nothing leaves and which nothing enters: a virtual network of its
 * own without peering and routes, and a security group for every NIC that denies all of both directions. Where the
 * scenario says who may ask its health checks, those ports alone enter, from there alone; that their answers leave is
 * no leak, because a security group lets no connection begin that way. The group comes first, its denials before what
 * they except, and all of them before any NIC is made. Names come from the run, so dying at any line is repaired by
 * asking again.
 */
import { admissionText, admittedTo, type DrillAdmission } from '../../model/drill-place.ts';
import type { Step } from '../../plan/plan.ts';
import type { SecurityRule } from '../../ports/cloud.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { RESOURCE_TYPES, tagsFor } from '../blueprint.ts';
import { DRILL_SUBNET, ownNetwork } from '../drill-work.ts';
import { CLOUD_RETRY } from '../durably.ts';
import type { Work } from '../work.ts';

export const MAKE_DRILL_NETWORK = 'make-drill-network';
const PREFIX = '10.251.0.0/24';

export interface MadeDrillNetwork {
  readonly networkId: string;
  readonly admitted?: DrillAdmission;
}

export function makeDrillNetworkStep(work: Work): Step<MadeDrillNetwork> {
  const { names } = ownNetwork(work.scenario, work.runId);
  const { network } = work.cloud;
  const admitted = admittedTo(work.scenario);
  return {
    id: MAKE_DRILL_NETWORK,
    title: admitted
      ? `Network that nothing leaves, and that ${admissionText(admitted)} enters`
      : 'Network that nothing leaves and nothing enters',
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
      for (const rule of drillRules(admitted)) await network.addSecurityRule(group.id, rule, { signal });
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
      return { networkId: made.id, ...(admitted ? { admitted } : {}) };
    },
  };
}

const ANYTHING = {
  protocol: '*',
  sourcePrefixes: ['*'],
  destinationPrefixes: ['*'],
  destinationPorts: ['*'],
};

/** In the order in which they are added. The first outbound rule denies everything (verify/isolated.ts). */
export function drillRules(admitted: DrillAdmission | undefined): readonly SecurityRule[] {
  const denied: readonly SecurityRule[] = [
    { ...ANYTHING, name: 'Drill-Deny-Outbound', priority: 100, direction: 'Outbound', access: 'Deny' },
    { ...ANYTHING, name: 'Drill-Deny-Inbound', priority: 200, direction: 'Inbound', access: 'Deny' },
  ];
  if (!admitted) return denied;
  const asked: SecurityRule = {
    ...ANYTHING,
    name: 'Drill-Health-Checks',
    priority: 100,
    direction: 'Inbound',
    access: 'Allow',
    protocol: 'Tcp',
    sourcePrefixes: [admitted.from],
    destinationPorts: admitted.ports.map(String),
  };
  return [...denied, asked];
}
