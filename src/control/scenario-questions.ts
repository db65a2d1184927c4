import type { Question } from '../model/question.ts';
import { DISK_TYPES } from '../model/scenario.ts';
import type { VmSize } from '../ports/cloud.ts';
import type { Answers } from '../ports/host.ts';
import { generationOf } from '../verify/checks/size-fit.ts';
import { wrongVmName } from '../verify/checks/vm-name.ts';
import { sameRegion } from '../verify/region.ts';
import type { ScenarioLookups } from './scenario-lookups.ts';
import { nicScreens } from './scenario-nic-questions.ts';
import { type Screen, textOf } from './screen.ts';

/** The choice of the master screen that stands for a server which has not joined yet. */
export const JOIN_A_MASTER = '<join>';

interface Options {
  /** A terminal is there: the list of masters offers to let a new one join. */
  readonly offerJoin: boolean;
  /** Names of other scenarios: they are taken. */
  readonly takenNames: readonly string[];
}

/** The screens of a scenario in the order of the guide (G-39 to G-62). */
export function scenarioScreens(look: ScenarioLookups, options: Options): readonly Screen[] {
  return [
    nameScreen(options.takenNames),
    purposeScreen,
    accountScreen(look),
    masterScreen(look, options.offerJoin),
    regionScreen(look),
    applianceScreen(look),
    excludedVolumesScreen(look),
    vmNameScreen(look),
    vmSizeScreen(look),
    resourceGroupScreen(look),
    diskTypeScreen(look),
    zoneScreen(look),
    ...nicScreens(look),
    ...healthScreens,
    isAliveScreen,
  ];
}

function nameScreen(takenNames: readonly string[]): Screen {
  const question: Question = {
    name: 'name',
    kind: 'text',
    message: 'Scenario name',
    hint: 'names of Azure resources begin with it',
    before:
      'A scenario protects one server. Fixed: full system, high availability, replica in Azure, switchover by hand only.',
    validate: (value) => scenarioNameProblem(textOf(value), takenNames),
  };
  return { name: 'name', question: () => question };
}

export function scenarioNameProblem(name: string, takenNames: readonly string[]): string | undefined {
  if (!/^[a-z0-9]([a-z0-9 _.-]{0,38}[a-z0-9])?$/i.test(name)) {
    return 'A name has 1 to 40 letters a-z, digits, spaces and _ . - and begins and ends with a letter or digit.';
  }
  if (!takenNames.some((taken) => taken.toLowerCase() === name.toLowerCase())) return undefined;
  return `There is a scenario ${name} already. Choose another name.`;
}

const purposeScreen: Screen = {
  name: 'purpose',
  question: () => ({
    name: 'purpose',
    kind: 'select',
    message: 'Purpose',
    default: 'dr',
    choices: [
      { value: 'dr', label: 'disaster recovery: keep a copy, switch over when the master is lost' },
      { value: 'migration', label: 'migration: move the server to Azure once (is-alive is off)' },
    ],
  }),
};

function accountScreen(look: ScenarioLookups): Screen {
  return {
    name: 'account',
    async question() {
      const accounts = await look.accounts();
      const [only] = accounts;
      const choices = accounts.map((one) => ({
        value: one.name,
        label: `${one.name} (${one.subscriptionId})`,
      }));
      return {
        name: 'account',
        kind: 'select',
        message: 'Account',
        choices,
        ...(accounts.length === 1 && only ? { default: only.name } : {}),
        ...(accounts.length === 0 ? { before: 'No account is registered yet: standby account add' } : {}),
      };
    },
  };
}

function masterScreen(look: ScenarioLookups, offerJoin: boolean): Screen {
  return {
    name: 'master',
    needs: ['account'],
    async question() {
      const masters = await look.masters();
      const choices = masters.map(({ name, inventory }) => ({
        value: name,
        label: `${name} - ${inventory.os.name}, ${inventory.firmware.toUpperCase()}, ${inventory.disks.length} disk(s)`,
      }));
      if (offerJoin) choices.push({ value: JOIN_A_MASTER, label: 'a server that has not joined yet' });
      return {
        name: 'master',
        kind: 'select',
        message: 'Master (the server to protect)',
        choices,
        ...(masters.length === 0 && !offerJoin
          ? { before: 'No master has joined yet: standby master token' }
          : {}),
      };
    },
  };
}

function regionScreen(look: ScenarioLookups): Screen {
  return {
    name: 'region',
    needs: ['account', 'master'],
    async question(answers) {
      const [locations, appliances, master] = await Promise.all([
        look.locations(answers),
        look.appliances(),
        look.master(answers),
      ]);
      const countIn = (region: string) =>
        appliances.filter((one) => one.azure && sameRegion(one.azure.region, region)).length;
      const choices = locations.map(({ name, displayName }) => ({
        value: name,
        label:
          countIn(name) > 0
            ? `${displayName} (${name}) - ${countIn(name)} appliance(s)`
            : `${displayName} (${name})`,
      }));
      choices.sort((a, b) => countIn(b.value) - countIn(a.value) || a.value.localeCompare(b.value));
      const joined = appliances.find((one) => one.id === master.applianceId)?.azure?.region;
      const proposal = choices.find((one) => joined !== undefined && sameRegion(one.value, joined));
      return {
        name: 'region',
        kind: 'select',
        message: 'Region',
        choices,
        ...(proposal ? { default: proposal.value } : {}),
      };
    },
  };
}

function applianceScreen(look: ScenarioLookups): Screen {
  return {
    name: 'appliance',
    needs: ['account', 'master', 'region'],
    async question(answers) {
      const [appliances, master, account] = await Promise.all([
        look.appliances(),
        look.master(answers),
        look.account(answers),
      ]);
      const region = textOf(answers.region);
      const choices = appliances
        .filter((one) => one.azure?.accountId === account.id && sameRegion(one.azure.region, region))
        .map((one) => ({
          value: one.name,
          label: `${one.name} - ${one.azure?.resourceGroup}, ${one.address}`,
          ...(one.id === master.applianceId
            ? {}
            : { disabled: `${master.name} joined through another appliance` }),
        }));
      const usable = choices.filter((one) => !('disabled' in one));
      return {
        name: 'appliance',
        kind: 'select',
        message: `Appliance in ${region}`,
        choices,
        ...(choices.length === 0 ? { before: noApplianceHint(region) } : {}),
        ...(usable[0] ? { default: usable[0].value } : {}),
      };
    },
  };
}

function noApplianceHint(region: string): string {
  return (
    `No appliance of this account is known in ${region}. Wrong region? Go back. To make one: standby appliance deploy. ` +
    `To see every VM there: standby appliance list --region ${region}`
  );
}

function excludedVolumesScreen(look: ScenarioLookups): Screen {
  return {
    name: 'excludedVolumes',
    needs: ['master'],
    async question(answers) {
      const { inventory } = await look.master(answers);
      const volumes = inventory.disks.flatMap((disk) => disk.volumes);
      return {
        name: 'excludedVolumes',
        kind: 'multiselect',
        message: 'Volumes to leave out',
        default: [],
        optional: true,
        choices: volumes.map((volume) => ({
          value: volume.id,
          label: `${volume.id} ${volume.fileSystem}${volume.label ? ` "${volume.label}"` : ''}, ${Math.round(volume.sizeBytes / 1024 ** 2)} MiB`,
          ...(volume.system ? { disabled: 'system volume, always copied' } : {}),
        })),
      };
    },
  };
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
      const choices = sizes.map((size) => {
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

export function portProblem(value: unknown): string | undefined {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65535
    ? undefined
    : 'A port is a whole number from 1 to 65535.';
}

const healthScreens: readonly Screen[] = [
  {
    name: 'healthCheck',
    question: () => ({
      name: 'healthCheck',
      kind: 'select',
      message: 'Health check of the standby after it has booted',
      hint: 'from this machine to its public IP, or to its private one',
      default: 'none',
      choices: [
        { value: 'none', label: 'none: the VM runs and its console shows life' },
        { value: 'tcp', label: 'tcp: a port accepts connections' },
        { value: 'http', label: 'http: a page answers with a status' },
      ],
    }),
  },
  {
    name: 'healthPort',
    needs: ['healthCheck'],
    when: (answers) => answers.healthCheck !== 'none',
    question: (answers) => ({
      name: 'healthPort',
      kind: 'number',
      message: 'Port of the health check',
      ...(answers.healthCheck === 'http' ? { default: 80 } : {}),
      validate: portProblem,
    }),
  },
  {
    name: 'healthPath',
    needs: ['healthCheck'],
    when: (answers) => answers.healthCheck === 'http',
    question: () => ({
      name: 'healthPath',
      kind: 'text',
      message: 'Path of the page',
      default: '/',
      validate: (value) => (textOf(value).startsWith('/') ? undefined : 'A path begins with a slash.'),
    }),
  },
  {
    name: 'healthStatus',
    needs: ['healthCheck'],
    when: (answers) => answers.healthCheck === 'http',
    question: () => ({
      name: 'healthStatus',
      kind: 'number',
      message: 'HTTP status of a healthy answer',
      default: 200,
      validate: (value) =>
        Number.isInteger(value) && Number(value) >= 100 && Number(value) <= 599
          ? undefined
          : 'An HTTP status is a number from 100 to 599.',
    }),
  },
];

const isAliveScreen: Screen = {
  name: 'isAlivePing',
  needs: ['purpose'],
  when: (answers) => answers.purpose === 'dr',
  question: () => ({
    name: 'isAlivePing',
    kind: 'confirm',
    message: 'Is-alive: ping the master from the appliance?',
    hint: 'needs a path (VPN, routing or a public address) from the appliance to the master; it only tells, it never switches over',
    default: false,
  }),
};
