import { bodyObject, type Request, type Response } from '../exchange.ts';
import { ArmError, resourceGroupNotFound } from './arm-error.ts';
import { canonicalLocation, checkTags } from './checks.ts';
import type { Core } from './core.ts';
import { presentGroup } from './groups.ts';
import { textAt } from './json.ts';
import { groupDelete } from './operation-shape.ts';
import { failWithOf, takeOperationFault } from './put-resource.ts';
import { apiVersionOf, checkCoreVersion } from './registry.ts';
import { matchesFilter, parseFilter } from './resource-filter.ts';
import { groupIdOf } from './resource-id.ts';
import { page } from './resource-routes.ts';
import type { Route } from './route.ts';

const TYPE = 'Microsoft.Resources/subscriptions/resourceGroups';

/** /subscriptions/{s}/resourceGroups and /subscriptions/{s}/resourceGroups/{name}. */
export function groupRoute(core: Core, request: Request): Route {
  const name = request.segments[3];
  const apiVersion = apiVersionOf(request.query);
  checkCoreVersion(apiVersion);
  const route = (verb: string, isOperation: boolean, handle: Route['handle']): Route => ({
    action: `${TYPE}/${verb}`,
    scope: request.path,
    isOperation,
    handle,
  });
  if (name === undefined && request.method === 'GET')
    return route('read', false, () => listGroups(core, request));
  if (name !== undefined) {
    switch (request.method) {
      case 'GET':
        return route('read', false, () => ({ status: 200, body: presented(core, name) }));
      case 'HEAD':
        return route('read', false, () => ({ status: core.groups.get(name) === undefined ? 404 : 204 }));
      case 'PUT':
        return route('write', false, () => putGroup(core, request, name));
      case 'PATCH':
        return route('write', false, () => patchGroup(core, request, name));
      case 'DELETE':
        return route('delete', true, () => deleteGroup(core, name, apiVersion));
    }
  }
  throw new ArmError(
    405,
    'MethodNotAllowed',
    `The method ${request.method} is not allowed on '${request.path}'.`,
  );
}

function presented(core: Core, name: string) {
  const group = core.groups.get(name);
  if (group === undefined) throw resourceGroupNotFound(name);
  return presentGroup(core.context.settings.subscriptionId, group);
}

function listGroups(core: Core, request: Request): Response {
  const filter = parseFilter(request.query.get('$filter'));
  const groups = core.groups.list().filter((group) =>
    matchesFilter(filter, {
      name: group.name,
      type: '',
      location: group.location,
      tags: group.tags,
      resourceGroup: group.name,
    }),
  );
  return page(
    core,
    request,
    groups.map((group) => presentGroup(core.context.settings.subscriptionId, group)),
  );
}

function putGroup(core: Core, request: Request, name: string): Response {
  if (!/^[\p{L}\p{N}_.()-]{0,89}[\p{L}\p{N}_()-]$/u.test(name)) {
    throw new ArmError(
      400,
      'InvalidResourceGroupName',
      `The provided resource group name '${name}' has invalid characters, ends with a period or is longer than 90: ` +
        "the name can only be a letter, digit, '-', '.', '(', ')' or '_'.",
    );
  }
  const body = bodyObject(request);
  const given = textAt(body, 'location');
  if (given === undefined) {
    throw new ArmError(400, 'LocationRequired', 'The location property is required for this definition.');
  }
  const location = canonicalLocation(given);
  if (!core.context.settings.locations.some((known) => known.name === location)) {
    throw new ArmError(
      400,
      'LocationNotAvailableForResourceGroup',
      `The provided location '${given}' is not available for resource group. List of available regions is ` +
        `'${core.context.settings.locations.map((known) => known.name).join(',')}'.`,
    );
  }
  const tags = checkTags(body.tags);
  return core.state.transaction(() => {
    const existing = core.groups.get(name);
    if (existing?.provisioningState === 'Deleting') throw beingDeleted(existing.name);
    if (existing !== undefined && existing.location !== location) {
      throw new ArmError(
        409,
        'InvalidResourceGroupLocation',
        `Invalid resource group location '${location}'. The Resource group already exists in location '${existing.location}'.`,
      );
    }
    core.groups.save({ name: existing?.name ?? name, location, tags, provisioningState: 'Succeeded' });
    return { status: existing === undefined ? 201 : 200, body: presented(core, name) };
  });
}

function patchGroup(core: Core, request: Request, name: string): Response {
  const body = bodyObject(request);
  return core.state.transaction(() => {
    const group = core.groups.get(name);
    if (group === undefined) throw resourceGroupNotFound(name);
    if (body.tags !== undefined) core.groups.save({ ...group, tags: checkTags(body.tags) });
    return { status: 200, body: presented(core, name) };
  });
}

function beingDeleted(name: string): ArmError {
  return new ArmError(
    409,
    'ResourceGroupBeingDeleted',
    `The resource group '${name}' is in deprovisioning state and cannot perform this operation.`,
  );
}

function deleteGroup(core: Core, name: string, apiVersion: string): Response {
  const started = core.state.transaction(() => {
    const group = core.groups.get(name);
    if (group === undefined) throw resourceGroupNotFound(name);
    const id = groupIdOf(core.context.settings.subscriptionId, group.name);
    const already = core.operations.inFlightOn(id)[0];
    if (already !== undefined) return { record: already, isNew: false };
    core.groups.save({ ...group, provisioningState: 'Deleting' });
    const action = `${TYPE}/delete`;
    const fault = takeOperationFault(core, action);
    const record = core.operations.accept({
      kind: 'group-delete',
      resourceId: id,
      verb: 'delete',
      action,
      location: group.location,
      shape: groupDelete,
      apiVersion,
      dueAtMs:
        core.context.clock.now() +
        core.latency.durationMs(undefined, 'delete', groupDelete) +
        (fault?.delayMs ?? 0),
      ...failWithOf(fault),
      carry: {},
    });
    return { record, isNew: true };
  });
  if (started.isNew) core.operations.launch(started.record);
  return { status: 202, headers: core.polls.headersFor(started.record) };
}
