import type { ScenarioNic } from '../../model/scenario.ts';
import {
  type Check,
  type CheckFacts,
  doubtful,
  error,
  type Finding,
  ok,
  skipped,
  unseen,
  warning,
  wrong,
} from '../check.ts';
import { sameName } from '../region.ts';
import { wayOut } from '../way-out.ts';

/** Answers of the standby find their way out of its subnets. */
export const routes: Check = {
  id: 'routes',
  title: 'Routes of the standby',
  group: 'Network',
  uses: ['network.virtualNetwork', 'network.routeTable'],
  codes: {
    ROUTE_NOWHERE: error(
      'A route of the subnet throws away everything that leaves it.',
      'Change the route table, or choose another subnet.',
    ),
    ROUTE_AROUND: warning(
      'Everything leaves the subnet through an appliance or gateway, so answers to callers of the public address go another way than they came.',
      'Use no public address there, or let the route table except your users.',
    ),
    ROUTES_UNKNOWN: unseen(
      'The subnet or its route table is not known.',
      'See the finding about the network.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    const judged = await Promise.all(facts.scenario.nics.map((nic) => judge(nic, facts)));
    const findings = judged.flat();
    return findings.length > 0 ? findings : [ok('ROUTES_OK', 'no route is in the way')];
  },
};

async function judge(nic: ScenarioNic, { region }: CheckFacts): Promise<Finding[]> {
  const network = await region.virtualNetwork(nic.virtualNetworkId);
  const subnet = network?.subnets.find((one) => sameName(one.name, nic.subnetName));
  if (!subnet) return [skipped('ROUTES_UNKNOWN', `${nic.masterNicId}: "${nic.subnetName}" is not known`)];
  if (!subnet.routeTableId) return [];
  const table = await region.routeTable(subnet.routeTableId);
  if (!table) return [skipped('ROUTES_UNKNOWN', `${nic.masterNicId}: its route table cannot be read`)];
  const route = wayOut(table);
  const found = `${nic.masterNicId}: "${route?.name}" of "${table.name}" sends everything from "${subnet.name}"`;
  if (route?.nextHop === 'None') {
    const next = `Change "${table.name}", or choose another subnet.`;
    return [wrong('ROUTE_NOWHERE', `${found} nowhere.`, 'a way out', next)];
  }
  const around = route?.nextHop === 'VirtualAppliance' || route?.nextHop === 'VirtualNetworkGateway';
  if (!around || !nic.publicIp) return [];
  const next = 'Use no public address there, or except your users from that route.';
  return [
    doubtful(
      'ROUTE_AROUND',
      `${found} to ${route.nextHopIp ?? route.nextHop}, answers too.`,
      'the Internet',
      next,
    ),
  ];
}
