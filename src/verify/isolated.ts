import type { SecurityGroup, SecurityRule } from '../ports/cloud.ts';

/**
 * Whether a subnet lets anything out, by the group on it: lowest priority number first. What comes before a rule that
 * denies everything is a leak, whatever it allows. Undefined: nothing leaves. Pure.
 */
export function leakOf(group: Pick<SecurityGroup, 'name' | 'rules'> | undefined): string | undefined {
  if (!group) return 'no network security group filters what leaves it';
  const outbound = group.rules
    .filter((rule) => rule.direction === 'Outbound')
    .toSorted((one, other) => one.priority - other.priority);
  for (const rule of outbound) {
    if (rule.access === 'Allow') return `"${rule.name}" of "${group.name}" lets something leave it`;
    if (deniesAll(rule)) return undefined;
  }
  return `no rule of "${group.name}" denies everything that leaves it`;
}

function deniesAll(rule: SecurityRule): boolean {
  const { sourcePrefixes, destinationPrefixes, destinationPorts, protocol } = rule;
  return [sourcePrefixes, destinationPrefixes, destinationPorts, [protocol]].every((words) =>
    words.some((word) => word === '*'),
  );
}
