import { bodyObject, type Request } from '../exchange.ts';
import { ArmError, resourceGroupNotFound } from './arm-error.ts';
import type { Resource } from './behaviour.ts';
import type { Core } from './core.ts';
import { groupKeyOf } from './graph.ts';
import type { JsonObject } from './json.ts';
import { presentResource } from './present.ts';
import { apiVersionOf, checkCoreVersion, checkTypeVersion } from './registry.ts';
import { matchesFilter, parseFilter } from './resource-filter.ts';
import { locationNames, page, replied } from './resource-routes.ts';
import type { Route } from './route.ts';

/** What hangs at the subscription itself: locations, providers, lists across groups, provider routes, permissions. */
export function presentSubscription(core: Core): JsonObject {
  const { subscriptionId, tenantId, displayName } = core.context.settings;
  return {
    id: `/subscriptions/${subscriptionId}`,
    authorizationSource: 'RoleBased',
    managedByTenants: [],
    subscriptionId,
    tenantId,
    displayName,
    state: 'Enabled',
    subscriptionPolicies: {
      locationPlacementId: 'Public_2014-09-01',
      quotaId: 'PayAsYouGo_2014-09-01',
      spendingLimit: 'Off',
    },
  };
}

export function subscriptionRoute(core: Core, request: Request): Route | undefined {
  const [, , word = ''] = request.segments;
  if (request.segments.length > 3 || request.method !== 'GET') return undefined;
  const read = (action: string, handle: Route['handle']): Route => {
    checkCoreVersion(apiVersionOf(request.query));
    return { action, scope: request.path, isOperation: false, handle };
  };
  switch (word.toLowerCase()) {
    case '':
      return read('Microsoft.Resources/subscriptions/read', () => ({
        status: 200,
        body: presentSubscription(core),
      }));
    case 'locations':
      return read('Microsoft.Resources/subscriptions/locations/read', () => ({
        status: 200,
        body: { value: core.context.settings.locations.map((location) => presentLocation(core, location)) },
      }));
    case 'resources':
      return read('Microsoft.Resources/subscriptions/resources/read', () => listResources(core, request));
    case 'providers':
      return read('Microsoft.Resources/subscriptions/providers/read', () =>
        page(
          core,
          request,
          core.registry.namespaces.map((namespace) => core.providers.present(namespace, locationNames(core))),
        ),
      );
    default:
      return undefined;
  }
}

function presentLocation(
  core: Core,
  location: { readonly name: string; readonly displayName: string },
): JsonObject {
  return {
    id: `/subscriptions/${core.context.settings.subscriptionId}/locations/${location.name}`,
    name: location.name,
    type: 'Region',
    displayName: location.displayName,
    regionalDisplayName: location.displayName,
    metadata: { regionType: 'Physical', regionCategory: 'Recommended' },
  };
}

/** /subscriptions/{s}/resources and /subscriptions/{s}/resourceGroups/{g}/resources. */
export function listResources(core: Core, request: Request, resourceGroup?: string) {
  if (resourceGroup !== undefined && core.groups.get(resourceGroup) === undefined) {
    throw resourceGroupNotFound(resourceGroup);
  }
  const filter = parseFilter(request.query.get('$filter'));
  const found = core.graph
    .all({ ...(resourceGroup === undefined ? {} : { resourceGroup }), nested: false })
    .filter((resource) =>
      matchesFilter(filter, {
        name: resource.name,
        type: resource.type,
        location: resource.location ?? '',
        tags: resource.tags,
        resourceGroup: groupKeyOf(resource.id),
      }),
    );
  return page(
    core,
    request,
    found.map((resource) => summary(resource)),
  );
}

function summary(resource: Resource): JsonObject {
  const { sku, kind, managedBy } = resource.top;
  const top: JsonObject = { sku, kind, managedBy };
  return {
    id: resource.id,
    name: resource.name,
    type: resource.type,
    location: resource.location,
    ...top,
    tags: { ...resource.tags },
  };
}

/** Below /subscriptions/{s}/providers/{namespace}: the provider itself, its routes, lists of a type in all groups. */
export function providerRoute(core: Core, request: Request): Route {
  const [, , , namespace = '', ...rest] = request.segments;
  const apiVersion = apiVersionOf(request.query);
  const scope = request.path;
  const word = rest.join('/').toLowerCase();
  const isRegistration = request.method === 'POST' && (word === 'register' || word === 'unregister');
  if (rest.length === 0 || isRegistration) {
    checkCoreVersion(apiVersion);
    const known = core.registry.namespaces.find((each) => each.toLowerCase() === namespace.toLowerCase());
    if (known === undefined) {
      throw new ArmError(
        404,
        'InvalidResourceNamespace',
        `The resource namespace '${namespace}' is invalid.`,
      );
    }
    const action = isRegistration
      ? `${known}/${word}/action`
      : 'Microsoft.Resources/subscriptions/providers/read';
    return {
      action,
      scope,
      isOperation: false,
      handle: () => {
        if (word === 'register') core.providers.register(known);
        if (word === 'unregister') core.providers.unregister(known);
        return { status: 200, body: core.providers.present(known, locationNames(core)) };
      },
    };
  }
  const own = ownRoute(core, request, [namespace, ...rest], apiVersion);
  if (own !== undefined) return own;
  const behaviour = core.registry.require([namespace, ...rest].join('/'), apiVersion);
  if (request.method !== 'GET') {
    throw new ArmError(
      405,
      'MethodNotAllowed',
      `The method ${request.method} is not allowed on '${request.path}'.`,
    );
  }
  return {
    action: `${behaviour.type}/read`,
    scope,
    isOperation: false,
    handle: () => {
      checkTypeVersion(behaviour.type, behaviour.apiVersions, apiVersion, '', locationNames(core));
      const view = { query: request.query, from: 'list' as const };
      const found = core.graph.list(behaviour.type);
      return page(
        core,
        request,
        found.map((resource) => presentResource(core.context, core.registry, resource, view)),
      );
    },
  };
}

function ownRoute(
  core: Core,
  request: Request,
  segments: readonly string[],
  apiVersion: string,
): Route | undefined {
  for (const route of core.registry.routes) {
    const params = route.method === request.method ? paramsOf(route.path, segments) : undefined;
    if (params === undefined) continue;
    return {
      action: route.action,
      scope: request.path,
      isOperation: false,
      handle: () => {
        const location = params.location ?? '';
        checkTypeVersion(
          route.path.replace(/\/\{[^}]+\}/g, ''),
          route.apiVersions,
          apiVersion,
          location,
          locationNames(core),
        );
        if (params.location !== undefined && !locationNames(core).includes(location)) {
          throw new ArmError(
            400,
            'NoRegisteredProviderFound',
            `No registered resource provider found for location '${location}' and API version '${apiVersion}' for type ` +
              `'${route.path.split('/').at(1) ?? ''}'. The supported locations are '${locationNames(core).join(', ')}'.`,
          );
        }
        const body = request.method === 'POST' ? bodyObject(request) : {};
        return replied(
          core,
          request,
          route.answer(core.context, { query: request.query, body, apiVersion, params }),
        );
      },
    };
  }
  return undefined;
}

/** Matches `a/{b}/c` against segments, any case; values in lower case. */
function paramsOf(path: string, segments: readonly string[]): Record<string, string> | undefined {
  const parts = path.split('/');
  if (parts.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    const value = (segments[index] ?? '').toLowerCase();
    const name = /^\{(.+)\}$/.exec(part)?.[1];
    if (name !== undefined) params[name] = value.replace(/\s+/g, '');
    else if (part.toLowerCase() !== value) return undefined;
  }
  return params;
}
