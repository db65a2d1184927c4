import type { DeleteRequest, Resource } from './behaviour.ts';
import type { Core } from './core.ts';
import { groupKeyOf } from './graph.ts';
import type { OperationRecord } from './operations.ts';
import { failWithOf, takeOperationFault } from './put-resource.ts';

/** Accepts the deletion of one resource in one transaction; undefined when there is nothing to delete. */
export function acceptDelete(
  core: Core,
  facts: {
    readonly id: string;
    readonly action: string;
    readonly apiVersion: string;
    readonly query: URLSearchParams;
    readonly wholeGroup: boolean;
  },
): { readonly record: OperationRecord; readonly isNew: boolean } | undefined {
  return core.state.transaction(() => {
    const resource = core.graph.get(facts.id);
    if (resource === undefined) return undefined;
    const already = core.operations.inFlightOn(resource.id).find((record) => record.kind === 'delete');
    if (already !== undefined) return { record: already, isNew: false };
    const behaviour = core.registry.find(resource.type);
    const request: DeleteRequest = { query: facts.query, wholeGroup: facts.wholeGroup, carry: {} };
    behaviour?.beforeDelete?.(core.context, resource, request);
    const now = core.graph.get(resource.id) ?? resource;
    core.graph.save({ ...now, provisioningState: 'Deleting' });
    const fault = takeOperationFault(core, facts.action);
    const shape = behaviour?.deleteShape;
    const record = core.operations.accept({
      kind: 'delete',
      resourceId: resource.id,
      verb: 'delete',
      action: facts.action,
      location: locationOf(core, resource),
      ...(shape === undefined ? {} : { shape }),
      apiVersion: facts.apiVersion,
      dueAtMs:
        core.context.clock.now() +
        core.latency.durationMs(behaviour, 'delete', shape) +
        (fault?.delayMs ?? 0),
      ...failWithOf(fault),
      carry: request.carry,
    });
    return { record, isNew: true };
  });
}

/** Nested resources are where their parent is. */
export function locationOf(core: Core, resource: Resource): string {
  if (resource.location !== undefined) return resource.location;
  const root = core.graph.get(resource.id.split('/').slice(0, 9).join('/'));
  return root?.location ?? core.groups.get(groupKeyOf(resource.id))?.location ?? '';
}

/** Removes a resource with everything nested in it. */
export function removeWithChildren(core: Core, id: string): void {
  for (const child of core.graph.childrenOf(id)) removeWithChildren(core, child.id);
  core.graph.remove(id);
}
