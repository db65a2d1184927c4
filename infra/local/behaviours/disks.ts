import { ArmError, notImplemented } from '../arm/arm-error.ts';
import type { ArmContext, Behaviour, Put, Resource, Work } from '../arm/behaviour.ts';
import { type JsonObject, listAt, numberAt, objectAt, textAt } from '../arm/json.ts';
import { diskAction, diskPut } from '../arm/operation-shape.ts';
import { sameId } from '../arm/resource-id.ts';
import { ensureDiskCopy, ensureEmptyDisk, growDisk } from '../disk-files.ts';
import { DISK_VERSIONS } from './api-versions.ts';
import { accessActions } from './disk-access.ts';
import {
  bornProperties,
  checkDiskQuota,
  checkSizeGib,
  checkZones,
  diskStateOf,
  FIXED_PROPERTIES,
  fileOf,
  GIB,
  imageSizeGib,
  removeFileOf,
  sizeGibOf,
  skuOf,
  withProperties,
} from './disk-model.ts';
import { resolveImage } from './machine-images.ts';
import { USUAL_NAME } from './names.ts';
import { diskNotFound, notChangeable, requiredMissing, spelledOption, TYPES } from './references.ts';

/** Managed disks: sparse files, made empty or as a copy of a disk or snapshot; attached to one VM at most. */
function sourceOf(context: ArmContext, put: Put): Resource {
  const id = textAt(put.resource.properties, 'creationData.sourceResourceId');
  if (id === undefined) throw requiredMissing('disk.creationData.sourceResourceId');
  const source = context.graph.get(id);
  const fits = source?.type === TYPES.disk || source?.type === TYPES.snapshot;
  if (!source || !fits || source.location !== put.resource.location) throw diskNotFound(id);
  const isWhole =
    source.type === TYPES.disk || (numberAt(source.hidden, 'copiedAtMs') ?? 0) <= context.clock.now();
  if (source.provisioningState !== 'Succeeded' || !isWhole) {
    throw new ArmError(
      409,
      'Conflict',
      `Resource ${source.name} is not ready to be copied: it is ${source.provisioningState}.`,
    );
  }
  return source;
}

function checkGeneration(given: string | undefined): void {
  if (given === undefined || given === 'V1' || given === 'V2') return;
  throw new ArmError(
    400,
    'InvalidParameter',
    `The value '${given}' of parameter 'hyperVGeneration' is not known.`,
    'hyperVGeneration',
  );
}

const OPTIONS = ['Empty', 'Copy', 'FromImage', 'Upload', 'UploadPreparedSecure'] as const;
const MIB = 1024 ** 2;
const FOOTER_BYTES = 512;

/** A disk that is to be filled through a SAS is as large as the fixed VHD that will be sent: whole MiB and a footer. */
function uploadOf(properties: JsonObject): { readonly sizeBytes: number; readonly sizeGib: number } {
  const sizeBytes = numberAt(properties, 'creationData.uploadSizeBytes');
  if (sizeBytes === undefined) throw requiredMissing('disk.creationData.uploadSizeBytes');
  if ((sizeBytes - FOOTER_BYTES) % MIB === 0 && sizeBytes >= 20 * MIB + FOOTER_BYTES) {
    return { sizeBytes, sizeGib: Math.ceil((sizeBytes - FOOTER_BYTES) / GIB) };
  }
  throw new ArmError(
    400,
    'InvalidParameter',
    `The value '${sizeBytes}' of uploadSizeBytes is not 20 MiB or more in whole MiB and ${FOOTER_BYTES} bytes.`,
    'disk.creationData.uploadSizeBytes',
  );
}

/** A disk of a marketplace image, without a VM; like every such disk here it is empty. */
function imageOf(properties: JsonObject): {
  readonly osType: string;
  readonly generation: string;
  readonly id: string;
} {
  const id = textAt(properties, 'creationData.imageReference.id');
  const found =
    /\/publishers\/([^/]+)\/artifacttypes\/vmimage\/offers\/([^/]+)\/skus\/([^/]+)\/versions\/([^/]+)$/i.exec(
      id ?? '',
    );
  if (id === undefined || found === null)
    throw notImplemented('a disk of an image that is not of the marketplace');
  const [, publisher = '', offer = '', sku = '', version = ''] = found;
  return { ...resolveImage({ publisher, offer, sku, version }), id };
}

/** What a client may ask of a disk and Azure shows again; nothing here depends on it. */
const KEPT = [
  ...[
    'tier',
    'burstingEnabled',
    'maxShares',
    'networkAccessPolicy',
    'publicNetworkAccess',
    'securityProfile',
  ],
  ...['supportsHibernation', 'supportedCapabilities', 'dataAccessAuthMode', 'purchasePlan'],
  ...['diskIOPSReadWrite', 'diskMBpsReadWrite', 'diskIOPSReadOnly', 'diskMBpsReadOnly'],
  'optimizedForFrequentAttach',
];
const KEPT_OF_CREATION = ['logicalSectorSize', 'performancePlus'];

function kept(names: readonly string[], given: JsonObject | undefined): JsonObject {
  return Object.fromEntries(
    names.flatMap((name) =>
      given?.[name] === undefined || given[name] === null ? [] : [[name, given[name]]],
    ),
  );
}

function newDisk(context: ArmContext, put: Put): void {
  const { resource } = put;
  const { properties } = resource;
  const given = textAt(properties, 'creationData.createOption');
  if (given === undefined) throw requiredMissing('disk.creationData');
  const option = spelledOption(given, OPTIONS);
  if (option === undefined) throw notImplemented(`a disk with createOption '${given}'`);
  const source = option === 'Copy' ? sourceOf(context, put) : undefined;
  const upload = option.startsWith('Upload') ? uploadOf(properties) : undefined;
  const image = option === 'FromImage' ? imageOf(properties) : undefined;
  const usualGib = image ? imageSizeGib(image.osType) : source && sizeGibOf(source);
  const sizeGib = upload?.sizeGib ?? numberAt(properties, 'diskSizeGB') ?? usualGib;
  if (sizeGib === undefined) throw requiredMissing('disk.diskSizeGB');
  checkSizeGib(sizeGib, 'disk.diskSizeGB');
  if (source && sizeGib < sizeGibOf(source)) throw shrinkRefused(sizeGibOf(source), sizeGib);
  const origin: JsonObject | undefined = image
    ? { osType: image.osType, hyperVGeneration: image.generation }
    : source?.properties;
  const osType = textAt(properties, 'osType') ?? textAt(origin, 'osType');
  const generation = textAt(properties, 'hyperVGeneration') ?? textAt(origin, 'hyperVGeneration');
  checkGeneration(generation);
  const sku = textAt(resource.top, 'sku.name') ?? 'Standard_LRS';
  checkDiskQuota(context, resource.location ?? '', sku);
  checkZones(resource.location ?? '', TYPES.disk, resource.name, listAt(resource.top, 'zones'));
  const born = bornProperties(context, 'disks');
  resource.top = { ...resource.top, sku: skuOf(sku) };
  resource.properties = {
    ...(osType === undefined ? {} : { osType }),
    ...(generation === undefined ? {} : { hyperVGeneration: generation }),
    creationData: {
      createOption: option,
      ...(upload ? { uploadSizeBytes: upload.sizeBytes } : {}),
      ...(image ? { imageReference: { id: image.id } } : {}),
      ...kept(KEPT_OF_CREATION, objectAt(properties, 'creationData')),
      ...(source ? { sourceResourceId: source.id, sourceUniqueId: source.properties.uniqueId ?? null } : {}),
    },
    diskSizeGB: sizeGib,
    diskSizeBytes: sizeGib * GIB,
    diskIOPSReadWrite: 500,
    diskMBpsReadWrite: 60,
    ...FIXED_PROPERTIES,
    ...kept(KEPT, properties),
    ...born.shown,
  };
  resource.hidden = born.hidden;
  put.carry = source ? { sourceId: source.id } : {};
}

function shrinkRefused(currentGib: number, requestedGib: number): ArmError {
  return new ArmError(
    409,
    'OperationNotAllowed',
    `Disk size reduction is not supported. Current size is ${currentGib * GIB} bytes, requested size is ${requestedGib * GIB} bytes.`,
  );
}

function checkUnchanged(put: Put, existing: Resource): void {
  const { properties, top } = put.resource;
  const before = existing.properties;
  const option = textAt(properties, 'creationData.createOption');
  const optionBefore = textAt(before, 'creationData.createOption') ?? '';
  if (option !== undefined && option.toLowerCase() !== optionBefore.toLowerCase())
    throw notChangeable('disk.creationData');
  const source = textAt(properties, 'creationData.sourceResourceId');
  if (source !== undefined && !sameId(source, textAt(before, 'creationData.sourceResourceId')))
    throw notChangeable('disk.creationData');
  for (const field of ['osType', 'hyperVGeneration']) {
    const given = textAt(properties, field);
    if (given !== undefined && before[field] !== undefined && given !== before[field])
      throw notChangeable(`disk.${field}`);
  }
  if (top.zones !== undefined && JSON.stringify(top.zones) !== JSON.stringify(existing.top.zones))
    throw notChangeable('zones');
}

function changedDisk(context: ArmContext, put: Put, existing: Resource): void {
  const { resource } = put;
  checkUnchanged(put, existing);
  const before = sizeGibOf(existing);
  const sizeGib = numberAt(resource.properties, 'diskSizeGB') ?? before;
  checkSizeGib(sizeGib, 'disk.diskSizeGB');
  if (sizeGib < before) throw shrinkRefused(before, sizeGib);
  if (sizeGib > before && diskStateOf(context, existing) === 'Attached') {
    throw new ArmError(
      409,
      'OperationNotAllowed',
      `Cannot resize disk ${resource.name} while it is attached to running VM ${textAt(existing.hidden, 'machineId') ?? ''}. ` +
        'Resizing a disk of an Azure Virtual Machine requires the virtual machine to be deallocated. Please stop your VM and retry the operation.',
    );
  }
  const osType = textAt(resource.properties, 'osType');
  const generation = textAt(resource.properties, 'hyperVGeneration');
  checkGeneration(generation);
  resource.properties = {
    ...(osType === undefined ? {} : { osType }),
    ...(generation === undefined ? {} : { hyperVGeneration: generation }),
    ...existing.properties,
    ...kept(KEPT, resource.properties),
    diskSizeGB: sizeGib,
    diskSizeBytes: sizeGib * GIB,
  };
  const zones = existing.top.zones;
  resource.top = {
    ...(zones === undefined ? {} : { zones }),
    sku: skuOf(textAt(resource.top, 'sku.name') ?? textAt(existing.top, 'sku.name')),
  };
  // Put again after a copy that failed: the bytes are still to be made.
  const sourceId = textAt(existing.properties, 'creationData.sourceResourceId');
  put.carry = sourceId === undefined ? {} : { sourceId };
}

/** A disk of a running VM is copied while the guest holds still, so that the copy is of one moment. */
export async function copyBytes(
  context: ArmContext,
  source: Resource,
  target: Resource,
  work: Work,
): Promise<void> {
  const sizeBytes = sizeGibOf(target) * GIB;
  const copy = () => ensureDiskCopy(fileOf(context, source), fileOf(context, target), sizeBytes, work.signal);
  const machineId = textAt(source.hidden, 'machineId');
  if (machineId === undefined) return copy();
  return context.guests.whileFrozen(machineId, copy);
}

async function afterPut(context: ArmContext, disk: Resource, work: Work): Promise<void> {
  const sizeBytes = sizeGibOf(disk) * GIB;
  if (textAt(disk.hidden, 'filled') === 'yes') return growDisk(fileOf(context, disk), sizeBytes);
  const sourceId = textAt(work.carry, 'sourceId');
  if (sourceId === undefined) {
    await ensureEmptyDisk(fileOf(context, disk), sizeBytes);
  } else {
    const source = context.graph.get(sourceId);
    if (source === undefined) throw diskNotFound(sourceId);
    await copyBytes(context, source, disk, work);
  }
  context.graph.update(disk.id, (resource) => {
    resource.hidden.filled = 'yes';
  });
}

export const disks: Behaviour = {
  type: TYPES.disk,
  apiVersions: DISK_VERSIONS,
  tracked: true,
  namePattern: USUAL_NAME,
  nameCode: 'InvalidParameter',
  putShape: diskPut,
  patchShape: diskPut,
  deleteShape: diskAction,
  azureMs: { create: 1800, update: 1000, delete: 2000 },
  beforePut(context, put) {
    if (put.existing) changedDisk(context, put, put.existing);
    else newDisk(context, put);
  },
  afterPut,
  beforeDelete(_context, resource, request) {
    const machineId = textAt(resource.hidden, 'machineId');
    if (machineId === undefined || request.wholeGroup) return;
    throw new ArmError(409, 'OperationNotAllowed', `Disk ${resource.name} is attached to VM ${machineId}.`);
  },
  async afterDelete(context, resource) {
    await removeFileOf(context, resource);
  },
  actions: accessActions,
  present(context, resource, shown, view) {
    if (view.from === 'put') return shown;
    const machineId = textAt(resource.hidden, 'machineId');
    const dressed: JsonObject = withProperties(shown, { diskState: diskStateOf(context, resource) });
    return machineId === undefined
      ? dressed
      : { ...dressed, managedBy: machineId, properties: objectAt(dressed, 'properties') };
  },
};
