import { ArmError } from '../arm/arm-error.ts';
import type { ArmContext, Behaviour, Put, Resource } from '../arm/behaviour.ts';
import { booleanAt, textAt } from '../arm/json.ts';
import { diskAction, diskPut } from '../arm/operation-shape.ts';
import { sameId } from '../arm/resource-id.ts';
import { DISK_VERSIONS } from './api-versions.ts';
import {
  bornProperties,
  FIXED_PROPERTIES,
  GIB,
  removeFileOf,
  sizeGibOf,
  skuOf,
  withProperties,
} from './disk-model.ts';
import { copyBytes } from './disks.ts';
import { diskNotFound, notChangeable, requiredMissing, TYPES } from './references.ts';

/** Snapshots: a copy of a disk's bytes at one moment. Incremental ones of one disk share a family. */
function sourceOf(context: ArmContext, put: Put): Resource {
  const id = textAt(put.resource.properties, 'creationData.sourceResourceId');
  if (id === undefined) throw requiredMissing('snapshot.creationData.sourceResourceId');
  const source = context.graph.get(id);
  const fits = source?.type === TYPES.disk || source?.type === TYPES.snapshot;
  if (!source || !fits || source.location !== put.resource.location) throw diskNotFound(id);
  if (source.provisioningState !== 'Succeeded') {
    throw new ArmError(
      409,
      'Conflict',
      `Resource ${source.name} is not ready to be copied: it is ${source.provisioningState}.`,
    );
  }
  return source;
}

/** Kept with the disk: all its incremental snapshots show the same one. */
function familyOf(context: ArmContext, source: Resource): string {
  const known = textAt(source.hidden, 'snapshotFamilyId');
  if (known !== undefined) return known;
  const made = context.newGuid();
  context.graph.update(source.id, (resource) => {
    resource.hidden.snapshotFamilyId = made;
  });
  return made;
}

function newSnapshot(context: ArmContext, put: Put): void {
  const { resource } = put;
  const option = textAt(resource.properties, 'creationData.createOption');
  if (option === undefined) throw requiredMissing('snapshot.creationData');
  if (option !== 'Copy') {
    throw new ArmError(
      400,
      'InvalidParameter',
      `createOption '${option}' is not supported here; use Copy.`,
      'snapshot.creationData.createOption',
    );
  }
  const source = sourceOf(context, put);
  const incremental = booleanAt(resource.properties, 'incremental') ?? false;
  const { osType, hyperVGeneration, uniqueId } = source.properties;
  const born = bornProperties(context, 'snapshots');
  resource.top = { ...resource.top, sku: skuOf(textAt(resource.top, 'sku.name')) };
  resource.properties = {
    ...(osType === undefined ? {} : { osType }),
    ...(hyperVGeneration === undefined ? {} : { hyperVGeneration }),
    creationData: { createOption: 'Copy', sourceResourceId: source.id, sourceUniqueId: uniqueId ?? null },
    diskSizeGB: sizeGibOf(source),
    diskSizeBytes: sizeGibOf(source) * GIB,
    incremental,
    ...(incremental ? { incrementalSnapshotFamilyId: familyOf(context, source) } : {}),
    ...FIXED_PROPERTIES,
    ...born.shown,
  };
  resource.hidden = born.hidden;
  put.carry = { sourceId: source.id };
}

function changedSnapshot(put: Put, existing: Resource): void {
  const { resource } = put;
  const source = textAt(resource.properties, 'creationData.sourceResourceId');
  if (source !== undefined && !sameId(source, textAt(existing.properties, 'creationData.sourceResourceId'))) {
    throw notChangeable('snapshot.creationData');
  }
  const incremental = booleanAt(resource.properties, 'incremental');
  if (incremental !== undefined && incremental !== existing.properties.incremental)
    throw notChangeable('snapshot.incremental');
  resource.properties = existing.properties;
  resource.top = {
    ...existing.top,
    sku: skuOf(textAt(resource.top, 'sku.name') ?? textAt(existing.top, 'sku.name')),
  };
  put.carry = { sourceId: textAt(existing.properties, 'creationData.sourceResourceId') };
}

export const snapshots: Behaviour = {
  type: TYPES.snapshot,
  apiVersions: DISK_VERSIONS,
  tracked: true,
  namePattern: /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$/,
  nameCode: 'InvalidParameter',
  putShape: diskPut,
  patchShape: diskPut,
  deleteShape: diskAction,
  azureMs: { create: 10_000, update: 1000, delete: 2000 },
  beforePut(context, put) {
    if (put.existing) changedSnapshot(put, put.existing);
    else newSnapshot(context, put);
  },
  async afterPut(context, snapshot, work) {
    // A finished snapshot is put again for its tags only; the source may be gone by then.
    if (textAt(snapshot.hidden, 'filled') === 'yes') return;
    const sourceId = textAt(work.carry, 'sourceId') ?? '';
    const source = context.graph.get(sourceId);
    if (source === undefined) throw diskNotFound(sourceId);
    await copyBytes(context, source, snapshot, work);
    context.graph.update(snapshot.id, (resource) => {
      resource.hidden.filled = 'yes';
    });
  },
  async afterDelete(context, resource) {
    await removeFileOf(context, resource);
  },
  present(_context, resource, shown, view) {
    if (view.from === 'put') return shown;
    const filled = textAt(resource.hidden, 'filled') === 'yes';
    return withProperties(shown, { diskState: 'Unattached', completionPercent: filled ? 100 : 0 });
  },
};
