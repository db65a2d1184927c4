import type { Usage } from '../../ports/cloud.ts';
import type { Check, Finding } from '../check.ts';
import { ok, skipped, wrong } from '../check.ts';
import { sameName } from '../region.ts';

/** What the standby VM will need is still free in the subscription's quota for the region. */
export const quota: Check = {
  id: 'quota',
  title: 'Quota',
  async run({ scenario, region }): Promise<readonly Finding[]> {
    const size = await region.size();
    if (!size) return [skipped('QUOTA_UNKNOWN', 'the size is not known')];
    const usages = await region.usages();
    const publicIps = scenario.nics.filter((nic) => nic.publicIp).length;
    const needs = [
      { name: 'cores', label: 'regional vCPUs', count: size.vCpus },
      { name: size.family, label: `${size.family} vCPUs`, count: size.vCpus },
      { name: 'virtualMachines', label: 'virtual machines', count: 1 },
    ];
    const listed = usages.some((usage) => sameName(usage.name, 'PublicIPAddresses'));
    if (publicIps > 0 && listed) {
      needs.push({ name: 'PublicIPAddresses', label: 'public IP addresses', count: publicIps });
    }
    return needs.map((need) => judge(need, usages, scenario.region));
  },
};

interface Need {
  readonly name: string;
  readonly label: string;
  readonly count: number;
}

function judge(need: Need, usages: readonly Usage[], region: string): Finding {
  const usage = usages.find((one) => sameName(one.name, need.name));
  if (!usage) return skipped('QUOTA_UNKNOWN', `Azure lists no quota for ${need.label} in ${region}`);
  const figures = `${need.label}: ${usage.current} of ${usage.limit} in use, ${need.count} needed`;
  if (usage.current + need.count <= usage.limit) return ok('QUOTA_OK', figures);
  const expected = `a limit of ${usage.current + need.count} or more`;
  const next = `Ask Azure for more ${need.label} in ${region}, free some, or choose another size.`;
  return wrong('QUOTA_EXCEEDED', `${figures}.`, expected, next);
}
