import { ComputeManagementClient } from '@azure/arm-compute';
import { NetworkManagementClient } from '@azure/arm-network';
import { ClientSecretCredential } from '@azure/identity';
import { behaviours } from '../infra/local/behaviours/index.ts';
import { makeLatency } from '../infra/local/latency.ts';
import { replicaDiskName } from '../src/model/names.ts';
import type { LocalGroup } from '../test/fixtures/local-group.ts';

/** The same resources one after another, each waited for as the SDK waits: as a person or a script would. */
export async function oneAfterAnother({ azure, cloud, group, scenarios }: LocalGroup, disks: number) {
  const [scenario] = scenarios;
  if (!scenario) throw new Error('the ground has a scenario');
  const { compute, network } = await clientsOf(azure);
  const { region: location } = scenario;
  const diskIds: string[] = [];
  const snapshotIds: string[] = [];
  for (let index = 0; index < disks; index += 1) {
    const replica = await cloud.disks.get(group, replicaDiskName(scenario, `disk${index}`));
    const creationData = { createOption: 'Copy', sourceResourceId: replica?.id ?? '' };
    const body = { location, incremental: true, sku: { name: 'Standard_LRS' }, creationData };
    const made = await compute.snapshots.createOrUpdate(group, `snapshot${index}`, body).pollUntilDone();
    snapshotIds.push(made.id ?? '');
  }
  for (const [index, sourceResourceId] of snapshotIds.entries()) {
    const creationData = { createOption: 'Copy', sourceResourceId };
    const os = index === 0 ? { osType: 'Linux' as const, hyperVGeneration: 'V1' as const } : {};
    const body = { location, sku: { name: 'Standard_LRS' }, creationData, ...os };
    const made = await compute.disks.createOrUpdate(group, `disk${index}`, body).pollUntilDone();
    diskIds.push(made.id ?? '');
  }
  const address = await network.publicIPAddresses
    .createOrUpdate(group, 'address', {
      ...{ location, sku: { name: 'Standard' }, publicIPAllocationMethod: 'Static' },
    })
    .pollUntilDone();
  const subnet = { id: `${scenario.nics[0]?.virtualNetworkId}/subnets/default` };
  const ipConfigurations = [{ name: 'primary', subnet, publicIPAddress: { id: address.id ?? '' } }];
  const nic = await network.networkInterfaces
    .createOrUpdate(group, 'nic', { location, ipConfigurations })
    .pollUntilDone();
  const [osDisk = '', ...dataDisks] = diskIds;
  await compute.virtualMachines
    .createOrUpdate(group, 'machine', {
      location,
      hardwareProfile: { vmSize: scenario.vm.size },
      storageProfile: {
        osDisk: { createOption: 'Attach', osType: 'Linux', managedDisk: { id: osDisk } },
        dataDisks: dataDisks.map((id, lun) => ({ lun, createOption: 'Attach', managedDisk: { id } })),
      },
      networkProfile: { networkInterfaces: [{ id: nic.id ?? '', primary: true }] },
    })
    .pollUntilDone();
}

async function clientsOf({ endpoint }: LocalGroup['azure']) {
  const { readFile } = await import('node:fs/promises');
  const ca = await readFile(endpoint.caFile, 'utf8');
  const { tenantId, applicationId, clientSecret, authorityUrl, subscriptionId } = endpoint;
  const options = { authorityHost: authorityUrl, disableInstanceDiscovery: true, tlsOptions: { ca } };
  const credential = new ClientSecretCredential(tenantId, applicationId, clientSecret, options as never);
  const there = { endpoint: endpoint.url, tlsOptions: { ca } };
  return {
    compute: new ComputeManagementClient(credential, subscriptionId, there),
    network: new NetworkManagementClient(credential, subscriptionId, there),
  };
}

/** What Azure itself takes, with nobody ever waiting too long: the longest chain of it, and all of it in a row. */
export function azureSeconds(disks: number): { readonly chain: number; readonly inARow: number } {
  const latency = makeLatency('azure');
  const seconds = (type: string) => {
    const behaviour = behaviours.find((each) => each.type.toLowerCase() === type.toLowerCase());
    return latency.durationMs(behaviour, 'create', undefined) / 1000;
  };
  const snapshot = seconds('Microsoft.Compute/snapshots');
  const disk = seconds('Microsoft.Compute/disks');
  const address = seconds('Microsoft.Network/publicIPAddresses');
  const nic = seconds('Microsoft.Network/networkInterfaces');
  const machine = seconds('Microsoft.Compute/virtualMachines');
  return {
    chain: Math.max(snapshot + disk, address + nic) + machine,
    inARow: disks * (snapshot + disk) + address + nic + machine,
  };
}
