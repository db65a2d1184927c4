import type { Scenario } from '../../model/scenario.ts';
import type { Check, Finding } from '../check.ts';
import { error, ok, wrong } from '../check.ts';
import { sameName } from '../region.ts';

/** No other scenario wants the same VM name, address or master. */
export const scenarioClash: Check = {
  id: 'scenario-clash',
  title: 'Other scenarios',
  group: 'Network',
  uses: [],
  codes: {
    CLASH_VM_NAME: error(
      'Two scenarios make a VM of one name in one resource group.',
      'Choose another VM name.',
    ),
    CLASH_ADDRESS: error('Two scenarios have one static address in one network.', 'Choose another address.'),
    CLASH_MASTER: error('Two scenarios protect one master.', 'Use one of them.'),
  },
  async run({ scenario, otherScenarios }): Promise<readonly Finding[]> {
    const findings = otherScenarios.flatMap((other) => judge(scenario, other));
    return findings.length > 0 ? findings : [ok('NO_CLASH', `${otherScenarios.length} others, no clash`)];
  },
};

function judge(scenario: Scenario, other: Scenario): Finding[] {
  const findings: Finding[] = [];
  const sameGroup = sameName(scenario.vm.resourceGroup, other.vm.resourceGroup);
  const sameAccount = scenario.accountId === other.accountId;
  if (sameAccount && sameGroup && sameName(scenario.vm.name, other.vm.name)) {
    const found = `Scenario "${other.name}" will make a VM "${other.vm.name}" in the same resource group.`;
    findings.push(wrong('CLASH_VM_NAME', found, 'a VM name of its own', 'Choose another VM name.'));
  }
  for (const address of sharedAddresses(scenario, other)) {
    const found = `Scenario "${other.name}" has the static address ${address} in the same virtual network.`;
    findings.push(wrong('CLASH_ADDRESS', found, 'an address of its own', 'Choose another address.'));
  }
  if (scenario.masterId === other.masterId) {
    const found = `Scenario "${other.name}" protects the same master.`;
    const next = `Use that one, or remove it: standby scenario remove ${other.name}`;
    findings.push(wrong('CLASH_MASTER', found, 'one scenario for each master', next));
  }
  return findings;
}

function sharedAddresses(scenario: Scenario, other: Scenario): string[] {
  const keys = (one: Scenario) =>
    one.nics.flatMap(({ address, virtualNetworkId }) =>
      address.kind === 'static' ? [`${virtualNetworkId.toLowerCase()} ${address.ip}`] : [],
    );
  const theirs = new Set(keys(other));
  return keys(scenario)
    .filter((key) => theirs.has(key))
    .map((key) => key.split(' ')[1] ?? key);
}
