import type { ScenarioNic } from '../../model/scenario.ts';
import { ipv4ToNumber, isReserved, rangeOfPrefix } from '../address.ts';
import type { Check, CheckFacts, Finding } from '../check.ts';
import { error, ok, skipped, unseen, wrong } from '../check.ts';
import { sameName } from '../region.ts';
import { standingAddresses } from '../standing.ts';

/** A static address lies in its subnet, is not one of Azure's own five, and nobody has it. */
export const staticAddress: Check = {
  id: 'static-address',
  title: 'Static address',
  group: 'Network',
  uses: ['network.virtualNetwork', 'network.addressAvailable', 'machines.list', 'network.networkInterface'],
  codes: {
    ADDRESS_INVALID: error('It is no IPv4 address.', 'Choose another address, or dynamic.'),
    ADDRESS_UNKNOWN: unseen('The subnet of the address is not known.', 'See the finding about the network.'),
    ADDRESS_OUTSIDE_SUBNET: error(
      'The address does not lie in the subnet.',
      'Choose an address of the subnet.',
    ),
    ADDRESS_RESERVED: error(
      'Azure keeps the first four addresses of a subnet and its last one.',
      'Choose another address.',
    ),
    ADDRESS_TAKEN: error(
      'Something in the network has that address.',
      'Choose one of the free ones that are named.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    const judged = await Promise.all(facts.scenario.nics.map((nic) => judge(nic, facts)));
    const findings = judged.flat();
    return findings.length > 0 ? findings : [ok('ADDRESSES_DYNAMIC', 'all addresses are dynamic')];
  },
};

async function judge(nic: ScenarioNic, facts: CheckFacts): Promise<Finding[]> {
  const { region, cloud } = facts;
  if (nic.address.kind !== 'static') return [];
  const { ip } = nic.address;
  const where = `${nic.masterNicId}: ${ip}`;
  const next = 'Choose another address, or dynamic.';
  const number = ipv4ToNumber(ip);
  if (number === undefined)
    return [wrong('ADDRESS_INVALID', `${where} is no IPv4 address.`, 'like 10.0.1.10', next)];
  const network = await region.virtualNetwork(nic.virtualNetworkId);
  const subnet = network?.subnets.find((one) => sameName(one.name, nic.subnetName));
  if (!network || !subnet) return [skipped('ADDRESS_UNKNOWN', `${where}: its subnet is not known`)];
  const range = rangeOfPrefix(subnet.prefix);
  if (!range) return [skipped('ADDRESS_UNKNOWN', `${where}: ${subnet.prefix} is no IPv4 range`)];
  if (number < range.first || number > range.last) {
    const found = `${where} is outside subnet "${subnet.name}" (${subnet.prefix}).`;
    return [wrong('ADDRESS_OUTSIDE_SUBNET', found, `an address of ${subnet.prefix}`, next)];
  }
  if (isReserved(number, range)) {
    const found = `${where} is one of the five addresses of ${subnet.prefix} that Azure keeps (the first four, the last).`;
    return [wrong('ADDRESS_RESERVED', found, 'an address that is not reserved', next)];
  }
  const answer = await cloud.network.addressAvailable(network.id, ip);
  if (!answer.available) {
    if ((await standingAddresses(facts)).includes(ip))
      return [ok('ADDRESS_HELD', `${where} is held by the standby itself`)];
    const free = answer.free.length > 0 ? ` Free: ${answer.free.slice(0, 5).join(', ')}.` : '';
    return [wrong('ADDRESS_TAKEN', `${where} is already in use.${free}`, 'a free address', next)];
  }
  return [ok('ADDRESS_FREE', `${where} is free in ${subnet.prefix}`)];
}
