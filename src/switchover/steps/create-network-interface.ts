/**
 * Promises one NIC of the standby VM in the scenario's subnet, with its address, DNS servers, security group and public address.
 * Found or asked for again after a crash. Undo deletes it.
 */
import { StandbyError } from '../../errors.ts';
import type { Step } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import { idInGroup, type NicPart, RESOURCE_TYPES, scenarioTag, tagsFor } from '../blueprint.ts';
import { assertOurs, CLOUD_RETRY, durably } from '../durably.ts';
import type { Work } from '../work.ts';
import { createPublicIpId, type MadePublicIp } from './create-public-ip.ts';

export const createNetworkInterfaceId = (nicId: string) => `create-network-interface-${nicId}`;

export interface MadeNic {
  readonly nicId: string;
  readonly privateIp?: string;
}

export function createNetworkInterfaceStep(work: Work, part: NicPart): Step<MadeNic> {
  const { cloud } = work;
  const look = async () => {
    const id = await idInGroup(work, RESOURCE_TYPES.nic, part.name);
    return id === undefined ? undefined : cloud.network.networkInterface(id);
  };
  return {
    id: createNetworkInterfaceId(part.nic.masterNicId),
    title: `Network interface for ${part.nic.masterNicId}`,
    actions: actionsOf(
      'groups.get',
      'network.networkInterface',
      'network.virtualNetwork',
      'network.createNetworkInterface',
      'network.deleteNetworkInterface',
    ),
    makes: [{ type: RESOURCE_TYPES.nic, name: part.name }],
    retry: CLOUD_RETRY,
    async find() {
      const made = await look();
      if (!made) return undefined;
      assertOurs(work, made);
      return made.privateIp ? { nicId: made.id, privateIp: made.privateIp } : undefined;
    },
    async run(context) {
      const publicIp = part.publicIpName
        ? context.output<MadePublicIp>(createPublicIpId(part.nic.masterNicId)).publicIpId
        : undefined;
      const spec = await nicSpec(work, part, publicIp);
      const made = await durably(context, (operation) =>
        cloud.network.createNetworkInterface(spec, operation),
      );
      return { nicId: made.id, ...(made.privateIp ? { privateIp: made.privateIp } : {}) };
    },
    async undo(context) {
      const made = await look();
      if (made)
        await cloud.network.deleteNetworkInterface(made.id, scenarioTag(work), { signal: context.signal });
    },
  };
}

async function nicSpec(work: Work, part: NicPart, publicIpId: string | undefined) {
  const { nic } = part;
  const { scenario } = work;
  const network = await work.cloud.network.virtualNetwork(nic.virtualNetworkId);
  const subnet = network?.subnets.find((one) => one.name.toLowerCase() === nic.subnetName.toLowerCase());
  if (!subnet) {
    throw new StandbyError({
      code: 'SUBNET_UNKNOWN',
      what: `Subnet "${nic.subnetName}" for ${nic.masterNicId} does not exist any more in ${nic.virtualNetworkId}.`,
      next: `Make it again, then: standby resume ${work.runId}`,
    });
  }
  return {
    resourceGroup: scenario.vm.resourceGroup,
    name: part.name,
    location: scenario.region,
    subnetId: subnet.id,
    ...(nic.address.kind === 'static' ? { staticIp: nic.address.ip } : {}),
    ...(publicIpId ? { publicIpId } : {}),
    ...(nic.networkSecurityGroupId ? { securityGroupId: nic.networkSecurityGroupId } : {}),
    ...(nic.dnsServers ? { dnsServers: nic.dnsServers } : {}),
    tags: tagsFor(work, 'standby-nic'),
  };
}
