import type { Appliance } from '../../src/model/appliance.ts';
import { GIB, type MasterDisk, type MasterInventory } from '../../src/model/disk.ts';
import type { Scenario } from '../../src/model/scenario.ts';
import { APPLIANCE_VM_ID, FakeCloud, GROUP, NETWORK_ID, NSG_ID, REGION } from './fake-cloud.ts';

/** A master with two disks and two NICs, its scenario, its appliance and a region in which everything is right. */
export const NOW_MS = Date.UTC(2030, 0, 15, 3, 0, 0);

export function masterDisk(id: string, change: Partial<MasterDisk> = {}): MasterDisk {
  return {
    id,
    path: `/images/${id}.img`,
    sizeBytes: 2 * GIB,
    logicalSectorBytes: 512,
    partitionTable: 'mbr',
    boot: id === 'disk0',
    volumes: [
      { id: `${id}/1`, offsetBytes: 2 ** 20, sizeBytes: GIB, fileSystem: 'ext4', system: id === 'disk0' },
      { id: `${id}/2`, offsetBytes: GIB + 2 ** 20, sizeBytes: GIB / 2, fileSystem: 'ext4', system: false },
    ],
    ...change,
  };
}

export function inventory(change: Partial<MasterInventory> = {}): MasterInventory {
  return {
    hostName: 'web01',
    os: { family: 'linux', name: 'Debian 12' },
    firmware: 'bios',
    disks: [masterDisk('disk0'), masterDisk('disk1')],
    nics: [
      { id: 'nic0', name: 'eth0', addresses: ['192.168.0.10'] },
      { id: 'nic1', name: 'eth1', addresses: ['192.168.9.10'] },
    ],
    takenAtMs: NOW_MS - 60_000,
    ...change,
  };
}

export const DNS_UPDATE: NonNullable<Scenario['redirect']> = {
  kind: 'dns-update',
  server: '192.0.2.53',
  zone: 'example.test',
  name: 'www.example.test',
  keyName: 'key',
  keyAlgorithm: 'hmac-sha256',
};

export function scenario(change: Partial<Scenario> = {}): Scenario {
  return {
    id: 'scenario-1',
    name: 'web',
    purpose: 'dr',
    serverType: 'full-system',
    productType: 'high-availability',
    replicaType: 'azure',
    switchoverMode: 'manual',
    accountId: 'account-1',
    applianceId: 'appliance-1',
    masterId: 'master-1',
    region: REGION,
    capture: 'at-rest',
    excludedVolumeIds: [],
    vm: { name: 'web01', size: 'Standard_D2s_v5', resourceGroup: GROUP, diskType: 'StandardSSD_LRS' },
    nics: [
      {
        masterNicId: 'nic0',
        virtualNetworkId: NETWORK_ID,
        subnetName: 'servers',
        address: { kind: 'static', ip: '10.0.1.20' },
        networkSecurityGroupId: NSG_ID,
        publicIp: true,
      },
      {
        masterNicId: 'nic1',
        virtualNetworkId: NETWORK_ID,
        subnetName: 'servers',
        address: { kind: 'dynamic' },
        publicIp: false,
      },
    ],
    isAlive: { ping: false },
    healthChecks: [],
    acceptedWarnings: [],
    createdAtMs: NOW_MS - 3_600_000,
    ...change,
  };
}

export function appliance(change: Partial<Appliance> = {}): Appliance {
  return {
    id: 'appliance-1',
    name: 'appliance',
    address: '127.0.0.1',
    port: 25_000,
    azure: { accountId: 'account-1', vmId: APPLIANCE_VM_ID, resourceGroup: GROUP, region: REGION },
    enrolment: 'enrolled',
    createdAtMs: NOW_MS - 7_200_000,
    ...change,
  };
}

export function rightCloud(): FakeCloud {
  const fake = new FakeCloud();
  fake.groups.set(GROUP, { id: NETWORK_ID.split('/providers')[0] ?? '', name: GROUP, location: REGION });
  fake.sizes = ['Standard_D2s_v5', 'Standard_B2s'].map((name) => ({
    name,
    family: 'standardDSv5Family',
    vCpus: 2,
    memoryGib: 8,
    dataDisksMax: 4,
    nicsMax: 2,
    generations: ['V1', 'V2'],
    premiumDisks: true,
    zones: ['1', '2'],
    restrictedZones: [],
  }));
  fake.usages = [
    { name: 'cores', current: 10, limit: 100 },
    { name: 'standardDSv5Family', current: 2, limit: 10 },
    { name: 'virtualMachines', current: 1, limit: 25_000 },
    { name: 'PublicIPAddresses', current: 1, limit: 20 },
  ];
  fake.networks = [
    {
      id: NETWORK_ID,
      name: 'lan',
      resourceGroup: GROUP,
      location: REGION,
      prefixes: ['10.0.0.0/16'],
      dnsServers: [],
      subnets: [
        { id: `${NETWORK_ID}/subnets/servers`, name: 'servers', prefix: '10.0.1.0/24', addressesUsed: 1 },
      ],
    },
  ];
  const everybody = {
    sourcePrefixes: ['*'],
    destinationPrefixes: ['*'],
    destinationPorts: ['*'],
    protocol: '*',
  };
  const rules = [
    { name: 'any', priority: 100, direction: 'Inbound', access: 'Allow', ...everybody } as const,
  ];
  fake.securityGroups = [{ id: NSG_ID, name: 'web', location: REGION, rules, tags: {} }];
  fake.machines.set(APPLIANCE_VM_ID.toLowerCase(), {
    id: APPLIANCE_VM_ID,
    name: 'appliance',
    resourceGroup: GROUP,
    location: REGION,
    size: 'Standard_B2s',
    provisioning: 'Succeeded',
    power: 'running',
    nicIds: [],
    dataDisks: [{ diskId: `${APPLIANCE_VM_ID}-journal`, lun: 0 }],
    tags: { 'standby-scenario': 'appliance/appliance', 'standby-role': 'appliance' },
  });
  return fake;
}
