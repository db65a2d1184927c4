import { admittedTo, drillSubnetOf } from '../model/drill-place.ts';
import { drillNetworkName, drillSecurityGroupName, drillVmName } from '../model/names.ts';
import type { Scenario } from '../model/scenario.ts';
import { RESOURCE_TYPES } from './blueprint.ts';
import type { Work } from './work.ts';

/**
 * The scenario as a drill tries it: the same disks, size and zones, in an isolated network, without redirection, with a
 * VM of another name, and with a public address only where somebody may ask its health checks. Everything else of the
 * switchover's steps stays as it is, so a drill proves what a switchover will do.
 */
export function drillWork(work: Work): Work {
  const { redirect: _, ...scenario } = work.scenario;
  const { resourceGroup, name } = scenario.vm;
  const own = ownNetwork(work.scenario, work.runId);
  const subnet = drillSubnetOf(scenario);
  const place = subnet ?? { virtualNetworkId: own.networkId, subnetName: DRILL_SUBNET };
  const admitted = admittedTo(scenario);
  return {
    ...work,
    isDrill: true,
    acceptUnprovenBoot: true,
    scenario: {
      ...scenario,
      vm: { ...scenario.vm, resourceGroup, name: drillVmName(name, work.runId) },
      nics: scenario.nics.map(({ masterNicId }, index) => ({
        masterNicId,
        ...place,
        address: { kind: 'dynamic' },
        publicIp: admitted !== undefined && index === 0,
        ...(subnet ? {} : { networkSecurityGroupId: own.securityGroupId }),
      })),
      // Where nobody may ask there is nothing to wait for.
      healthChecks: subnet || admitted ? scenario.healthChecks : [],
    },
  };
}

export const DRILL_SUBNET = 'drill';

/** The network that a drill makes for itself when its scenario names no subnet. */
export function ownNetwork(scenario: Scenario, runId: string) {
  const names = {
    network: drillNetworkName(scenario, runId),
    group: drillSecurityGroupName(scenario, runId),
  };
  // All of a scenario's networks are in its account's subscription, and what a drill makes is too.
  const subscription = /^\/subscriptions\/[^/]+/i.exec(scenario.nics[0]?.virtualNetworkId ?? '')?.[0] ?? '';
  const group = `${subscription}/resourceGroups/${scenario.vm.resourceGroup}`;
  return {
    names,
    networkId: `${group}/providers/${RESOURCE_TYPES.network}/${names.network}`,
    securityGroupId: `${group}/providers/${RESOURCE_TYPES.securityGroup}/${names.group}`,
  };
}
