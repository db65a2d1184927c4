import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ComputeManagementClient, type VirtualMachine } from '@azure/arm-compute';
import { NetworkManagementClient, type SecurityRule } from '@azure/arm-network';
import { ResourceManagementClient } from '@azure/arm-resources';
import { ClientSecretCredential } from '@azure/identity';
import { type LocalAzure, type LocalEndpoint, startLocalAzure } from '../../../infra/local/local-azure.ts';
import { systemClock } from '../../../src/clock.ts';
import { silentLog } from '../../../src/log.ts';
import { gatheringTraffic } from '../../fixtures/traffic.ts';

/** A Local Azure inside the test's process, and the official clients pointed at it. */
export interface AzureWorld {
  readonly folder: string;
  readonly local: LocalAzure;
  readonly compute: ComputeManagementClient;
  readonly network: NetworkManagementClient;
  readonly resources: ResourceManagementClient;
  readonly location: string;
  readonly ca: string;
  readonly group: string;
  /** `.../providers/Microsoft.Compute/disks/d1` */
  idOf(type: string, ...names: string[]): string;
  stop(): Promise<void>;
}

export type ConnectedWorld = Omit<AzureWorld, 'local' | 'stop'>;

export async function startWorld(
  guests: 'qemu' | 'none' = 'none',
  folder = mkdtempSync(join(tmpdir(), 'standby-azure-')),
): Promise<AzureWorld> {
  const local = await startLocalAzure({
    folder,
    guests,
    latency: 'none',
    ...gatheringTraffic(),
    log: silentLog,
    clock: systemClock,
  });
  const world = await connectWorld(folder, local.endpoint);
  return {
    ...world,
    local,
    async stop() {
      await local.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The clients for a Local Azure that runs elsewhere. */
export async function connectWorld(folder: string, endpoint: LocalEndpoint): Promise<ConnectedWorld> {
  const ca = readFileSync(endpoint.caFile, 'utf8');
  const credential = new ClientSecretCredential(
    endpoint.tenantId,
    endpoint.applicationId,
    endpoint.clientSecret,
    { authorityHost: endpoint.authorityUrl, disableInstanceDiscovery: true, tlsOptions: { ca } } as never,
  );
  const options = { endpoint: endpoint.url, tlsOptions: { ca }, retryOptions: { maxRetries: 0 } };
  const { subscriptionId } = endpoint;
  const group = 'machines';
  const world = {
    folder,
    ca,
    group,
    location: endpoint.location,
    compute: new ComputeManagementClient(credential, subscriptionId, options),
    network: new NetworkManagementClient(credential, subscriptionId, options),
    resources: new ResourceManagementClient(credential, subscriptionId, options),
    idOf(type: string, ...names: string[]) {
      const [namespace, ...types] = type.split('/');
      const path = types.map((part, index) => `${part}/${names[index] ?? ''}`).join('/');
      return `/subscriptions/${subscriptionId}/resourceGroups/${group}/providers/${namespace}/${path}`;
    },
  };
  await world.resources.resourceGroups.createOrUpdate(group, { location: world.location });
  return world;
}

/** `400 InvalidParameter: text`; or `no error`. The word is what matters, so that a test reads as a table. */
export async function refusal(work: PromiseLike<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    const { statusCode, code, message } = error as { statusCode?: number; code?: string; message: string };
    return `${statusCode ?? 'operation'} ${code ?? ''}: ${message}`;
  }
}

export const quick = { updateIntervalInMs: 10 };

export function allowRule(name: string, priority: number, port: string): SecurityRule {
  return {
    name,
    priority,
    access: 'Allow',
    direction: 'Inbound',
    protocol: 'Tcp',
    sourceAddressPrefix: '*',
    sourcePortRange: '*',
    destinationAddressPrefix: '*',
    destinationPortRange: port,
  };
}

/** A network, a NIC in it, and an empty OS disk: what an attached VM needs. */
export async function ground(world: ConnectedWorld, name: string, nics = 1): Promise<void> {
  const { network, compute, group, location } = world;
  const nsg = `${name}-nsg`;
  await network.networkSecurityGroups.createOrUpdate(group, nsg, { location, securityRules: [] }, quick);
  await network.virtualNetworks.createOrUpdate(
    group,
    `${name}-net`,
    {
      location,
      addressSpace: { addressPrefixes: ['10.7.0.0/16'] },
      subnets: [{ name: 'default', addressPrefix: '10.7.1.0/24' }],
    },
    quick,
  );
  for (let index = 0; index < nics; index += 1) {
    await network.publicIPAddresses.createOrUpdate(
      group,
      `${name}-pip${index}`,
      { location, sku: { name: 'Standard' }, publicIPAllocationMethod: 'Static' },
      quick,
    );
    await network.networkInterfaces.createOrUpdate(
      group,
      `${name}-nic${index}`,
      {
        location,
        networkSecurityGroup: { id: world.idOf('Microsoft.Network/networkSecurityGroups', nsg) },
        ipConfigurations: [
          {
            name: 'main',
            subnet: { id: world.idOf('Microsoft.Network/virtualNetworks/subnets', `${name}-net`, 'default') },
            publicIPAddress: { id: world.idOf('Microsoft.Network/publicIPAddresses', `${name}-pip${index}`) },
          },
        ],
      },
      quick,
    );
  }
  await compute.disks.createOrUpdate(
    group,
    `${name}-os`,
    {
      location,
      osType: 'Linux',
      hyperVGeneration: 'V1',
      diskSizeGB: 1,
      creationData: { createOption: 'Empty' },
    },
    quick,
  );
}

export function attachedVm(
  world: AzureWorld,
  name: string,
  change: Partial<VirtualMachine> = {},
): VirtualMachine {
  return {
    location: world.location,
    hardwareProfile: { vmSize: 'Standard_B2s' },
    storageProfile: {
      osDisk: {
        createOption: 'Attach',
        osType: 'Linux',
        managedDisk: { id: world.idOf('Microsoft.Compute/disks', `${name}-os`) },
      },
      dataDisks: [],
    },
    networkProfile: {
      networkInterfaces: [
        { id: world.idOf('Microsoft.Network/networkInterfaces', `${name}-nic0`), primary: true },
      ],
    },
    diagnosticsProfile: { bootDiagnostics: { enabled: true } },
    ...change,
  };
}

export async function collect<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of pages) all.push(item);
  return all;
}
