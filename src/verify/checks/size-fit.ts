import type { Firmware } from '../../model/disk.ts';
import type { Check, Finding } from '../check.ts';
import { error, ok, skipped, unseen, wrong } from '../check.ts';
import { isX64 } from '../region.ts';

export function generationOf(firmware: Firmware): 'V1' | 'V2' {
  return firmware === 'uefi' ? 'V2' : 'V1';
}

/** The size carries what the master brings: data disks, NICs, firmware, disk type. */
export const sizeFit: Check = {
  id: 'size-fit',
  title: 'VM size fits the master',
  group: 'Capacity',
  uses: ['catalogue.sizes'],
  codes: {
    SIZE_FIT_UNKNOWN: unseen('The size or the master is not known.', 'See the findings about them.'),
    TOO_MANY_DATA_DISKS: error(
      'The size takes fewer data disks than the master has.',
      'Choose a larger size.',
    ),
    TOO_MANY_NICS: error('The size takes fewer NICs than the scenario has.', 'Choose a larger size.'),
    GENERATION_NOT_OFFERED: error(
      'BIOS needs a size with generation 1, UEFI one with generation 2.',
      'Choose a size that offers the generation.',
    ),
    PREMIUM_NOT_OFFERED: error(
      'The size takes no premium disks.',
      'Choose a size with an s, or standard disks.',
    ),
    ARCHITECTURE_DIFFERS: error(
      'A server for x64 does not start on another processor.',
      'Choose an x64 size.',
    ),
    NVME_ONLY: error(
      'The size attaches disks by NVMe only; a copied disk is marked for SCSI, as its master has it.',
      'Choose a size with SCSI.',
    ),
  },
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
    if (!isX64(size)) {
      const found = `${size.name} has a processor of architecture ${size.architecture}.`;
      findings.push(wrong('ARCHITECTURE_DIFFERS', found, 'x64', next));
    }
    if (size.diskControllers && !size.diskControllers.some((one) => one.toUpperCase() === 'SCSI')) {
      const found = `${size.name} attaches disks by ${size.diskControllers.join(', ')} only.`;
      findings.push(wrong('NVME_ONLY', found, 'SCSI', next));
    }
    if (findings.length > 0) return findings;
    const found = `${dataDisks} data disks, ${scenario.nics.length} NICs, generation ${generation}, ${scenario.vm.diskType}`;
    return [ok('SIZE_FITS', found)];
  },
};
