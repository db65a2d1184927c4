import { ArmError } from '../arm/arm-error.ts';
import type { ArmContext, Behaviour, Put, Resource } from '../arm/behaviour.ts';
import { type JsonObject, listAt, numberAt, textAt } from '../arm/json.ts';
import { networkCreate, networkDelete, networkUpdate } from '../arm/operation-shape.ts';
import { keyOf } from '../arm/resource-id.ts';
import { parseAddress, parsePrefix } from '../network/addresses.ts';
import { parsePorts, type Rule } from '../network/security.ts';
import { NETWORK_VERSIONS } from './api-versions.ts';
import { USUAL_NAME } from './names.ts';
import { requiredMissing, TYPES } from './references.ts';

/** Security rules: the fields Azure insists on, and one rule per priority and direction in a group. */
function oneOrMany(properties: JsonObject, one: string, many: string): string[] {
  const single = textAt(properties, one);
  const list = listAt(properties, many).map(String);
  return single === undefined || single === '' ? list : [single, ...list];
}

/** The stored rule as the evaluation wants it. */
export function ruleOf(resource: Resource): Rule {
  const { properties } = resource;
  return {
    name: resource.name,
    priority: numberAt(properties, 'priority') ?? 4096,
    direction: textAt(properties, 'direction')?.toLowerCase() === 'outbound' ? 'Outbound' : 'Inbound',
    access: textAt(properties, 'access')?.toLowerCase() === 'allow' ? 'Allow' : 'Deny',
    protocol: textAt(properties, 'protocol') ?? '*',
    sources: oneOrMany(properties, 'sourceAddressPrefix', 'sourceAddressPrefixes'),
    sourcePorts: oneOrMany(properties, 'sourcePortRange', 'sourcePortRanges'),
    destinations: oneOrMany(properties, 'destinationAddressPrefix', 'destinationAddressPrefixes'),
    destinationPorts: oneOrMany(properties, 'destinationPortRange', 'destinationPortRanges'),
  };
}

/** The spelling Azure stores for a word given in any case. */
function spelled(properties: JsonObject, field: string, words: readonly string[]): string {
  const given = textAt(properties, field);
  if (given === undefined) throw requiredMissing(field);
  const known = words.find((word) => word.toLowerCase() === given.toLowerCase());
  if (known !== undefined) return known;
  throw new ArmError(400, 'InvalidRequestFormat', 'Cannot parse the request.', field, [
    { code: 'InvalidJson', message: `Error converting value "${given}" to ${field}.` },
  ]);
}

function checkPrefixes(rule: Rule, values: readonly string[], field: string): void {
  if (values.length === 0) {
    throw new ArmError(
      400,
      'SecurityRuleParameterNotSpecified',
      `Required security rule parameter not specified for ${rule.name}. Parameter name: ${field}`,
    );
  }
  for (const value of values) {
    // As recorded: Azure takes a bare number for an address.
    const tag = /^[A-Za-z][A-Za-z0-9.]*$|^\d+$/.test(value);
    if (value === '*' || tag || parsePrefix(value) || parseAddress(value) !== undefined) continue;
    throw new ArmError(
      400,
      'SecurityRuleInvalidAddressPrefix',
      `Security rule has invalid Address prefix. Value provided: ${value}`,
    );
  }
}

function checkPorts(rule: Rule, values: readonly string[], field: string): void {
  if (values.length === 0) {
    throw new ArmError(
      400,
      'SecurityRuleParameterNotSpecified',
      `Required security rule parameter not specified for ${rule.name}. Parameter name: ${field}`,
    );
  }
  for (const value of values) {
    if (parsePorts(value)) continue;
    throw new ArmError(
      400,
      'SecurityRuleInvalidPortRange',
      `Security rule has invalid Port range. Value provided: ${value}. Value should be an integer OR integer range with '-' delimiter. Valid range 0-65535.`,
    );
  }
}

function checkPriority(context: ArmContext, put: Put, rule: Rule): void {
  if (!Number.isInteger(rule.priority) || rule.priority < 100 || rule.priority > 4096) {
    throw new ArmError(
      400,
      'SecurityRuleInvalidPriority',
      `Security rule has invalid Priority. Value provided: ${rule.priority} Allowed range 100-4096.`,
    );
  }
  for (const sibling of context.graph.childrenOf(put.parent?.id ?? '', TYPES.securityRule)) {
    if (keyOf(sibling.id) === keyOf(put.resource.id) || sibling.provisioningState === 'Deleting') continue;
    const other = ruleOf(sibling);
    if (other.priority !== rule.priority || other.direction !== rule.direction) continue;
    throw new ArmError(
      400,
      'SecurityRuleConflict',
      `Security rule ${rule.name} conflicts with rule ${other.name}. Rules cannot have the same Priority and ` +
        'Direction. To learn more, see aka.ms/nsgrules.',
    );
  }
}

function beforePut(context: ArmContext, put: Put): void {
  const { resource } = put;
  const { properties } = resource;
  if (numberAt(properties, 'priority') === undefined) throw requiredMissing('priority');
  const spelledOut = {
    protocol: spelled(properties, 'protocol', ['*', 'Tcp', 'Udp', 'Icmp', 'Esp', 'Ah']),
    access: spelled(properties, 'access', ['Allow', 'Deny']),
    direction: spelled(properties, 'direction', ['Inbound', 'Outbound']),
  };
  const rule = ruleOf(resource);
  checkPriority(context, put, rule);
  checkPrefixes(rule, rule.sources, 'SourceAddressPrefix');
  checkPrefixes(rule, rule.destinations, 'DestinationAddressPrefix');
  checkPorts(rule, rule.sourcePorts, 'SourcePortRange');
  checkPorts(rule, rule.destinationPorts, 'DestinationPortRange');
  resource.properties = {
    ...properties,
    ...spelledOut,
    sourcePortRanges: listAt(properties, 'sourcePortRanges'),
    destinationPortRanges: listAt(properties, 'destinationPortRanges'),
    sourceAddressPrefixes: listAt(properties, 'sourceAddressPrefixes'),
    destinationAddressPrefixes: listAt(properties, 'destinationAddressPrefixes'),
  };
}

export const securityRules: Behaviour = {
  type: TYPES.securityRule,
  apiVersions: NETWORK_VERSIONS,
  tracked: false,
  namePattern: USUAL_NAME,
  putShape: ({ existing }) => (existing ? networkUpdate : networkCreate),
  deleteShape: networkDelete,
  azureMs: { create: 3000, update: 3000, delete: 10_000 },
  beforePut,
  async afterPut(context) {
    await context.guests.networkChanged();
  },
  async afterDelete(context) {
    await context.guests.networkChanged();
  },
};
