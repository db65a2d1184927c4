import { bodyObject, type Request } from '../exchange.ts';
import type { Claims } from '../tokens.ts';
import { ArmError } from './arm-error.ts';
import type { RoleGrant, SubscriptionSettings } from './behaviour.ts';
import { isObject } from './json.ts';
import { parseResourceId } from './resource-id.ts';

/**
 * Who may do what, as Azure decides it: an action is allowed when some assignment on the scope or above it covers it
 * (its `actions` less its own `notActions`) and no deny assignment does. A request that names other resources needs
 * their `join` as well (LinkedAuthorizationFailed). Keeps a list of what was asked for, in memory only: tests hold it
 * against what the product declares.
 */
export interface Rbac {
  /** Throws 403. */
  require(claims: Claims, ask: Asked): void;
  /** The same for what hangs at no scope of its own (poll URLs): any assignment of the subscription will do. */
  requireAnywhere(claims: Claims, ask: Asked): void;
  /** Every action that was asked for and allowed since the last `forget`, in the order of its first use. */
  seen(): readonly Asked[];
  forget(): void;
}

export interface Asked {
  readonly action: string;
  readonly scope: string;
}

export function makeRbac(settings: () => SubscriptionSettings): Rbac {
  const seen = new Map<string, Asked>();
  const note = (ask: Asked) => seen.set(`${ask.action} ${ask.scope}`.toLowerCase(), ask);
  return {
    require(claims, ask) {
      if (!allows(settings(), claims.oid, ask)) throw refused(claims, ask);
      note(ask);
    },
    requireAnywhere(claims, ask) {
      const now = settings();
      const scopes = grantsOf(now).map((grant) => grant.scope);
      if (!scopes.some((scope) => allows(now, claims.oid, { ...ask, scope }))) throw refused(claims, ask);
      note(ask);
    },
    seen: () => [...seen.values()],
    forget: () => seen.clear(),
  };
}

function allows(settings: SubscriptionSettings, principal: string, { action, scope }: Asked): boolean {
  const applies = (grant: RoleGrant) =>
    (grant.principalId === undefined || grant.principalId === principal) && isAtOrBelow(scope, grant.scope);
  const covers = (grant: RoleGrant) =>
    grant.actions.some((text) => matchesAction(text, action)) &&
    !grant.notActions.some((text) => matchesAction(text, action));
  const denied = settings.denyAssignments.some((grant) => applies(grant) && covers(grant));
  return !denied && grantsOf(settings).some((grant) => applies(grant) && covers(grant));
}

/** All assignments: the setting `permissions` is one for everybody on the subscription. */
export function grantsOf(settings: SubscriptionSettings): readonly RoleGrant[] {
  const { permissions, subscriptionId, roleAssignments } = settings;
  const forAll = { name: 'permissions', scope: `/subscriptions/${subscriptionId}`, ...permissions };
  return [forAll, ...roleAssignments];
}

/** `*` stands for any text, slashes too; case does not matter. */
function matchesAction(pattern: string, action: string): boolean {
  const text = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${text.join('.*')}$`, 'i').test(action);
}

/** Lists above a subscription (`/subscriptions`, `/tenants`) are everybody's who has any role at all. */
export function isAtOrBelow(scope: string, above: string): boolean {
  const lower = scope.toLowerCase();
  const parent = above.toLowerCase().replace(/\/+$/, '');
  return (
    lower === '/subscriptions' || lower === '/tenants' || lower === parent || lower.startsWith(`${parent}/`)
  );
}

function refused(claims: Claims, { action, scope }: Asked): ArmError {
  return new ArmError(
    403,
    'AuthorizationFailed',
    `The client '${claims.appid}' with object id '${claims.oid}' does not have authorization to perform action ` +
      `'${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please ` +
      'refresh your credentials.',
  );
}

/** Naming one of these in a PUT or PATCH needs this action on it. */
const JOINS: Readonly<Record<string, string>> = {
  'microsoft.network/virtualnetworks/subnets': 'Microsoft.Network/virtualNetworks/subnets/join/action',
  'microsoft.network/networksecuritygroups': 'Microsoft.Network/networkSecurityGroups/join/action',
  'microsoft.network/publicipaddresses': 'Microsoft.Network/publicIPAddresses/join/action',
  'microsoft.network/networkinterfaces': 'Microsoft.Network/networkInterfaces/join/action',
  'microsoft.network/routetables': 'Microsoft.Network/routeTables/join/action',
};

/** The join actions that a PUT or PATCH of `scope` needs. What lies below the resource itself is its own. */
export function linkedAsks(request: Request, scope: string): readonly Asked[] {
  if (request.method !== 'PUT' && request.method !== 'PATCH') return [];
  const own = `${scope.toLowerCase()}/`;
  const asks = new Map<string, Asked>();
  for (const id of idsIn(bodyObject(request))) {
    const type = parseResourceId(id)?.type.toLowerCase();
    const action = type === undefined ? undefined : JOINS[type];
    if (action !== undefined && !id.toLowerCase().startsWith(own))
      asks.set(id.toLowerCase(), { action, scope: id });
  }
  return [...asks.values()];
}

function idsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(idsIn);
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === 'id' && typeof inner === 'string' ? [inner] : idsIn(inner),
  );
}

export function requireLinked(
  rbac: Rbac,
  claims: Claims,
  action: string,
  asks: readonly Asked[],
  scope: string,
): void {
  for (const ask of asks) {
    try {
      rbac.require(claims, ask);
    } catch (error) {
      if (!(error instanceof ArmError)) throw error;
      throw new ArmError(
        403,
        'LinkedAuthorizationFailed',
        `The client '${claims.appid}' with object id '${claims.oid}' has permission to perform action '${action}' on ` +
          `scope '${scope}'; however, it does not have permission to perform action(s) '${ask.action}' on the linked ` +
          `scope(s) '${ask.scope}' (respectively) or the linked scope(s) are invalid.`,
      );
    }
  }
}
