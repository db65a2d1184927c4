import type { Question } from '../model/question.ts';
import { sameRegion } from '../verify/region.ts';
import { captureScreen } from './capture-question.ts';
import { backupScreens } from './scenario-backup-questions.ts';
import { drillScreens } from './scenario-drill-questions.ts';
import type { ScenarioLookups } from './scenario-lookups.ts';
import { nicScreens } from './scenario-nic-questions.ts';
import { redirectScreens } from './scenario-redirect-questions.ts';
import { vmScreens } from './scenario-vm-questions.ts';
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
    captureScreen(look),
    excludedVolumesScreen(look),
    ...vmScreens(look),
    ...nicScreens(look),
    ...healthScreens,
    ...drillScreens,
    isAliveScreen,
    rebootScreen,
    ...redirectScreens,
    ...backupScreens,
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
        label: `${name} - ${inventory.os.name}, ${inventory.firmware.toUpperCase()}, ${countText(inventory.disks.length, 'disk')}`,
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

function countText(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
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
            ? `${displayName} (${name}) - ${countText(countIn(name), 'appliance')}`
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

function portProblem(value: unknown): string | undefined {
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
      message: 'Health check of the standby',
      hint: 'after it has booted, from this machine to its public IP or else to its private one',
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
    message: 'Is-alive: ping the master?',
    hint: '`standby serve` does it, from its machine, while the master is followed live; it only tells, it never switches over',
    default: false,
  }),
};

/** G-86: only what follows its master can go on after a reboot of it. */
const rebootScreen: Screen = {
  name: 'runAfterReboot',
  needs: ['capture'],
  when: (answers) => answers.capture !== 'at-rest',
  question: () => ({
    name: 'runAfterReboot',
    kind: 'confirm',
    message: 'Go on by itself after the master was rebooted for maintenance?',
    hint: 'no: `standby maintenance begin` stops the scenario, and `standby maintenance end` runs it again at a time of your choice',
    default: true,
  }),
};
