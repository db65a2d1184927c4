import { StandbyError } from '../../src/errors.ts';
import type { FakeCloud } from '../fakes/fake-cloud.ts';
import { GROUP, NSG_ID, SUBSCRIPTION } from '../fakes/fake-cloud.ts';
import { rightCloud, scenario } from '../fakes/scene.ts';
import { facts, type PlantedFault } from './planted-facts.ts';

const GROUP_SCOPE = `${SUBSCRIPTION}/resourceGroups/${GROUP}`;
const policyOf = (guid: string, parameter: string, ...value: string[]) => ({
  name: 'rules of the house',
  scope: SUBSCRIPTION,
  definitionId: `/providers/Microsoft.Authorization/policyDefinitions/${guid}`,
  parameters: { [parameter]: value },
});

function spoilt(change: (cloud: FakeCloud) => void): PlantedFault['given'] {
  return () => {
    const cloud = rightCloud();
    change(cloud);
    return facts({}, cloud);
  };
}

function without(...actions: string[]) {
  return spoilt((cloud) => {
    cloud.roles = [{ actions: ['*'], notActions: actions }];
  });
}

export const faultsOfIdentity: readonly PlantedFault[] = [
  {
    fault: 'a role that lacks one action',
    found: ['error ACTION_MISSING'],
    given: without('Microsoft.Compute/disks/write'),
  },
  {
    fault: 'a role that lacks an action that another one has taken away, but not from itself',
    found: [],
    given: spoilt((cloud) => {
      cloud.roles = [
        { actions: ['*'], notActions: ['Microsoft.Compute/disks/*'] },
        { actions: ['microsoft.compute/disks/*'], notActions: [] },
      ];
    }),
  },
  {
    fault: 'no right to join the network security group, on itself',
    found: ['error ACTION_MISSING'],
    given: spoilt((cloud) => cloud.rolesAt.set(NSG_ID, [{ actions: ['*/read'], notActions: [] }])),
  },
  {
    fault: 'permissions that may not be read',
    found: ['warning LOOK_NOT_ALLOWED'],
    given: () => {
      const { cloud } = rightCloud();
      const permissions = async () => {
        throw new StandbyError({ code: 'AuthorizationFailed', what: 'No.' });
      };
      return facts({ cloud: { ...cloud, access: { ...cloud.access, permissions } } });
    },
  },
  {
    fault: 'a right that only a check needs and nobody gave',
    found: ['warning LOOK_NOT_ALLOWED'],
    given: without('Microsoft.Authorization/policyAssignments/read'),
  },
  {
    fault: 'a deny assignment',
    found: ['error ACTION_DENIED'],
    given: spoilt((cloud) => {
      cloud.denials = [{ name: 'managed', actions: ['Microsoft.Compute/disks/write'], notActions: [] }];
    }),
  },
  {
    fault: 'a provider that is not registered',
    found: ['error PROVIDER_NOT_REGISTERED'],
    given: spoilt((cloud) => cloud.unregistered.push('Microsoft.Network')),
  },
  {
    fault: 'a read-only lock on the resource group',
    found: ['error LOCK_READ_ONLY'],
    given: spoilt((cloud) => cloud.locks.push({ name: 'frozen', scope: GROUP_SCOPE, level: 'ReadOnly' })),
  },
  {
    fault: 'a delete lock on the subscription',
    found: ['warning LOCK_DELETE'],
    given: spoilt((cloud) => cloud.locks.push({ name: 'kept', scope: SUBSCRIPTION, level: 'CanNotDelete' })),
  },
  {
    fault: 'a lock on a resource that is not ours',
    found: [],
    given: spoilt((cloud) =>
      cloud.locks.push({ name: 'other', scope: `${GROUP_SCOPE}/providers/x/y/z`, level: 'ReadOnly' }),
    ),
  },
  {
    fault: 'a policy for another region',
    found: ['error POLICY_LOCATION'],
    given: spoilt((cloud) =>
      cloud.policies.push(
        policyOf('e56962a6-4747-49cd-b67b-bf8b01975c4c', 'listOfAllowedLocations', 'westeurope'),
      ),
    ),
  },
  {
    fault: 'a policy for other sizes',
    found: ['error POLICY_SIZE'],
    given: spoilt((cloud) =>
      cloud.policies.push(
        policyOf('cccc23c7-8427-4f53-ad12-b6a63eb452b3', 'listOfAllowedSKUs', 'Standard_B2s'),
      ),
    ),
  },
  {
    fault: 'a policy against public addresses',
    found: ['error POLICY_TYPE'],
    given: spoilt((cloud) =>
      cloud.policies.push(
        policyOf(
          '6c112d4e-5bc7-47ae-a041-ea2d9dccd749',
          'listOfResourceTypesNotAllowed',
          'Microsoft.Network/publicIPAddresses',
        ),
      ),
    ),
  },
  {
    fault: 'a policy that only its author understands',
    found: ['skipped POLICIES_NOT_JUDGED'],
    given: spoilt((cloud) => cloud.policies.push(policyOf('00000000-0000-4000-8000-00000000000f', 'x'))),
  },
  {
    fault: 'a quota of disks that is used up',
    found: ['error QUOTA_EXCEEDED'],
    given: spoilt((cloud) => cloud.usages.push({ name: 'StandardSSDDiskCount', current: 9, limit: 10 })),
  },
  {
    fault: 'a quota that is enough for one standby and not for two',
    found: ['warning QUOTA_NOT_FOR_ALL', 'warning QUOTA_NOT_FOR_ALL'],
    given: () => {
      const cloud = rightCloud();
      const tight = ['standardDSv5Family', 'PublicIPAddresses'];
      cloud.usages = cloud.usages.map((one) =>
        tight.includes(one.name) ? { ...one, limit: one.current + 2 } : one,
      );
      const vm = { ...scenario().vm, name: 'two' };
      const nics = scenario().nics.map((nic) => ({
        ...nic,
        publicIp: true,
        address: { kind: 'dynamic' as const },
      }));
      const other = scenario({ id: 'scenario-2', name: 'two', masterId: 'master-2', vm, nics });
      return facts(
        { otherScenarios: [other, { ...other, id: 'scenario-3', name: 'far', region: 'westeurope' }] },
        cloud,
      );
    },
  },
  {
    fault: 'a size for another processor that is not restricted',
    found: ['error ARCHITECTURE_DIFFERS'],
    given: spoilt((cloud) => {
      cloud.sizes = cloud.sizes.map((size) => ({ ...size, architecture: 'Arm64' }));
    }),
  },
  {
    fault: 'a size with NVMe only',
    found: ['error NVME_ONLY'],
    given: spoilt((cloud) => {
      cloud.sizes = cloud.sizes.map((size) => ({ ...size, diskControllers: ['NVMe'] }));
    }),
  },
  {
    fault: 'another VM that calls itself as the master does',
    found: ['warning GUEST_NAME_ALIVE'],
    given: spoilt((cloud) => {
      const twin = { name: 'old', resourceGroup: 'other', computerName: 'WEB01', size: 'Standard_B2s' };
      const rest = { location: 'japaneast', provisioning: 'Succeeded', nicIds: [], dataDisks: [], tags: {} };
      cloud.machines.set('old', { id: `${SUBSCRIPTION}/old`, ...twin, ...rest });
    }),
  },
  {
    fault: 'a size without a price',
    found: ['skipped PRICE_UNKNOWN'],
    given: () => {
      const given = facts();
      return { ...given, prices: given.prices && { ...given.prices, machineHour: {} } };
    },
  },
];
