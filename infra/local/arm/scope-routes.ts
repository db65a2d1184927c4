import { bodyObject, type Request } from '../exchange.ts';
import { ArmError, resourceGroupNotFound } from './arm-error.ts';
import { authorizationRoute } from './authorization-routes.ts';
import { checkTags } from './checks.ts';
import type { Core } from './core.ts';
import { objectAt, textAt } from './json.ts';
import { apiVersionOf, checkCoreVersion } from './registry.ts';
import { scopeOfResource } from './resource-routes.ts';
import type { Route } from './route.ts';

/** What can hang at any scope (subscription, group, resource): permissions and tags. Undefined: something else. */
export function scopeRoute(core: Core, request: Request): Route | undefined {
  const lower = request.segments.map((part) => part.toLowerCase());
  const tail = lower.slice(-3).join('/');
  const rights = lower.at(-3) === 'providers' ? authorizationRoute(core, request, tail) : undefined;
  if (rights !== undefined) return rights;
  if (lower.slice(-4).join('/') !== 'providers/microsoft.resources/tags/default') return undefined;
  checkCoreVersion(apiVersionOf(request.query));
  return {
    action: `Microsoft.Resources/tags/${request.method === 'GET' ? 'read' : request.method === 'DELETE' ? 'delete' : 'write'}`,
    scope: request.path,
    isOperation: false,
    handle: () => answerTags(core, request),
  };
}

function requireScope(core: Core, segments: readonly string[]): void {
  const group = segments[3];
  if (segments.length > 2 && core.groups.get(group ?? '') === undefined)
    throw resourceGroupNotFound(group ?? '');
}

function answerTags(core: Core, request: Request) {
  const segments = request.segments.slice(0, -4);
  const holder = tagHolder(core, segments);
  return core.state.transaction(() => {
    const tags = request.method === 'GET' ? holder.read() : changedTags(request, holder.read());
    if (request.method !== 'GET') holder.write(tags);
    if (request.method === 'DELETE') return { status: 200 };
    return {
      status: 200,
      body: {
        id: `/${segments.join('/')}/providers/Microsoft.Resources/tags/default`,
        name: 'default',
        type: 'Microsoft.Resources/tags',
        properties: { tags },
      },
    };
  });
}

function changedTags(request: Request, before: Readonly<Record<string, string>>): Record<string, string> {
  if (request.method === 'DELETE') return {};
  const body = bodyObject(request);
  const given = checkTags(objectAt(body, 'properties.tags'));
  const operation = request.method === 'PUT' ? 'replace' : (textAt(body, 'operation') ?? '').toLowerCase();
  const names = new Set(Object.keys(given).map((name) => name.toLowerCase()));
  const others = Object.fromEntries(
    Object.entries(before).filter(([name]) => !names.has(name.toLowerCase())),
  );
  if (operation === 'replace') return given;
  if (operation === 'merge') return checkTags({ ...others, ...given });
  if (operation === 'delete') return others;
  throw new ArmError(
    400,
    'InvalidTagsOperation',
    "The operation of a tags PATCH is 'Merge', 'Replace' or 'Delete'.",
    'operation',
  );
}

interface TagHolder {
  read(): Record<string, string>;
  write(tags: Record<string, string>): void;
}

function tagHolder(core: Core, segments: readonly string[]): TagHolder {
  if (segments.length === 2) {
    return {
      read: () => core.state.getDocument<Record<string, string>>('subscription-tags') ?? {},
      write: (tags) => core.state.setDocument('subscription-tags', tags),
    };
  }
  requireScope(core, segments);
  if (segments.length === 4) {
    const name = segments[3] ?? '';
    return {
      read: () => ({ ...core.groups.get(name)?.tags }),
      write: (tags) => core.groups.update(name, { tags }),
    };
  }
  const resource = scopeOfResource(core, segments);
  if (resource === undefined) {
    throw new ArmError(404, 'ResourceNotFound', `The resource '/${segments.join('/')}' was not found.`);
  }
  return {
    read: () => ({ ...resource.tags }),
    write: (tags) => {
      core.graph.update(resource.id, (stored) => {
        stored.tags = tags;
      });
    },
  };
}
