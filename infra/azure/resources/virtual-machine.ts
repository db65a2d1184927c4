import type { ComputeManagementClient, VirtualMachine } from '@azure/arm-compute';
import type { StandbyTags } from '../../../src/model/tags.ts';
import type { Operation } from '../../../src/ports/cloud.ts';
import type { CloudMachine, CloudMachines } from '../../../src/ports/cloud-machines.ts';
import { parseArmId } from '../arm-id.ts';
import type { Azure } from '../azure.ts';
import { sightOf } from '../lookout.ts';
import { type Poller, runOperation } from '../operation.ts';
import { ensureResource, removeResource } from '../ownership.ts';
import { makeBootDiagnostics } from './boot-diagnostics.ts';
import { makeDataDisks } from './data-disks.ts';
import { machineOf } from './machine-view.ts';

type ImageSpec = Parameters<CloudMachines['createFromImage']>[0];
type DisksSpec = Parameters<CloudMachines['createFromDisks']>[0];

export function makeVirtualMachines(azure: Azure): CloudMachines {
  const { calls, clients, endpoints } = azure;

  async function find(resourceGroup: string, name: string): Promise<VirtualMachine | undefined> {
    const client = await clients.compute();
    return calls.find(`The VM ${name} could not be read.`, () =>
      client.virtualMachines.get(resourceGroup, name),
    );
  }

  async function create(
    spec: { readonly resourceGroup: string; readonly name: string; readonly tags: StandbyTags },
    body: VirtualMachine,
    operation?: Operation,
  ): Promise<CloudMachine> {
    const client = await clients.compute();
    const { restorePoller } = await import('@azure/arm-compute');
    const made = await ensureResource(
      azure,
      { title: `The VM ${spec.name}`, tags: spec.tags },
      sightOf(calls, 'virtualMachines', spec, find, () => client.virtualMachines.list(spec.resourceGroup)),
      {
        what: `The VM ${spec.name} could not be made.`,
        key: `vm/create/${spec.resourceGroup}/${spec.name}`,
        submit: () => client.virtualMachines.createOrUpdate(spec.resourceGroup, spec.name, body),
        restore: (state) => restorePoller(client, state, client.virtualMachines.createOrUpdate),
      },
      operation,
    );
    return machineOf(made);
  }

  /** start, powerOff and deallocate: asking twice does no harm. */
  async function power(
    id: string,
    verb: 'start' | 'powerOff' | 'deallocate',
    title: string,
    operation?: Operation,
  ): Promise<void> {
    const { resourceGroup, name } = parseArmId(id);
    const client = await clients.compute();
    const { restorePoller } = await import('@azure/arm-compute');
    const method = (machines: ComputeManagementClient['virtualMachines']): Poller<void> =>
      machines[verb](resourceGroup, name);
    await runOperation(
      calls,
      endpoints.resourceManagerUrl,
      {
        what: `The VM ${name} could not be ${title}.`,
        key: `vm/${verb}/${resourceGroup}/${name}`,
        submit: () => method(client.virtualMachines),
        restore: (state) => restorePoller(client, state, client.virtualMachines[verb]),
      },
      operation,
    );
  }

  return {
    async list(location) {
      const client = await clients.compute();
      // All of them, and not Azure's list for a region: that one needs an action of its own.
      const found = await calls.collect('The VMs could not be read.', () => client.virtualMachines.listAll());
      const isHere = (machine: VirtualMachine) =>
        !location || machine.location.toLowerCase() === location.toLowerCase();
      return found.filter(isHere).map(machineOf);
    },
    async get(id) {
      const { resourceGroup, name } = parseArmId(id);
      const found = await find(resourceGroup, name);
      return found && machineOf(found);
    },
    async instance(id) {
      const { resourceGroup, name } = parseArmId(id);
      const client = await clients.compute();
      const found = await calls.find(`The VM ${name} could not be read.`, () =>
        client.virtualMachines.get(resourceGroup, name, { expand: 'instanceView' }),
      );
      return found && machineOf(found);
    },
    createFromDisks: (spec, operation) => create(spec, bodyFromDisks(spec), operation),
    createFromImage: (spec, operation) => create(spec, bodyFromImage(spec), operation),
    start: (id, operation) => power(id, 'start', 'started', operation),
    powerOff: (id, operation) => power(id, 'powerOff', 'powered off', operation),
    deallocate: (id, operation) => power(id, 'deallocate', 'deallocated', operation),
    async delete(id, scenario, operation) {
      const { resourceGroup, name } = parseArmId(id);
      const client = await clients.compute();
      const { restorePoller } = await import('@azure/arm-compute');
      await removeResource(
        azure,
        { title: `The VM ${name}`, scenario },
        () => find(resourceGroup, name),
        {
          what: `The VM ${name} could not be deleted.`,
          key: `vm/delete/${resourceGroup}/${name}`,
          submit: () => client.virtualMachines.delete(resourceGroup, name),
          restore: (state) => restorePoller(client, state, client.virtualMachines.delete),
        },
        operation,
      );
    },
    ...makeDataDisks(azure, find),
    ...makeBootDiagnostics(azure),
  };
}

function bodyFromDisks(spec: DisksSpec): VirtualMachine {
  return {
    ...commonBody(spec),
    // No osProfile: the name, users and settings are those on the disk.
    storageProfile: {
      osDisk: {
        createOption: 'Attach',
        osType: spec.osType,
        managedDisk: { id: spec.osDiskId },
        deleteOption: 'Detach',
      },
      dataDisks: attached(spec.dataDisks),
    },
  };
}

function bodyFromImage(spec: ImageSpec): VirtualMachine {
  return {
    ...commonBody(spec),
    storageProfile: {
      imageReference: { ...spec.image },
      osDisk: {
        name: spec.osDiskName,
        createOption: 'FromImage',
        managedDisk: { storageAccountType: 'StandardSSD_LRS' },
        deleteOption: 'Detach',
      },
      dataDisks: attached(spec.dataDisks),
    },
    osProfile: {
      computerName: spec.name,
      adminUsername: spec.adminUser,
      // Custom data, not `userData`: that one can be read back by anyone who may read the VM, and a one-time
      // token is in it.
      customData: Buffer.from(spec.userData, 'utf8').toString('base64'),
      linuxConfiguration: {
        disablePasswordAuthentication: true,
        ssh: {
          publicKeys: [
            { path: `/home/${spec.adminUser}/.ssh/authorized_keys`, keyData: spec.sshPublicKey.trim() },
          ],
        },
      },
    },
  };
}

function commonBody(spec: DisksSpec | ImageSpec): VirtualMachine {
  return {
    location: spec.location,
    ...(spec.zone === undefined ? {} : { zones: [spec.zone] }),
    tags: { ...spec.tags },
    hardwareProfile: { vmSize: spec.size },
    networkProfile: {
      networkInterfaces: spec.nicIds.map((id, index) => ({
        id,
        primary: index === 0,
        deleteOption: 'Detach',
      })),
    },
    // Without a storage account of its own: Azure keeps the console log.
    diagnosticsProfile: { bootDiagnostics: { enabled: true } },
  };
}

function attached(disks: readonly { readonly diskId: string; readonly lun: number }[]) {
  return disks.map(({ diskId, lun }) => ({
    lun,
    createOption: 'Attach',
    managedDisk: { id: diskId },
    deleteOption: 'Detach',
  }));
}
