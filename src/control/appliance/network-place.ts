import { StandbyError } from '../../errors.ts';
import { type Appliance, ENGINE_PORT } from '../../model/appliance.ts';
import type { Cloud, SecurityGroup } from '../../ports/cloud.ts';
import type { CloudMachine } from '../../ports/cloud-machines.ts';
import type { Inbound } from '../../verify/inbound.ts';

/** Where an appliance stands in its network: everything that decides whether port 25000 reaches it. Only reads. */
export interface NetworkPlace {
  readonly machine: CloudMachine;
  readonly subnetGroup?: SecurityGroup;
  readonly nicGroup?: SecurityGroup;
  readonly subnetName: string;
  readonly nicName: string;
  readonly privateIp?: string;
  readonly publicIp?: string;
  readonly networkPrefixes: readonly string[];
}

/** Undefined when the VM is not there. */
export async function networkPlaceOf(cloud: Cloud, vmId: string): Promise<NetworkPlace | undefined> {
  const machine = await cloud.machines.instance(vmId);
  if (!machine) return undefined;
  const nicId = machine.nicIds[0];
  const nic = nicId ? await cloud.network.networkInterface(nicId) : undefined;
  if (!nic) throw gone(machine, 'network interface');
  const network = await cloud.network.virtualNetwork(nic.subnetId.replace(/\/subnets\/[^/]+$/i, ''));
  const subnet = network?.subnets.find((one) => one.id.toLowerCase() === nic.subnetId.toLowerCase());
  if (!network || !subnet) throw gone(machine, 'subnet');
  const group = (id: string | undefined) => (id ? cloud.network.securityGroup(id) : undefined);
  const [subnetGroup, nicGroup, publicIp] = await Promise.all([
    group(subnet.securityGroupId),
    group(nic.securityGroupId),
    nic.publicIpId ? cloud.network.publicIp(nic.publicIpId) : undefined,
  ]);
  return {
    machine,
    ...(subnetGroup ? { subnetGroup } : {}),
    ...(nicGroup ? { nicGroup } : {}),
    subnetName: subnet.name,
    nicName: nic.name,
    ...(nic.privateIp ? { privateIp: nic.privateIp } : {}),
    ...(publicIp?.address ? { publicIp: publicIp.address } : {}),
    networkPrefixes: network.prefixes,
  };
}

export function inboundFrom(
  place: NetworkPlace,
  source: string | undefined,
  appliance: Pick<Appliance, 'port'> = { port: ENGINE_PORT },
): Inbound {
  return {
    source,
    destination: place.privateIp,
    port: appliance.port,
    protocol: 'Tcp',
    networkPrefixes: place.networkPrefixes,
  };
}

function gone(machine: CloudMachine, what: string): StandbyError {
  return new StandbyError({
    code: 'RESOURCE_NOT_FOUND',
    what: `The ${what} of ${machine.name} is not there.`,
    why: 'It was deleted, or the app may not read it.',
    next: 'Look at the VM’s Networking page in the portal.',
  });
}
