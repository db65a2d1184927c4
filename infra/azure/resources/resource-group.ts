import type { ResourceGroup as SdkGroup } from '@azure/arm-resources';
import type { CloudGroups, ResourceGroup } from '../../../src/ports/cloud.ts';
import type { Azure } from '../azure.ts';

export function makeGroups(azure: Azure): CloudGroups {
  const { calls, clients } = azure;
  const get = async (name: string) => {
    const client = await clients.resources();
    const found = await calls.find(`The resource group ${name} could not be read.`, () =>
      client.resourceGroups.get(name),
    );
    return found && groupOf(found);
  };
  return {
    async list() {
      const client = await clients.resources();
      const found = await calls.collect('The resource groups could not be read.', () =>
        client.resourceGroups.list(),
      );
      return found.map(groupOf);
    },
    get,
    async ensure(name, location) {
      const found = await get(name);
      if (found) return found;
      const client = await clients.resources();
      const made = await calls.call(`The resource group ${name} could not be made.`, () =>
        client.resourceGroups.createOrUpdate(name, { location }),
      );
      return groupOf(made);
    },
  };
}

function groupOf(group: SdkGroup): ResourceGroup {
  return { id: group.id ?? '', name: group.name ?? '', location: group.location };
}
