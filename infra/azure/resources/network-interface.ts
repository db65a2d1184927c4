import type { NetworkInterface } from '@azure/arm-network';
import type { CloudNetwork, CloudNic, NicSpec } from '../../../src/ports/cloud.ts';
import { parseArmId } from '../arm-id.ts';
import type { Azure } from '../azure.ts';
import { sightOf } from '../lookout.ts';
import { ensureResource, removeResource } from '../ownership.ts';

type Nics = Pick<CloudNetwork, 'networkInterface' | 'createNetworkInterface' | 'deleteNetworkInterface'>;

export function makeNetworkInterfaces(azure: Azure): Nics {
  const { calls, clients } = azure;

  async function find(resourceGroup: string, name: string): Promise<NetworkInterface | undefined> {
    const client = await clients.network();
    return calls.find(`The network interface ${name} could not be read.`, () =>
      client.networkInterfaces.get(resourceGroup, name),
    );
  }

  return {
    async networkInterface(id) {
      const { resourceGroup, name } = parseArmId(id);
      const found = await find(resourceGroup, name);
      return found && nicOf(found);
    },
    async createNetworkInterface(spec, operation) {
      const client = await clients.network();
      const { restorePoller } = await import('@azure/arm-network');
      const made = await ensureResource(
        azure,
        { title: `The network interface ${spec.name}`, tags: spec.tags },
        sightOf(calls, 'networkInterfaces', spec, find, () =>
          client.networkInterfaces.list(spec.resourceGroup),
        ),
        {
          what: `The network interface ${spec.name} could not be made.`,
          key: `nic/create/${spec.resourceGroup}/${spec.name}`,
          submit: () => client.networkInterfaces.createOrUpdate(spec.resourceGroup, spec.name, bodyOf(spec)),
          restore: (state) => restorePoller(client, state, client.networkInterfaces.createOrUpdate),
        },
        operation,
      );
      return nicOf(made);
    },
    async deleteNetworkInterface(id, scenario, operation) {
      const { resourceGroup, name } = parseArmId(id);
      const client = await clients.network();
      const { restorePoller } = await import('@azure/arm-network');
      await removeResource(
        azure,
        { title: `The network interface ${name}`, scenario },
        () => find(resourceGroup, name),
        {
          what: `The network interface ${name} could not be deleted.`,
          key: `nic/delete/${resourceGroup}/${name}`,
          submit: () => client.networkInterfaces.delete(resourceGroup, name),
          restore: (state) => restorePoller(client, state, client.networkInterfaces.delete),
        },
        operation,
      );
    },
  };
}

function bodyOf(spec: NicSpec): NetworkInterface {
  return {
    location: spec.location,
    tags: { ...spec.tags },
    ipConfigurations: [
      {
        name: 'primary',
        primary: true,
        subnet: { id: spec.subnetId },
        ...(spec.staticIp === undefined
          ? { privateIPAllocationMethod: 'Dynamic' }
          : { privateIPAllocationMethod: 'Static', privateIPAddress: spec.staticIp }),
        ...(spec.publicIpId === undefined ? {} : { publicIPAddress: { id: spec.publicIpId } }),
      },
    ],
    ...(spec.securityGroupId === undefined ? {} : { networkSecurityGroup: { id: spec.securityGroupId } }),
    ...(spec.dnsServers === undefined ? {} : { dnsSettings: { dnsServers: [...spec.dnsServers] } }),
  };
}

function nicOf(nic: NetworkInterface): CloudNic {
  const configurations = nic.ipConfigurations ?? [];
  const primary = configurations.find((each) => each.primary) ?? configurations[0];
  const publicIpId = primary?.publicIPAddress?.id;
  const securityGroupId = nic.networkSecurityGroup?.id;
  const attachedTo = nic.virtualMachine?.id;
  const dnsServers = nic.dnsSettings?.dnsServers ?? [];
  return {
    id: nic.id ?? '',
    name: nic.name ?? '',
    ...(primary?.privateIPAddress ? { privateIp: primary.privateIPAddress } : {}),
    subnetId: primary?.subnet?.id ?? '',
    ...(publicIpId ? { publicIpId } : {}),
    ...(securityGroupId ? { securityGroupId } : {}),
    ...(dnsServers.length > 0 ? { dnsServers } : {}),
    ...(attachedTo ? { attachedTo } : {}),
    tags: nic.tags ?? {},
  };
}
