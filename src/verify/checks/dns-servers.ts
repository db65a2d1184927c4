import { parseIp, parseIpRange } from '../../model/ip-range.ts';
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
      'The virtual network resolves names with the very server that is protected.',
      'Give the network another DNS server, or Azure’s own.',
    ),
    DNS_OUTSIDE: warning(
      'The DNS servers of the network lie outside of it; when the site is gone they may be gone too.',
      'Add a DNS server inside the network or Azure’s own, or accept it.',
    ),
    DNS_UNKNOWN: unseen('The virtual network is not known.', 'See the finding about the network.'),
  },
  async run(facts): Promise<readonly Finding[]> {
    const ids = [...new Set(facts.scenario.nics.map((nic) => nic.virtualNetworkId))];
    const networks = await Promise.all(ids.map((id) => facts.region.virtualNetwork(id)));
    const known = networks.filter((network) => network !== undefined);
    if (known.length === 0) return [skipped('DNS_UNKNOWN', 'the virtual network is not known')];
    return known.map((network) => judge(network, facts));
  },
};

function judge(network: VirtualNetwork, { inventory }: CheckFacts): Finding {
  const { name, dnsServers: servers } = network;
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
  const found = `"${name}" resolves with ${servers.join(', ')}, which all lie outside of it.`;
  return doubtful('DNS_OUTSIDE', found, 'one inside the network, or Azure’s own', next);
}

function isInside(server: string, { prefixes }: VirtualNetwork): boolean {
  const value = parseIp(server);
  return prefixes.some((text) => {
    const range = parseIpRange(text);
    return value !== undefined && range !== undefined && range.first <= value && value <= range.last;
  });
}
