import type { Firmware } from '../../model/disk.ts';
import type { Check, Finding } from '../check.ts';
import { ok, skipped, wrong } from '../check.ts';

export function generationOf(firmware: Firmware): 'V1' | 'V2' {
  return firmware === 'uefi' ? 'V2' : 'V1';
}

/** The size carries what the master brings: data disks, NICs, firmware, disk type. */
export const sizeFit: Check = {
  id: 'size-fit',
  title: 'VM size fits the master',
  async run({ scenario, inventory, region }): Promise<readonly Finding[]> {
    const size = await region.size();
    if (!size || !inventory) return [skipped('SIZE_FIT_UNKNOWN', 'the size or the master is not known')];
    const findings: Finding[] = [];
    const next = 'Choose another size.';
    const dataDisks = inventory.disks.length - 1;
    if (dataDisks > size.dataDisksMax) {
      const found = `The master has ${dataDisks} data disks; ${size.name} takes ${size.dataDisksMax}.`;
      findings.push(wrong('TOO_MANY_DATA_DISKS', found, `at most ${size.dataDisksMax}`, next));
    }
    if (scenario.nics.length > size.nicsMax) {
      const found = `The scenario has ${scenario.nics.length} NICs; ${size.name} takes ${size.nicsMax}.`;
      findings.push(wrong('TOO_MANY_NICS', found, `at most ${size.nicsMax}`, next));
    }
    const generation = generationOf(inventory.firmware);
    if (!size.generations.includes(generation)) {
      const found = `The master boots with ${inventory.firmware.toUpperCase()} (generation ${generation}); ${size.name} offers ${size.generations.join(', ')}.`;
      findings.push(wrong('GENERATION_NOT_OFFERED', found, generation, next));
    }
    if (scenario.vm.diskType.startsWith('Premium') && !size.premiumDisks) {
      const found = `${size.name} takes no premium disks; the scenario wants ${scenario.vm.diskType}.`;
      const instead = 'Choose a size with premium storage, or StandardSSD_LRS.';
      findings.push(wrong('PREMIUM_NOT_OFFERED', found, 'a size with premium storage', instead));
    }
    if (findings.length > 0) return findings;
    const found = `${dataDisks} data disks, ${scenario.nics.length} NICs, generation ${generation}, ${scenario.vm.diskType}`;
    return [ok('SIZE_FITS', found)];
  },
};
