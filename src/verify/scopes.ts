import { isStandbyError } from '../errors.ts';
import type { Scenario } from '../model/scenario.ts';
import type { CheckFacts } from './check.ts';

/** Where the parts of a scenario lie in Azure: permissions, locks and policies are looked at there. */
export interface Scopes {
  readonly subscription: string;
  /** The scenario's resource group; the subscription while there is none. */
  readonly group: string;
  readonly hasGroup: boolean;
  /** Of the appliance's VM. */
  readonly appliance: string | undefined;
  readonly networks: readonly string[];
  readonly subnets: readonly string[];
  readonly securityGroups: readonly string[];
  readonly publicIps: boolean;
  /** The zone in Azure whose record leads clients to the standby. */
  readonly dnsZone: string | undefined;
}

/** Undefined while nothing tells which subscription it is. */
export async function scopesOf(facts: CheckFacts): Promise<Scopes | undefined> {
  const { scenario, appliance, account } = facts;
  const id = account?.subscriptionId ?? subscriptionIn(scenario.nics[0]?.virtualNetworkId ?? '');
  if (id === undefined) return undefined;
  const subscription = `/subscriptions/${id}`;
  const group = await groupOf(facts);
  const home = appliance?.azure?.resourceGroup;
  return {
    subscription,
    group: group ? `${subscription}/resourceGroups/${group.name}` : subscription,
    hasGroup: group !== undefined,
    appliance: home === undefined ? undefined : `${subscription}/resourceGroups/${home}`,
    networks: unique(scenario.nics.map((nic) => nic.virtualNetworkId)),
    subnets: unique(scenario.nics.map((nic) => `${nic.virtualNetworkId}/subnets/${nic.subnetName}`)),
    securityGroups: unique(scenario.nics.flatMap((nic) => nic.networkSecurityGroupId ?? [])),
    publicIps: scenario.nics.some((nic) => nic.publicIp),
    dnsZone: dnsZoneOf(subscription, scenario.redirect),
  };
}

function dnsZoneOf(subscription: string, redirect: Scenario['redirect']): string | undefined {
  if (!redirect || redirect.kind === 'dns-update') return undefined;
  const type = redirect.kind === 'azure-dns' ? 'dnsZones' : 'privateDnsZones';
  const group = `${subscription}/resourceGroups/${redirect.resourceGroup}`;
  return `${group}/providers/Microsoft.Network/${type}/${redirect.zone}`;
}

/** Where it may not be read, it is taken to be there: what is asked at it is then refused by name. */
async function groupOf({ region, scenario }: CheckFacts): Promise<{ readonly name: string } | undefined> {
  try {
    return await region.group();
  } catch (failure) {
    if (isForbidden(failure)) return { name: scenario.vm.resourceGroup };
    throw failure;
  }
}

/** Azure knows us, and does not let us look. */
export function isForbidden(failure: unknown): boolean {
  return isStandbyError(failure) && /Authorization|Forbidden/i.test(failure.code);
}

function subscriptionIn(id: string): string | undefined {
  return /^\/subscriptions\/([^/]+)\//i.exec(id)?.[1];
}

function unique(ids: readonly string[]): readonly string[] {
  return ids.filter((id, index) => ids.findIndex((one) => one.toLowerCase() === id.toLowerCase()) === index);
}

/** Where an action must be allowed for this scenario; nowhere when the scenario has nothing of that kind. */
export function placesOf(action: string, scopes: Scopes): readonly string[] {
  const word = action.toLowerCase();
  const is = (prefix: string) => word.startsWith(prefix.toLowerCase());
  if (is('Microsoft.Network/virtualNetworks/subnets/')) return scopes.subnets;
  if (is('Microsoft.Network/virtualNetworks/')) return scopes.networks;
  if (is('Microsoft.Network/networkSecurityGroups/')) return scopes.securityGroups;
  const zone = /^microsoft\.network\/((private)?dnszones)\//.exec(word)?.[1];
  if (zone) return scopes.dnsZone?.toLowerCase().includes(`/${zone}/`) ? [scopes.dnsZone] : [];
  if (is('Microsoft.Network/publicIPAddresses/')) return scopes.publicIps ? [scopes.group] : [];
  if (is('Microsoft.Compute/virtualMachines/attachDetachDataDisks')) return onAppliance(scopes);
  if (is('Microsoft.Compute/virtualMachines/')) return machinePlaces(word, scopes);
  if (/^microsoft\.(compute\/(disks|snapshots)|network\/networkinterfaces)\//.test(word))
    return [scopes.group];
  if (word === 'microsoft.resources/subscriptions/resourcegroups/read') return [scopes.group];
  if (word === 'microsoft.resources/subscriptions/resourcegroups/write') {
    return scopes.hasGroup ? [] : [scopes.subscription];
  }
  return [scopes.subscription];
}

function onAppliance(scopes: Scopes): readonly string[] {
  return scopes.appliance === undefined ? [] : [scopes.appliance];
}

/** Disks are attached to the appliance's VM, so it is read and written too. */
function machinePlaces(word: string, scopes: Scopes): readonly string[] {
  const both = word.endsWith('/read') || word.endsWith('/write');
  return both ? unique([scopes.group, ...onAppliance(scopes)]) : [scopes.group];
}
