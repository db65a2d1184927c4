import type { PublicIPAddress } from '@azure/arm-network';
import type { CloudNetwork, CloudPublicIp } from '../../../src/ports/cloud.ts';
import { parseArmId } from '../arm-id.ts';
import type { Azure } from '../azure.ts';
import { sightOf } from '../lookout.ts';
import { ensureResource, removeResource } from '../ownership.ts';

type PublicIps = Pick<CloudNetwork, 'publicIp' | 'createPublicIp' | 'deletePublicIp'>;

/** Standard SKU, static: the address is known before a VM runs and stays when it stops. */
export function makePublicIps(azure: Azure): PublicIps {
  const { calls, clients } = azure;

  async function find(resourceGroup: string, name: string): Promise<PublicIPAddress | undefined> {
    const client = await clients.network();
    return calls.find(`The public IP ${name} could not be read.`, () =>
      client.publicIPAddresses.get(resourceGroup, name),
    );
  }

  return {
    async publicIp(id) {
      const { resourceGroup, name } = parseArmId(id);
      const found = await find(resourceGroup, name);
      return found && publicIpOf(found);
    },
    async createPublicIp(spec, operation) {
      const client = await clients.network();
      const { restorePoller } = await import('@azure/arm-network');
      const body: PublicIPAddress = {
        location: spec.location,
        sku: { name: 'Standard' },
        publicIPAllocationMethod: 'Static',
        ...(spec.zone === undefined ? {} : { zones: [spec.zone] }),
        tags: { ...spec.tags },
      };
      const made = await ensureResource(
        azure,
        { title: `The public IP ${spec.name}`, tags: spec.tags },
        sightOf(calls, 'publicIPAddresses', spec, find, () =>
          client.publicIPAddresses.list(spec.resourceGroup),
        ),
        {
          what: `The public IP ${spec.name} could not be made.`,
          key: `public-ip/create/${spec.resourceGroup}/${spec.name}`,
          submit: () => client.publicIPAddresses.createOrUpdate(spec.resourceGroup, spec.name, body),
          restore: (state) => restorePoller(client, state, client.publicIPAddresses.createOrUpdate),
        },
        operation,
      );
      return publicIpOf(made);
    },
    async deletePublicIp(id, scenario, operation) {
      const { resourceGroup, name } = parseArmId(id);
      const client = await clients.network();
      const { restorePoller } = await import('@azure/arm-network');
      await removeResource(
        azure,
        { title: `The public IP ${name}`, scenario },
        () => find(resourceGroup, name),
        {
          what: `The public IP ${name} could not be deleted.`,
          key: `public-ip/delete/${resourceGroup}/${name}`,
          submit: () => client.publicIPAddresses.delete(resourceGroup, name),
          restore: (state) => restorePoller(client, state, client.publicIPAddresses.delete),
        },
        operation,
      );
    },
  };
}

function publicIpOf(publicIp: PublicIPAddress): CloudPublicIp {
  return {
    id: publicIp.id ?? '',
    name: publicIp.name ?? '',
    ...(publicIp.ipAddress ? { address: publicIp.ipAddress } : {}),
    tags: publicIp.tags ?? {},
  };
}
