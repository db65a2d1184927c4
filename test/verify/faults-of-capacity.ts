import { GIB } from '../../src/model/disk.ts';
import type { ScenarioStatus } from '../../src/model/scenario.ts';
import { tagsOf } from '../../src/model/tags.ts';
import type { VerifyFacts } from '../../src/verify/check.ts';
import { type FakeCloud, NETWORK_ID, SUBSCRIPTION } from '../fakes/fake-cloud.ts';
import { inventory, masterDisk, rightCloud, scenario } from '../fakes/scene.ts';
import { facts, type PlantedFault, status, withVm } from './planted-facts.ts';

const FIRST = { size: 'Standard_D2s_v5' };
const SECOND = { size: 'Standard_B2s' };
const STANDBY_ID = `${SUBSCRIPTION}/resourceGroups/recovery/providers/Microsoft.Compute/virtualMachines/web01`;
const STANDBY_NIC = `${SUBSCRIPTION}/resourceGroups/recovery/providers/Microsoft.Network/networkInterfaces/nic0`;

function given(more: Partial<VerifyFacts>, change: (cloud: FakeCloud) => void = () => undefined) {
  return () => {
    const cloud = rightCloud();
    change(cloud);
    return facts(more, cloud);
  };
}

const disksLeft = (left: number) => (cloud: FakeCloud) =>
  void cloud.usages.push({ name: 'StandardSSDDiskCount', current: 90, limit: 90 + left });

const allowedSizes = (...sizes: string[]) => ({
  name: 'house sizes',
  scope: SUBSCRIPTION,
  definitionId: '/providers/Microsoft.Authorization/policyDefinitions/cccc23c7-8427-4f53-ad12-b6a63eb452b3',
  parameters: { listOfAllowedSKUs: sizes },
});

/** What a switchover left: the standby holds its name, its address, its NICs and its share of every quota. */
function standing(cloud: FakeCloud): void {
  const tags = tagsOf('scenario-1', 'run-1', 'standby-vm');
  const place = {
    resourceGroup: 'recovery',
    location: 'japaneast',
    provisioning: 'Succeeded',
    power: 'running',
  };
  const machine = { id: STANDBY_ID, name: 'web01', size: 'Standard_D2s_v5', computerName: 'web01' };
  cloud.machines.set(STANDBY_ID.toLowerCase(), {
    ...{ ...place, ...machine, nicIds: [STANDBY_NIC], dataDisks: [] },
    tags: { ...tags },
  });
  const subnetId = `${NETWORK_ID}/subnets/servers`;
  const nic = { id: STANDBY_NIC, name: 'nic0', subnetId, privateIp: '10.0.1.20', tags: { ...tags } };
  cloud.nics.set(STANDBY_NIC.toLowerCase(), nic);
  cloud.takenAddresses = ['10.0.1.20'];
  cloud.usages = cloud.usages.map((one) => ({ ...one, current: one.limit }));
  cloud.networks = cloud.networks.map((one) => ({
    ...one,
    subnets: one.subnets.map((subnet) => ({ ...subnet, addressesUsed: 251 })),
  }));
}

const live: Partial<ScenarioStatus> = {
  state: 'switched-over',
  standbyVmId: STANDBY_ID.toUpperCase(),
  switchedOverRunId: 'run-1',
};

/** 251 addresses, 248 of them used; this scenario and the next one have two NICs each there. */
function crowded(standingScenarioIds: ReadonlySet<string>): PlantedFault['given'] {
  const vm = { ...scenario().vm, name: 'two', size: 'Standard_B2s' };
  const nics = scenario().nics.map((nic) => ({ ...nic, address: { kind: 'dynamic' as const } }));
  const next = scenario({ id: 'scenario-2', name: 'two', masterId: 'master-2', vm, nics });
  return given({ otherScenarios: [next], standingScenarioIds }, (cloud) => {
    cloud.networks = cloud.networks.map((one) => ({
      ...one,
      subnets: one.subnets.map((subnet) => ({ ...subnet, addressesUsed: 248 })),
    }));
  });
}

export const faultsOfCapacity: readonly PlantedFault[] = [
  {
    fault: 'a size to fall back on that is right',
    found: [],
    given: given({ rungs: [FIRST, SECOND] }),
  },
  {
    fault: 'a size to fall back on that the region does not have',
    found: ['warning RUNG_UNFIT'],
    given: given({ rungs: [FIRST, SECOND, { size: 'Standard_X99' }] }),
  },
  {
    fault: 'a zone to fall back on that does not offer the size',
    found: ['warning RUNG_UNFIT'],
    given: given({
      scenario: withVm({ zone: '1' }),
      rungs: ['1', '2', '3'].map((zone) => ({ ...FIRST, zone })),
    }),
  },
  {
    fault: 'a size to fall back on that a policy forbids',
    found: ['warning RUNG_UNFIT'],
    given: given({ rungs: [FIRST, SECOND] }, (cloud) => cloud.policies.push(allowedSizes(FIRST.size))),
  },
  {
    fault: 'a size to fall back on with too few NICs and no quota',
    found: ['warning RUNG_UNFIT'],
    given: given({ rungs: [FIRST, SECOND] }, (cloud) => {
      const small = { nicsMax: 1, family: 'standardBSFamily' };
      cloud.sizes = cloud.sizes.map((one) => (one.name === SECOND.size ? { ...one, ...small } : one));
      cloud.usages.push({ name: 'standardBSFamily', current: 1, limit: 2 });
    }),
  },
  {
    fault: 'a quota of disks that the replica and its standby exceed together',
    found: ['error QUOTA_EXCEEDED'],
    given: given({ status: status({ epoch: 0 }) }, disksLeft(3)),
  },
  {
    fault: 'the same quota once the replica is there',
    found: [],
    given: given({}, disksLeft(3)),
  },
  {
    fault: 'a quota of disks that the rest of its group exceeds',
    found: ['warning QUOTA_NOT_FOR_GROUP'],
    given: given(
      {
        otherScenarios: [
          scenario({
            ...{ id: 'scenario-2', name: 'two', masterId: 'master-2' },
            vm: { ...scenario().vm, name: 'two' },
            nics: [],
          }),
        ],
        otherInventories: new Map([['master-2', inventory()]]),
        group: { name: 'shop', scenarioIds: ['scenario-1', 'scenario-2'] },
      },
      disksLeft(3),
    ),
  },
  {
    fault: 'a quota of disks that another server with five disks exceeds',
    found: ['warning QUOTA_NOT_FOR_ALL'],
    given: given(
      {
        otherScenarios: [
          scenario({
            ...{ id: 'scenario-2', name: 'two', masterId: 'master-2' },
            vm: { ...scenario().vm, name: 'two' },
            nics: [],
          }),
        ],
        otherInventories: new Map([
          ['master-2', inventory({ disks: [0, 1, 2, 3, 4].map((disk) => masterDisk(`disk${disk}`)) })],
        ]),
      },
      disksLeft(6),
    ),
  },
  {
    fault: 'a size that is restricted, in a zone that does not offer it',
    found: ['error SIZE_RESTRICTED', 'error SIZE_NOT_IN_ZONE'],
    given: given({ scenario: withVm({ zone: '3' }) }, (cloud) => {
      const restricted = 'NotAvailableForSubscription';
      cloud.sizes = cloud.sizes.map((one) => (one.name === FIRST.size ? { ...one, restricted } : one));
    }),
  },
  {
    fault: 'a disk without boot files that is wrong in three ways more',
    found: ['NO_BOOT_DISK', 'DISK_SIZE_ODD', 'DISK_SECTOR_SIZE', 'DISK_TOO_LARGE'].map(
      (code) => `error ${code}`,
    ),
    given: given({
      inventory: inventory({
        disks: [masterDisk('disk0', { boot: false, logicalSectorBytes: 4096, sizeBytes: 33_000 * GIB + 1 })],
      }),
    }),
  },
  {
    fault: 'a subnet that has room for this standby and not for the next one too',
    found: ['warning SUBNET_NOT_FOR_ALL'],
    given: crowded(new Set()),
  },
  {
    fault: 'the same subnet when the next one stands already',
    found: [],
    given: crowded(new Set(['scenario-2'])),
  },
  {
    fault: 'a resource group that Azure would not make',
    found: ['error GROUP_NAME_INVALID'],
    given: given({ scenario: withVm({ resourceGroup: 'rescue me.' }) }),
  },
  {
    fault: 'snapshots of an old run beside a standby that is live',
    found: ['warning LEFTOVERS', 'skipped SWITCHED_OVER'],
    given: given({ moment: 'watch', status: status({ ...live, switchedOverRunId: 'run-0' }) }, (cloud) => {
      standing(cloud);
      const tags = { ...tagsOf('scenario-1', 'run-old', 'snapshot') };
      cloud.snapshots.set('old', { id: 'old', name: 'old', provisioning: 'Succeeded', tags });
    }),
  },
  {
    fault: 'a standby that is live and holds what it needs',
    found: ['skipped SWITCHED_OVER'],
    given: given({ moment: 'watch', status: status(live) }, standing),
  },
];
