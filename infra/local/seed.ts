import type { Core } from './arm/core.ts';
import type { JsonObject } from './arm/json.ts';
import { acceptPut } from './arm/put-resource.ts';
import { resourceIdOf } from './arm/resource-id.ts';
import { DEFAULT_LOCATION } from './settings.ts';

/**
 * What a new subscription holds, so that there is something to choose from: a group, a network with two subnets
 * and a security group. Made through the path that a PUT takes, so it is what a client could have made.
 * Killed in the middle: the next start makes what is missing and leaves what is there.
 */
export const SEED_GROUP = 'standby-rg';

interface Seed {
  readonly type: string;
  readonly name: string;
  readonly body: JsonObject;
}

const webRule = (name: string, priority: number, port: string): JsonObject => ({
  name,
  properties: {
    priority,
    direction: 'Inbound',
    access: 'Allow',
    protocol: 'Tcp',
    sourceAddressPrefix: '*',
    sourcePortRange: '*',
    destinationAddressPrefix: '*',
    destinationPortRange: port,
  },
});

const SEEDS: readonly Seed[] = [
  {
    type: 'Microsoft.Network/networkSecurityGroups',
    name: 'standby-web',
    body: {
      location: DEFAULT_LOCATION,
      properties: {
        securityRules: [
          webRule('allow-http', 1000, '80'),
          webRule('allow-https', 1010, '443'),
          webRule('allow-web-8080', 1020, '8080'),
        ],
      },
    },
  },
  {
    type: 'Microsoft.Network/virtualNetworks',
    name: 'standby-vnet',
    body: {
      location: DEFAULT_LOCATION,
      properties: {
        addressSpace: { addressPrefixes: ['10.20.0.0/16'] },
        subnets: [
          { name: 'default', properties: { addressPrefix: '10.20.1.0/24' } },
          { name: 'appliance', properties: { addressPrefix: '10.20.0.0/24' } },
        ],
      },
    },
  },
];

const DOCUMENT = 'seeded';

export async function seed(core: Core): Promise<void> {
  if (core.state.getDocument<boolean>(DOCUMENT)) return;
  if (core.groups.get(SEED_GROUP) === undefined) {
    core.groups.save({
      name: SEED_GROUP,
      location: DEFAULT_LOCATION,
      tags: {},
      provisioningState: 'Succeeded',
    });
  }
  for (const each of SEEDS) {
    const behaviour = core.registry.find(each.type);
    const id = resourceIdOf(core.context.settings.subscriptionId, SEED_GROUP, each.type, [each.name]);
    const apiVersion = behaviour?.apiVersions[0];
    if (behaviour === undefined || apiVersion === undefined || core.graph.get(id) !== undefined) continue;
    const { record } = acceptPut(core, {
      id,
      name: each.name,
      resourceGroup: SEED_GROUP,
      behaviour,
      method: 'PUT',
      body: each.body,
      apiVersion,
      action: 'Local/seed',
    });
    core.operations.launch(record);
    await core.operations.ended(record.id);
  }
  core.state.setDocument(DOCUMENT, true);
}
