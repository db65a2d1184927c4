import { ArmError } from '../arm/arm-error.ts';
import type { ArmContext, Behaviour, Put, Resource } from '../arm/behaviour.ts';
import { type JsonObject, objectAt, objectsAt } from '../arm/json.ts';
import { networkCreate, networkDelete, networkUpdate, networkUpdateSettled } from '../arm/operation-shape.ts';
import { sameId } from '../arm/resource-id.ts';
import { DEFAULT_RULES } from '../network/security.ts';
import { NETWORK_VERSIONS } from './api-versions.ts';
import { USUAL_NAME } from './names.ts';
import { nicsOfSecurityGroup } from './network-interfaces.ts';
import { checkNetworkQuota } from './network-usages.ts';
import { idOf, TYPES } from './references.ts';

/** Security groups: their own rules are children, Azure's six default rules are shown beside them. */
function subnetsOf(context: ArmContext, groupId: string): readonly Resource[] {
  return context.graph
    .list(TYPES.subnet)
    .filter((subnet) => sameId(idOf(subnet.properties.networkSecurityGroup), groupId));
}

function defaultRules(groupId: string, provisioningState: string): JsonObject[] {
  return DEFAULT_RULES.map((rule) => ({
    name: rule.name,
    id: `${groupId}/defaultSecurityRules/${rule.name}`,
    type: 'Microsoft.Network/networkSecurityGroups/defaultSecurityRules',
    properties: {
      provisioningState,
      description: rule.description,
      protocol: '*',
      sourcePortRange: '*',
      destinationPortRange: '*',
      sourceAddressPrefix: rule.sources[0] ?? '*',
      destinationAddressPrefix: rule.destinations[0] ?? '*',
      access: rule.access,
      priority: rule.priority,
      direction: rule.direction,
      sourcePortRanges: [],
      destinationPortRanges: [],
      sourceAddressPrefixes: [],
      destinationAddressPrefixes: [],
    },
  }));
}

/** Every rule of the request is there already, with the same values, and no other is. */
function hasSameRules(context: ArmContext, put: Put): boolean {
  const wanted = objectsAt(put.body, 'properties.securityRules');
  const before = context.graph.childrenOf(put.resource.id, TYPES.securityRule);
  if (wanted.length !== before.length) return false;
  return wanted.every((rule) => {
    const same = before.find((each) => each.name === rule.name);
    return Object.entries(objectAt(rule, 'properties') ?? {}).every(
      ([name, value]) =>
        name === 'provisioningState' || JSON.stringify(same?.properties[name]) === JSON.stringify(value),
    );
  });
}

export const networkSecurityGroups: Behaviour = {
  type: TYPES.securityGroup,
  apiVersions: NETWORK_VERSIONS,
  tracked: true,
  namePattern: USUAL_NAME,
  embeds: [{ property: 'securityRules', type: TYPES.securityRule, whenAbsent: 'remove' }],
  // As recorded: when its rules stay as they are, Azure is done before it answers.
  putShape({ existing, carry }) {
    if (existing === undefined) return networkCreate;
    return carry.sameRules === true ? networkUpdateSettled : networkUpdate;
  },
  patchShape: 'now',
  deleteShape: networkDelete,
  azureMs: { create: 3000, update: 3000, delete: 10_000 },

  beforePut(context, put) {
    if (!put.existing) checkNetworkQuota(context, put.resource.location ?? '', 'NetworkSecurityGroups');
    put.carry = { sameRules: hasSameRules(context, put) };
    put.resource.properties = {
      resourceGuid: put.existing?.properties.resourceGuid ?? context.newGuid(),
    };
  },
  async afterPut(context) {
    await context.guests.networkChanged();
  },
  beforeDelete(context, resource, request) {
    if (request.wholeGroup) return;
    const users = [...nicsOfSecurityGroup(context, resource.id), ...subnetsOf(context, resource.id)];
    if (users.length === 0) return;
    throw new ArmError(
      400,
      'InUseNetworkSecurityGroupCannotBeDeleted',
      `Network security group ${resource.id} cannot be deleted because it is in use by the following resources: ` +
        `${users.map((user) => user.id).join(', ')}. In order to delete the Network security group, remove the ` +
        'association with the resource(s). To learn how to do this, see aka.ms/deletensg.',
    );
  },
  present(context, resource, shown) {
    const nics = nicsOfSecurityGroup(context, resource.id).map((nic) => ({ id: nic.id }));
    const subnets = subnetsOf(context, resource.id).map((subnet) => ({ id: subnet.id }));
    const properties: JsonObject = {
      ...objectAt(shown, 'properties'),
      defaultSecurityRules: defaultRules(resource.id, resource.provisioningState),
      ...(nics.length === 0 ? {} : { networkInterfaces: nics }),
      ...(subnets.length === 0 ? {} : { subnets }),
    };
    return { ...shown, properties };
  },
};
