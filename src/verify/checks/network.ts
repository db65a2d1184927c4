import type { ScenarioNic } from '../../model/scenario.ts';
import type { Check, CheckFacts, Finding } from '../check.ts';
import { error, ok, wrong } from '../check.ts';
import { sameName, sameRegion } from '../region.ts';

/** Each NIC of the standby VM has a virtual network of the region and a subnet in it, and stands for a NIC of the master. */
export const network: Check = {
  id: 'network',
  title: 'Network',
  group: 'Network',
  uses: ['network.virtualNetwork'],
  codes: {
    NO_NIC: error('Azure makes no VM without a NIC.', 'Choose a virtual network and subnet.'),
    NIC_UNKNOWN: error(
      'The scenario has a NIC for one that the master does not have.',
      '`standby scenario edit`.',
    ),
    NETWORK_UNKNOWN: error(
      'The virtual network does not exist, or the account cannot see it.',
      'Choose another network.',
    ),
    NETWORK_ELSEWHERE: error(
      'A VM and its virtual network are in one region.',
      'Choose a network of the region.',
    ),
    SUBNET_UNKNOWN: error('The virtual network has no such subnet.', 'Choose another subnet.'),
  },
  async run(facts): Promise<readonly Finding[]> {
    const { nics } = facts.scenario;
    if (nics.length === 0) {
      const next = 'Choose a virtual network and subnet for the standby VM.';
      return [wrong('NO_NIC', 'The scenario has no NIC; Azure makes no VM without one.', 'one NIC', next)];
    }
    return (await Promise.all(nics.map((nic) => judge(nic, facts)))).flat();
  },
};

async function judge(nic: ScenarioNic, { scenario, inventory, region }: CheckFacts): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (inventory && !inventory.nics.some((one) => one.id === nic.masterNicId)) {
    const known = inventory.nics.map((one) => one.id).join(', ') || 'none';
    const found = `${nic.masterNicId}: the master has no such NIC (it has ${known}).`;
    findings.push(wrong('NIC_UNKNOWN', found, 'a NIC of the master', 'Edit the scenario.'));
  }
  const name = nic.virtualNetworkId.split('/').at(-1) ?? nic.virtualNetworkId;
  const found = await region.virtualNetwork(nic.virtualNetworkId);
  if (!found) {
    const text = `${nic.masterNicId}: virtual network "${name}" does not exist, or this account cannot see it.`;
    return [...findings, wrong('NETWORK_UNKNOWN', text, 'a virtual network', 'Choose another network.')];
  }
  if (!sameRegion(found.location, scenario.region)) {
    const text = `${nic.masterNicId}: virtual network "${name}" is in ${found.location}; the VM will be in ${scenario.region}.`;
    return [
      ...findings,
      wrong('NETWORK_ELSEWHERE', text, scenario.region, 'Choose a network of the region.'),
    ];
  }
  const subnet = found.subnets.find((one) => sameName(one.name, nic.subnetName));
  if (!subnet) {
    const subnets = found.subnets.map((one) => one.name).join(', ') || 'none';
    const text = `${nic.masterNicId}: "${name}" has no subnet "${nic.subnetName}" (it has ${subnets}).`;
    return [...findings, wrong('SUBNET_UNKNOWN', text, 'a subnet of the network', 'Choose another subnet.')];
  }
  return findings.length > 0
    ? findings
    : [
        ok(
          'NETWORK_OK',
          `${nic.masterNicId}: ${name}/${subnet.name} (${subnet.prefix}) in ${found.location}`,
        ),
      ];
}
