import type { Scenario } from '../../model/scenario.ts';
import type { Usage, VmSize } from '../../ports/cloud.ts';
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
import { sameName, sameRegion } from '../region.ts';
import { othersToStart, standingVmId } from '../standing.ts';

/** What the standby will need is still free in the subscription's quota; and what all scenarios together would. */
export const quota: Check = {
  id: 'quota',
  title: 'Quota',
  group: 'Capacity',
  uses: ['catalogue.sizes', 'catalogue.usages'],
  codes: {
    QUOTA_UNKNOWN: unseen(
      'The size is not known, or Azure lists no such quota.',
      'See the finding about the size.',
    ),
    QUOTA_EXCEEDED: error(
      'The subscription may not have as many of these in the region.',
      'Ask Azure for more (Subscriptions, Usage + quotas), free some, or choose another size.',
    ),
    QUOTA_NOT_FOR_GROUP: warning(
      'It is enough for this standby, but not when the other members of its group switch over with it.',
      'Ask Azure for more, or give the members smaller or other sizes.',
    ),
    QUOTA_NOT_FOR_ALL: warning(
      'It is enough for this standby, but not when the other scenarios of this region start too.',
      'Ask Azure for more, or accept that not all can be switched over at once.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    const { scenario, region } = facts;
    if (standingVmId(facts) !== undefined)
      return [ok('QUOTA_IN_USE', 'the standby exists, and with it its share of the quota is in use')];
    const size = await region.size();
    if (!size) return [skipped('QUOTA_UNKNOWN', 'the size is not known')];
    const [usages, sizes] = await Promise.all([region.usages(), region.sizes()]);
    const others = othersToStart(facts).filter((one) => sameRegion(one.region, scenario.region));
    const diskCount = facts.inventory?.disks.length ?? 0;
    const needs = merged([...needsOf(scenario, size, diskCount), ...replicaNeeds(facts, diskCount)]);
    const needsOfOther = (one: Scenario): readonly Need[] => {
      const theirs = sizes.find((each) => sameName(each.name, one.vm.size));
      // A master that nobody knows has one disk at least.
      const disks = facts.otherInventories?.get(one.masterId)?.disks.length ?? 1;
      return theirs ? needsOf(one, theirs, disks) : [];
    };
    const all = others.flatMap(needsOfOther);
    const group = others.filter((one) => facts.group?.scenarioIds.includes(one.id)).flatMap(needsOfOther);
    return needs
      .filter((need) => need.always || usages.some((usage) => sameName(usage.name, need.name)))
      .map((need) =>
        judge(need, { group: totalOf(need.name, group), all: totalOf(need.name, all) }, usages, facts),
      );
  },
};

/** What others need of the same quota: the rest of its group, and every other scenario of the region. */
interface Others {
  readonly group: number;
  readonly all: number;
}

interface Need {
  readonly name: string;
  readonly label: string;
  readonly count: number;
  /** Azure always has such a quota; others are judged where it lists them. */
  readonly always?: boolean;
}

const DISK_QUOTAS: Readonly<Record<Scenario['vm']['diskType'], string>> = {
  Standard_LRS: 'StandardDiskCount',
  StandardSSD_LRS: 'StandardSSDDiskCount',
  Premium_LRS: 'PremiumDiskCount',
};

function needsOf(scenario: Scenario, size: VmSize, diskCount: number): readonly Need[] {
  const publicIps = scenario.nics.filter((nic) => nic.publicIp).length;
  const needs: Need[] = [
    { name: 'cores', label: 'regional vCPUs', count: size.vCpus, always: true },
    { name: size.family, label: `${size.family} vCPUs`, count: size.vCpus, always: true },
    { name: 'virtualMachines', label: 'virtual machines', count: 1, always: true },
    { name: 'NetworkInterfaces', label: 'network interfaces', count: scenario.nics.length },
    { name: 'PublicIPAddresses', label: 'public IP addresses', count: publicIps },
    { name: DISK_QUOTAS[scenario.vm.diskType], label: `${scenario.vm.diskType} disks`, count: diskCount },
    { name: 'StandardSnapshotCount', label: 'snapshots', count: diskCount },
  ];
  return needs.filter((need) => need.count > 0);
}

/** Before the first copy the replica's own disks have to be made too. */
function replicaNeeds({ scenario, status }: CheckFacts, diskCount: number): readonly Need[] {
  if (diskCount === 0 || (status && status.epoch > 0)) return [];
  const { diskType } = scenario.vm;
  const type = diskType === 'Premium_LRS' ? 'StandardSSD_LRS' : diskType;
  return [{ name: DISK_QUOTAS[type], label: `${type} disks`, count: diskCount }];
}

/** One need for each quota. */
function merged(needs: readonly Need[]): readonly Need[] {
  const names = [...new Set(needs.map((need) => need.name))];
  return names.flatMap((name) => {
    const first = needs.find((need) => need.name === name);
    return first ? [{ ...first, count: totalOf(name, needs) }] : [];
  });
}

function totalOf(name: string, needs: readonly Need[]): number {
  return needs.filter((need) => sameName(need.name, name)).reduce((sum, need) => sum + need.count, 0);
}

function judge(
  need: Need,
  others: Others,
  usages: readonly Usage[],
  { scenario, group }: CheckFacts,
): Finding {
  const usage = usages.find((one) => sameName(one.name, need.name));
  if (!usage) return skipped('QUOTA_UNKNOWN', `Azure lists no quota for ${need.label} in ${scenario.region}`);
  const figures = `${need.label}: ${usage.current} of ${usage.limit} in use, ${need.count} needed`;
  const limit = usage.current + need.count;
  const next = `Ask Azure for more ${need.label} in ${scenario.region}, free some, or choose another size.`;
  if (limit > usage.limit) return wrong('QUOTA_EXCEEDED', `${figures}.`, `a limit of ${limit} or more`, next);
  if (limit + others.all <= usage.limit) return ok('QUOTA_OK', figures);
  if (group && limit + others.group > usage.limit) {
    const found = `${figures}, and ${others.group} more for the other members of group ${group.name}.`;
    return doubtful('QUOTA_NOT_FOR_GROUP', found, `a limit of ${limit + others.group} or more`, next);
  }
  const found = `${figures}, and ${others.all} more if every other scenario of the region starts at once.`;
  return doubtful('QUOTA_NOT_FOR_ALL', found, `a limit of ${limit + others.all} or more`, next);
}
