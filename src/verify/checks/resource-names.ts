import { replicaDiskName } from '../../model/names.ts';
import { carriesOurTag } from '../../model/tags.ts';
import type { Check, CheckFacts, Finding } from '../check.ts';
import { error, ok, wrong } from '../check.ts';
import { sameName } from '../region.ts';
import { standingVmId } from '../standing.ts';

/** Nothing that others made may stand under a name that we are going to use. */
export const resourceNames: Check = {
  id: 'resource-names',
  title: 'Resource names',
  group: 'Names',
  uses: ['machines.list', 'groups.get', 'disks.get'],
  codes: {
    GROUP_NAME_INVALID: error(
      'The resource group does not exist, and Azure would not make one of that name.',
      'Choose another name: 1 to 90 letters, digits and . _ - ( ), no point at the end.',
    ),
    STANDBY_EXISTS: error(
      'The standby VM of this scenario exists already.',
      'Use it, or `standby vm stop --remove`.',
    ),
    VM_NAME_TAKEN: error(
      'Somebody else has a VM of that name in the resource group.',
      'Choose another VM name or resource group.',
    ),
    DISK_NAME_TAKEN: error(
      'Somebody else has a disk under the name of a replica disk.',
      'Rename or remove that disk.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    const clashes = [
      ...(await groupName(facts)),
      ...(await machineClash(facts)),
      ...(await diskClashes(facts)),
    ];
    return clashes.length > 0 ? clashes : [ok('NAMES_FREE', 'no name is taken in the resource group')];
  },
};

/** As Azure's resource name rules have it. */
const GROUP_NAME = /^[\p{L}\p{N}._()-]{0,89}[\p{L}\p{N}_()-]$/u;

async function groupName({ scenario, region }: CheckFacts): Promise<Finding[]> {
  const { resourceGroup } = scenario.vm;
  if (GROUP_NAME.test(resourceGroup) || (await region.group())) return [];
  const found = `"${resourceGroup}" is no name for a resource group.`;
  const next = 'Choose another name: letters, digits and . _ - ( ), no point at the end.';
  return [wrong('GROUP_NAME_INVALID', found, 'a valid name', next)];
}

async function machineClash(facts: CheckFacts): Promise<Finding[]> {
  const { scenario, region } = facts;
  const { name, resourceGroup } = scenario.vm;
  const taken = (await region.machines()).find(
    (machine) => sameName(machine.name, name) && sameName(machine.resourceGroup, resourceGroup),
  );
  if (!taken || sameName(taken.id, standingVmId(facts) ?? '')) return [];
  const ours = carriesOurTag(taken.tags, scenario.id);
  const found = ours
    ? `The standby VM "${name}" of this scenario exists already (${taken.id}).`
    : `A VM "${name}" exists already in resource group "${resourceGroup}" (${taken.id}).`;
  const next = ours
    ? `Use it, or remove it: standby vm stop ${scenario.name} --remove`
    : 'Choose another VM name or another resource group.';
  return [wrong(ours ? 'STANDBY_EXISTS' : 'VM_NAME_TAKEN', found, 'no VM of that name', next)];
}

async function diskClashes({ scenario, inventory, cloud, region }: CheckFacts): Promise<Finding[]> {
  if (!(await region.group())) return [];
  const clashes = (inventory?.disks ?? []).map(async ({ id }) => {
    const name = replicaDiskName(scenario, id);
    const disk = await cloud.disks.get(scenario.vm.resourceGroup, name);
    if (!disk || carriesOurTag(disk.tags, scenario.id)) return [];
    const found = `A disk "${name}" exists already and was not made for this scenario (${disk.id}).`;
    return [wrong('DISK_NAME_TAKEN', found, 'no disk of that name', 'Rename or remove that disk.')];
  });
  return (await Promise.all(clashes)).flat();
}
