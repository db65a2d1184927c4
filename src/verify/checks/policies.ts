import type { PolicyAssignment } from '../../ports/cloud.ts';
import { type Check, type CheckFacts, error, type Finding, ok, skipped, unseen, wrong } from '../check.ts';
import { sameRegion } from '../region.ts';
import { scopesOf } from '../scopes.ts';

/** Azure's own policies on regions, sizes and types let the standby be made. Others cannot be judged from outside. */
export const policies: Check = {
  id: 'policies',
  title: 'Policies',
  group: 'Identity',
  uses: ['access.policies', 'groups.get'],
  codes: {
    POLICY_LOCATION: error(
      'A policy allows other regions only.',
      'Choose an allowed region, or ask for an exemption.',
    ),
    POLICY_SIZE: error(
      'A policy allows other VM sizes only.',
      'Choose an allowed size, or ask for an exemption.',
    ),
    POLICY_TYPE: error(
      'A policy forbids a type of resource that a standby consists of.',
      'Ask for an exemption.',
    ),
    POLICIES_UNKNOWN: unseen(
      'Nothing tells which subscription the scenario is in.',
      '`standby account list`.',
    ),
    POLICIES_NOT_JUDGED: unseen(
      'Policies are in force whose rules cannot be judged from outside.',
      'Ask their owner whether they let VMs, disks, NICs and public addresses be made.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    const scopes = await scopesOf(facts);
    if (!scopes) return [skipped('POLICIES_UNKNOWN', 'the subscription of the account is not known')];
    const found = await facts.region.policies(scopes.group);
    const findings = found.flatMap((policy) => ruleOf(policy)?.(policy, facts) ?? []);
    const unknown = found
      .filter((policy) => ruleOf(policy) === undefined)
      .map((policy) => `"${policy.name}"`);
    const rest =
      unknown.length > 0 ? [skipped('POLICIES_NOT_JUDGED', `not judged: ${unknown.join(', ')}`)] : [];
    if (findings.length > 0) return [...findings, ...rest];
    return rest.length > 0 ? rest : [ok('POLICIES_OK', `${found.length} in force, none forbids the standby`)];
  },
};

type Rule = (policy: PolicyAssignment, facts: CheckFacts) => readonly Finding[];

const TYPES = [
  'Microsoft.Compute/virtualMachines',
  'Microsoft.Compute/disks',
  'Microsoft.Compute/snapshots',
  'Microsoft.Network/networkInterfaces',
  'Microsoft.Network/publicIPAddresses',
];

/** By the GUID of Azure's own definition. */
const RULES: Readonly<Record<string, Rule>> = {
  // Allowed locations
  'e56962a6-4747-49cd-b67b-bf8b01975c4c': (policy, { scenario }) => {
    const allowed = words(policy, 'listOfAllowedLocations');
    if (allowed.some((one) => sameRegion(one, scenario.region))) return [];
    const text = `The policy "${policy.name}" does not allow ${scenario.region}.`;
    return [wrong('POLICY_LOCATION', text, allowed.join(', ') || 'none', next(policy))];
  },
  // Allowed virtual machine size SKUs
  'cccc23c7-8427-4f53-ad12-b6a63eb452b3': (policy, { scenario }) => {
    const allowed = words(policy, 'listOfAllowedSKUs');
    if (allowed.some((one) => one.toLowerCase() === scenario.vm.size.toLowerCase())) return [];
    const text = `The policy "${policy.name}" does not allow the size ${scenario.vm.size}.`;
    return [wrong('POLICY_SIZE', text, allowed.join(', ') || 'none', next(policy))];
  },
  // Not allowed resource types
  '6c112d4e-5bc7-47ae-a041-ea2d9dccd749': (policy, { scenario }) => {
    const forbidden = words(policy, 'listOfResourceTypesNotAllowed').map((one) => one.toLowerCase());
    const publicIps = scenario.nics.some((nic) => nic.publicIp);
    const needed = TYPES.filter((type) => publicIps || !type.endsWith('publicIPAddresses'));
    const hit = needed.filter((type) => forbidden.includes(type.toLowerCase()));
    if (hit.length === 0) return [];
    const text = `The policy "${policy.name}" forbids ${hit.join(', ')}.`;
    return [wrong('POLICY_TYPE', text, 'allowed', next(policy))];
  },
};

function ruleOf(policy: PolicyAssignment): Rule | undefined {
  return RULES[policy.definitionId.toLowerCase().split('/').at(-1) ?? ''];
}

function words(policy: PolicyAssignment, parameter: string): readonly string[] {
  const value = policy.parameters[parameter];
  return Array.isArray(value) ? value.map(String) : [];
}

function next(policy: PolicyAssignment): string {
  return `Ask for an exemption from it on ${policy.scope}, or change the scenario.`;
}
