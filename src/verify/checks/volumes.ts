import type { Check, Finding } from '../check.ts';
import { error, ok, skipped, unseen, wrong } from '../check.ts';

/** What is left out exists, and the system is not left out: a standby without it cannot boot. */
export const volumes: Check = {
  id: 'volumes',
  title: 'Excluded volumes',
  group: 'Master',
  uses: [],
  codes: {
    VOLUMES_UNKNOWN: unseen('The master is not known here.', 'See the finding about the master.'),
    VOLUME_UNKNOWN: error('A volume is left out that the master does not have.', '`standby scenario edit`.'),
    SYSTEM_VOLUME_EXCLUDED: error(
      'A standby without the system volume cannot boot.',
      'Take it off the excluded volumes.',
    ),
  },
  async run({ scenario, inventory }): Promise<readonly Finding[]> {
    if (!inventory) return [skipped('VOLUMES_UNKNOWN', 'the master is not known')];
    const known = inventory.disks.flatMap((disk) => disk.volumes);
    const findings: Finding[] = [];
    for (const id of scenario.excludedVolumeIds) {
      const volume = known.find((one) => one.id === id);
      if (!volume) {
        const found = `Volume ${id} is excluded, but the master has no such volume.`;
        findings.push(wrong('VOLUME_UNKNOWN', found, 'a volume of the master', 'Edit the scenario.'));
      } else if (volume.system) {
        const found = `Volume ${id} holds the system and cannot be excluded.`;
        findings.push(
          wrong('SYSTEM_VOLUME_EXCLUDED', found, 'included', 'Take it off the excluded volumes.'),
        );
      }
    }
    if (findings.length > 0) return findings;
    const count = scenario.excludedVolumeIds.length;
    return [ok('VOLUMES_OK', count === 0 ? 'all volumes are copied' : `${count} left out`)];
  },
};
