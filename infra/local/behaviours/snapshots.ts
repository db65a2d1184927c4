import { ArmError, notImplemented } from '../arm/arm-error.ts';
import type { ArmContext, Behaviour, Put, Resource } from '../arm/behaviour.ts';
import { booleanAt, numberAt, textAt } from '../arm/json.ts';
import { diskAction, diskPut } from '../arm/operation-shape.ts';
import { sameId } from '../arm/resource-id.ts';
import { ensureEmptyDisk } from '../disk-files.ts';
import { DISK_VERSIONS } from './api-versions.ts';
import { accessActions, accessState } from './disk-access.ts';
import {
  bornProperties,
  checkSizeGib,
  FIXED_PROPERTIES,
  fileOf,
  GIB,
  removeFileOf,
  sizeGibOf,
  skuOf,
  withProperties,
} from './disk-model.ts';
import { copyBytes } from './disks.ts';
import { USUAL_NAME } from './names.ts';
import { diskNotFound, notChangeable, requiredMissing, spelledOption, TYPES } from './references.ts';

/** Snapshots: a copy of a disk's bytes at one moment. Incremental ones of one disk share a family. */
const OPTIONS = ['Empty', 'Copy', 'CopyStart'] as const;
/** How long a copy to another region takes here, after its operation has succeeded. */
const COPY_START_MS = 2000;

function sourceOf(context: ArmContext, put: Put, option: 'Copy' | 'CopyStart'): Resource {
  const id = textAt(put.resource.properties, 'creationData.sourceResourceId');
  if (id === undefined) throw requiredMissing('snapshot.creationData.sourceResourceId');
  const source = context.graph.get(id);
  const fits = source?.type === TYPES.disk || source?.type === TYPES.snapshot;
  const isFar = source?.location !== put.resource.location;
  if (!source || !fits || (isFar && option === 'Copy')) throw diskNotFound(id);
  const isIncremental =
    source.properties.incremental === true && put.resource.properties.incremental !== false;
  if (option === 'CopyStart' && !isIncremental) {
    throw new ArmError(
      400,
      'BadRequest',
      `CopyStart creation is only supported for incremental snapshots: ${source.name} and ${put.resource.name} must be incremental.`,
    );
  }
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

/** A copy to another region begins a family of its own. */
function familyIn(context: ArmContext, source: Resource | undefined, option: string): string {
  return source === undefined || option === 'CopyStart' ? context.newGuid() : familyOf(context, source);
}

function newSnapshot(context: ArmContext, put: Put): void {
  const { resource } = put;
  const given = textAt(resource.properties, 'creationData.createOption');
  if (given === undefined) throw requiredMissing('snapshot.creationData');
  const option = spelledOption(given, OPTIONS);
  if (option === undefined) throw notImplemented(`a snapshot with createOption '${given}'`);
  const source = option === 'Empty' ? undefined : sourceOf(context, put, option);
  const sizeGib = source === undefined ? numberAt(resource.properties, 'diskSizeGB') : sizeGibOf(source);
  if (sizeGib === undefined) throw requiredMissing('snapshot.diskSizeGB');
  checkSizeGib(sizeGib, 'snapshot.diskSizeGB');
  // Nothing but an incremental snapshot comes of a copy to another region.
  const incremental = booleanAt(resource.properties, 'incremental') ?? option === 'CopyStart';
  const { osType, hyperVGeneration, uniqueId } = source?.properties ?? resource.properties;
  const born = bornProperties(context, 'snapshots');
  resource.top = { ...resource.top, sku: skuOf(textAt(resource.top, 'sku.name')) };
  resource.properties = {
    ...(osType === undefined ? {} : { osType }),
    ...(hyperVGeneration === undefined ? {} : { hyperVGeneration }),
    creationData: {
      createOption: option,
      ...(source ? { sourceResourceId: source.id, sourceUniqueId: uniqueId ?? null } : {}),
    },
    diskSizeGB: sizeGib,
    diskSizeBytes: sizeGib * GIB,
    incremental,
    ...(incremental ? { incrementalSnapshotFamilyId: familyIn(context, source, option) } : {}),
    ...FIXED_PROPERTIES,
    ...born.shown,
  };
  resource.hidden = born.hidden;
  // The answer of a CopyStart comes long before the bytes do.
  if (option === 'CopyStart') resource.hidden.copiedAtMs = context.clock.now() + COPY_START_MS;
  put.carry = source ? { sourceId: source.id } : {};
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

/** 100 when the bytes are all there; a disk can be made of it only then. */
function percentOf(context: ArmContext, snapshot: Resource): number {
  if (textAt(snapshot.hidden, 'filled') !== 'yes') return 0;
  const leftMs = (numberAt(snapshot.hidden, 'copiedAtMs') ?? 0) - context.clock.now();
  return leftMs <= 0 ? 100 : Math.min(99, Math.max(0, Math.floor(100 - (leftMs * 100) / COPY_START_MS)));
}

export const snapshots: Behaviour = {
  type: TYPES.snapshot,
  apiVersions: DISK_VERSIONS,
  tracked: true,
  namePattern: USUAL_NAME,
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
    const sourceId = textAt(work.carry, 'sourceId');
    if (sourceId === undefined) {
      await ensureEmptyDisk(fileOf(context, snapshot), sizeGibOf(snapshot) * GIB);
    } else {
      const source = context.graph.get(sourceId);
      if (source === undefined) throw diskNotFound(sourceId);
      await copyBytes(context, source, snapshot, work);
    }
    context.graph.update(snapshot.id, (resource) => {
      resource.hidden.filled = 'yes';
    });
  },
  async afterDelete(context, resource) {
    await removeFileOf(context, resource);
  },
  actions: accessActions,
  present(context, resource, shown, view) {
    if (view.from === 'put') return shown;
    const diskState = accessState(resource);
    // As recorded: the operation's output does not speak of a copy that has only begun.
    if (view.from === 'operation' && resource.hidden.copiedAtMs !== undefined) {
      return withProperties(shown, { diskState });
    }
    return withProperties(shown, { diskState, completionPercent: percentOf(context, resource) });
  },
};
