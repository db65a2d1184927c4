import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { inputError } from '../../errors.ts';
import type { Account } from '../../model/account.ts';
import type { DiskType } from '../../model/scenario.ts';
import type { Cloud, VirtualNetwork } from '../../ports/cloud.ts';
import { machineNameProblem } from './records.ts';
import { makeUnusableSshKey, sshKeyProblem } from './ssh-key.ts';

/** What a person answers; everything but name, account, region and resource group has a default. */
export interface DeployAnswers {
  readonly name: string;
  readonly account: string;
  readonly region: string;
  readonly resourceGroup: string;
  /** `new`, or `<resource group>/<name>` of one in the region. */
  readonly virtualNetwork?: string;
  readonly subnet?: string;
  readonly size?: string;
  readonly image?: string;
  /** `none` or a zone's number. */
  readonly zone?: string;
  readonly journalGib?: number;
  /** Path of an OpenSSH public key. */
  readonly sshPublicKeyFile?: string;
}

/** What the run keeps: plain JSON, no secret, enough to make the same plan again. */
export interface DeployInput {
  readonly applianceId: string;
  readonly name: string;
  readonly accountId: string;
  readonly region: string;
  readonly resourceGroup: string;
  /** Absent: a new virtual network is made. */
  readonly network?: { readonly virtualNetworkId: string; readonly subnetName: string };
  readonly size: string;
  readonly image: ImageName;
  readonly zone?: string;
  readonly journalGib: number;
  readonly journalType: DiskType;
  readonly sshPublicKey: string;
  /** True when nobody holds the private half. */
  readonly sshKeyDiscarded: boolean;
}

export const IMAGES = {
  'debian-12': {
    label: 'Debian 12',
    image: { publisher: 'Debian', offer: 'debian-12', sku: '12-gen2', version: 'latest' },
  },
  'ubuntu-24.04': {
    label: 'Ubuntu Server 24.04 LTS',
    image: { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server', version: 'latest' },
  },
} as const;
export type ImageName = keyof typeof IMAGES;

export const DEFAULT_SIZE = 'Standard_D2s_v5';
export const DEFAULT_JOURNAL_GIB = 32;
/** The journal and at least one replica disk. */
export const DATA_DISKS_MIN = 2;

/** Checks the answers against what the subscription and region really have. Changes nothing. */
export async function deployInput(
  cloud: Cloud,
  account: Account,
  answers: DeployAnswers,
): Promise<DeployInput> {
  const nameProblem = machineNameProblem(answers.name);
  if (nameProblem) throw inputError('ANSWER_WRONG', `Appliance name: ${nameProblem}`);
  const region = await knownRegion(cloud, answers.region);
  const resourceGroup = answers.resourceGroup.trim();
  const groupProblem = resourceGroupNameProblem(resourceGroup);
  if (groupProblem) throw inputError('ANSWER_WRONG', `Resource group: ${groupProblem}`);
  await refuseOtherRegion(cloud, resourceGroup, region);
  const size = await usableSize(cloud, region, answers);
  const network = await chosenNetwork(cloud, region, answers);
  const image = (answers.image ?? 'debian-12') as ImageName;
  if (!IMAGES[image])
    throw inputError('IMAGE_UNKNOWN', `There is no image ${image}.`, Object.keys(IMAGES).join(', '));
  const journalGib = answers.journalGib ?? DEFAULT_JOURNAL_GIB;
  if (!Number.isInteger(journalGib) || journalGib < 4 || journalGib > 4096) {
    throw inputError('ANSWER_WRONG', 'The journal disk has a whole number of GiB from 4 to 4096.');
  }
  const key = await sshKey(answers.sshPublicKeyFile);
  return {
    applianceId: randomUUID(),
    name: answers.name.trim(),
    accountId: account.id,
    region,
    resourceGroup,
    ...(network ? { network } : {}),
    size: size.name,
    image,
    ...(size.zone ? { zone: size.zone } : {}),
    journalGib,
    journalType: size.premium ? 'Premium_LRS' : 'StandardSSD_LRS',
    ...key,
  };
}

async function knownRegion(cloud: Cloud, asked: string): Promise<string> {
  const plain = (text: string) => text.toLowerCase().replaceAll(' ', '');
  const locations = await cloud.catalogue.locations();
  const found = locations.find((one) => [one.name, one.displayName].map(plain).includes(plain(asked)));
  if (found) return found.name;
  throw inputError(
    'REGION_UNKNOWN',
    `This subscription has no region ${asked}.`,
    `Choose one of: ${locations.map((one) => one.name).join(', ')}.`,
  );
}

export function resourceGroupNameProblem(name: string): string | undefined {
  if (/^[\w().-]{1,90}$/.test(name) && !name.endsWith('.')) return undefined;
  return 'A name has 1 to 90 letters, digits and _ - . ( ), and does not end with a period.';
}

/** The appliance is made in the same region as its resource group (G-11). */
async function refuseOtherRegion(cloud: Cloud, name: string, region: string): Promise<void> {
  const group = await cloud.groups.get(name);
  if (!group || group.location.toLowerCase() === region.toLowerCase()) return;
  throw inputError(
    'REGION_DIFFERS',
    `The resource group ${name} is in ${group.location}, not in ${region}.`,
    `An appliance is made in its resource group's region: choose ${group.location}, or another resource group.`,
  );
}

async function usableSize(
  cloud: Cloud,
  region: string,
  answers: DeployAnswers,
): Promise<{ name: string; premium: boolean; zone?: string }> {
  const asked = answers.size ?? DEFAULT_SIZE;
  const size = (await cloud.catalogue.sizes(region)).find(
    (one) => one.name.toLowerCase() === asked.toLowerCase(),
  );
  const other = 'Choose another size, or another region.';
  if (!size) throw inputError('SIZE_UNKNOWN', `${region} does not offer the size ${asked}.`, other);
  if (size.restricted)
    throw inputError('SIZE_RESTRICTED', `${asked} cannot be used in ${region}: ${size.restricted}.`, other);
  if (size.dataDisksMax < DATA_DISKS_MIN) {
    throw inputError(
      'SIZE_TOO_SMALL',
      `${asked} takes ${size.dataDisksMax} data disks; ${DATA_DISKS_MIN} are the least.`,
      other,
    );
  }
  if (!size.generations.includes('V2')) {
    throw inputError(
      'SIZE_GENERATION',
      `${asked} cannot run a generation 2 machine, which the images are.`,
      other,
    );
  }
  const zone = answers.zone && answers.zone !== 'none' ? answers.zone : undefined;
  if (zone && (!size.zones.includes(zone) || size.restrictedZones.includes(zone))) {
    const usable = size.zones.filter((one) => !size.restrictedZones.includes(one));
    throw inputError(
      'ZONE_UNKNOWN',
      `${asked} is not offered in zone ${zone} of ${region}.`,
      `Zones: ${usable.join(', ') || 'none'}.`,
    );
  }
  return { name: size.name, premium: size.premiumDisks, ...(zone ? { zone } : {}) };
}

/** How a virtual network is written in answers: short, and one of a kind in its subscription. */
export function networkKey(network: VirtualNetwork): string {
  return `${network.resourceGroup}/${network.name}`;
}

async function chosenNetwork(
  cloud: Cloud,
  region: string,
  answers: DeployAnswers,
): Promise<DeployInput['network']> {
  const asked = answers.virtualNetwork ?? 'new';
  if (asked === 'new') return undefined;
  const networks = await cloud.network.virtualNetworks(region);
  const network = networks.find((one) =>
    [networkKey(one), one.id].some((key) => key.toLowerCase() === asked.toLowerCase()),
  );
  if (!network) {
    throw inputError(
      'NETWORK_UNKNOWN',
      `There is no virtual network ${asked} in ${region}.`,
      `Choose one of: ${['new', ...networks.map(networkKey)].join(', ')}.`,
    );
  }
  const subnet = network.subnets.find(
    (one) => one.name.toLowerCase() === (answers.subnet ?? '').toLowerCase(),
  );
  if (subnet) return { virtualNetworkId: network.id, subnetName: subnet.name };
  throw inputError(
    'SUBNET_UNKNOWN',
    `${network.name} has no subnet ${answers.subnet ?? '(none was given)'}.`,
    `Choose one of: ${network.subnets.map((one) => one.name).join(', ')}.`,
  );
}

async function sshKey(
  file: string | undefined,
): Promise<Pick<DeployInput, 'sshPublicKey' | 'sshKeyDiscarded'>> {
  if (!file?.trim()) return { sshPublicKey: makeUnusableSshKey(), sshKeyDiscarded: true };
  const text = (await readFile(file.trim(), 'utf8')).trim();
  const problem = sshKeyProblem(text);
  if (problem) throw inputError('ANSWER_WRONG', `${file}: ${problem}`);
  return { sshPublicKey: text, sshKeyDiscarded: false };
}
