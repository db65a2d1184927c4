import { parseIp, parseIpRange } from '../../model/ip-range.ts';
import type { ScenarioNic } from '../../model/scenario.ts';
import type { VirtualNetwork } from '../../ports/cloud.ts';
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

const AZURES_OWN = '168.63.129.16';

/** Names can be resolved where the standby will be, also when the master and its site are gone. */
export const dnsServers: Check = {
  id: 'dns-servers',
  title: 'DNS servers',
  group: 'Network',
  uses: ['network.virtualNetwork'],
  codes: {
    DNS_IS_MASTER: error(
      'The virtual network, or a NIC of the standby, resolves names with the very server that is protected.',
      'Give it another DNS server, or Azure’s own.',
    ),
    DNS_OUTSIDE: warning(
      'The DNS servers of the network, or of a NIC of the standby, lie outside of the network; when the site is gone they may be gone too.',
      'Add a DNS server inside the network or Azure’s own, or accept it.',
    ),
    DNS_UNKNOWN: unseen('The virtual network is not known.', 'See the finding about the network.'),
  },
  async run(facts): Promise<readonly Finding[]> {
    const { nics } = facts.scenario;
    const askers = await Promise.all(nics.map((nic) => askerOf(nic, facts)));
    const known = new Map(askers.flatMap((asker) => (asker ? [[asker.name, asker]] : [])));
    if (known.size === 0) return [skipped('DNS_UNKNOWN', 'the virtual network is not known')];
    return [...known.values()].map((asker) => judge(asker, facts));
  },
};

interface Asker {
  /** Of the NIC that has servers of its own, else of its network. */
  readonly name: string;
  readonly servers: readonly string[];
  readonly network: VirtualNetwork;
}

async function askerOf(nic: ScenarioNic, { region }: CheckFacts): Promise<Asker | undefined> {
  const network = await region.virtualNetwork(nic.virtualNetworkId);
  if (!network) return undefined;
  if (nic.dnsServers) return { name: nic.masterNicId, servers: nic.dnsServers, network };
  return { name: network.name, servers: network.dnsServers, network };
}

function judge({ name, servers, network }: Asker, { inventory }: CheckFacts): Finding {
  if (servers.length === 0) return ok('DNS_AZURE', `"${name}" resolves with Azure's own DNS`);
  const next = `Give "${name}" a DNS server that is there when the site is gone, such as Azure's own (${AZURES_OWN}).`;
  const ofMaster = (inventory?.nics ?? []).flatMap((nic) => nic.addresses.map((one) => one.split('/')[0]));
  const own = servers.filter((server) => ofMaster.includes(server));
  if (own.length === servers.length) {
    return wrong(
      'DNS_IS_MASTER',
      `"${name}" resolves with ${own.join(', ')}: the protected server.`,
      'another one',
      next,
    );
  }
  if (servers.some((server) => server === AZURES_OWN || isInside(server, network))) {
    return ok('DNS_INSIDE', `"${name}" resolves with ${servers.join(', ')}`);
  }
  const found = `"${name}" resolves with ${servers.join(', ')}, which all lie outside of ${name === network.name ? 'it' : `"${network.name}"`}.`;
  return doubtful('DNS_OUTSIDE', found, 'one inside the network, or Azure’s own', next);
}

function isInside(server: string, { prefixes }: VirtualNetwork): boolean {
  const value = parseIp(server);
  return prefixes.some((text) => {
    const range = parseIpRange(text);
    return value !== undefined && range !== undefined && range.first <= value && value <= range.last;
  });
}
