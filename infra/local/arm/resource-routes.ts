import { bodyObject, type Request, type Response } from '../exchange.ts';
import { ArmError, notImplemented, resourceGroupNotFound, resourceNotFound } from './arm-error.ts';
import type { Action, Ask, Behaviour, Reply, Resource } from './behaviour.ts';
import type { Core } from './core.ts';
import { acceptDelete, locationOf } from './delete-resource.ts';
import type { JsonObject } from './json.ts';
import type { OperationRecord } from './operations.ts';
import { pageOf } from './paging.ts';
import { showsAction } from './performer.ts';
import { presentResource } from './present.ts';
import { acceptPut, failWithOf, takeOperationFault } from './put-resource.ts';
import { apiVersionOf, checkTypeVersion } from './registry.ts';
import { groupIdOf, resourceIdOf } from './resource-id.ts';
import type { Route } from './route.ts';

/** Requests on resources: /subscriptions/{s}/resourceGroups/{g}/providers/{namespace}/{type}/{name}... */
export function resourceRoute(core: Core, request: Request): Route {
  const [, subscriptionId = '', , groupName = '', , namespace = '', ...rest] = request.segments;
  const apiVersion = apiVersionOf(request.query);
  const group = core.groups.get(groupName);
  const types = rest.filter((_, index) => index % 2 === 0);
  const names = rest.filter((_, index) => index % 2 === 1);
  const scope = request.path;
  const isCollection = rest.length % 2 === 1;
  const fullType = [namespace, ...types].join('/');
  const ofParent = isCollection && names.length > 0;
  if (isCollection && core.registry.find(fullType) === undefined && ofParent) {
    return below(core, request, { namespace, types, names, subscriptionId, groupName });
  }
  const behaviour = core.registry.require(fullType, apiVersion);
  const checked = (): Place => {
    const location = group?.location ?? '';
    checkTypeVersion(behaviour.type, behaviour.apiVersions, apiVersion, location, locationNames(core));
    if (group === undefined) throw resourceGroupNotFound(groupName);
    const id = resourceIdOf(core.context.settings.subscriptionId, group.name, behaviour.type, names);
    return { core, request, behaviour, id, names, groupName: group.name, apiVersion };
  };
  if (isCollection) {
    if (request.method !== 'GET') throw methodNotAllowed(request);
    return {
      action: `${behaviour.type}/read`,
      scope,
      isOperation: false,
      handle: () => listIn(checked()),
    };
  }
  const verbs: Readonly<Record<string, readonly [string, (place: Place) => Promise<Response> | Response]>> = {
    GET: ['read', getOne],
    HEAD: ['read', (place) => ({ status: getOne(place).status === 200 ? 204 : 404 })],
    PUT: ['write', putOne],
    PATCH: ['write', putOne],
    DELETE: ['delete', deleteOne],
  };
  const verb = verbs[request.method];
  if (verb === undefined) throw methodNotAllowed(request);
  return {
    action: `${behaviour.type}/${verb[0]}`,
    scope,
    isOperation: verb[0] !== 'read',
    handle: () => verb[1](checked()),
  };
}

interface Place {
  readonly core: Core;
  readonly request: Request;
  readonly behaviour: Behaviour;
  readonly id: string;
  readonly names: readonly string[];
  readonly groupName: string;
  readonly apiVersion: string;
}

export function locationNames(core: Core): string[] {
  return core.context.settings.locations.map((location) => location.name);
}

function methodNotAllowed(request: Request): ArmError {
  return new ArmError(
    405,
    'MethodNotAllowed',
    `The method ${request.method} is not allowed on '${request.path}'.`,
  );
}

function notFound(place: Place): ArmError {
  return resourceNotFound(place.behaviour.type, place.names.join('/'), place.groupName);
}

function show(place: Place, resource: Resource, from: 'get' | 'list'): JsonObject {
  return presentResource(place.core.context, place.core.registry, resource, {
    query: place.request.query,
    from,
  });
}

function getOne(place: Place): Response {
  const resource = place.core.graph.get(place.id);
  if (resource === undefined) throw notFound(place);
  return { status: 200, body: show(place, resource, 'get') };
}

function listIn(place: Place): Response {
  const { core, behaviour, groupName } = place;
  const isNested = behaviour.type.split('/').length > 2;
  if (isNested) {
    const parentId = place.id.split('/').slice(0, -2).join('/');
    const parent = core.graph.get(parentId);
    if (parent === undefined) throw parentMissing(parentId, behaviour.type, 'read');
    const children = core.graph.childrenOf(parent.id, behaviour.type);
    return page(
      core,
      place.request,
      children.map((child) => show(place, child, 'list')),
    );
  }
  const found = core.graph.list(behaviour.type, { resourceGroup: groupName });
  return page(
    core,
    place.request,
    found.map((resource) => show(place, resource, 'list')),
  );
}

function parentMissing(parentId: string, type: string, verb: string): ArmError {
  return new ArmError(
    404,
    'ParentResourceNotFound',
    `Failed to perform '${verb}' on resource(s) of type '${type.split('/').slice(1).join('/')}', because the parent ` +
      `resource '${parentId}' could not be found.`,
  );
}

export function page(core: Core, request: Request, items: readonly JsonObject[]): Response {
  return pageOf(core.baseUrl, request, items, core.context.settings.pageSize);
}

async function putOne(place: Place): Promise<Response> {
  const { core, request, behaviour, groupName } = place;
  core.providers.requireRegistered(behaviour.type.split('/')[0] ?? '');
  if (core.groups.get(groupName)?.provisioningState === 'Deleting') {
    throw new ArmError(
      409,
      'ResourceGroupBeingDeleted',
      `The resource group '${groupName}' is in deprovisioning state and cannot perform this operation.`,
    );
  }
  const ifMatch = request.headers['if-match'];
  const ifNoneMatch = request.headers['if-none-match'];
  const accepted = acceptPut(core, {
    id: place.id,
    name: place.names.at(-1) ?? '',
    resourceGroup: groupName,
    behaviour,
    method: request.method === 'PATCH' ? 'PATCH' : 'PUT',
    body: bodyObject(request),
    apiVersion: place.apiVersion,
    action: `${behaviour.type}/write`,
    ...(ifMatch === undefined ? {} : { ifMatch }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
  });
  const usual = accepted.isNew ? 201 : 200;
  return startOperation(core, accepted.record, { status: usual, shown: accepted.shown });
}

async function deleteOne(place: Place): Promise<Response> {
  const { core, request, behaviour } = place;
  const deletion = acceptDelete(core, {
    id: place.id,
    action: `${behaviour.type}/delete`,
    apiVersion: place.apiVersion,
    query: request.query,
    wholeGroup: false,
  });
  if (deletion === undefined) return { status: 204 };
  if (!deletion.isNew) return { status: 202, headers: core.polls.headersFor(deletion.record) };
  return startOperation(core, deletion.record, { status: 200 });
}

/** Answers as the operation's shape says; without one, waits for the end and answers that. */
async function startOperation(
  core: Core,
  record: OperationRecord,
  usual: { readonly status: number; readonly shown?: JsonObject },
): Promise<Response> {
  core.operations.launch(record);
  if (record.shape !== undefined) {
    const headers = core.polls.headersFor(record);
    const isShown = record.shape.body === 'resource' && usual.shown !== undefined;
    return { status: record.shape.status, headers, ...(isShown ? { body: usual.shown } : {}) };
  }
  await core.operations.ended(record.id);
  const ended = core.operations.get(record.id);
  if (ended?.error !== undefined)
    throw new ArmError(ended.error.status, ended.error.code, ended.error.message);
  if (ended?.status !== 'Succeeded') {
    throw new ArmError(503, 'ServerBusy', 'Local Azure stops; repeat the request after its next start.');
  }
  return ended.output === undefined ? { status: usual.status } : { status: usual.status, body: ended.output };
}

interface Below {
  readonly namespace: string;
  readonly types: readonly string[];
  readonly names: readonly string[];
  readonly subscriptionId: string;
  readonly groupName: string;
}

/** POST .../{name}/{verb} and GET .../{name}/{view}. */
function below(core: Core, request: Request, where: Below): Route {
  const word = where.types.at(-1) ?? '';
  const type = [where.namespace, ...where.types.slice(0, -1)].join('/');
  const apiVersion = apiVersionOf(request.query);
  const behaviour = core.registry.require(type, apiVersion);
  const find = (): { resource: Resource; ask: Ask } => {
    checkTypeVersion(behaviour.type, behaviour.apiVersions, apiVersion, '', locationNames(core));
    const group = core.groups.get(where.groupName);
    if (group === undefined) throw resourceGroupNotFound(where.groupName);
    const id = resourceIdOf(core.context.settings.subscriptionId, group.name, behaviour.type, where.names);
    const resource = core.graph.get(id);
    if (resource === undefined) throw resourceNotFound(behaviour.type, where.names.join('/'), group.name);
    const body = request.method === 'POST' ? bodyObject(request) : {};
    return { resource, ask: { query: request.query, body, apiVersion, params: {} } };
  };
  if (request.method === 'POST') {
    const [name, action] = entryOf(behaviour.actions, word) ?? [];
    if (name !== undefined && action !== undefined) {
      return {
        action: `${behaviour.type}/${name}/action`,
        scope: request.path,
        isOperation: action.kind === 'operation',
        handle: () => runAction(core, request, behaviour, name, action, find),
      };
    }
  }
  if (request.method === 'GET') {
    const [name, read] = entryOf(behaviour.reads, word) ?? [];
    if (name !== undefined && read !== undefined) {
      return {
        action: `${behaviour.type}/${name}/read`,
        scope: request.path,
        isOperation: false,
        handle: () => {
          const { resource, ask } = find();
          return replied(core, request, read(core.context, resource, ask));
        },
      };
    }
  }
  throw notImplemented(`${request.method} ${type}/${word} (api-version ${apiVersion})`);
}

function entryOf<T>(table: Readonly<Record<string, T>> | undefined, word: string): [string, T] | undefined {
  return Object.entries(table ?? {}).find(([name]) => name.toLowerCase() === word.toLowerCase());
}

export function replied(core: Core, request: Request, reply: Reply): Response {
  if (reply.list !== undefined) return page(core, request, reply.list);
  return { status: reply.status ?? 200, ...(reply.body === undefined ? {} : { body: reply.body }) };
}

async function runAction(
  core: Core,
  request: Request,
  behaviour: Behaviour,
  name: string,
  action: Action,
  find: () => { resource: Resource; ask: Ask },
): Promise<Response> {
  if (action.kind === 'now') {
    const { resource, ask } = find();
    return replied(core, request, await action.answer(core.context, resource, ask));
  }
  const permission = `${behaviour.type}/${name}/action`;
  const record = core.state.transaction(() => {
    const { resource, ask } = find();
    if (resource.provisioningState === 'Deleting') {
      throw new ArmError(409, 'Conflict', `The resource '${resource.id}' is being deleted.`);
    }
    const carry = action.before?.(core.context, resource, ask) ?? {};
    const now = core.graph.get(resource.id) ?? resource;
    if (showsAction({ shape: action.shape })) core.graph.save({ ...now, provisioningState: 'Updating' });
    const fault = takeOperationFault(core, permission);
    const durationMs = core.latency.durationMs(behaviour, name, action.shape);
    return core.operations.accept({
      kind: 'action',
      resourceId: resource.id,
      verb: name,
      action: permission,
      location: locationOf(core, resource),
      shape: action.shape,
      apiVersion: ask.apiVersion,
      dueAtMs: core.context.clock.now() + durationMs + (fault?.delayMs ?? 0),
      ...failWithOf(fault),
      carry,
    });
  });
  return startOperation(core, record, { status: 200 });
}

/** {scope}/providers/Microsoft.Resources/tags/default on a resource: changes its tags and nothing else. */
export function scopeOfResource(core: Core, segments: readonly string[]): Resource | undefined {
  const group = core.groups.get(segments[3] ?? '');
  if (group === undefined) throw resourceGroupNotFound(segments[3] ?? '');
  const root = groupIdOf(core.context.settings.subscriptionId, group.name);
  return core.graph.get(`${root}/${segments.slice(4).join('/')}`);
}
