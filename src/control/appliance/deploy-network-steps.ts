import { StandbyError } from '../../errors.ts';
import type { Step } from '../../plan/plan.ts';
import { actionsOf } from '../../ports/cloud-actions.ts';
import type { Deployment } from './deploy-plan.ts';

/**
 * How the appliance gets its network: a virtual network (chosen or made), an empty security group of its own, a static
 * public address, and the NIC that joins them. Port 25000 stays closed: it is opened by `open-port`, after a
 * confirmation. Each step finds by derived name what an earlier try made; dying at any line only means trying again.
 * The virtual network and the security group stay when a deployment is undone.
 */
export interface NetworkOut {
  readonly subnetId: string;
}

const NEW_PREFIX = '10.250.0.0/16';
const NEW_SUBNET = { name: 'standby', prefix: '10.250.0.0/24' };

export function makeNetwork(deployment: Deployment): Step<NetworkOut> {
  return deployment.input.network ? useNetwork(deployment, deployment.input.network) : newNetwork(deployment);
}

function useNetwork(
  { cloud }: Deployment,
  chosen: { readonly virtualNetworkId: string; readonly subnetName: string },
): Step<NetworkOut> {
  const name = chosen.virtualNetworkId.split('/').at(-1) ?? '';
  return {
    id: 'network',
    title: `Virtual network ${name}, subnet ${chosen.subnetName}`,
    actions: actionsOf('network.virtualNetwork'),
    async run() {
      const network = await cloud.network.virtualNetwork(chosen.virtualNetworkId);
      const subnet = network?.subnets.find((one) => one.name === chosen.subnetName);
      if (subnet) return { subnetId: subnet.id };
      throw new StandbyError({
        code: 'SUBNET_GONE',
        what: `The subnet ${chosen.subnetName} of ${name} is no longer there.`,
        next: 'Make it again, then resume; or undo this deployment and choose another network.',
      });
    },
  };
}

function newNetwork({ cloud, input, names, tags }: Deployment): Step<NetworkOut> {
  return {
    id: 'network',
    title: `Virtual network ${names.virtualNetwork}`,
    actions: actionsOf('network.ensureVirtualNetwork'),
    makes: [{ type: 'Microsoft.Network/virtualNetworks', name: names.virtualNetwork }],
    async run(context) {
      const network = await cloud.network.ensureVirtualNetwork(
        {
          resourceGroup: input.resourceGroup,
          name: names.virtualNetwork,
          location: input.region,
          prefix: NEW_PREFIX,
          subnetName: NEW_SUBNET.name,
          subnetPrefix: NEW_SUBNET.prefix,
          tags,
        },
        { signal: context.signal, saved: context.checkpoint, save: context.save },
      );
      const subnet = network.subnets.find((one) => one.name === NEW_SUBNET.name) ?? network.subnets[0];
      if (subnet) return { subnetId: subnet.id };
      throw new StandbyError({
        code: 'SUBNET_GONE',
        what: `The virtual network ${network.name} has no subnet.`,
        next: 'Add a subnet to it in the portal, then resume.',
      });
    },
  };
}

export interface SecurityGroupOut {
  readonly securityGroupId: string;
}

export function makeSecurityGroup({ cloud, input, names, tags }: Deployment): Step<SecurityGroupOut> {
  return {
    id: 'security-group',
    title: `Network security group ${names.networkSecurityGroup} (port 25000 closed)`,
    actions: actionsOf('network.ensureSecurityGroup'),
    makes: [{ type: 'Microsoft.Network/networkSecurityGroups', name: names.networkSecurityGroup }],
    async run(context) {
      const group = await cloud.network.ensureSecurityGroup(
        {
          resourceGroup: input.resourceGroup,
          name: names.networkSecurityGroup,
          location: input.region,
          tags,
        },
        { signal: context.signal, saved: context.checkpoint, save: context.save },
      );
      return { securityGroupId: group.id };
    },
  };
}

export interface PublicIpOut {
  readonly publicIpId: string;
  readonly address: string;
}

export function makePublicIp(deployment: Deployment): Step<PublicIpOut> {
  const { cloud, input, names, tags } = deployment;
  return {
    id: 'public-ip',
    title: `Public address ${names.publicIp}`,
    actions: actionsOf('network.createPublicIp', 'network.publicIp', 'network.deletePublicIp'),
    makes: [{ type: 'Microsoft.Network/publicIPAddresses', name: names.publicIp }],
    async run(context) {
      const made = await cloud.network.createPublicIp(
        {
          resourceGroup: input.resourceGroup,
          name: names.publicIp,
          location: input.region,
          ...(input.zone ? { zone: input.zone } : {}),
          tags,
        },
        { signal: context.signal, saved: context.checkpoint, save: context.save },
      );
      if (made.address) return { publicIpId: made.id, address: made.address };
      throw new StandbyError({
        code: 'ADDRESS_MISSING',
        what: `Azure made the public IP ${names.publicIp} but has given it no address yet.`,
        next: `standby resume ${context.runId}`,
        retry: 'later',
      });
    },
    retry: { attemptsMax: 3, delayMs: 5_000 },
    async undo() {
      const found = await cloud.network.publicIp(networkId(deployment, 'publicIPAddresses', names.publicIp));
      if (isOfThisRun(deployment, found))
        await cloud.network.deletePublicIp(found.id, tags['standby-scenario']);
    },
  };
}

export interface NicOut {
  readonly nicId: string;
}

export function joinNetwork(deployment: Deployment): Step<NicOut> {
  const { cloud, input, names, tags } = deployment;
  return {
    id: 'network-interface',
    title: `Network interface ${names.nic}`,
    actions: actionsOf(
      'network.createNetworkInterface',
      'network.networkInterface',
      'network.deleteNetworkInterface',
    ),
    makes: [{ type: 'Microsoft.Network/networkInterfaces', name: names.nic }],
    async run(context) {
      const nic = await cloud.network.createNetworkInterface(
        {
          resourceGroup: input.resourceGroup,
          name: names.nic,
          location: input.region,
          subnetId: context.output<NetworkOut>('network').subnetId,
          publicIpId: context.output<PublicIpOut>('public-ip').publicIpId,
          securityGroupId: context.output<SecurityGroupOut>('security-group').securityGroupId,
          tags,
        },
        { signal: context.signal, saved: context.checkpoint, save: context.save },
      );
      return { nicId: nic.id };
    },
    async undo() {
      const found = await cloud.network.networkInterface(
        networkId(deployment, 'networkInterfaces', names.nic),
      );
      if (isOfThisRun(deployment, found))
        await cloud.network.deleteNetworkInterface(found.id, tags['standby-scenario']);
    },
  };
}

/** Known without a step's output: a process that died may have made the resource and not written it down. */
function networkId({ account, input }: Deployment, type: string, name: string): string {
  return (
    `/subscriptions/${account.subscriptionId}/resourceGroups/${input.resourceGroup}` +
    `/providers/Microsoft.Network/${type}/${name}`
  );
}

type Tagged = { readonly id: string; readonly tags: Readonly<Record<string, string>> };

function isOfThisRun<T extends Tagged>({ tags }: Deployment, found: T | undefined): found is T {
  return found?.tags['standby-run'] === tags['standby-run'];
}
