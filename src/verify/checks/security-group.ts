import type { ScenarioNic } from '../../model/scenario.ts';
import type { Check, CheckFacts, Finding } from '../check.ts';
import { error, ok, wrong } from '../check.ts';
import { sameRegion } from '../region.ts';

/** The network security groups that the NICs name exist in the region. */
export const securityGroup: Check = {
  id: 'security-group',
  title: 'Network security group',
  group: 'Network',
  uses: ['network.securityGroup'],
  codes: {
    NSG_UNKNOWN: error(
      'The network security group does not exist, or the account cannot see it.',
      'Choose another one.',
    ),
    NSG_ELSEWHERE: error('The network security group is in another region.', 'Choose another one.'),
  },
  async run(facts): Promise<readonly Finding[]> {
    const findings = (await Promise.all(facts.scenario.nics.map((nic) => judge(nic, facts)))).flat();
    return findings.length > 0 ? findings : [ok('NSG_NONE', 'no NIC names one')];
  },
};

async function judge(nic: ScenarioNic, { scenario, region }: CheckFacts): Promise<Finding[]> {
  const id = nic.networkSecurityGroupId;
  if (!id) return [];
  const name = id.split('/').at(-1) ?? id;
  const next = 'Choose another network security group.';
  const group = await region.securityGroup(id);
  if (!group) {
    const found = `${nic.masterNicId}: "${name}" does not exist, or this account cannot see it.`;
    return [wrong('NSG_UNKNOWN', found, 'a network security group', next)];
  }
  if (!sameRegion(group.location, scenario.region)) {
    const found = `${nic.masterNicId}: "${name}" is in ${group.location}; the NIC will be in ${scenario.region}.`;
    return [wrong('NSG_ELSEWHERE', found, scenario.region, next)];
  }
  return [ok('NSG_OK', `${nic.masterNicId}: ${group.name}`)];
}
