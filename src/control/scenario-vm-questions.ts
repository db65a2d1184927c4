import { DISK_TYPES } from '../model/scenario.ts';
import type { VmSize } from '../ports/cloud.ts';
import type { Answers } from '../ports/host.ts';
import { generationOf } from '../verify/checks/size-fit.ts';
import { wrongVmName } from '../verify/checks/vm-name.ts';
import { sameRegion } from '../verify/region.ts';
import type { ScenarioLookups } from './scenario-lookups.ts';
import { type Screen, textOf } from './screen.ts';

/** What the standby VM will be: chosen from what the subscription and region really offer (G-51 to G-53). */
export function vmScreens(look: ScenarioLookups): readonly Screen[] {
  return [
    vmNameScreen(look),
    vmSizeScreen(look),
    resourceGroupScreen(look),
    diskTypeScreen(look),
    zoneScreen(look),
  ];
}

function vmNameScreen(look: ScenarioLookups): Screen {
  return {
    name: 'vmName',
    needs: ['master'],
    async question(answers) {
      const { name, inventory } = await look.master(answers);
      return {
        name: 'vmName',
        kind: 'text',
        message: 'Name of the standby VM',
        ...(wrongVmName(name, inventory.os.family) === undefined ? { default: name } : {}),
        validate: (value) => wrongVmName(textOf(value), inventory.os.family),
      };
    },
  };
}

function vmSizeScreen(look: ScenarioLookups): Screen {
  return {
    name: 'vmSize',
    always: { name: 'vmSize' },
    needs: ['master', 'account', 'region'],
    async question(answers) {
      const [sizes, { inventory }] = await Promise.all([look.sizes(answers), look.master(answers)]);
      const wanted = {
        dataDisks: inventory.disks.length - 1,
        nics: Math.max(1, inventory.nics.length),
        generation: generationOf(inventory.firmware),
      };
      const smallestFirst = sizes.toSorted((a, b) => a.vCpus - b.vCpus || a.memoryGib - b.memoryGib);
      const choices = smallestFirst.map((size) => {
        const reason = unfit(size, wanted);
        return { value: size.name, label: sizeLabel(size), ...(reason ? { disabled: reason } : {}) };
      });
      choices.sort((a, b) => Number('disabled' in a) - Number('disabled' in b));
      return { name: 'vmSize', kind: 'select', message: 'VM size', choices };
    },
  };
}

function sizeLabel(size: VmSize): string {
  const premium = size.premiumDisks ? ', premium disks' : '';
  return `${size.name} - ${size.vCpus} vCPU, ${size.memoryGib} GiB, ${size.dataDisksMax} data disks${premium}`;
}

function unfit(
  size: VmSize,
  wanted: { readonly dataDisks: number; readonly nics: number; readonly generation: 'V1' | 'V2' },
): string | undefined {
  if (size.restricted) return size.restricted;
  if (size.dataDisksMax < wanted.dataDisks)
    return `takes ${size.dataDisksMax} data disks, the master has ${wanted.dataDisks}`;
  if (size.nicsMax < wanted.nics) return `takes ${size.nicsMax} NICs, the master has ${wanted.nics}`;
  if (!size.generations.includes(wanted.generation))
    return `no generation ${wanted.generation.slice(1)} machines`;
  return undefined;
}

function resourceGroupScreen(look: ScenarioLookups): Screen {
  return {
    name: 'resourceGroup',
    needs: ['account', 'region', 'appliance'],
    async question(answers) {
      const [groups, appliances] = await Promise.all([look.groups(answers), look.appliances()]);
      const region = textOf(answers.region);
      const choices = groups.map((group) => ({
        value: group.name,
        label: `${group.name} (${group.location})`,
        ...(sameRegion(group.location, region) ? {} : { disabled: `lies in ${group.location}` }),
      }));
      const appliance = appliances.find((one) => one.name === answers.appliance);
      return {
        name: 'resourceGroup',
        kind: 'select',
        message: 'Resource group',
        other: 'a new resource group',
        choices,
        ...(appliance?.azure ? { default: appliance.azure.resourceGroup } : {}),
        validate: (value) =>
          /^[\w().-]{1,90}$/.test(textOf(value)) && !textOf(value).endsWith('.')
            ? undefined
            : 'A resource group name has 1 to 90 letters, digits and _ - . ( ), and no period at the end.',
      };
    },
  };
}

const DISK_TYPE_LABELS = {
  Standard_LRS: 'Standard HDD: cheapest, slow',
  StandardSSD_LRS: 'Standard SSD: for most servers',
  Premium_LRS: 'Premium SSD: fast, for databases',
} as const;

function diskTypeScreen(look: ScenarioLookups): Screen {
  return {
    name: 'diskType',
    needs: ['account', 'region', 'vmSize'],
    async question(answers) {
      const size = await sizeOf(look, answers);
      const choices = DISK_TYPES.map((type) => ({
        value: type,
        label: `${type} - ${DISK_TYPE_LABELS[type]}`,
        ...(type === 'Premium_LRS' && size && !size.premiumDisks
          ? { disabled: `${size.name} takes no premium disks` }
          : {}),
      }));
      return { name: 'diskType', kind: 'select', message: 'Disk type', default: 'StandardSSD_LRS', choices };
    },
  };
}

function zoneScreen(look: ScenarioLookups): Screen {
  const zonesOf = async (answers: Answers): Promise<readonly string[]> =>
    (await sizeOf(look, answers))?.zones ?? [];
  return {
    name: 'zone',
    needs: ['account', 'region', 'vmSize'],
    when: async (answers) => (await zonesOf(answers)).length > 0,
    async question(answers) {
      const size = await sizeOf(look, answers);
      const zones = (size?.zones ?? []).map((zone) => ({
        value: zone,
        label: `zone ${zone}`,
        ...(size?.restrictedZones.includes(zone) ? { disabled: 'not offered to this subscription' } : {}),
      }));
      return {
        name: 'zone',
        kind: 'select',
        message: 'Availability zone',
        default: 'none',
        choices: [{ value: 'none', label: 'no zone' }, ...zones],
      };
    },
  };
}

async function sizeOf(look: ScenarioLookups, answers: Answers): Promise<VmSize | undefined> {
  return (await look.sizes(answers)).find((one) => one.name === answers.vmSize);
}
