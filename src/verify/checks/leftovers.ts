import { type Check, doubtful, type Finding, ok, skipped, unseen, warning } from '../check.ts';
import { sameName } from '../region.ts';

/** Nothing of earlier switchovers lies about: it costs money, and is mistaken for the standby. Drills remove their own. */
export const leftovers: Check = {
  id: 'leftovers',
  title: 'Left over resources',
  group: 'Names',
  moments: ['watch'],
  uses: ['listTagged'],
  codes: {
    LEFTOVERS: warning(
      'Resources of an earlier run of this scenario are still there, and cost money.',
      '`standby vm stop --remove`, or delete them by hand, or accept them.',
    ),
    LEFTOVERS_UNKNOWN: unseen(
      'The scenario is not saved yet, or is being switched over.',
      'Verify again later.',
    ),
  },
  async run({ scenario, status, cloud }): Promise<readonly Finding[]> {
    if (!status || status.activeRunId !== undefined)
      return [skipped('LEFTOVERS_UNKNOWN', 'a run is under way')];
    const tagged = await cloud.listTagged('standby-scenario', scenario.id);
    // The standby is no leftover, also when it is stopped, nor is what the same run made for it.
    const { standbyVmId = '', switchedOverRunId } = status;
    const standby = tagged.find(({ id }) => sameName(id, standbyVmId));
    const runs = [switchedOverRunId, standby?.tags['standby-run']].filter((run) => run !== undefined);
    // Replica disks outlive runs, and backups their standby: neither is left over.
    const others = tagged.filter(
      ({ tags }) =>
        !/^(replica-disk|backup|drill-.*)$/.test(tags['standby-role'] ?? '') &&
        !runs.includes(tags['standby-run'] ?? ''),
    );
    if (others.length === 0) return [ok('NO_LEFTOVERS', `${tagged.length} resources, all of them in use`)];
    const names = others.map((one) => `${one.type.split('/').at(-1)} ${one.name}`).join(', ');
    const next = `standby vm stop ${scenario.name} --remove, or delete them by hand.`;
    return [doubtful('LEFTOVERS', `Left by an earlier run: ${names}.`, 'nothing', next)];
  },
};
