import { replicaDiskName } from '../../model/names.ts';
import type { Check, Finding } from '../check.ts';
import { error, ok, skipped, unseen, wrong } from '../check.ts';
import { sameName } from '../region.ts';

/** The appliance has a free LUN for each replica disk of the scenario. */
export const applianceLuns: Check = {
  id: 'appliance-luns',
  title: 'Free disk slots on the appliance',
  group: 'Appliance',
  uses: ['catalogue.sizes', 'machines.instance'],
  codes: {
    LUNS_UNKNOWN: unseen(
      'The appliance, its size or the master is not known here.',
      'See the findings about the appliance and the master.',
    ),
    LUNS_EXHAUSTED: error(
      'The size of the appliance VM takes fewer data disks than its scenarios have.',
      'Use another appliance, or give this one a larger size.',
    ),
  },
  moments: ['create', 'run'],
  async run({ scenario, inventory, region }): Promise<readonly Finding[]> {
    const machine = await region.applianceMachine();
    const size = (await region.sizes()).find((one) => machine && sameName(one.name, machine.size));
    if (!machine || !size || !inventory) {
      return [skipped('LUNS_UNKNOWN', 'the appliance, its size or the master is not known')];
    }
    const attached = machine.dataDisks.map((disk) => disk.diskId.split('/').at(-1) ?? '');
    const missing = inventory.disks.filter(
      (disk) => !attached.some((name) => sameName(name, replicaDiskName(scenario, disk.id))),
    );
    const free = size.dataDisksMax - attached.length;
    const figures = `${attached.length} of ${size.dataDisksMax} in use, ${missing.length} more needed`;
    if (missing.length <= free) return [ok('LUNS_FREE', figures)];
    const next = 'Use another appliance, or give this one a larger size.';
    return [wrong('LUNS_EXHAUSTED', `${size.name}: ${figures}.`, `${missing.length} free`, next)];
  },
};
