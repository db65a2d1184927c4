import { inputError, StandbyError } from '../../errors.ts';
import { type Appliance, ENGINE_PORT } from '../../model/appliance.ts';
import { parseIpRange } from '../../model/ip-range.ts';
import { shortId } from '../../model/names.ts';
import type { Question } from '../../model/question.ts';
import type { Cloud, SecurityGroup, SecurityRule } from '../../ports/cloud.ts';
import { type Decision, decideInbound, deniesAgainst, winningPriority } from '../../verify/inbound.ts';
import type { Context } from '../context.ts';
import { textOf } from '../screen.ts';
import { inboundFrom, type NetworkPlace, networkPlaceOf } from './network-place.ts';
import { ownAddressTowards } from './own-address.ts';
import { applianceNamed } from './records.ts';

/**
 * Opens the engine's port for one source prefix: one rule in each security group that lets it not through, at a
 * free priority that wins. Proposing changes nothing. Dying between two groups leaves one open and one closed;
 * the same command again adds what is missing and nothing twice, because a group that lets it through already is left alone.
 */
export interface GroupToOpen {
  readonly groupId: string;
  readonly groupName: string;
  readonly place: 'subnet' | 'NIC' | 'subnet and NIC';
  readonly decision: Decision;
  /** The rule to add; absent when this group lets it through already. */
  readonly rule?: SecurityRule;
  /** Rules that deny today and would come after the new one. */
  readonly overtakes: readonly SecurityRule[];
}

export interface OpenPortProposal {
  readonly appliance: Appliance;
  /** Absent when none was given and this machine's address is not known. */
  readonly sourcePrefix?: string;
  /** Empty while there is no prefix. */
  readonly groups: readonly GroupToOpen[];
  /** Something to think about before the confirmation. */
  readonly warning?: string;
}

export interface OpenPortAsk {
  readonly name: string;
  readonly sourcePrefix?: string;
}

export async function proposeOpenPort(context: Context, ask: OpenPortAsk): Promise<OpenPortProposal> {
  const { appliance, cloud, vmId } = await azureAppliance(context, ask.name);
  const own = await ownAddressTowards(appliance.address);
  const sourcePrefix = ask.sourcePrefix ? checkedPrefix(ask.sourcePrefix) : own && `${own}/32`;
  if (!sourcePrefix) return { appliance, groups: [] };
  const place = await placeOrThrow(cloud, vmId, appliance);
  const warning = prefixWarning(sourcePrefix);
  const groups = groupsToOpen(place, appliance, sourcePrefix);
  return { appliance, sourcePrefix, groups, ...(warning ? { warning } : {}) };
}

export interface OpenPortReport {
  readonly appliance: Appliance;
  readonly sourcePrefix: string;
  /** Group and rule names of what was added; empty when the port was open already. */
  readonly added: readonly {
    readonly groupName: string;
    readonly ruleName: string;
    readonly priority: number;
  }[];
}

/** The caller has confirmed. Looks again, adds what is missing, and proves by the groups' new rules that it wins. */
export async function openPort(
  context: Context,
  ask: { readonly name: string; readonly sourcePrefix: string },
): Promise<OpenPortReport> {
  const sourcePrefix = checkedPrefix(ask.sourcePrefix);
  const { appliance, cloud, vmId } = await azureAppliance(context, ask.name);
  const place = await placeOrThrow(cloud, vmId, appliance);
  const wanted = groupsToOpen(place, appliance, sourcePrefix).flatMap(({ rule, ...group }) =>
    rule ? [{ ...group, rule }] : [],
  );
  for (const { groupId, groupName, rule } of wanted) {
    context.host.signal.throwIfAborted();
    const group = await cloud.network.addSecurityRule(groupId, rule, { signal: context.host.signal });
    const { access } = decideInbound(group.rules, inboundFrom(place, sourcePrefix, appliance));
    if (access !== 'allow') throw lost(groupName, rule);
    context.log.info('port opened', { appliance: appliance.name, group: groupName, rule: rule.name });
  }
  const added = wanted.map(({ groupName, rule }) => ({
    groupName,
    ruleName: rule.name,
    priority: rule.priority,
  }));
  return { appliance, sourcePrefix, added };
}

/** The prompt for the source prefix; its proposal is this machine's address when that is known. */
export function sourcePrefixQuestion(proposed: string | undefined): Question {
  return {
    name: 'sourcePrefix',
    kind: 'text',
    message: 'Open port 25000 for (address or prefix)',
    hint: proposed
      ? 'this machine; a master behind another address needs a rule of its own'
      : 'this machine’s public address is not known here (address translation); ask your network people',
    ...(proposed ? { default: proposed } : {}),
    validate: prefixProblem,
  };
}

function prefixProblem(value: unknown): string | undefined {
  const text = textOf(value);
  if (text === '*' || text.toLowerCase() === 'internet' || parseIpRange(text)) return undefined;
  return 'This is neither an IPv4 address (203.0.113.5), nor a prefix (203.0.113.0/24), nor *.';
}

function checkedPrefix(text: string): string {
  const problem = prefixProblem(text);
  if (problem) throw inputError('PREFIX_INVALID', `${text}: ${problem}`);
  return text.trim().toLowerCase() === 'internet' ? 'Internet' : text.trim();
}

/** Undefined when the prefix is narrow. */
export function prefixWarning(prefix: string): string | undefined {
  const range = parseIpRange(prefix);
  if (range && range.last - range.first < 2 ** 24 - 1) return undefined;
  return (
    `${prefix} lets everybody ${range ? 'in a very large network' : 'on the Internet'} knock on port ${ENGINE_PORT}. ` +
    'The engine lets in nobody without a certificate, but a narrow prefix is better.'
  );
}

function groupsToOpen(
  place: NetworkPlace,
  appliance: Appliance,
  sourcePrefix: string,
): readonly GroupToOpen[] {
  const { subnetGroup, nicGroup } = place;
  if (!subnetGroup && !nicGroup) throw noGroup(place, appliance);
  if (subnetGroup && nicGroup && subnetGroup.id.toLowerCase() === nicGroup.id.toLowerCase()) {
    return [groupToOpen(nicGroup, 'subnet and NIC', place, appliance, sourcePrefix)];
  }
  return [
    ...(subnetGroup ? [groupToOpen(subnetGroup, 'subnet', place, appliance, sourcePrefix)] : []),
    ...(nicGroup ? [groupToOpen(nicGroup, 'NIC', place, appliance, sourcePrefix)] : []),
  ];
}

function groupToOpen(
  group: SecurityGroup,
  where: GroupToOpen['place'],
  place: NetworkPlace,
  appliance: Appliance,
  sourcePrefix: string,
): GroupToOpen {
  const inbound = inboundFrom(place, sourcePrefix, appliance);
  const decision = decideInbound(group.rules, inbound);
  const plain = { groupId: group.id, groupName: group.name, place: where, decision };
  if (decision.access === 'allow') return { ...plain, overtakes: [] };
  const priority = winningPriority(group.rules, inbound);
  if (priority === undefined) throw noPriority(group, deniesAgainst(group.rules, inbound)[0]);
  // With the priority in its name, a rule that came too late for a new deny is followed by one that wins.
  const name = `standby-${appliance.port}-${shortId(sourcePrefix.toLowerCase(), 8)}-${priority}`;
  const rule: SecurityRule = {
    name,
    priority,
    direction: 'Inbound',
    access: 'Allow',
    protocol: 'Tcp',
    sourcePrefixes: [sourcePrefix],
    // A subnet's group guards other machines too: there the rule is for the appliance alone.
    destinationPrefixes: [where !== 'NIC' && place.privateIp ? place.privateIp : '*'],
    destinationPorts: [String(appliance.port)],
  };
  return { ...plain, rule, overtakes: deniesAgainst(group.rules, inbound) };
}

async function azureAppliance(
  context: Context,
  name: string,
): Promise<{ appliance: Appliance; cloud: Cloud; vmId: string }> {
  const appliance = await applianceNamed(context, name);
  if (!appliance.azure) {
    throw inputError(
      'NO_AZURE_PART',
      `${appliance.name} is a server of one’s own: it has no network security group.`,
      `Open TCP ${appliance.port} in its own firewall.`,
    );
  }
  const { accountId, vmId } = appliance.azure;
  const account = await context.store.accounts.get(accountId);
  if (!account) {
    throw inputError(
      'ACCOUNT_UNKNOWN',
      `The account of ${appliance.name} is no longer registered.`,
      'Register it again: standby account add',
    );
  }
  return { appliance, cloud: await context.cloudFor(account), vmId };
}

async function placeOrThrow(cloud: Cloud, vmId: string, appliance: Appliance): Promise<NetworkPlace> {
  const place = await networkPlaceOf(cloud, vmId);
  if (place) return place;
  throw new StandbyError({
    code: 'VM_MISSING',
    what: `The virtual machine of ${appliance.name} is not there.`,
    next: `standby appliance check ${appliance.name}`,
  });
}

function noGroup(place: NetworkPlace, appliance: Appliance): StandbyError {
  return inputError(
    'NSG_MISSING',
    `Neither the subnet ${place.subnetName} nor the NIC ${place.nicName} has a network security group to add a rule to.`,
    `Give ${place.nicName} one in the portal, then: standby appliance open-port ${appliance.name}`,
  );
}

function noPriority(group: SecurityGroup, deny: SecurityRule | undefined): StandbyError {
  return inputError(
    'PRIORITY_NOT_FREE',
    `No rule can be added to ${group.name} that wins over ${deny ? `${deny.name} (priority ${deny.priority})` : 'the others'}.`,
    'Every priority before it, from 100 on, is taken. Move or delete a rule in the portal, then try again.',
  );
}

function lost(groupName: string, rule: SecurityRule): StandbyError {
  return new StandbyError({
    code: 'RULE_LOST',
    what: `The rule ${rule.name} was added to ${groupName}, but another rule still decides.`,
    why: 'Somebody changed the group at the same time.',
    next: 'Run the same command again.',
    retry: 'later',
  });
}
