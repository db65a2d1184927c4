import { ArmError } from './arm-error.ts';
import type { Resource, Work } from './behaviour.ts';
import type { Core } from './core.ts';
import { removeWithChildren } from './delete-resource.ts';
import { performGroupDelete } from './group-delete.ts';
import type { JsonObject } from './json.ts';
import type { OperationRecord, Performer } from './operations.ts';
import { presentResource } from './present.ts';

/**
 * What operations do: the asynchronous half of a PUT, DELETE, action or group deletion. Each is run again from
 * its start after a kill; the end (states, removal) is written in the operation's own last transaction.
 */
export function makePerformer(core: Core): Performer {
  return {
    async perform(record, work) {
      if (record.kind === 'group-delete') return performGroupDelete(core, record, work);
      return performOnResource(core, record, work);
    },
    succeeded(record, output) {
      if (record.kind === 'group-delete') {
        core.groups.remove(record.resourceId.split('/').at(-1) ?? '');
        return undefined;
      }
      if (record.kind === 'delete') {
        removeWithChildren(core, record.resourceId);
        return undefined;
      }
      const resource = settle(core, record, 'Succeeded');
      if (record.kind === 'action' || resource === undefined) return output;
      const isShown = record.shape === undefined || record.shape.output || record.shape.poll === 'location';
      return isShown ? presented(core, resource) : undefined;
    },
    failed(record) {
      if (record.kind === 'group-delete') {
        core.groups.update(record.resourceId.split('/').at(-1) ?? '', { provisioningState: 'Failed' });
        return;
      }
      settle(core, record, 'Failed');
    },
  };
}

async function performOnResource(
  core: Core,
  record: OperationRecord,
  work: Work,
): Promise<JsonObject | undefined> {
  const resource = core.graph.get(record.resourceId);
  if (resource === undefined) {
    throw new ArmError(
      409,
      'Canceled',
      `The resource '${record.resourceId}' was deleted before the operation ended.`,
    );
  }
  const behaviour = core.registry.find(resource.type);
  if (record.kind === 'put') {
    await behaviour?.afterPut?.(core.context, resource, work);
    return undefined;
  }
  if (record.kind === 'delete') {
    await behaviour?.afterDelete?.(core.context, resource, work);
    return undefined;
  }
  const action = behaviour?.actions?.[record.verb];
  if (action?.kind !== 'operation') throw new Error(`${resource.type} has no operation ${record.verb}.`);
  return action.run?.(core.context, resource, work);
}

/** The last operation on a resource decides what it shows; one that still waits has set its own state already. */
function settle(core: Core, record: OperationRecord, state: 'Succeeded' | 'Failed'): Resource | undefined {
  const resource = core.graph.get(record.resourceId);
  if (resource === undefined) return undefined;
  const isLast = core.operations.inFlightOn(record.resourceId).every((other) => other.id === record.id);
  for (const child of core.graph.childrenOf(resource.id)) {
    const isOwn = core.operations.inFlightOn(child.id).length > 0;
    if (record.kind === 'put' && !isOwn && child.provisioningState === 'Updating') {
      core.graph.save({ ...child, provisioningState: state });
    }
  }
  const failsResource = state === 'Succeeded' || record.kind !== 'action' || showsAction(record);
  if (!isLast || !failsResource) return resource;
  return core.graph.save({ ...resource, provisioningState: state });
}

/** start, deallocate and the like show `Updating` on the VM; beginGetAccess leaves a disk's state alone. */
export function showsAction(record: Pick<OperationRecord, 'shape'>): boolean {
  return record.shape?.path === 'operations' && record.shape.times;
}

function presented(core: Core, resource: Resource): JsonObject {
  return presentResource(core.context, core.registry, resource, {
    query: new URLSearchParams(),
    from: 'operation',
  });
}
