import type { Request } from '../exchange.ts';
import { resourceGroupNotFound } from './arm-error.ts';
import type { RoleGrant } from './behaviour.ts';
import type { Core } from './core.ts';
import type { JsonObject } from './json.ts';
import { grantsOf, isAtOrBelow } from './rbac.ts';
import { apiVersionOf, checkCoreVersion } from './registry.ts';
import { page } from './resource-routes.ts';
import type { Route } from './route.ts';

/**
 * What Microsoft.Authorization tells of a scope: permissions, deny assignments, locks and policy assignments, those
 * of the scope itself and of those above it. They are changed by the settings of Local Azure, not by requests.
 */
type List = (core: Core, scope: string) => readonly JsonObject[];

const LISTS: Readonly<Record<string, { readonly name: string; readonly list: List }>> = {
  permissions: { name: 'permissions', list: permissionsAt },
  denyassignments: { name: 'denyAssignments', list: denialsAt },
  locks: { name: 'locks', list: locksAt },
  policyassignments: { name: 'policyAssignments', list: policiesAt },
};

const PROVIDER = 'Microsoft.Authorization';

/** `tail`: the last three parts of the path, in lower case. Undefined: something else. */
export function authorizationRoute(core: Core, request: Request, tail: string): Route | undefined {
  const found = tail.startsWith('providers/microsoft.authorization/')
    ? LISTS[tail.split('/')[2] ?? '']
    : undefined;
  if (found === undefined || request.method !== 'GET') return undefined;
  checkCoreVersion(apiVersionOf(request.query));
  const scope = `/${request.segments.slice(0, -3).join('/')}`;
  return {
    action: `${PROVIDER}/${found.name}/read`,
    scope,
    isOperation: false,
    handle: () => {
      requireGroup(core, request.segments.slice(0, -3)[3]);
      return page(core, request, found.list(core, scope));
    },
  };
}

function requireGroup(core: Core, name: string | undefined): void {
  if (name === undefined || core.groups.get(name) !== undefined) return;
  throw resourceGroupNotFound(name);
}

function permissionsAt(core: Core, scope: string): readonly JsonObject[] {
  return grantsOf(core.context.settings)
    .filter((grant) => isAtOrBelow(scope, grant.scope))
    .map(permissionOf);
}

function permissionOf(grant: RoleGrant): JsonObject {
  return {
    actions: [...grant.actions],
    notActions: [...grant.notActions],
    dataActions: [],
    notDataActions: [],
  };
}

function item(type: string, scope: string, name: string, properties: JsonObject): JsonObject {
  return {
    id: `${scope}/providers/${PROVIDER}/${type}/${name}`,
    type: `${PROVIDER}/${type}`,
    name,
    properties,
  };
}

function denialsAt(core: Core, scope: string): readonly JsonObject[] {
  return core.context.settings.denyAssignments
    .filter((grant) => isAtOrBelow(scope, grant.scope))
    .map((grant) =>
      item('denyAssignments', grant.scope, grant.name, {
        denyAssignmentName: grant.name,
        scope: grant.scope,
        permissions: [permissionOf(grant)],
        principals: [
          grant.principalId === undefined
            ? { id: '00000000-0000-0000-0000-000000000000', type: 'SystemDefined' }
            : { id: grant.principalId, type: 'ServicePrincipal' },
        ],
        excludePrincipals: [],
        isSystemProtected: true,
      }),
    );
}

/** Azure lists the locks of what lies below too. */
function locksAt(core: Core, scope: string): readonly JsonObject[] {
  return core.context.settings.locks
    .filter((lock) => isAtOrBelow(scope, lock.scope) || isAtOrBelow(lock.scope, scope))
    .map((lock) => item('locks', lock.scope, lock.name, { level: lock.level }));
}

function policiesAt(core: Core, scope: string): readonly JsonObject[] {
  return core.context.settings.policyAssignments
    .filter((policy) => isAtOrBelow(scope, policy.scope))
    .map((policy) =>
      item('policyAssignments', policy.scope, policy.name, {
        displayName: policy.name,
        policyDefinitionId: policy.policyDefinitionId,
        scope: policy.scope,
        notScopes: [],
        parameters: { ...policy.parameters } as JsonObject,
        enforcementMode: 'Default',
      }),
    );
}
