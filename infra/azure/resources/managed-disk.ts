import type { Disk } from '@azure/arm-compute';
import type { CloudDisk, CloudDisks, DiskSpec, Operation, OsDiskFacts } from '../../../src/ports/cloud.ts';
import { parseArmId } from '../arm-id.ts';
import type { Azure } from '../azure.ts';
import { sightOf } from '../lookout.ts';
import { ensureResource, removeResource } from '../ownership.ts';

type ManagedDisks = Pick<CloudDisks, 'get' | 'createEmpty' | 'createFromSnapshot' | 'delete'>;

/** Managed disks: empty ones for replicas and journals, copies of snapshots for standby VMs. */
export function makeManagedDisks(azure: Azure): ManagedDisks {
  const { calls, clients } = azure;

  async function find(resourceGroup: string, name: string): Promise<Disk | undefined> {
    const client = await clients.compute();
    return calls.find(`The disk ${name} could not be read.`, () => client.disks.get(resourceGroup, name));
  }

  async function create(spec: DiskSpec, facts: Partial<Disk>, operation?: Operation): Promise<CloudDisk> {
    const client = await clients.compute();
    const { restorePoller } = await import('@azure/arm-compute');
    const body = {
      location: spec.location,
      sku: { name: spec.type },
      ...(spec.zone === undefined ? {} : { zones: [spec.zone] }),
      tags: { ...spec.tags },
      ...facts,
    };
    const made = await ensureResource(
      azure,
      { title: `The disk ${spec.name}`, tags: spec.tags },
      sightOf(calls, 'disks', spec, find, () => client.disks.listByResourceGroup(spec.resourceGroup)),
      {
        what: `The disk ${spec.name} could not be made.`,
        key: `disk/create/${spec.resourceGroup}/${spec.name}`,
        submit: () => client.disks.createOrUpdate(spec.resourceGroup, spec.name, body),
        restore: (state) => restorePoller(client, state, client.disks.createOrUpdate),
      },
      operation,
    );
    return diskOf(made);
  }

  return {
    async get(resourceGroup, name) {
      const found = await find(resourceGroup, name);
      return found && diskOf(found);
    },
    createEmpty: (spec, operation) =>
      create(
        spec,
        { diskSizeGB: spec.sizeGib, creationData: { createOption: 'Empty' }, ...osFacts(spec.os) },
        operation,
      ),
    createFromSnapshot: (spec, operation) =>
      create(
        spec,
        {
          creationData: { createOption: 'Copy', sourceResourceId: spec.snapshotId },
          ...osFacts(spec.os),
        },
        operation,
      ),
    async delete(diskId, scenario, operation) {
      const { resourceGroup, name } = parseArmId(diskId);
      const client = await clients.compute();
      const { restorePoller } = await import('@azure/arm-compute');
      await removeResource(
        azure,
        { title: `The disk ${name}`, scenario },
        () => find(resourceGroup, name),
        {
          what: `The disk ${name} could not be deleted.`,
          key: `disk/delete/${resourceGroup}/${name}`,
          submit: () => client.disks.delete(resourceGroup, name),
          restore: (state) => restorePoller(client, state, client.disks.delete),
        },
        operation,
      );
    },
  };
}

function osFacts(os: OsDiskFacts | undefined): Partial<Disk> {
  return os ? { osType: os.osType, hyperVGeneration: os.generation } : {};
}

function diskOf(disk: Disk): CloudDisk {
  const generation = disk.hyperVGeneration;
  return {
    id: disk.id ?? '',
    name: disk.name ?? '',
    location: disk.location,
    sizeGib: disk.diskSizeGB ?? 0,
    type: disk.sku?.name ?? '',
    state: disk.diskState ?? 'Unknown',
    ...(generation === 'V1' || generation === 'V2' ? { generation } : {}),
    ...(disk.managedBy ? { attachedTo: disk.managedBy } : {}),
    ...(disk.zones?.[0] ? { zone: disk.zones[0] } : {}),
    tags: disk.tags ?? {},
    provisioning: disk.provisioningState ?? 'Unknown',
  };
}
