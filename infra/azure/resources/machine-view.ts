import type { VirtualMachine } from '@azure/arm-compute';
import type { CloudMachine } from '../../../src/ports/cloud-machines.ts';
import { resourceGroupOf } from '../arm-id.ts';

export function machineOf(machine: VirtualMachine): CloudMachine {
  const osDisk = machine.storageProfile?.osDisk;
  const nics = [...(machine.networkProfile?.networkInterfaces ?? [])].sort(
    (left, right) => Number(right.primary ?? false) - Number(left.primary ?? false),
  );
  const power = machine.instanceView?.statuses
    ?.map((status) => /^PowerState\/(.+)$/i.exec(status.code ?? '')?.[1])
    .find((state) => state !== undefined);
  const osType = osDisk?.osType;
  const computerName = machine.osProfile?.computerName;
  return {
    id: machine.id ?? '',
    name: machine.name ?? '',
    resourceGroup: resourceGroupOf(machine.id),
    location: machine.location,
    size: machine.hardwareProfile?.vmSize ?? '',
    ...(machine.zones?.[0] ? { zone: machine.zones[0] } : {}),
    provisioning: machine.provisioningState ?? 'Unknown',
    ...(power ? { power } : {}),
    nicIds: nics.flatMap((nic) => (nic.id ? [nic.id] : [])),
    ...(osDisk?.managedDisk?.id ? { osDiskId: osDisk.managedDisk.id } : {}),
    ...(osType === 'Linux' || osType === 'Windows' ? { osType } : {}),
    ...(computerName ? { computerName } : {}),
    dataDisks: (machine.storageProfile?.dataDisks ?? []).flatMap((disk) =>
      disk.managedDisk?.id ? [{ diskId: disk.managedDisk.id, lun: disk.lun }] : [],
    ),
    tags: machine.tags ?? {},
  };
}
