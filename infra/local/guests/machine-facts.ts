import { join } from 'node:path';
import type { Resource, ResourceGraph } from '../arm/behaviour.ts';
import { numberAt, objectsAt, textAt } from '../arm/json.ts';
import { parentIdOf } from '../arm/resource-id.ts';
import { macAddressOf } from '../behaviours/network-interfaces.ts';
import { idOf, TYPES } from '../behaviours/references.ts';
import { ruleOf } from '../behaviours/security-rules.ts';
import type { Filter, Rule } from '../network/security.ts';

/** What a guest is made of, read from the graph each time: nothing here is remembered. */
export interface MachineFacts {
  readonly id: string;
  /** Belongs to this VM alone, also when another one takes its name later. */
  readonly guid: string;
  readonly name: string;
  readonly kind: 'disk' | 'appliance' | 'image';
  readonly generation: 'V1' | 'V2';
  /** What was asked for. */
  readonly power: string;
  readonly osDiskFile: string;
  readonly dataDisks: readonly { readonly lun: number; readonly file: string }[];
  readonly nics: readonly NicFacts[];
  /** Base64, as it came. */
  readonly userData: string;
}

export interface NicFacts {
  readonly id: string;
  readonly primary: boolean;
  readonly mac: string;
  readonly privateIp: string;
  readonly subnetPrefix: string;
  readonly publicIps: readonly string[];
  readonly filter: Filter;
}

function rulesOf(graph: ResourceGraph, groupId: string | undefined): readonly Rule[] | undefined {
  const group = groupId === undefined ? undefined : graph.get(groupId);
  if (group === undefined || group.provisioningState === 'Deleting') return undefined;
  return graph
    .childrenOf(group.id, TYPES.securityRule)
    .filter((rule) => rule.provisioningState !== 'Deleting')
    .map(ruleOf);
}

function nicFacts(graph: ResourceGraph, nic: Resource): NicFacts | undefined {
  const configurations = objectsAt(nic.properties, 'ipConfigurations');
  const main = configurations.find((entry) => entry.properties && textAt(entry, 'properties.subnet.id'));
  const subnet = graph.get(textAt(main, 'properties.subnet.id') ?? '');
  const privateIp = textAt(main, 'properties.privateIPAddress');
  if (subnet === undefined || privateIp === undefined) return undefined;
  const network = graph.get(parentIdOf(subnet.id) ?? '');
  const prefixes = (network?.properties.addressSpace as { addressPrefixes?: string[] } | undefined)
    ?.addressPrefixes;
  return {
    id: nic.id,
    primary: nic.hidden.primary !== false,
    mac: macAddressOf(nic).replaceAll('-', ':').toLowerCase(),
    privateIp,
    subnetPrefix: textAt(subnet.properties, 'addressPrefix') ?? '',
    publicIps: configurations.flatMap((entry) => {
      const publicIp = graph.get(textAt(entry, 'properties.publicIPAddress.id') ?? '');
      return textAt(publicIp?.properties, 'ipAddress') ?? [];
    }),
    filter: {
      subnetRules: rulesOf(graph, idOf(subnet.properties.networkSecurityGroup)),
      nicRules: rulesOf(graph, idOf(nic.properties.networkSecurityGroup)),
      networkPrefixes: prefixes ?? [],
    },
  };
}

export function machineFacts(
  graph: ResourceGraph,
  dataFolder: string,
  vmId: string,
): MachineFacts | undefined {
  const machine = graph.get(vmId);
  if (machine === undefined) return undefined;
  const fileOfDisk = (id: string | undefined) => {
    const file = textAt(graph.get(id ?? '')?.hidden, 'file');
    return file === undefined ? undefined : join(dataFolder, file);
  };
  const kind = textAt(machine.hidden, 'guest');
  return {
    id: machine.id,
    guid: textAt(machine.properties, 'vmId') ?? '',
    name: machine.name,
    kind: kind === 'appliance' || kind === 'image' ? kind : 'disk',
    generation: textAt(machine.hidden, 'generation') === 'V2' ? 'V2' : 'V1',
    power: textAt(machine.hidden, 'power') ?? 'stopped',
    osDiskFile: fileOfDisk(textAt(machine.properties, 'storageProfile.osDisk.managedDisk.id')) ?? '',
    dataDisks: objectsAt(machine.properties, 'storageProfile.dataDisks').flatMap((entry) => {
      const file = fileOfDisk(textAt(entry, 'managedDisk.id'));
      const lun = numberAt(entry, 'lun');
      return file === undefined || lun === undefined || entry.toBeDetached === true ? [] : [{ lun, file }];
    }),
    nics: objectsAt(machine.properties, 'networkProfile.networkInterfaces').flatMap((entry) => {
      const nic = graph.get(textAt(entry, 'id') ?? '');
      return (nic && nicFacts(graph, nic)) ?? [];
    }),
    userData: textAt(machine.hidden, 'customData') ?? textAt(machine.hidden, 'userData') ?? '',
  };
}
