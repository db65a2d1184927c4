import type { Choice } from '../model/question.ts';
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
    fallbackSizesScreen(look),
    resourceGroupScreen(look),
    diskTypeScreen(look),
    zoneScreen(look),
    fallbackZonesScreen(look),
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
      const choices = await sizeChoices(look, answers, smallestFirst);
      return { name: 'vmSize', kind: 'select', message: 'VM size', choices };
    },
  };
}

/** Nearest first: the list that a person ticks is tried from the top; one that is written is tried as it is written. */
function fallbackSizesScreen(look: ScenarioLookups): Screen {
  return {
    name: 'fallbackSizes',
    needs: ['master', 'account', 'region', 'vmSize'],
    async question(answers) {
      const chosen = await sizeOf(look, answers);
      const least = chosen?.vCpus ?? 0;
      const nearestFirst = (a: VmSize, b: VmSize) =>
        Number(a.vCpus < least) - Number(b.vCpus < least) ||
        Math.abs(a.vCpus - least) - Math.abs(b.vCpus - least) ||
        smallestFirst(a, b);
      const choices = await sizeChoices(look, answers, nearestFirst);
      return {
        name: 'fallbackSizes',
        kind: 'multiselect',
        message: 'Other sizes, when Azure has no room for this one',
        hint: 'tried in this order; the first size comes first',
        optional: true,
        default: [],
        choices: choices.filter((one) => one.value !== chosen?.name),
      };
    },
  };
}

function smallestFirst(a: VmSize, b: VmSize): number {
  return a.vCpus - b.vCpus || a.memoryGib - b.memoryGib;
}

/** Every size of the region in that order, those that do not fit the master last, with the reason. */
async function sizeChoices(
  look: ScenarioLookups,
  answers: Answers,
  order: (a: VmSize, b: VmSize) => number,
): Promise<readonly Choice[]> {
  const [sizes, { inventory }] = await Promise.all([look.sizes(answers), look.master(answers)]);
  const wanted = {
    dataDisks: inventory.disks.length - 1,
    nics: Math.max(1, inventory.nics.length),
    generation: generationOf(inventory.firmware),
  };
  const choices = sizes.toSorted(order).map((size) => {
    const reason = unfit(size, wanted);
    return { value: size.name, label: sizeLabel(size), ...(reason ? { disabled: reason } : {}) };
  });
  return choices.toSorted((a, b) => Number('disabled' in a) - Number('disabled' in b));
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
      const zones = zoneChoices(await sizeOf(look, answers));
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

/** Only with a zone: a disk without one fits no VM in one. */
function fallbackZonesScreen(look: ScenarioLookups): Screen {
  const others = async (answers: Answers): Promise<readonly Choice[]> =>
    zoneChoices(await sizeOf(look, answers)).filter((one) => one.value !== answers.zone);
  return {
    name: 'fallbackZones',
    needs: ['account', 'region', 'vmSize', 'zone'],
    when: async (answers) => {
      const zone = textOf(answers.zone);
      return zone !== '' && zone !== 'none' && (await others(answers)).length > 0;
    },
    question: async (answers) => ({
      name: 'fallbackZones',
      kind: 'multiselect',
      message: 'Other zones, when this one has no room for any of the sizes',
      hint: 'the disks are made again there, from their snapshots',
      optional: true,
      default: [],
      choices: await others(answers),
    }),
  };
}

function zoneChoices(size: VmSize | undefined): readonly Choice[] {
  return (size?.zones ?? []).map((zone) => ({
    value: zone,
    label: `zone ${zone}`,
    ...(size?.restrictedZones.includes(zone) ? { disabled: 'not offered to this subscription' } : {}),
  }));
}

async function sizeOf(look: ScenarioLookups, answers: Answers): Promise<VmSize | undefined> {
  return (await look.sizes(answers)).find((one) => one.name === answers.vmSize);
}
