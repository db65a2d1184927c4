import { timeText } from '../../clock.ts';
import { admissionText, admittedTo, drillSubnetOf } from '../../model/drill-place.ts';
import {
  type Check,
  type CheckFacts,
  doubtful,
  type Finding,
  ok,
  skipped,
  unseen,
  warning,
} from '../check.ts';
import { leakOf } from '../isolated.ts';
import { sameName, sameRegion } from '../region.ts';

/** A drill's subnet is really isolated: a second server of the same name must not meet the first one's partners. */
export const drill: Check = {
  id: 'drill',
  title: 'Drill',
  group: 'Replication',
  // Never in the way of a copy or of a switchover.
  moments: ['create'],
  uses: ['network.virtualNetwork', 'network.securityGroup'],
  codes: {
    DRILL_SUBNET_UNKNOWN: warning(
      'The subnet for drills does not exist in the region, or the account cannot see it.',
      'Choose another subnet for drills.',
    ),
    DRILL_NOT_ISOLATED: warning(
      'Something leaves the subnet for drills: a drill’s server could meet the partners of the real one.',
      'Put a network security group on it whose first outbound rule denies everything.',
    ),
    DRILL_SUBNET_IN_USE: warning(
      'Drills would be held in the very subnet that the real standby will be in.',
      'Choose another subnet for drills.',
    ),
    DRILL_HEALTH_NOT_ASKED: unseen(
      'The scenario names a health check, and nobody may ask it in the network that a drill makes for itself: a drill says nothing about it.',
      'Say who may ask: `standby drill SCENARIO --ask-from ADDRESS`; or name a subnet for drills.',
    ),
    DRILL_NOT_PASSED: warning(
      'The last drill failed, or nobody saw its guest live.',
      'Look at its report (`standby drill --list`), and hold another one.',
    ),
    DRILL_NONE: unseen(
      'No drill has been held for this scenario, or it had no guest to see, so no boot of its replica has been proven.',
      'Hold one: `standby drill SCENARIO`.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    return [...(await subnetFindings(facts)), ...whoAsks(facts), lastDrill(facts)];
  },
};

/** In a subnet for drills control asks at the private address, without anybody's leave. */
function whoAsks({ scenario }: CheckFacts): readonly Finding[] {
  if (scenario.healthChecks.length === 0 || drillSubnetOf(scenario)) return [];
  const admitted = admittedTo(scenario);
  return [
    admitted
      ? ok('DRILL_HEALTH_ASKED', `a drill admits ${admissionText(admitted)}, and nothing else`)
      : skipped(
          'DRILL_HEALTH_NOT_ASKED',
          'a drill does not ask the health check: nothing enters its network',
        ),
  ];
}

function lastDrill({ scenario, status }: CheckFacts): Finding {
  const last = status?.drilled;
  if (!last) return skipped('DRILL_NONE', 'no drill has been held');
  const found = `the drill of ${timeText(last.atMs)}: ${last.outcome}`;
  if (last.outcome === 'skipped') return skipped('DRILL_NONE', found);
  if (last.outcome === 'passed') return ok('DRILL_PASSED', found);
  return doubtful('DRILL_NOT_PASSED', found, 'passed', `Hold another one: standby drill ${scenario.name}`);
}

async function subnetFindings({ scenario, region }: CheckFacts): Promise<readonly Finding[]> {
  const place = drillSubnetOf(scenario);
  if (!place) return [];
  const { virtualNetworkId, subnetName } = place;
  const network = await region.virtualNetwork(virtualNetworkId);
  const subnet = network?.subnets.find((one) => sameName(one.name, subnetName));
  const name = `${virtualNetworkId.split('/').at(-1)}/${subnetName}`;
  const another = `Choose another subnet for drills: standby scenario export ${scenario.name}, then import it.`;
  if (!network || !subnet || !sameRegion(network.location, scenario.region)) {
    const found = `There is no ${name} in ${scenario.region}.`;
    return [doubtful('DRILL_SUBNET_UNKNOWN', found, 'a subnet of the region', another)];
  }
  const findings: Finding[] = [];
  const shared = scenario.nics.some(
    (nic) => sameName(nic.virtualNetworkId, virtualNetworkId) && sameName(nic.subnetName, subnetName),
  );
  if (shared) {
    const found = `${name} is the subnet of the standby itself.`;
    findings.push(doubtful('DRILL_SUBNET_IN_USE', found, 'a subnet for drills alone', another));
  }
  const group = subnet.securityGroupId ? await region.securityGroup(subnet.securityGroupId) : undefined;
  const leak = leakOf(group);
  if (leak !== undefined) {
    const next = `Put a group on ${name} whose first outbound rule denies everything.`;
    findings.push(doubtful('DRILL_NOT_ISOLATED', `${name}: ${leak}.`, 'nothing leaves it', next));
  }
  return findings.length > 0 ? findings : [ok('DRILL_ISOLATED', `nothing leaves ${name}`)];
}
