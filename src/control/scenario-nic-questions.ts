import type { MasterNic } from '../model/disk.ts';
import type { VirtualNetwork } from '../ports/cloud.ts';
import type { Answers } from '../ports/host.ts';
import { ipv4ToNumber, isReserved, rangeOfPrefix } from '../verify/address.ts';
import {
  dnsServerProblem,
  dnsServersOf,
  NICS_MAX,
  nicAnswer,
  nicIdsOf,
  OF_NETWORK,
} from './scenario-file.ts';
import { resourceKey, type ScenarioLookups } from './scenario-lookups.ts';
import { type Screen, textOf } from './screen.ts';

/** What is asked for each NIC of the master; the names of the second NIC's answers end in 1, and so on. */
export const NIC_ANSWERS = [
  'virtualNetwork',
  'subnet',
  'address',
  'dnsServers',
  'securityGroup',
  'publicIp',
] as const;

export function nicScreens(look: ScenarioLookups): readonly Screen[] {
  return Array.from({ length: NICS_MAX }, (_, index) => screensOfNic(look, index)).flat();
}

interface Place {
  readonly look: ScenarioLookups;
  readonly index: number;
  name(answer: (typeof NIC_ANSWERS)[number]): string;
  /** `eth0 (nic0)`; empty when the master has only one. */
  of(answers: Answers): Promise<string>;
  /** Its addresses on the master. */
  own(answers: Answers): Promise<readonly string[]>;
  /** Whom it asks for names on the master, as far as that means the same elsewhere. */
  ownDnsServers(answers: Answers): Promise<readonly string[]>;
}

function screensOfNic(look: ScenarioLookups, index: number): readonly Screen[] {
  const nicsOf = async (answers: Answers): Promise<readonly (MasterNic | undefined)[]> => {
    const { inventory } = await look.master(answers);
    return nicIdsOf(inventory).map((id) => inventory.nics.find((nic) => nic.id === id));
  };
  const place: Place = {
    look,
    index,
    name: (answer) => nicAnswer(answer, index),
    of: async (answers) => {
      const nics = await nicsOf(answers);
      const nic = nics[index];
      if (!nic) return '';
      const address = nic.addresses[0] ? `, now ${nic.addresses[0]}` : '';
      return ` for ${nic.name}${address}`;
    },
    own: async (answers) => (await nicsOf(answers))[index]?.addresses ?? [],
    ownDnsServers: async (answers) =>
      ((await nicsOf(answers))[index]?.dnsServers ?? []).filter((one) => dnsServerProblem(one) === undefined),
  };
  const when = async (answers: Answers): Promise<boolean> => index < (await nicsOf(answers)).length;
  const screens = [
    networkScreen(place),
    subnetScreen(place),
    addressScreen(place),
    dnsServersScreen(place),
    securityGroupScreen(place),
    publicIpScreen(place),
  ];
  return screens.map((screen) => ({
    ...screen,
    needs: ['master', 'account', 'region', ...(screen.needs ?? [])],
    when,
  }));
}

function networkScreen({ look, name, of }: Place): Screen {
  return {
    name: name('virtualNetwork'),
    async question(answers) {
      const networks = await look.networks(answers);
      const choices = networks.map((network) => ({
        value: resourceKey(network),
        label: `${network.name} (${network.resourceGroup}, ${network.prefixes.join(', ')})`,
      }));
      return {
        name: name('virtualNetwork'),
        kind: 'select',
        message: `Virtual network${await of(answers)}`,
        choices,
        ...(choices.length === 0
          ? {
              before: `There is no virtual network in ${textOf(answers.region)}. Make one in the Azure portal, then go back and on.`,
            }
          : {}),
        ...(choices.length === 1 && choices[0] ? { default: choices[0].value } : {}),
      };
    },
  };
}

async function networkOf({ look, name }: Place, answers: Answers): Promise<VirtualNetwork | undefined> {
  const key = answers[name('virtualNetwork')];
  return (await look.networks(answers)).find((network) => resourceKey(network) === key);
}

function subnetScreen(place: Place): Screen {
  const { name, of } = place;
  return {
    name: name('subnet'),
    needs: [name('virtualNetwork')],
    async question(answers) {
      const subnets = (await networkOf(place, answers))?.subnets ?? [];
      const choices = subnets.map((subnet) => ({
        value: subnet.name,
        label: `${subnet.name} (${subnet.prefix})`,
      }));
      return {
        name: name('subnet'),
        kind: 'select',
        message: `Subnet${await of(answers)}`,
        choices,
        ...(choices.length === 1 && choices[0] ? { default: choices[0].value } : {}),
      };
    },
  };
}

function addressScreen(place: Place): Screen {
  const { name, of, look } = place;
  return {
    name: name('address'),
    needs: [name('virtualNetwork'), name('subnet')],
    async question(answers) {
      const network = await networkOf(place, answers);
      const prefix = network?.subnets.find((one) => one.name === answers[name('subnet')])?.prefix ?? '';
      return {
        name: name('address'),
        kind: 'text',
        message: `Private address${await of(answers)}`,
        hint: `dynamic, or a fixed address of ${prefix}`,
        default: await proposedAddress(place, answers, network?.id, prefix),
        validate: (value) => addressProblem(textOf(value), prefix),
      };
    },
    async check(value, answers) {
      if (textOf(value).toLowerCase() === 'dynamic') return undefined;
      const network = await networkOf(place, answers);
      if (!network) return undefined;
      const cloud = await look.cloud(answers);
      const { available, free } = await cloud.network.addressAvailable(network.id, textOf(value));
      if (available) return undefined;
      const others = free.length > 0 ? ` Free are ${free.slice(0, 5).join(', ')}.` : '';
      return `${textOf(value)} is in use in ${network.name}.${others}`;
    },
  };
}

/** The address that the server has now, where the subnet holds it and nobody else has it. */
async function proposedAddress(
  { own, look }: Place,
  answers: Answers,
  networkId: string | undefined,
  prefix: string,
): Promise<string> {
  const fits = (address: string) =>
    ipv4ToNumber(address) !== undefined && addressProblem(address, prefix) === undefined;
  const now = networkId && rangeOfPrefix(prefix) ? (await own(answers)).find(fits) : undefined;
  if (now === undefined || networkId === undefined) return 'dynamic';
  const cloud = await look.cloud(answers);
  return (await cloud.network.addressAvailable(networkId, now)).available ? now : 'dynamic';
}

export function addressProblem(text: string, prefix: string): string | undefined {
  if (text.toLowerCase() === 'dynamic') return undefined;
  const number = ipv4ToNumber(text);
  if (number === undefined) return 'This is neither `dynamic` nor an IPv4 address.';
  const range = rangeOfPrefix(prefix);
  if (!range) return undefined;
  if (number < range.first || number > range.last) return `${text} is outside of the subnet (${prefix}).`;
  if (isReserved(number, range))
    return `Azure keeps ${text} for itself: the first four addresses of a subnet and its last.`;
  return undefined;
}

/** Proposed is what Azure does by itself: the master's own servers may lie where the standby does not reach them. */
function dnsServersScreen(place: Place): Screen {
  const { name, of, ownDnsServers } = place;
  return {
    name: name('dnsServers'),
    needs: [name('virtualNetwork')],
    async question(answers) {
      const network = await networkOf(place, answers);
      const now = network?.dnsServers.length ? network.dnsServers.join(', ') : 'Azure’s own';
      const own = await ownDnsServers(answers);
      return {
        name: name('dnsServers'),
        kind: 'select',
        message: `DNS servers${await of(answers)}`,
        ...(own.length > 0
          ? {
              before: `The master asks ${own.join(', ')}. Where they lie on-premises the standby reaches them only through a VPN or ExpressRoute, and not when the site is gone.`,
            }
          : {}),
        default: OF_NETWORK,
        choices: [
          { value: OF_NETWORK, label: `those of the virtual network: ${now}` },
          ...(own.length > 0
            ? [{ value: own.join(','), label: `those of the master: ${own.join(', ')}` }]
            : []),
        ],
        other: 'addresses, with a comma between them',
        validate: (value) =>
          typeof value !== 'string'
            ? 'A text is needed: addresses with a comma between them.'
            : dnsServersOf(value.trim())
                ?.map(dnsServerProblem)
                .find((problem) => problem !== undefined),
      };
    },
  };
}

function securityGroupScreen({ look, name, of }: Place): Screen {
  return {
    name: name('securityGroup'),
    async question(answers) {
      const groups = await look.securityGroups(answers);
      return {
        name: name('securityGroup'),
        kind: 'select',
        message: `Network security group on the NIC${await of(answers)}`,
        default: 'none',
        choices: [
          { value: 'none', label: "none: the subnet's rules alone decide" },
          ...groups.map((group) => ({ value: resourceKey(group), label: resourceKey(group) })),
        ],
      };
    },
  };
}

function publicIpScreen({ name, of }: Place): Screen {
  return {
    name: name('publicIp'),
    async question(answers) {
      return {
        name: name('publicIp'),
        kind: 'confirm',
        message: `Public IP${await of(answers)}?`,
        hint: 'made at switchover; who may reach it is what the security groups allow',
        default: false,
      };
    },
  };
}
