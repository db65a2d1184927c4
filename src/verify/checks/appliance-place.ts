import type { Check, Finding } from '../check.ts';
import { error, ok, wrong } from '../check.ts';
import { sameRegion } from '../region.ts';

/** The appliance is an Azure VM in the region of the scenario and of its resource group: disks cannot cross regions. */
export const appliancePlace: Check = {
  id: 'appliance-place',
  title: 'Appliance and resource group',
  group: 'Appliance',
  uses: ['groups.get'],
  codes: {
    APPLIANCE_UNKNOWN: error(
      'The scenario names an appliance that was removed here.',
      '`standby appliance list`, then `standby scenario edit`.',
    ),
    APPLIANCE_NOT_IN_AZURE: error(
      'Replica disks are attached to a VM in Azure; a server of your own has none.',
      '`standby appliance deploy`.',
    ),
    APPLIANCE_ELSEWHERE: error(
      'Disks cannot be attached across regions.',
      'Choose or deploy an appliance in the region of the scenario.',
    ),
    GROUP_ELSEWHERE: error(
      'The resource group was made in another region than the appliance.',
      'Choose another resource group, or a new name.',
    ),
  },
  async run({ scenario, appliance, region }): Promise<readonly Finding[]> {
    if (!appliance) {
      const found = 'The scenario names an appliance that is not known here.';
      return [
        wrong('APPLIANCE_UNKNOWN', found, 'a known appliance', 'Choose one of: standby appliance list'),
      ];
    }
    if (!appliance.azure) {
      const found = `"${appliance.name}" is a server of your own; replica disks are attached to an appliance in Azure.`;
      return [
        wrong('APPLIANCE_NOT_IN_AZURE', found, 'an appliance VM', 'Deploy one: standby appliance deploy'),
      ];
    }
    if (!sameRegion(appliance.azure.region, scenario.region)) {
      const found = `Appliance "${appliance.name}" is in ${appliance.azure.region}, the scenario in ${scenario.region}.`;
      const next = `Choose or deploy an appliance in ${scenario.region}.`;
      return [wrong('APPLIANCE_ELSEWHERE', found, scenario.region, next)];
    }
    const group = await region.group();
    if (group && !sameRegion(group.location, appliance.azure.region)) {
      const found = `Resource group "${group.name}" is in ${group.location}, the appliance in ${appliance.azure.region}.`;
      const next = 'Choose a resource group in the region of the appliance, or a new name.';
      return [wrong('GROUP_ELSEWHERE', found, appliance.azure.region, next)];
    }
    const place = group
      ? `"${group.name}" is there too`
      : `"${scenario.vm.resourceGroup}" will be made there`;
    return [ok('APPLIANCE_PLACE_OK', `"${appliance.name}" is in ${appliance.azure.region}; ${place}`)];
  },
};
