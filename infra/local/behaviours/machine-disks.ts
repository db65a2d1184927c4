import { ArmError, notImplemented } from '../arm/arm-error.ts';
import type { ArmContext, Resource } from '../arm/behaviour.ts';
import { booleanAt, type JsonObject, numberAt, objectAt, objectsAt, textAt } from '../arm/json.ts';
import { sameId } from '../arm/resource-id.ts';
import type { VmSize } from '../sizes.ts';
import { imageSizeGib, insertDisk, skuOf } from './disk-model.ts';
import { checkDataDisks, checkGeneration, checkPremium, requireAttachable } from './machine-checks.ts';
import { resolveImage } from './machine-images.ts';
import { notChangeable, requiredMissing, spelledOption } from './references.ts';

/**
 * A VM's disks. A disk belongs to its VM through `hidden.machineId`, which is set here in the transaction of the
 * PUT, and cleared only when the guest has let go of it: a disk being detached stays in the list as `toBeDetached`.
 */
export function own(context: ArmContext, disk: Resource, machine: Resource): void {
  context.graph.update(disk.id, (resource) => {
    resource.hidden.machineId = machine.id;
  });
}

/** Undefined id: whoever holds it. */
export function release(context: ArmContext, id: string, machineId: string): void {
  const resource = context.graph.get(id);
  if (resource === undefined || !sameId(textAt(resource.hidden, 'machineId'), machineId)) return;
  context.graph.update(id, (held) => {
    delete held.hidden.machineId;
    delete held.hidden.primary;
  });
}

export interface OsDisk {
  readonly entry: JsonObject;
  readonly generation: 'V1' | 'V2';
  readonly imageReference?: JsonObject;
}

function osType(entry: JsonObject, fallback: string | undefined): string {
  const given = spelledOption(textAt(entry, 'osType') ?? fallback ?? '', ['Linux', 'Windows']);
  if (given !== undefined) return given;
  throw requiredMissing('osDisk.osType');
}

/** createOption Attach: the disk is there and filled, and the VM gets no osProfile. */
function attachOsDisk(context: ArmContext, machine: Resource, size: VmSize, entry: JsonObject): OsDisk {
  const id = textAt(entry, 'managedDisk.id');
  if (id === undefined) throw requiredMissing('osDisk.managedDisk.id');
  if (objectAt(machine.properties, 'osProfile') !== undefined) {
    throw new ArmError(400, 'InvalidParameter', "Parameter 'osProfile' is not allowed.", 'osProfile');
  }
  const disk = requireAttachable(context, machine, size, id);
  const generation = textAt(disk.properties, 'hyperVGeneration') === 'V2' ? 'V2' : 'V1';
  checkGeneration(size, generation);
  own(context, disk, machine);
  const type = osType(entry, textAt(disk.properties, 'osType'));
  return { generation, entry: osEntry(entry, disk, type, 'Attach') };
}

function osEntry(entry: JsonObject, disk: Resource, type: string, createOption: string): JsonObject {
  return {
    osType: type,
    name: disk.name,
    createOption,
    caching: textAt(entry, 'caching') ?? 'ReadWrite',
    managedDisk: { id: disk.id, storageAccountType: textAt(disk.top, 'sku.name') },
    deleteOption: textAt(entry, 'deleteOption') ?? 'Detach',
    diskSizeGB: disk.properties.diskSizeGB,
  };
}

function imageOsDisk(context: ArmContext, machine: Resource, size: VmSize, entry: JsonObject): OsDisk {
  const reference = objectAt(machine.properties, 'storageProfile.imageReference');
  if (reference === undefined) throw requiredMissing('storageProfile.imageReference');
  const image = resolveImage(reference);
  checkGeneration(size, image.generation);
  const sku =
    textAt(entry, 'managedDisk.storageAccountType') ?? (size.premium ? 'Premium_LRS' : 'Standard_LRS');
  const name = textAt(entry, 'name') ?? `${machine.name}_OsDisk_1_${context.newGuid().replaceAll('-', '')}`;
  checkPremium(size, sku.startsWith('Premium'), name, sku);
  const disk = insertDisk(context, machine, {
    name,
    sku,
    sizeGib: numberAt(entry, 'diskSizeGB') ?? imageSizeGib(image.osType),
    properties: {
      osType: image.osType,
      hyperVGeneration: image.generation,
      creationData: {
        createOption: 'FromImage',
        imageReference: { id: imageVersionId(context.settings.subscriptionId, machine, image.reference) },
      },
    },
  });
  return {
    generation: image.generation,
    imageReference: image.reference,
    entry: osEntry(entry, disk, image.osType, 'FromImage'),
  };
}

/** How a disk names the image that it was made of. */
function imageVersionId(subscriptionId: string, machine: Resource, image: JsonObject): string {
  return (
    `/Subscriptions/${subscriptionId}/Providers/Microsoft.Compute/Locations/${machine.location}` +
    `/Publishers/${image.publisher}/ArtifactTypes/VMImage/Offers/${image.offer}/Skus/${image.sku}` +
    `/Versions/${image.exactVersion}`
  );
}

export function newOsDisk(context: ArmContext, machine: Resource, size: VmSize): OsDisk {
  const entry = objectAt(machine.properties, 'storageProfile.osDisk');
  if (entry === undefined) throw requiredMissing('storageProfile.osDisk');
  const given = textAt(entry, 'createOption');
  if (given === undefined) throw requiredMissing('osDisk.createOption');
  if (entry.vhd !== undefined) throw notImplemented('a VM with an unmanaged disk (osDisk.vhd)');
  const option = spelledOption(given, ['Attach', 'FromImage']);
  if (option === 'Attach') return attachOsDisk(context, machine, size, entry);
  if (option === 'FromImage') return imageOsDisk(context, machine, size, entry);
  throw new ArmError(
    400,
    'InvalidParameter',
    `The value '${given}' of parameter 'osDisk.createOption' is not allowed. Allowed values are: Attach, FromImage.`,
    'osDisk.createOption',
  );
}

/** The OS disk of a VM that is there: the same one, or a PUT is refused. */
export function sameOsDisk(machine: Resource, existing: Resource): JsonObject {
  const before = objectAt(existing.properties, 'storageProfile.osDisk') ?? {};
  const entry = objectAt(machine.properties, 'storageProfile.osDisk') ?? {};
  const id = textAt(entry, 'managedDisk.id');
  if (id !== undefined && !sameId(id, textAt(before, 'managedDisk.id'))) {
    throw notChangeable('osDisk.managedDisk.id');
  }
  const option = textAt(entry, 'createOption');
  if (option !== undefined && option.toLowerCase() !== String(before.createOption).toLowerCase())
    throw notChangeable('osDisk.createOption');
  return {
    ...before,
    caching: textAt(entry, 'caching') ?? before.caching,
    deleteOption: textAt(entry, 'deleteOption') ?? before.deleteOption,
  };
}

function isSame(entry: JsonObject, other: JsonObject): boolean {
  const id = textAt(entry, 'managedDisk.id');
  if (id !== undefined) return sameId(id, textAt(other, 'managedDisk.id'));
  return textAt(entry, 'name')?.toLowerCase() === textAt(other, 'name')?.toLowerCase();
}

function newDataDisk(context: ArmContext, machine: Resource, size: VmSize, entry: JsonObject): JsonObject {
  const given = textAt(entry, 'createOption');
  if (given === undefined) throw requiredMissing('dataDisk.createOption');
  if (entry.vhd !== undefined) throw notImplemented('a VM with an unmanaged disk (dataDisk.vhd)');
  const option = spelledOption(given, ['Attach', 'Empty']) ?? given;
  const disk =
    option === 'Empty'
      ? emptyDisk(context, machine, size, entry)
      : attached(context, machine, size, entry, option);
  return {
    lun: numberAt(entry, 'lun'),
    name: disk.name,
    createOption: option,
    caching: textAt(entry, 'caching') ?? 'None',
    managedDisk: { id: disk.id, storageAccountType: textAt(disk.top, 'sku.name') },
    deleteOption: textAt(entry, 'deleteOption') ?? 'Detach',
    diskSizeGB: disk.properties.diskSizeGB,
    toBeDetached: false,
  };
}

function attached(
  context: ArmContext,
  machine: Resource,
  size: VmSize,
  entry: JsonObject,
  option: string,
): Resource {
  const id = textAt(entry, 'managedDisk.id');
  if (option !== 'Attach') {
    throw new ArmError(
      400,
      'InvalidParameter',
      `The value '${option}' of parameter 'dataDisk.createOption' is not allowed. Allowed values are: Attach, Empty.`,
      'dataDisk.createOption',
    );
  }
  if (id === undefined) throw requiredMissing('dataDisk.managedDisk.id');
  const disk = requireAttachable(context, machine, size, id);
  own(context, disk, machine);
  return disk;
}

function emptyDisk(context: ArmContext, machine: Resource, size: VmSize, entry: JsonObject): Resource {
  const sizeGib = numberAt(entry, 'diskSizeGB');
  if (sizeGib === undefined) throw requiredMissing('dataDisk.diskSizeGB');
  const lun = numberAt(entry, 'lun') ?? 0;
  const name =
    textAt(entry, 'name') ?? `${machine.name}_disk${lun + 2}_${context.newGuid().replaceAll('-', '')}`;
  const sku =
    textAt(entry, 'managedDisk.storageAccountType') ?? (size.premium ? 'Premium_LRS' : 'Standard_LRS');
  checkPremium(size, sku.startsWith('Premium'), name, textAt(skuOf(sku), 'name') ?? sku);
  return insertDisk(context, machine, {
    name,
    sizeGib,
    sku,
    properties: { creationData: { createOption: 'Empty' } },
  });
}

/** The list as it will be stored: what stays, what is new, and what is to be detached. */
export function nextDataDisks(
  context: ArmContext,
  machine: Resource,
  size: VmSize,
  existing: Resource | undefined,
): JsonObject[] {
  const wanted = objectsAt(machine.properties, 'storageProfile.dataDisks');
  const before = objectsAt(existing?.properties, 'storageProfile.dataDisks');
  const leaving = (entry: JsonObject) => booleanAt(entry, 'toBeDetached') === true;
  const going = before.filter((entry) => {
    const match = wanted.find((other) => isSame(other, entry));
    return leaving(entry) || match === undefined || leaving(match);
  });
  const luns = wanted.filter((entry) => !leaving(entry)).map((entry) => numberAt(entry, 'lun'));
  checkDataDisks(size, luns);
  const staying = wanted.flatMap((entry) => {
    if (leaving(entry)) return [];
    const known = before.find((other) => isSame(entry, other) && !leaving(other));
    if (known === undefined) return [newDataDisk(context, machine, size, entry)];
    if (numberAt(entry, 'lun') !== numberAt(known, 'lun')) throw notChangeable('dataDisk.lun');
    return [
      {
        ...known,
        caching: textAt(entry, 'caching') ?? known.caching,
        deleteOption: textAt(entry, 'deleteOption') ?? known.deleteOption,
      },
    ];
  });
  return [...staying, ...going.map((entry) => ({ ...entry, toBeDetached: true }))];
}

/** The guest has let go: the disks leave the list and are free. Idempotent. */
export function finishDetach(context: ArmContext, machineId: string): void {
  context.graph.transaction(() => {
    const machine = context.graph.get(machineId);
    const entries = objectsAt(machine?.properties, 'storageProfile.dataDisks');
    const gone = entries.filter((entry) => booleanAt(entry, 'toBeDetached') === true);
    if (machine === undefined || gone.length === 0) return;
    for (const entry of gone) release(context, textAt(entry, 'managedDisk.id') ?? '', machineId);
    context.graph.update(machineId, (resource) => {
      const profile = objectAt(resource.properties, 'storageProfile') ?? {};
      const dataDisks = entries.filter((entry) => !gone.includes(entry));
      resource.properties.storageProfile = { ...profile, dataDisks };
    });
  });
}
