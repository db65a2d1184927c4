import type { NetworkSecurityGroup, SecurityRule as SdkRule } from '@azure/arm-network';
import { inputError, StandbyError } from '../../../src/errors.ts';
import { carriesOurTag } from '../../../src/model/tags.ts';
import type { CloudNetwork, SecurityGroup, SecurityRule } from '../../../src/ports/cloud.ts';
import { parseArmId } from '../arm-id.ts';
import type { Azure } from '../azure.ts';
import { runOperation } from '../operation.ts';
import { removeResource, settled } from '../ownership.ts';

type SecurityGroups = Pick<
  CloudNetwork,
  'securityGroups' | 'securityGroup' | 'ensureSecurityGroup' | 'addSecurityRule' | 'deleteSecurityGroup'
>;

export function makeSecurityGroups(azure: Azure): SecurityGroups {
  const { calls, clients, endpoints } = azure;

  async function find(resourceGroup: string, name: string): Promise<NetworkSecurityGroup | undefined> {
    const client = await clients.network();
    return calls.find(`The network security group ${name} could not be read.`, () =>
      client.networkSecurityGroups.get(resourceGroup, name),
    );
  }

  return {
    async securityGroups(location) {
      const client = await clients.network();
      const found = await calls.collect('The network security groups could not be read.', () =>
        client.networkSecurityGroups.listAll(),
      );
      return found
        .filter((each) => !location || each.location?.toLowerCase() === location.toLowerCase())
        .map(groupOf);
    },
    async securityGroup(id) {
      const { resourceGroup, name } = parseArmId(id);
      const found = await find(resourceGroup, name);
      return found && groupOf(found);
    },
    /** An existing group is used as it is: a PUT would take its rules away. */
    async ensureSecurityGroup(spec, operation) {
      const look = () => find(spec.resourceGroup, spec.name);
      const first = await look();
      const found = first && (await settled(azure, first, look, operation?.signal));
      const isOurs = carriesOurTag(found?.tags, spec.tags['standby-scenario']);
      if (found && (!isOurs || found.provisioningState === 'Succeeded')) return groupOf(found);
      const client = await clients.network();
      const { restorePoller } = await import('@azure/arm-network');
      const body: NetworkSecurityGroup = { location: spec.location, tags: { ...spec.tags } };
      const made = await runOperation(
        calls,
        endpoints.resourceManagerUrl,
        {
          what: `The network security group ${spec.name} could not be made.`,
          key: `security-group/create/${spec.resourceGroup}/${spec.name}`,
          submit: () => client.networkSecurityGroups.createOrUpdate(spec.resourceGroup, spec.name, body),
          restore: (state) => restorePoller(client, state, client.networkSecurityGroups.createOrUpdate),
        },
        operation,
      );
      return groupOf(made);
    },
    /** One rule of its own resource: the group's other rules are not sent, so none can be lost. */
    async addSecurityRule(securityGroupId, rule, operation) {
      const { resourceGroup, name } = parseArmId(securityGroupId);
      const before = await find(resourceGroup, name);
      if (!before) {
        throw inputError(
          'RESOURCE_NOT_FOUND',
          `There is no network security group ${name}.`,
          'Check its id.',
        );
      }
      const existing = groupOf(before).rules.find(
        (each) => each.name.toLowerCase() === rule.name.toLowerCase(),
      );
      if (existing && !sameRule(existing, rule)) throw ruleTaken(name, rule.name);
      if (existing && !operation?.saved) return groupOf(before);
      const client = await clients.network();
      const { restorePoller } = await import('@azure/arm-network');
      await runOperation(
        calls,
        endpoints.resourceManagerUrl,
        {
          what: `The rule ${rule.name} could not be added to ${name}.`,
          key: `security-rule/create/${resourceGroup}/${name}/${rule.name}`,
          submit: () => client.securityRules.createOrUpdate(resourceGroup, name, rule.name, bodyOf(rule)),
          restore: (state) => restorePoller(client, state, client.securityRules.createOrUpdate),
        },
        operation,
      );
      const after = await find(resourceGroup, name);
      if (!after) throw ruleTaken(name, rule.name);
      return groupOf(after);
    },
    async deleteSecurityGroup(id, scenario, operation) {
      const { resourceGroup, name } = parseArmId(id);
      const client = await clients.network();
      const { restorePoller } = await import('@azure/arm-network');
      await removeResource(
        azure,
        { title: `The network security group ${name}`, scenario },
        () => find(resourceGroup, name),
        {
          what: `The network security group ${name} could not be deleted.`,
          key: `security-group/delete/${resourceGroup}/${name}`,
          submit: () => client.networkSecurityGroups.delete(resourceGroup, name),
          restore: (state) => restorePoller(client, state, client.networkSecurityGroups.delete),
        },
        operation,
      );
    },
  };
}

function ruleTaken(group: string, rule: string): StandbyError {
  return new StandbyError({
    code: 'SECURITY_RULE_EXISTS',
    what: `The rule ${rule} was not added to ${group}.`,
    why: 'A rule of that name is there and says something else, or the group was deleted meanwhile.',
    next: 'Look at the group’s rules in the portal; remove the old rule if it is not needed.',
  });
}

/** Azure has a field for one and a field for many of each. */
function bodyOf(rule: SecurityRule): SdkRule {
  const [source = '*', ...moreSources] = rule.sourcePrefixes;
  const [destination = '*', ...moreDestinations] = rule.destinationPrefixes;
  const [port = '*', ...morePorts] = rule.destinationPorts;
  return {
    protocol: rule.protocol,
    access: rule.access,
    direction: rule.direction,
    priority: rule.priority,
    sourcePortRange: '*',
    ...(moreSources.length
      ? { sourceAddressPrefixes: [source, ...moreSources] }
      : { sourceAddressPrefix: source }),
    ...(moreDestinations.length
      ? { destinationAddressPrefixes: [destination, ...moreDestinations] }
      : { destinationAddressPrefix: destination }),
    ...(morePorts.length ? { destinationPortRanges: [port, ...morePorts] } : { destinationPortRange: port }),
  };
}

function groupOf(group: NetworkSecurityGroup): SecurityGroup {
  return {
    id: group.id ?? '',
    name: group.name ?? '',
    location: group.location ?? '',
    rules: [...(group.securityRules ?? []), ...(group.defaultSecurityRules ?? [])].map(ruleOf),
    tags: group.tags ?? {},
  };
}

function ruleOf(rule: SdkRule): SecurityRule {
  return {
    name: rule.name ?? '',
    priority: rule.priority ?? 0,
    direction: rule.direction === 'Outbound' ? 'Outbound' : 'Inbound',
    access: rule.access === 'Allow' ? 'Allow' : 'Deny',
    protocol: rule.protocol ?? '*',
    sourcePrefixes: both(rule.sourceAddressPrefixes, rule.sourceAddressPrefix),
    destinationPrefixes: both(rule.destinationAddressPrefixes, rule.destinationAddressPrefix),
    destinationPorts: both(rule.destinationPortRanges, rule.destinationPortRange),
  };
}

function both(many: readonly string[] | undefined, one: string | undefined): readonly string[] {
  if (many?.length) return many;
  return one ? [one] : [];
}

function sameRule(left: SecurityRule, right: SecurityRule): boolean {
  const text = (rule: SecurityRule) =>
    JSON.stringify([
      rule.priority,
      rule.direction,
      rule.access,
      rule.protocol,
      [...rule.sourcePrefixes].sort(),
      [...rule.destinationPrefixes].sort(),
      [...rule.destinationPorts].sort(),
    ]).toLowerCase();
  return text(left) === text(right);
}
