import { StandbyError } from '../../src/errors.ts';
import { GIB } from '../../src/model/disk.ts';
import { replicaDiskName } from '../../src/model/names.ts';
import { APPLIANCE_VM_ID, type FakeCloud, GROUP } from '../fakes/fake-cloud.ts';
import { appliance, inventory, masterDisk, NOW_MS, rightCloud, scenario } from '../fakes/scene.ts';
import { ACCOUNT, facts, type PlantedFault, sessionWith, withNic, withVm } from './planted-facts.ts';

/** One planted fault each: nothing else may be found but what follows from it. */
export const faults: readonly PlantedFault[] = [
  {
    fault: 'a hand-edited automatic switchover',
    found: ['error SWITCHOVER_NOT_MANUAL'],
    given: () => facts({ scenario: scenario({ switchoverMode: 'auto' as 'manual' }) }),
  },
  {
    fault: 'is-alive on for a migration',
    found: ['error IS_ALIVE_ON_FOR_MIGRATION'],
    given: () => facts({ scenario: scenario({ purpose: 'migration', isAlive: { ping: true } }) }),
  },
  {
    fault: 'a client secret that ends in a week',
    found: ['warning SECRET_ENDS_SOON'],
    given: () => facts({ account: { ...ACCOUNT, secretExpiresOn: '2030-01-22' } }),
  },
  {
    fault: 'a client secret whose date is over',
    found: ['warning SECRET_DATE_OVER'],
    given: () => facts({ account: { ...ACCOUNT, secretExpiresOn: '2030-01-14' } }),
  },
  {
    fault: 'a client secret that Azure refuses, at switchover too',
    found: ['error SECRET_REFUSED'],
    given: () => {
      const cloud = rightCloud();
      const signIn = async () => {
        throw new StandbyError({ code: 'SECRET_EXPIRED', what: 'The client secret has expired.' });
      };
      const access = { ...cloud.cloud.access, signIn };
      return facts({ cloud: { ...cloud.cloud, access }, moment: 'switchover' });
    },
  },
  {
    fault: 'an inventory of the day before yesterday',
    found: ['warning INVENTORY_OLD'],
    given: () => facts({ inventory: inventory({ takenAtMs: NOW_MS - 48 * 3_600_000 }) }),
  },
  {
    fault: 'a Windows that runs, to be copied at rest',
    found: ['error AT_REST_UNFIT'],
    given: () =>
      facts({
        scenario: scenario({ capture: 'at-rest' }),
        inventory: inventory({ disks: [masterDisk('disk0', { path: '\\\\.\\PhysicalDrive0' })] }),
      }),
  },
  ...[
    'CLUSTER_NODE',
    'SHARED_DISKS_LEFT',
    'NETWORK_VOLUMES',
    'DISKS_LEFT',
    'VOLUMES_UNSHADOWED',
    'NIC_TEAM',
    'BITLOCKER_SUSPENDED',
    'REBOOT_PENDING',
    'DRIVERS_NOT_AT_BOOT',
    'CRASH_CONSISTENT',
  ].map((code) => ({
    fault: `a master that tells of itself ${code}`,
    found: [`warning ${code}`],
    given: () => facts({ inventory: inventory({ notices: [{ code, found: 'so it is' }] }) }),
  })),
  {
    fault: 'a MAC that does not follow',
    found: ['warning MACS_STAY'],
    given: () =>
      facts({
        moment: 'create',
        inventory: inventory({
          nics: inventory().nics.map((nic) => ({ ...nic, mac: '00:50:56:AB:12:34' })),
        }),
      }),
  },
  {
    fault: 'a master that is not connected',
    found: ['warning MASTER_AWAY'],
    given: () => facts({ session: sessionWith(false) }),
  },
  {
    fault: 'a master that the appliance does not know',
    found: ['warning MASTER_AWAY'],
    given: () => facts({ session: sessionWith(undefined) }),
  },
  {
    fault: 'a disk that is no multiple of 512',
    found: ['error DISK_SIZE_ODD'],
    given: () =>
      facts({
        inventory: inventory({ disks: [masterDisk('disk0', { sizeBytes: 1001 }), masterDisk('disk1')] }),
      }),
  },
  {
    fault: 'a disk with sectors of 4096 bytes',
    found: ['error DISK_SECTOR_SIZE'],
    given: () =>
      facts({
        inventory: inventory({
          disks: [masterDisk('disk0'), masterDisk('disk1', { logicalSectorBytes: 4096 })],
        }),
      }),
  },
  {
    fault: 'an OS disk above 4095 GiB',
    found: ['error DISK_TOO_LARGE'],
    given: () =>
      facts({
        inventory: inventory({ firmware: 'uefi', disks: [masterDisk('disk0', { sizeBytes: 4096 * GIB })] }),
      }),
  },
  {
    fault: 'a BIOS disk above 2 TiB',
    found: ['warning DISK_LARGE_FOR_GENERATION_1'],
    given: () => facts({ inventory: inventory({ disks: [masterDisk('disk0', { sizeBytes: 3000 * GIB })] }) }),
  },
  {
    fault: 'no disk with boot files',
    found: ['error NO_BOOT_DISK'],
    given: () => facts({ inventory: inventory({ disks: [masterDisk('disk0', { boot: false })] }) }),
  },
  {
    fault: 'the system volume excluded',
    found: ['error SYSTEM_VOLUME_EXCLUDED'],
    given: () => facts({ scenario: scenario({ excludedVolumeIds: ['disk0/1'] }) }),
  },
  {
    fault: 'an excluded volume that does not exist',
    found: ['error VOLUME_UNKNOWN'],
    given: () => facts({ scenario: scenario({ excludedVolumeIds: ['disk7/1'] }) }),
  },
  {
    fault: 'an appliance in another region',
    found: ['error APPLIANCE_ELSEWHERE'],
    given: () =>
      facts({
        appliance: appliance({
          azure: { accountId: 'a', vmId: APPLIANCE_VM_ID, resourceGroup: GROUP, region: 'westeurope' },
        }),
      }),
  },
  {
    fault: 'a resource group in another region',
    found: ['error GROUP_ELSEWHERE'],
    given: () => {
      const cloud = rightCloud();
      cloud.groups.set(GROUP, { id: 'x', name: GROUP, location: 'westeurope' });
      return facts({}, cloud);
    },
  },
  {
    fault: 'an appliance that is a server of one’s own',
    found: ['error APPLIANCE_NOT_IN_AZURE', 'skipped APPLIANCE_POWER_UNKNOWN', 'skipped LUNS_UNKNOWN'],
    given: () => {
      const { azure: _, ...own } = appliance();
      return facts({ appliance: own });
    },
  },
  {
    fault: 'an appliance whose VM was deleted',
    found: ['error APPLIANCE_GONE', 'skipped LUNS_UNKNOWN'],
    given: () => {
      const cloud = rightCloud();
      cloud.machines.clear();
      return facts({}, cloud);
    },
  },
  {
    fault: 'a standby that exists already',
    found: ['error STANDBY_EXISTS'],
    given: () => {
      const cloud = rightCloud();
      const machine = cloud.machines.get(APPLIANCE_VM_ID.toLowerCase());
      const tags = { 'standby-scenario': 'scenario-1' };
      if (machine) cloud.machines.set('standby', { ...machine, id: 'standby', name: 'web01', tags });
      return facts({}, cloud);
    },
  },
  {
    fault: 'a master whose writes nobody serves',
    found: ['error NBD_NOT_SERVED'],
    given: () => facts({ scenario: scenario({ capture: 'nbd' }) }),
  },
  {
    fault: 'an image file whose writes the kernel would have to note',
    found: ['warning TRACKED_UNFIT'],
    given: () => facts({ scenario: scenario({ capture: 'tracked' }) }),
  },
  {
    fault: 'an appliance whose VM is stopped',
    found: ['error APPLIANCE_NOT_RUNNING'],
    given: () => {
      const cloud = rightCloud();
      const machine = cloud.machines.get(APPLIANCE_VM_ID.toLowerCase());
      if (machine) machine.power = 'deallocated';
      return facts({}, cloud);
    },
  },
  {
    fault: 'an appliance without a free LUN',
    found: ['error LUNS_EXHAUSTED'],
    given: () => {
      const cloud = rightCloud();
      const machine = cloud.machines.get(APPLIANCE_VM_ID.toLowerCase());
      if (machine) machine.dataDisks = [0, 1, 2].map((lun) => ({ diskId: `/disks/other${lun}`, lun }));
      return facts({}, cloud);
    },
  },
  {
    fault: 'a VM name with a dot',
    found: ['error VM_NAME_INVALID'],
    given: () => facts({ scenario: withVm({ name: 'web.01' }) }),
  },
  {
    fault: 'a Windows name of 16 characters',
    found: ['warning VM_NAME_LONG_FOR_WINDOWS'],
    given: () =>
      facts({
        scenario: withVm({ name: 'a'.repeat(16) }),
        inventory: inventory({ os: { family: 'windows', name: 'Windows Server 2022' } }),
      }),
  },
  {
    fault: 'a VM of that name in the resource group',
    found: ['error VM_NAME_TAKEN'],
    given: () => facts({ scenario: withVm({ name: 'APPLIANCE' }) }),
  },
  {
    fault: 'a disk of somebody else under the name of a replica disk',
    found: ['error DISK_NAME_TAKEN'],
    given: () => {
      const cloud = rightCloud();
      const name = replicaDiskName(scenario(), 'disk1');
      const id = `/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/${GROUP}/providers/Microsoft.Compute/disks/${name}`;
      cloud.disks.set(id.toLowerCase(), {
        id,
        name,
        location: 'japaneast',
        sizeGib: 4,
        type: 'Standard_LRS',
        state: 'Unattached',
        tags: {},
        provisioning: 'Succeeded',
      });
      return facts({}, cloud);
    },
  },
  {
    fault: 'a size that does not exist',
    found: [
      ...['error SIZE_UNKNOWN', 'skipped SIZE_FIT_UNKNOWN', 'skipped QUOTA_UNKNOWN'],
      'skipped PRICE_UNKNOWN',
    ],
    given: () => facts({ scenario: withVm({ size: 'Standard_X99' }) }),
  },
  {
    fault: 'a size that the subscription may not use',
    found: ['error SIZE_RESTRICTED'],
    given: () => facts({}, cloudWithSize({ restricted: 'NotAvailableForSubscription' })),
  },
  {
    fault: 'a size that the zone does not offer',
    found: ['error SIZE_NOT_IN_ZONE'],
    given: () => facts({ scenario: withVm({ zone: '3' }) }),
  },
  {
    fault: 'a size that is restricted in the zone',
    found: ['error SIZE_RESTRICTED_IN_ZONE'],
    given: () => facts({ scenario: withVm({ zone: '2' }) }, cloudWithSize({ restrictedZones: ['2'] })),
  },
  {
    fault: 'more data disks than the size takes',
    found: ['error TOO_MANY_DATA_DISKS'],
    given: () => facts({}, cloudWithSize({ dataDisksMax: 0 })),
  },
  {
    fault: 'more NICs than the size takes',
    found: ['error TOO_MANY_NICS'],
    given: () => facts({}, cloudWithSize({ nicsMax: 1 })),
  },
  {
    fault: 'a UEFI master and a size of generation 1',
    found: ['error GENERATION_NOT_OFFERED'],
    given: () =>
      facts({ inventory: inventory({ firmware: 'uefi' }) }, cloudWithSize({ generations: ['V1'] })),
  },
  {
    fault: 'premium disks on a size without them',
    found: ['error PREMIUM_NOT_OFFERED'],
    given: () =>
      facts({ scenario: withVm({ diskType: 'Premium_LRS' }) }, cloudWithSize({ premiumDisks: false })),
  },
  {
    fault: 'a family whose quota is used up',
    found: ['error QUOTA_EXCEEDED'],
    given: () => {
      const cloud = rightCloud();
      cloud.usages = cloud.usages.map((one) =>
        one.name === 'standardDSv5Family' ? { ...one, current: 9 } : one,
      );
      return facts({}, cloud);
    },
  },
  {
    fault: 'no NIC',
    found: ['error NO_NIC', 'skipped DNS_UNKNOWN'],
    given: () => facts({ scenario: scenario({ nics: [] }) }),
  },
  {
    fault: 'a NIC that the master does not have',
    found: ['error NIC_UNKNOWN'],
    given: () => facts({ scenario: withNic({ masterNicId: 'nic9' }) }),
  },
  {
    fault: 'a virtual network that does not exist',
    found: [
      ...['error NETWORK_UNKNOWN', 'skipped SUBNET_SPACE_UNKNOWN'],
      ...['skipped ADDRESS_UNKNOWN', 'skipped ROUTES_UNKNOWN'],
    ],
    given: () => facts({ scenario: withNic({ virtualNetworkId: '/nowhere' }) }),
  },
  {
    fault: 'a virtual network in another region',
    found: ['error NETWORK_ELSEWHERE', 'error NETWORK_ELSEWHERE'],
    given: () => {
      const cloud = rightCloud();
      cloud.networks = cloud.networks.map((one) => ({ ...one, location: 'westeurope' }));
      return facts({}, cloud);
    },
  },
  {
    fault: 'a subnet that does not exist',
    found: [
      ...['error SUBNET_UNKNOWN', 'skipped SUBNET_SPACE_UNKNOWN'],
      ...['skipped ADDRESS_UNKNOWN', 'skipped ROUTES_UNKNOWN'],
    ],
    given: () => facts({ scenario: withNic({ subnetName: 'nowhere' }) }),
  },
  ...[
    ['10.0.1.999', 'ADDRESS_INVALID'],
    ['10.0.2.20', 'ADDRESS_OUTSIDE_SUBNET'],
    ['10.0.1.0', 'ADDRESS_RESERVED'],
    ['10.0.1.3', 'ADDRESS_RESERVED'],
    ['10.0.1.255', 'ADDRESS_RESERVED'],
  ].map(([ip = '', code]) => ({
    fault: `the static address ${ip}`,
    found: [`error ${code}`],
    given: () => facts({ scenario: withNic({ address: { kind: 'static', ip } }) }),
  })),
  {
    fault: 'a static address that somebody has',
    found: ['error ADDRESS_TAKEN'],
    given: () => {
      const cloud = rightCloud();
      cloud.takenAddresses = ['10.0.1.20'];
      return facts({}, cloud);
    },
  },
  {
    fault: 'a network security group that does not exist',
    found: ['error NSG_UNKNOWN'],
    given: () => facts({ scenario: withNic({ networkSecurityGroupId: '/nowhere' }) }),
  },
  {
    fault: 'a network security group in another region',
    found: ['error NSG_ELSEWHERE'],
    given: () => {
      const cloud = rightCloud();
      cloud.securityGroups = cloud.securityGroups.map((one) => ({ ...one, location: 'westeurope' }));
      return facts({}, cloud);
    },
  },
  {
    fault: 'another scenario with the same VM, address and master',
    found: ['error CLASH_VM_NAME', 'error CLASH_ADDRESS', 'error CLASH_MASTER'],
    given: () => facts({ otherScenarios: [scenario({ id: 'scenario-2', name: 'twin' })] }),
  },
];

function cloudWithSize(change: Partial<FakeCloud['sizes'][number]>): FakeCloud {
  const cloud = rightCloud();
  cloud.sizes = cloud.sizes.map((size) => (size.name === 'Standard_D2s_v5' ? { ...size, ...change } : size));
  return cloud;
}
