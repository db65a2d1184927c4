import { bodyObject, type Request } from '../exchange.ts';
import { ArmError } from './arm-error.ts';
import type { PolicyAssignment } from './behaviour.ts';
import { canonicalLocation } from './checks.ts';
import type { Core } from './core.ts';
import { type JsonObject, textAt } from './json.ts';
import { isAtOrBelow } from './rbac.ts';
import { parseResourceId } from './resource-id.ts';
import type { Route } from './route.ts';

/** What refuses a request that RBAC would allow: locks, and Azure's own policies for regions, sizes and types. */
export function refuseLocked(core: Core, { action, scope }: Pick<Route, 'action' | 'scope'>): void {
  const isDelete = action.endsWith('/delete');
  const isChange = isDelete || action.endsWith('/write') || action.endsWith('/action');
  if (!isChange) return;
  const locked = core.context.settings.locks.filter((lock) => {
    const above = isAtOrBelow(scope, lock.scope);
    // What is deleted takes with it what lies below.
    const below = isDelete && isAtOrBelow(lock.scope, scope);
    return (above || below) && (isDelete || lock.level === 'ReadOnly');
  });
  if (locked.length === 0) return;
  throw new ArmError(
    409,
    'ScopeLocked',
    `The scope '${scope}' cannot perform ${isDelete ? 'delete' : 'write'} operation because following scope(s) are ` +
      `locked: '${locked.map((lock) => lock.scope).join(',')}'. Please remove the lock and try again.`,
  );
}

const DEFINITIONS = '/providers/Microsoft.Authorization/policyDefinitions';

interface Subject {
  readonly type: string;
  readonly body: JsonObject;
}

/** Azure's own definitions that are carried out here: what they forbid of this resource. */
const POLICIES: Readonly<Record<string, (subject: Subject, policy: PolicyAssignment) => boolean>> = {
  // Allowed locations
  'e56962a6-4747-49cd-b67b-bf8b01975c4c': ({ body }, policy) => {
    const location = textAt(body, 'location');
    return location !== undefined && !lists(policy, 'listOfAllowedLocations', canonicalLocation(location));
  },
  // Allowed virtual machine size SKUs
  'cccc23c7-8427-4f53-ad12-b6a63eb452b3': ({ type, body }, policy) => {
    const size = textAt(body, 'properties.hardwareProfile.vmSize');
    return (
      isType(type, 'Microsoft.Compute/virtualMachines') &&
      size !== undefined &&
      !lists(policy, 'listOfAllowedSKUs', size)
    );
  },
  // Not allowed resource types
  '6c112d4e-5bc7-47ae-a041-ea2d9dccd749': ({ type }, policy) =>
    lists(policy, 'listOfResourceTypesNotAllowed', type),
};

function isType(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function lists(policy: PolicyAssignment, parameter: string, word: string): boolean {
  const value = policy.parameters[parameter]?.value;
  return Array.isArray(value) && value.some((each) => String(each).toLowerCase() === word.toLowerCase());
}

export function refuseByPolicy(core: Core, request: Request, scope: string): void {
  const { policyAssignments } = core.context.settings;
  if (policyAssignments.length === 0 || (request.method !== 'PUT' && request.method !== 'PATCH')) return;
  const parsed = parseResourceId(scope);
  if (parsed === undefined) return;
  const subject = { type: parsed.type, body: bodyObject(request) };
  for (const policy of policyAssignments) {
    const id = policy.policyDefinitionId.toLowerCase();
    const rule = id.startsWith(DEFINITIONS.toLowerCase()) ? POLICIES[id.split('/').at(-1) ?? ''] : undefined;
    if (!rule || !isAtOrBelow(scope, policy.scope) || !rule(subject, policy)) continue;
    const identifiers = [
      { policyAssignment: { name: policy.name, id: policyId(policy) }, policyDefinition: { id } },
    ];
    throw new ArmError(
      403,
      'RequestDisallowedByPolicy',
      `Resource '${parsed.name}' was disallowed by policy. Policy identifiers: '${JSON.stringify(identifiers)}'.`,
      parsed.name,
    );
  }
}

function policyId(policy: PolicyAssignment): string {
  return `${policy.scope}/providers/Microsoft.Authorization/policyAssignments/${policy.name}`;
}
