import type { ScenarioNic } from '../../model/scenario.ts';
import type { Subnet } from '../../ports/cloud.ts';
import { rangeOfPrefix } from '../address.ts';
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
import { othersToStart, standingVmId } from '../standing.ts';

const KEPT_BY_AZURE = 5;

/** Each subnet has free addresses for the NICs that will be made in it, and takes NICs of ours at all. */
export const subnetSpace: Check = {
  id: 'subnet-space',
  title: 'Free addresses',
  group: 'Network',
  uses: ['network.virtualNetwork'],
  codes: {
    SUBNET_FULL: error(
      'The subnet has fewer free addresses than the standby has NICs in it (Azure keeps five).',
      'Free some addresses, or choose another subnet.',
    ),
    SUBNET_NOT_FOR_ALL: warning(
      'It has room for this standby, but not when the other scenarios with NICs in it start too.',
      'Free some addresses or choose a larger subnet, or accept that not all can be switched over at once.',
    ),
    SUBNET_DELEGATED: error(
      'The subnet belongs to a service; NICs of VMs are refused in it.',
      'Choose another subnet.',
    ),
    SUBNET_SPACE_UNKNOWN: unseen('The subnet is not known.', 'See the finding about the network.'),
  },
  async run(facts): Promise<readonly Finding[]> {
    if (standingVmId(facts) !== undefined)
      return [ok('SUBNET_IN_USE', 'the standby has its addresses already')];
    const places = new Map<string, ScenarioNic[]>();
    for (const nic of facts.scenario.nics) {
      const key = `${nic.virtualNetworkId}/${nic.subnetName}`.toLowerCase();
      places.set(key, [...(places.get(key) ?? []), nic]);
    }
    const judged = await Promise.all([...places.values()].map((nics) => judge(nics, facts)));
    return judged.flat();
  },
};

async function judge(nics: readonly ScenarioNic[], facts: CheckFacts): Promise<Finding[]> {
  const { region } = facts;
  const [first] = nics;
  if (!first) return [];
  const network = await region.virtualNetwork(first.virtualNetworkId);
  const subnet = network?.subnets.find((one) => sameName(one.name, first.subnetName));
  if (!subnet) return [skipped('SUBNET_SPACE_UNKNOWN', `"${first.subnetName}" is not known`)];
  const findings = subnet.delegatedTo
    ? [
        wrong(
          'SUBNET_DELEGATED',
          `Subnet "${subnet.name}" is delegated to ${subnet.delegatedTo}.`,
          'a subnet without a delegation',
          'Choose another subnet.',
        ),
      ]
    : [];
  const free = freeIn(subnet);
  if (free === undefined) {
    return [
      ...findings,
      skipped('SUBNET_SPACE_UNKNOWN', `how full "${subnet.name}" is, Azure does not tell`),
    ];
  }
  const figures = `${subnet.name} (${subnet.prefix}): ${free} free, ${nics.length} needed`;
  if (free < nics.length) {
    const next = 'Free some addresses in it, or choose another subnet.';
    return [...findings, wrong('SUBNET_FULL', `${figures}.`, `${nics.length} free`, next)];
  }
  const others = othersToStart(facts).flatMap((one) => one.nics.filter((nic) => isThere(nic, first)));
  if (free < nics.length + others.length) {
    const found = `${figures}, and ${others.length} more if every other scenario starts at once.`;
    const expected = `${nics.length + others.length} free`;
    const next = 'Free some addresses in it, or choose a larger subnet.';
    return [...findings, doubtful('SUBNET_NOT_FOR_ALL', found, expected, next)];
  }
  return findings.length > 0 ? findings : [ok('SUBNET_HAS_ROOM', figures)];
}

function isThere(one: ScenarioNic, other: ScenarioNic): boolean {
  return sameName(one.virtualNetworkId, other.virtualNetworkId) && sameName(one.subnetName, other.subnetName);
}

function freeIn(subnet: Subnet): number | undefined {
  const range = rangeOfPrefix(subnet.prefix);
  if (!range || subnet.addressesUsed === undefined) return undefined;
  return Math.max(0, range.last - range.first + 1 - KEPT_BY_AZURE - subnet.addressesUsed);
}
