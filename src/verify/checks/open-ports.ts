import type { ScenarioNic } from '../../model/scenario.ts';
import type { SecurityGroup, Subnet } from '../../ports/cloud.ts';
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
import { decideInbound, type Inbound } from '../inbound.ts';
import { sameName } from '../region.ts';

/** The rules of subnet and NIC let in what the health checks ask, which is what the users of the server ask too. */
export const openPorts: Check = {
  id: 'open-ports',
  title: 'Ports of the standby',
  group: 'Network',
  uses: ['network.virtualNetwork', 'network.securityGroup'],
  codes: {
    PORT_CLOSED: error(
      'A rule of the network security group keeps out what a health check asks: it would fail, and users with it.',
      'Add an Allow rule for the port, or choose another network security group.',
    ),
    PORT_DOUBTFUL: warning(
      'Rules let some addresses in and others not; whether this machine is among them is not known here.',
      'Compare the rule with the addresses of your users and of this machine, or accept it.',
    ),
    PORTS_NOT_NAMED: unseen(
      'The scenario names no health check, so nothing says which ports people use.',
      'Add a health check to the scenario.',
    ),
    PORTS_UNKNOWN: unseen('The network or its rules are not known.', 'See the findings about the network.'),
  },
  async run(facts): Promise<readonly Finding[]> {
    const { scenario, region } = facts;
    const ports = [...new Set(scenario.healthChecks.map((one) => one.port))];
    const nic = scenario.nics[0];
    if (ports.length === 0) return [skipped('PORTS_NOT_NAMED', 'no health check names a port')];
    const network = nic && (await region.virtualNetwork(nic.virtualNetworkId));
    const subnet = network?.subnets.find((one) => sameName(one.name, nic?.subnetName ?? ''));
    if (!nic || !network || !subnet)
      return [skipped('PORTS_UNKNOWN', 'the network of the primary NIC is not known')];
    const groups = await groupsOf(nic, subnet, facts);
    return ports.map((port) => judge(port, nic, groups, network.prefixes));
  },
};

/** As Azure asks them: the subnet's first, then the NIC's own. */
async function groupsOf(
  nic: ScenarioNic,
  subnet: Subnet,
  { region }: CheckFacts,
): Promise<readonly SecurityGroup[]> {
  const ids = [subnet.securityGroupId, nic.networkSecurityGroupId].filter((id) => id !== undefined);
  const found = await Promise.all(ids.map((id) => region.securityGroup(id)));
  return found.filter((group) => group !== undefined);
}

function judge(
  port: number,
  nic: ScenarioNic,
  groups: readonly SecurityGroup[],
  networkPrefixes: readonly string[],
): Finding {
  // By its public address the standby is asked over the Internet, by its private one from the network or a VPN.
  const source = nic.publicIp ? undefined : networkPrefixes[0];
  const destination = nic.address.kind === 'static' ? nic.address.ip : undefined;
  const inbound: Inbound = { source, destination, port, protocol: 'Tcp', networkPrefixes };
  const from = nic.publicIp ? 'the Internet' : 'the virtual network';
  for (const group of groups) {
    const { access, rule, exception } = decideInbound(group.rules, inbound);
    const next = `Add an Allow rule for TCP ${port} to "${group.name}", or name another network security group.`;
    if (access === 'deny') {
      const found = `TCP ${port} from ${from} is refused by "${rule?.name ?? 'no rule'}" of "${group.name}".`;
      return wrong('PORT_CLOSED', found, `TCP ${port} allowed`, next);
    }
    if (access === 'unsure') {
      const names = `"${exception?.name}" and "${rule?.name}"`;
      const found = `TCP ${port} from ${from}: ${names} of "${group.name}" let some addresses in and others not.`;
      return doubtful('PORT_DOUBTFUL', found, `TCP ${port} allowed for your users and this machine`, next);
    }
  }
  return ok(
    'PORT_OPEN',
    `TCP ${port} from ${from} is let in${groups.length === 0 ? ': nothing filters' : ''}`,
  );
}
