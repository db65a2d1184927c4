import type { VirtualNetwork as SdkNetwork, Subnet as SdkSubnet } from '@azure/arm-network';
import { carriesOurTag } from '../../../src/model/tags.ts';
import type { CloudNetwork, Subnet, VirtualNetwork } from '../../../src/ports/cloud.ts';
import { parseArmId, resourceGroupOf } from '../arm-id.ts';
import type { Azure } from '../azure.ts';
import { runOperation } from '../operation.ts';
import { removeResource, settled } from '../ownership.ts';

type Networks = Pick<
  CloudNetwork,
  | 'virtualNetworks'
  | 'virtualNetwork'
  | 'ensureVirtualNetwork'
  | 'deleteVirtualNetwork'
  | 'addressAvailable'
  | 'routeTable'
>;

export function makeVirtualNetworks(azure: Azure): Networks {
  const { calls, clients } = azure;

  async function find(resourceGroup: string, name: string): Promise<SdkNetwork | undefined> {
    const client = await clients.network();
    return calls.find(`The virtual network ${name} could not be read.`, () =>
      client.virtualNetworks.get(resourceGroup, name),
    );
  }

  return {
    async virtualNetworks(location) {
      const client = await clients.network();
      const found = await calls.collect('The virtual networks could not be read.', () =>
        client.virtualNetworks.listAll(),
      );
      return found
        .filter((each) => !location || each.location?.toLowerCase() === location.toLowerCase())
        .map(networkOf);
    },
    async virtualNetwork(id) {
      const { resourceGroup, name } = parseArmId(id);
      const found = await find(resourceGroup, name);
      return found && networkOf(found);
    },
    /** An existing network is used as it is: a PUT would take away subnets that are not ours. */
    async ensureVirtualNetwork(spec, operation) {
      const look = () => find(spec.resourceGroup, spec.name);
      const first = await look();
      const found = first && (await settled(azure, first, look, operation?.signal));
      const isOurs = carriesOurTag(found?.tags, spec.tags['standby-scenario']);
      if (found && (!isOurs || found.provisioningState === 'Succeeded')) return networkOf(found);
      const client = await clients.network();
      const { restorePoller } = await import('@azure/arm-network');
      const body: SdkNetwork = {
        location: spec.location,
        tags: { ...spec.tags },
        addressSpace: { addressPrefixes: [spec.prefix] },
        subnets: [{ name: spec.subnetName, addressPrefix: spec.subnetPrefix }],
      };
      const made = await runOperation(
        calls,
        azure.endpoints.resourceManagerUrl,
        {
          what: `The virtual network ${spec.name} could not be made.`,
          key: `network/create/${spec.resourceGroup}/${spec.name}`,
          submit: () => client.virtualNetworks.createOrUpdate(spec.resourceGroup, spec.name, body),
          restore: (state) => restorePoller(client, state, client.virtualNetworks.createOrUpdate),
        },
        operation,
      );
      return networkOf(made);
    },
    async deleteVirtualNetwork(id, scenario, operation) {
      const { resourceGroup, name } = parseArmId(id);
      const client = await clients.network();
      const { restorePoller } = await import('@azure/arm-network');
      await removeResource(
        azure,
        { title: `The virtual network ${name}`, scenario },
        () => find(resourceGroup, name),
        {
          what: `The virtual network ${name} could not be deleted.`,
          key: `network/delete/${resourceGroup}/${name}`,
          submit: () => client.virtualNetworks.delete(resourceGroup, name),
          restore: (state) => restorePoller(client, state, client.virtualNetworks.delete),
        },
        operation,
      );
    },
    async routeTable(id) {
      const { resourceGroup, name } = parseArmId(id);
      const client = await clients.network();
      const found = await calls.find(`The route table ${name} could not be read.`, () =>
        client.routeTables.get(resourceGroup, name),
      );
      if (!found) return undefined;
      const routes = (found.routes ?? []).map((route) => ({
        name: route.name ?? '',
        prefix: route.addressPrefix ?? '',
        nextHop: route.nextHopType ?? '',
        ...(route.nextHopIpAddress ? { nextHopIp: route.nextHopIpAddress } : {}),
      }));
      return { id: found.id ?? '', name: found.name ?? '', routes };
    },
    async addressAvailable(virtualNetworkId, ip) {
      const { resourceGroup, name } = parseArmId(virtualNetworkId);
      const client = await clients.network();
      const answer = await calls.call(`The address ${ip} could not be checked in ${name}.`, () =>
        client.virtualNetworks.checkIPAddressAvailability(resourceGroup, name, ip),
      );
      return { available: answer.available === true, free: answer.availableIPAddresses ?? [] };
    },
  };
}

function networkOf(network: SdkNetwork): VirtualNetwork {
  return {
    id: network.id ?? '',
    name: network.name ?? '',
    resourceGroup: resourceGroupOf(network.id),
    location: network.location ?? '',
    prefixes: network.addressSpace?.addressPrefixes ?? [],
    dnsServers: network.dhcpOptions?.dnsServers ?? [],
    subnets: (network.subnets ?? []).map(subnetOf),
  };
}

function subnetOf(subnet: SdkSubnet): Subnet {
  const securityGroupId = subnet.networkSecurityGroup?.id;
  const routeTableId = subnet.routeTable?.id;
  const delegatedTo = subnet.delegations?.[0]?.serviceName;
  return {
    id: subnet.id ?? '',
    name: subnet.name ?? '',
    prefix: subnet.addressPrefix ?? subnet.addressPrefixes?.[0] ?? '',
    ...(securityGroupId ? { securityGroupId } : {}),
    ...(routeTableId ? { routeTableId } : {}),
    ...(delegatedTo ? { delegatedTo } : {}),
    // Azure leaves the list out of an empty subnet.
    addressesUsed: subnet.ipConfigurations?.length ?? 0,
  };
}
