import { kindOfIp } from '../../model/ip-range.ts';
import type { CloudNic, SecurityGroup } from '../../ports/cloud.ts';
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
import { decideInbound } from '../inbound.ts';
import { sameName } from '../region.ts';
import { wayOut } from '../way-out.ts';

/** Masters and control reach the appliance's port; where they do not, the rule that is in the way is named. */
export const applianceReachable: Check = {
  id: 'appliance-reachable',
  title: 'Appliance can be reached',
  group: 'Network',
  moments: ['create', 'run'],
  uses: [
    'machines.instance',
    'network.networkInterface',
    'network.virtualNetwork',
    'network.securityGroup',
    'network.routeTable',
  ],
  codes: {
    ENGINE_PORT_CLOSED: error(
      'A rule keeps masters and control from the port of the appliance.',
      '`standby appliance open-port`.',
    ),
    APPLIANCE_SILENT: error(
      'The port is open as far as Azure tells, but the appliance does not answer.',
      '`standby appliance check` looks at each part of the way.',
    ),
    APPLIANCE_ROUTE_NOWHERE: error(
      'A route throws away what the appliance answers.',
      'Change the route table of its subnet.',
    ),
    ENGINE_PORT_DOUBTFUL: warning(
      'The appliance answers this machine, but rules let some addresses in and others not: perhaps not those of a master.',
      '`standby appliance open-port` with the addresses of the masters, or accept it.',
    ),
    REACH_UNKNOWN: unseen(
      'The appliance is not a VM that Azure knows.',
      'See the findings about the appliance.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    const { appliance, region, session } = facts;
    const machine = await region.applianceMachine();
    const nic =
      machine?.nicIds[0] === undefined ? undefined : await region.networkInterface(machine.nicIds[0]);
    if (!appliance || !nic) {
      if (session) return [ok('APPLIANCE_ANSWERS', 'it answers')];
      return [skipped('REACH_UNKNOWN', 'the network of the appliance is not known')];
    }
    const way = await wayTo(nic, facts);
    if (way.nowhere) {
      const found = `"${way.nowhere}" sends everything from the subnet of "${appliance.name}" nowhere.`;
      return [
        wrong('APPLIANCE_ROUTE_NOWHERE', found, 'a way back to masters and control', 'Change that route.'),
      ];
    }
    return [judge(facts, nic, way)];
  },
};

interface Way {
  readonly groups: readonly SecurityGroup[];
  readonly prefixes: readonly string[];
  /** The route that throws away. */
  readonly nowhere?: string;
}

async function wayTo(nic: CloudNic, { region }: CheckFacts): Promise<Way> {
  const network = await region.virtualNetwork(nic.subnetId.replace(/\/subnets\/[^/]+$/i, ''));
  const subnet = network?.subnets.find((one) => sameName(one.id, nic.subnetId));
  const ids = [subnet?.securityGroupId, nic.securityGroupId].filter((id) => id !== undefined);
  const groups = (await Promise.all(ids.map((id) => region.securityGroup(id)))).filter(
    (one) => one !== undefined,
  );
  const table = subnet?.routeTableId === undefined ? undefined : await region.routeTable(subnet.routeTableId);
  const route = table && wayOut(table);
  const nowhere = route?.nextHop === 'None' ? { nowhere: route.name } : {};
  return { groups, prefixes: network?.prefixes ?? [], ...nowhere };
}

function judge({ appliance, session }: CheckFacts, nic: CloudNic, { groups, prefixes }: Way): Finding {
  const { name = '', address = '', port = 0 } = appliance ?? {};
  const isPrivate = kindOfIp(address) === 'private';
  // Over the Internet nobody knows which addresses the masters have; by a private address they come from the network.
  const inbound = {
    source: isPrivate ? prefixes[0] : undefined,
    destination: nic.privateIp,
    port,
    protocol: 'Tcp',
    networkPrefixes: prefixes,
  } as const;
  const decisions = groups.map((group) => ({ group, ...decideInbound(group.rules, inbound) }));
  const denied = decisions.find((one) => one.access === 'deny');
  const next = `standby appliance open-port ${name}`;
  if (denied && !session) {
    const found = `TCP ${port} of "${name}" is refused by "${denied.rule?.name ?? 'no rule'}" of "${denied.group.name}".`;
    return wrong('ENGINE_PORT_CLOSED', found, `TCP ${port} allowed`, next);
  }
  if (!session) {
    const found = `"${name}" does not answer at ${address}:${port}, though no rule refuses it.`;
    return wrong('APPLIANCE_SILENT', found, 'an answer', `standby appliance check ${name}`);
  }
  const unsure = decisions.find((one) => one.access === 'unsure' || one.access === 'deny');
  if (!unsure || isLoopback(address))
    return ok('APPLIANCE_ANSWERS', `"${name}" answers at ${address}:${port}`);
  const found = `"${name}" answers this machine, but "${unsure.rule?.name ?? 'no rule'}" of "${unsure.group.name}" does not let everybody in.`;
  return doubtful('ENGINE_PORT_DOUBTFUL', found, `TCP ${port} allowed for every master`, next);
}

/** Local Azure's public addresses. */
function isLoopback(address: string): boolean {
  return kindOfIp(address) === 'loopback' || address === 'localhost';
}
