import type { Account } from '../model/account.ts';
import type { Appliance } from '../model/appliance.ts';
import type { MasterInventory } from '../model/disk.ts';
import type { Scenario } from '../model/scenario.ts';
import type { DeployInput } from './appliance/deploy-input.ts';

/** A scenario and an appliance that have one of everything, to read off their plans what they would need. */
const NETWORK = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Network';
const GROUP = 'group';
const REGION = 'region';

const disk = (id: string, boot: boolean) => ({
  id,
  path: `/dev/${id}`,
  sizeBytes: 2 ** 30,
  logicalSectorBytes: 512,
  partitionTable: 'gpt' as const,
  boot,
  volumes: [],
});

const inventory: MasterInventory = {
  hostName: 'specimen',
  os: { family: 'linux', name: 'Linux' },
  firmware: 'uefi',
  disks: [disk('disk0', true), disk('disk1', false)],
  nics: [{ id: 'nic0', name: 'eth0', addresses: [] }],
  takenAtMs: 0,
};

const appliance: Appliance = {
  id: 'specimen',
  name: 'specimen',
  address: '10.0.0.4',
  port: 25_000,
  azure: { accountId: 'specimen', vmId: 'specimen', resourceGroup: GROUP, region: REGION },
  enrolment: 'enrolled',
  createdAtMs: 0,
};

const scenario: Scenario = {
  id: 'specimen',
  name: 'specimen',
  purpose: 'dr',
  serverType: 'full-system',
  productType: 'high-availability',
  replicaType: 'azure',
  switchoverMode: 'manual',
  accountId: 'specimen',
  applianceId: 'specimen',
  masterId: 'specimen',
  region: REGION,
  capture: 'at-rest',
  excludedVolumeIds: [],
  vm: { name: 'specimen', size: 'size', resourceGroup: GROUP, diskType: 'StandardSSD_LRS' },
  nics: [
    {
      masterNicId: 'nic0',
      virtualNetworkId: `${NETWORK}/virtualNetworks/lan`,
      subnetName: 'servers',
      address: { kind: 'dynamic' },
      networkSecurityGroupId: `${NETWORK}/networkSecurityGroups/web`,
      publicIp: true,
    },
  ],
  isAlive: { ping: false },
  healthChecks: [],
  redirect: { kind: 'azure-dns', resourceGroup: GROUP, zone: 'zone', name: 'www.zone' },
  acceptedWarnings: [],
  createdAtMs: 0,
};

const account: Account = {
  id: 'specimen',
  name: 'specimen',
  subscriptionId: 's',
  tenantId: 't',
  applicationId: 'a',
  environment: 'public',
  createdAtMs: 0,
};

const deploy: DeployInput & {
  readonly account: Account;
  readonly network: NonNullable<DeployInput['network']>;
} = {
  applianceId: 'specimen',
  name: 'specimen',
  accountId: 'specimen',
  region: REGION,
  resourceGroup: GROUP,
  size: 'size',
  image: 'debian-12',
  journalGib: 32,
  journalType: 'StandardSSD_LRS',
  sshPublicKey: '',
  sshKeyDiscarded: true,
  account,
  network: { virtualNetworkId: `${NETWORK}/virtualNetworks/lan`, subnetName: 'servers' },
};

export const SPECIMEN = { scenario, inventory, appliance, deploy } as const;
