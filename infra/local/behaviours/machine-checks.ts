import { ArmError, notImplemented } from '../arm/arm-error.ts';
import type { ArmContext, Resource } from '../arm/behaviour.ts';
import { booleanAt, listAt, objectsAt, textAt } from '../arm/json.ts';
import { sameId } from '../arm/resource-id.ts';
import { findSize, VM_SIZES, type VmSize } from '../sizes.ts';
import { accessState } from './disk-access.ts';
import { isPremium, isZoneRedundant } from './disk-model.ts';
import { nicInUse } from './network-interfaces.ts';
import { diskNotFound, requiredMissing, requireReference, TYPES } from './references.ts';

/** What Azure refuses about a VM's size, disks and NICs. Each check throws Azure's own error. */
export function requireSize(machine: Resource): VmSize {
  const location = machine.location ?? '';
  const name = textAt(machine.properties, 'hardwareProfile.vmSize');
  if (name === undefined) throw requiredMissing('hardwareProfile.vmSize');
  const size = findSize(name, location);
  if (size === undefined) {
    const valid = VM_SIZES.filter((known) => !known.absentIn.includes(location)).map((known) => known.name);
    throw new ArmError(
      400,
      'InvalidParameter',
      `The value ${name} provided for the VM size is not valid. The valid sizes in the current region are: ${valid.join(',')}. ` +
        'Find out more on the valid VM sizes in each region at https://aka.ms/azure-regions.',
      'vmSize',
    );
  }
  const zone = listAt(machine.top, 'zones')[0];
  const { restriction } = size;
  const restricted =
    restriction === 'location' ||
    (restriction !== undefined && typeof zone === 'string' && restriction.zones.includes(zone));
  if (restricted) throw skuNotAvailable(size.name, location);
  return size;
}

function skuNotAvailable(name: string, location: string): ArmError {
  return new ArmError(
    409,
    'SkuNotAvailable',
    `The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: ${name}' is currently ` +
      `not available in location '${location}'. Please try another size or deploy to a different location or different ` +
      'zone. See https://aka.ms/azureskunotavailable for details.',
  );
}

/** A disk that this VM may attach: there, ready, free, in the same zone, and of a type the size can take. */
export function requireAttachable(
  context: ArmContext,
  machine: Resource,
  size: VmSize,
  diskId: string,
): Resource {
  const disk = context.graph.get(diskId);
  if (disk?.type !== TYPES.disk || disk.location !== machine.location) throw diskNotFound(diskId);
  const owner = textAt(disk.hidden, 'machineId');
  if (owner !== undefined) throw ownedError(context, machine, disk, owner);
  if (disk.provisioningState !== 'Succeeded') {
    throw new ArmError(
      409,
      'Conflict',
      `Disk '${disk.name}' cannot be attached to VM '${machine.name}': its provisioning state is ${disk.provisioningState}.`,
    );
  }
  checkFree(machine, disk);
  checkDiskZone(machine, disk);
  checkPremium(size, isPremium(disk), disk.name, textAt(disk.top, 'sku.name') ?? '');
  checkUltra(machine, disk);
  return disk;
}

function ownedError(context: ArmContext, machine: Resource, disk: Resource, owner: string): ArmError {
  const holder = context.graph.get(owner);
  const entry = objectsAt(holder?.properties, 'storageProfile.dataDisks').find((candidate) =>
    sameId(textAt(candidate, 'managedDisk.id'), disk.id),
  );
  if (entry && booleanAt(entry, 'toBeDetached')) {
    return new ArmError(
      409,
      'AttachDiskWhileBeingDetached',
      `Cannot attach data disk '${disk.name}' to VM '${machine.name}' because the disk is currently being detached or the ` +
        'last detach operation failed. Please wait until the disk is completely detached and then try again or delete/detach ' +
        'the disk explicitly again.',
    );
  }
  return new ArmError(
    409,
    'ConflictingUserInput',
    `Disk '${disk.name}' cannot be attached as the disk is already owned by VM '${owner}'.`,
  );
}

function checkFree(machine: Resource, disk: Resource): void {
  const state = accessState(disk);
  if (state === 'Unattached') return;
  throw new ArmError(
    409,
    'OperationNotAllowed',
    `Disk '${disk.name}' cannot be attached to VM '${machine.name}' while it is in the state ${state}.`,
  );
}

function checkDiskZone(machine: Resource, disk: Resource): void {
  const zone = listAt(machine.top, 'zones')[0];
  const diskZone = listAt(disk.top, 'zones')[0];
  if (zone === diskZone || isZoneRedundant(disk)) return;
  throw new ArmError(
    400,
    'BadRequest',
    `Disk ${disk.name} cannot be attached to the VM because it is not in the same zone as the VM. VM zone: ` +
      `'${zone ?? ''}'. Disk zone: '${diskZone ?? ''}'.`,
  );
}

export function checkPremium(size: VmSize, premium: boolean, name: string, sku: string): void {
  if (!premium || size.premium) return;
  throw new ArmError(
    400,
    'InvalidParameter',
    `Requested operation cannot be performed because the VM size ${size.name} does not support the storage account type ` +
      `${sku} of disk '${name}'. Consider updating the VM to a size that supports Premium storage.`,
    'managedDisk.storageAccountType',
  );
}

function checkUltra(machine: Resource, disk: Resource): void {
  const isUltra = textAt(disk.top, 'sku.name') === 'UltraSSD_LRS';
  if (!isUltra || booleanAt(machine.properties, 'additionalCapabilities.ultraSSDEnabled') === true) return;
  throw new ArmError(
    400,
    'InvalidParameter',
    'StorageAccountType UltraSSD_LRS can be used only when additionalCapabilities.ultraSSDEnabled is set.',
    'managedDisk.storageAccountType',
  );
}

export function checkGeneration(size: VmSize, generation: 'V1' | 'V2'): void {
  if (size.generations.includes(generation)) return;
  const number = generation === 'V1' ? 1 : 2;
  throw new ArmError(
    400,
    'BadRequest',
    `The selected VM size '${size.name}' cannot boot Hypervisor Generation '${number}'. If this was a Create operation ` +
      'please check that the Hypervisor Generation of the Image matches the Hypervisor Generation of the selected VM Size. ' +
      `If this was an Update operation please select a Hypervisor Generation '${number}' VM Size. For more information, see ` +
      'https://aka.ms/azuregen2vm',
  );
}

export function checkDataDisks(
  size: VmSize,
  luns: readonly (number | undefined)[],
): asserts luns is readonly number[] {
  for (const lun of luns) {
    if (lun !== undefined && Number.isInteger(lun) && lun >= 0 && lun <= 63) continue;
    throw new ArmError(
      400,
      'InvalidParameter',
      `The value '${lun ?? ''}' of parameter 'dataDisk.lun' is out of range. The value must be between '0' and '63', inclusive.`,
      'dataDisk.lun',
    );
  }
  const twice = luns.find((lun, index) => luns.indexOf(lun) !== index);
  if (twice !== undefined) {
    throw new ArmError(
      400,
      'InvalidParameter',
      `The value '${twice}' of parameter 'dataDisk.lun' is used by more than one data disk of the VM.`,
      'dataDisk.lun',
    );
  }
  if (luns.length <= size.dataDisksMax) return;
  throw new ArmError(
    409,
    'OperationNotAllowed',
    `The maximum number of data disks allowed to be attached to a VM of this size is ${size.dataDisksMax}.`,
    'dataDisks',
  );
}

/** The NICs as they will be stored: found, free, and exactly one of them primary. */
export function requireNics(context: ArmContext, machine: Resource, size: VmSize): Resource[] {
  const entries = objectsAt(machine.properties, 'networkProfile.networkInterfaces');
  if (listAt(machine.properties, 'networkProfile.networkInterfaceConfigurations').length > 0)
    throw notImplemented('a VM that makes its own NICs (networkInterfaceConfigurations)');
  if (entries.length === 0) throw requiredMissing('networkProfile.networkInterfaces');
  if (entries.length > size.nicsMax) {
    throw new ArmError(
      400,
      'NetworkInterfaceCountExceeded',
      `The number of network interfaces for virtual machine ${machine.name} exceeds the maximum allowed for the virtual ` +
        `machine size ${size.name}. The number of network interfaces is ${entries.length} and the maximum allowed is ${size.nicsMax}.`,
    );
  }
  const primaries = entries.filter((entry) => booleanAt(entry, 'properties.primary') === true);
  if (entries.length > 1 && primaries.length !== 1) {
    throw new ArmError(
      400,
      'VirtualMachineMustHaveOneNetworkInterfaceAsPrimary',
      `Virtual machine ${machine.name} must have one network interface set as the primary.`,
    );
  }
  const nics = entries.map((entry) => {
    const id = textAt(entry, 'id');
    if (id === undefined) throw requiredMissing('networkProfile.networkInterfaces.id');
    const nic = requireReference(context, machine, id, TYPES.nic);
    const owner = textAt(nic.hidden, 'machineId');
    if (owner !== undefined && !sameId(owner, machine.id)) throw nicInUse(nic.id, owner);
    return nic;
  });
  if (new Set(nics.map((nic) => nic.id)).size === nics.length) return nics;
  throw new ArmError(400, 'InvalidParameter', 'A network interface is named twice.', 'networkProfile');
}
