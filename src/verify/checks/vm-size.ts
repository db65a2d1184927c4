import type { Check, Finding } from '../check.ts';
import { error, ok, wrong } from '../check.ts';
import { isX64 } from '../region.ts';

/** The size exists in the region, and this subscription may use it there and in the chosen zone. */
export const vmSize: Check = {
  id: 'vm-size',
  title: 'VM size',
  group: 'Capacity',
  uses: ['catalogue.sizes'],
  codes: {
    SIZE_UNKNOWN: error('The region does not offer that size.', 'Choose another size.'),
    SIZE_RESTRICTED: error(
      'This subscription may not use the size in the region.',
      'Choose another size, or ask Azure support.',
    ),
    SIZE_NOT_IN_ZONE: error('The zone does not offer the size.', 'Choose another zone or size.'),
    SIZE_RESTRICTED_IN_ZONE: error(
      'This subscription may not use the size in the zone.',
      'Choose another zone or size.',
    ),
  },
  async run({ scenario, region }): Promise<readonly Finding[]> {
    const { size: name, zone } = scenario.vm;
    const size = await region.size();
    const next = 'Choose another size.';
    if (!size) {
      const found = `Size ${name} does not exist in region ${scenario.region}.`;
      return [wrong('SIZE_UNKNOWN', found, 'a size that the region offers', next)];
    }
    const findings: Finding[] = [];
    // Of another architecture it is restricted for that reason; size-fit.ts says so.
    if (size.restricted && isX64(size)) {
      const found = `Size ${size.name} cannot be used in ${scenario.region}: ${size.restricted}.`;
      findings.push(wrong('SIZE_RESTRICTED', found, 'a size that this subscription may use', next));
    }
    const isRestrictedThere = zone !== undefined && size.restrictedZones.includes(zone);
    if (zone && !isRestrictedThere && !size.zones.includes(zone)) {
      const offered = size.zones.length > 0 ? `zones ${size.zones.join(', ')}` : 'no zones';
      const found = `Size ${size.name} is not offered in zone ${zone} of ${scenario.region} (${offered}).`;
      findings.push(wrong('SIZE_NOT_IN_ZONE', found, `zone ${zone}`, 'Choose another zone or size.'));
    }
    if (isRestrictedThere) {
      const found = `Size ${size.name} is restricted in zone ${zone} of ${scenario.region}.`;
      findings.push(wrong('SIZE_RESTRICTED_IN_ZONE', found, `zone ${zone}`, 'Choose another zone or size.'));
    }
    if (findings.length > 0) return findings;
    return [ok('SIZE_OK', `${size.name}: ${size.vCpus} vCPUs, ${size.memoryGib} GiB`)];
  },
};
