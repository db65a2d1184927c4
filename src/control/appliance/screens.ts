import type { Choice, Question } from '../../model/question.ts';
import type { Cloud, VirtualNetwork, VmSize } from '../../ports/cloud.ts';
import type { Answers } from '../../ports/host.ts';
import { accountNamed, listAccounts } from '../account.ts';
import type { Context } from '../context.ts';
import { type Screen, textOf } from '../screen.ts';
import {
  DATA_DISKS_MIN,
  DEFAULT_JOURNAL_GIB,
  DEFAULT_SIZE,
  IMAGES,
  networkKey,
  resourceGroupNameProblem,
} from './deploy-input.ts';
import { listAppliances, machineNameProblem } from './records.ts';

/** The screens of `appliance deploy`: answers fit DeployAnswers. What Azure offers is asked once for each wizard. */
export function deployScreens(context: Context): readonly Screen[] {
  const azure = new Offers(context);
  return [
    { name: 'account', question: () => accountQuestion(context) },
    { name: 'region', needs: ['account'], question: (answers) => regionQuestion(azure, answers) },
    { name: 'name', question: () => nameQuestion(context) },
    {
      name: 'resourceGroup',
      needs: ['account', 'region'],
      question: (answers) => groupQuestion(azure, answers),
    },
    { name: 'size', needs: ['account', 'region'], question: (answers) => sizeQuestion(azure, answers) },
    {
      name: 'zone',
      needs: ['account', 'region', 'size'],
      when: async (answers) => usableZones(await azure.size(answers)).length > 0,
      question: async (answers) => zoneQuestion(await azure.size(answers)),
    },
    { name: 'image', question: imageQuestion },
    {
      name: 'virtualNetwork',
      needs: ['account', 'region'],
      question: async (answers) => networkQuestion(await azure.networks(answers)),
    },
    {
      name: 'subnet',
      needs: ['account', 'region', 'virtualNetwork'],
      when: (answers) => textOf(answers.virtualNetwork) !== 'new',
      question: async (answers) => subnetQuestion(await azure.networks(answers), answers),
    },
    { name: 'journalGib', question: journalQuestion },
    { name: 'sshPublicKeyFile', question: sshKeyQuestion },
  ];
}

/** Remembers what Azure answered, by account and region, so that going back and forth asks nothing twice. */
class Offers {
  private readonly context: Context;
  private readonly answered = new Map<string, Promise<unknown>>();

  constructor(context: Context) {
    this.context = context;
  }

  locations(answers: Answers) {
    return this.once(answers, 'locations', (cloud) => cloud.catalogue.locations());
  }
  groups(answers: Answers) {
    return this.once(answers, 'groups', (cloud) => cloud.groups.list());
  }
  sizes(answers: Answers): Promise<readonly VmSize[]> {
    const region = textOf(answers.region);
    return this.once(answers, `sizes/${region}`, (cloud) => cloud.catalogue.sizes(region));
  }
  networks(answers: Answers): Promise<readonly VirtualNetwork[]> {
    const region = textOf(answers.region);
    return this.once(answers, `networks/${region}`, (cloud) => cloud.network.virtualNetworks(region));
  }
  async size(answers: Answers): Promise<VmSize | undefined> {
    return (await this.sizes(answers)).find((one) => one.name === answers.size);
  }

  private once<Out>(answers: Answers, what: string, ask: (cloud: Cloud) => Promise<Out>): Promise<Out> {
    const name = textOf(answers.account);
    const key = `${name}/${what}`;
    let answer = this.answered.get(key) as Promise<Out> | undefined;
    if (!answer) {
      answer = accountNamed(this.context, name)
        .then((account) => this.context.cloudFor(account))
        .then(ask);
      this.answered.set(key, answer);
      // A failure is not remembered: the next screen may ask again.
      answer.catch(() => this.answered.delete(key));
    }
    return answer;
  }
}

async function accountQuestion(context: Context): Promise<Question> {
  const accounts = await listAccounts(context);
  const only = accounts.length === 1 ? accounts[0] : undefined;
  return {
    name: 'account',
    kind: 'select',
    message: 'Cloud account',
    ...(accounts.length === 0 ? { before: 'No account is registered yet: standby account add' } : {}),
    ...(only ? { default: only.name } : {}),
    choices: accounts.map(({ name }) => ({ value: name, label: name })),
  };
}

async function regionQuestion(azure: Offers, answers: Answers): Promise<Question> {
  const locations = await azure.locations(answers);
  const only = locations.length === 1 ? locations[0] : undefined;
  return {
    name: 'region',
    kind: 'select',
    message: 'Region',
    ...(only ? { default: only.name } : {}),
    choices: locations.map((one) => ({ value: one.name, label: one.displayName })),
  };
}

async function nameQuestion(context: Context): Promise<Question> {
  const taken = (await listAppliances(context)).map((one) => one.name.toLowerCase());
  const free = ['', '-2', '-3', '-4', '-5'].map((end) => `standby-appliance${end}`);
  const proposal = free.find((name) => !taken.includes(name));
  return {
    name: 'name',
    kind: 'text',
    message: 'Appliance name (the VM’s name)',
    ...(proposal ? { default: proposal } : {}),
    // A name that is taken goes on with, or finds, that very appliance: deployAppliance tells.
    validate: machineNameProblem,
  };
}

async function groupQuestion(azure: Offers, answers: Answers): Promise<Question> {
  const region = textOf(answers.region);
  const groups = await azure.groups(answers);
  const here = groups.filter((group) => group.location.toLowerCase() === region.toLowerCase());
  const names = here.slice(0, 8).map((group) => group.name);
  return {
    name: 'resourceGroup',
    kind: 'text',
    message: 'Resource group',
    hint:
      names.length > 0
        ? `in ${region}: ${names.join(', ')}; another name makes a new one`
        : 'made if it is new',
    default: names[0] ?? 'standby',
    validate: (value) => {
      const problem = resourceGroupNameProblem(textOf(value));
      if (problem) return problem;
      const group = groups.find((one) => one.name.toLowerCase() === textOf(value).toLowerCase());
      if (!group || here.includes(group)) return undefined;
      return `${group.name} is in ${group.location}. An appliance is made in its resource group’s region.`;
    },
  };
}

async function sizeQuestion(azure: Offers, answers: Answers): Promise<Question> {
  const sizes = (await azure.sizes(answers))
    .filter((size) => size.generations.includes('V2') && size.dataDisksMax >= DATA_DISKS_MIN)
    .toSorted((a, b) => a.vCpus - b.vCpus || a.memoryGib - b.memoryGib || a.name.localeCompare(b.name));
  const usable = sizes.filter((size) => !size.restricted);
  const proposal =
    usable.find((size) => size.name === DEFAULT_SIZE) ?? usable.find((size) => size.vCpus >= 2);
  return {
    name: 'size',
    kind: 'select',
    message: 'VM size',
    hint: 'the number of data disks limits how many master disks this appliance can hold',
    ...(proposal ? { default: proposal.name } : {}),
    choices: sizes.map((size) => sizeChoice(size, Math.max(...sizes.map((one) => one.name.length)))),
  };
}

function sizeChoice(size: VmSize, nameWidth: number): Choice {
  const label = `${size.name.padEnd(nameWidth)}  ${size.vCpus} vCPU, ${size.memoryGib} GiB, ${size.dataDisksMax} data disks`;
  return { value: size.name, label, ...(size.restricted ? { disabled: size.restricted } : {}) };
}

function usableZones(size: VmSize | undefined): readonly string[] {
  return size ? size.zones.filter((zone) => !size.restrictedZones.includes(zone)) : [];
}

function zoneQuestion(size: VmSize | undefined): Question {
  return {
    name: 'zone',
    kind: 'select',
    message: 'Availability zone',
    hint: 'disks of one zone can be attached in that zone only; none is right unless you know better',
    default: 'none',
    choices: [
      { value: 'none', label: 'None' },
      ...usableZones(size).map((zone) => ({ value: zone, label: `Zone ${zone}` })),
    ],
  };
}

function imageQuestion(): Question {
  return {
    name: 'image',
    kind: 'select',
    message: 'Operating system',
    default: 'debian-12',
    choices: Object.entries(IMAGES).map(([value, { label }]) => ({ value, label })),
  };
}

function networkQuestion(networks: readonly VirtualNetwork[]): Question {
  return {
    name: 'virtualNetwork',
    kind: 'select',
    message: 'Virtual network',
    default: 'new',
    choices: [
      { value: 'new', label: 'Make a new one' },
      ...networks.map((one) => ({
        value: networkKey(one),
        label: `${networkKey(one)} (${one.prefixes.join(', ')})`,
        ...(one.subnets.length === 0 ? { disabled: 'it has no subnet' } : {}),
      })),
    ],
  };
}

function subnetQuestion(networks: readonly VirtualNetwork[], answers: Answers): Question {
  const asked = textOf(answers.virtualNetwork).toLowerCase();
  const subnets = networks.find((one) => networkKey(one).toLowerCase() === asked)?.subnets ?? [];
  const only = subnets.length === 1 ? subnets[0] : undefined;
  return {
    name: 'subnet',
    kind: 'select',
    message: 'Subnet',
    ...(only ? { default: only.name } : {}),
    choices: subnets.map((one) => ({ value: one.name, label: `${one.name} (${one.prefix})` })),
  };
}

function journalQuestion(): Question {
  return {
    name: 'journalGib',
    kind: 'number',
    message: 'Journal disk, GiB',
    hint: 'changes wait there when the replica disks are slower',
    default: DEFAULT_JOURNAL_GIB,
    validate: (value) =>
      Number.isInteger(value) && Number(value) >= 4 && Number(value) <= 4096
        ? undefined
        : 'A whole number from 4 to 4096.',
  };
}

function sshKeyQuestion(): Question {
  return {
    name: 'sshPublicKeyFile',
    kind: 'text',
    message: 'SSH public key file',
    hint: 'leave empty: then nobody can log in to the VM, which it does not need',
    optional: true,
  };
}
