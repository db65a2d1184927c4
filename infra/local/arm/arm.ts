import type { Request, Response } from '../exchange.ts';
import type { Fault } from '../faults.ts';
import type { Claims, TokenIssuer } from '../tokens.ts';
import { ArmError, notImplemented } from './arm-error.ts';
import type { Core } from './core.ts';
import { refuseByPolicy, refuseLocked } from './governance.ts';
import { groupRoute } from './group-routes.ts';
import { isWireFault, messageOfFault } from './put-resource.ts';
import { linkedAsks, requireLinked } from './rbac.ts';
import { apiVersionOf, checkCoreVersion } from './registry.ts';
import { resourceRoute } from './resource-routes.ts';
import type { Route } from './route.ts';
import { scopeRoute } from './scope-routes.ts';
import {
  listResources,
  presentSubscription,
  providerRoute,
  subscriptionRoute,
} from './subscription-routes.ts';

/** Azure Resource Manager: token, then what is asked for, then permission, then faults on order, then the work. */
export async function answerArm(core: Core, tokens: TokenIssuer, request: Request): Promise<Response> {
  const claims = authenticate(core, tokens, request);
  const pollId = isInOurSubscription(core, request) ? core.polls.idOf(request) : undefined;
  if (pollId !== undefined) {
    core.rbac.requireAnywhere(claims, { action: pollAction(request), scope: request.path });
    return core.polls.answer(request, pollId);
  }
  const route = findRoute(core, request);
  core.rbac.require(claims, route);
  requireLinked(core.rbac, claims, route.action, linkedAsks(request, route.scope), route.scope);
  refuseLocked(core, route);
  refuseByPolicy(core, request, route.scope);
  const spoilt = faultFor(core, route, request.method);
  if (spoilt !== undefined) return spoilt;
  const response = await route.handle();
  const dropped = core.faults.take(route.action, (fault) => fault.error === 'drop-after');
  return dropped === undefined ? response : { status: 0, drop: true };
}

/** `Microsoft.Compute/locations/diskOperations/read` and the like. */
function pollAction(request: Request): string {
  const { segments } = request;
  const word = segments.at(-2) ?? '';
  if (segments.length === 4) return `Microsoft.Resources/subscriptions/${word}/read`;
  return `${segments[3]}/locations/${word.charAt(0).toLowerCase()}${word.slice(1)}/read`;
}

function findRoute(core: Core, request: Request): Route {
  const lower = request.segments.map((part) => part.toLowerCase());
  if (lower[0] === 'subscriptions') {
    if (lower.length === 1 && request.method === 'GET') return listSubscriptions(core, request);
    checkSubscription(core, request.segments[1] ?? '');
    const atScope = scopeRoute(core, request) ?? subscriptionRoute(core, request);
    if (atScope !== undefined) return atScope;
    if (lower[2] === 'resourcegroups') {
      if (lower.length <= 4) return groupRoute(core, request);
      if (lower.length === 5 && lower[4] === 'resources') return groupResources(core, request);
      if (lower[4] === 'providers' && lower.length > 6) return resourceRoute(core, request);
    }
    if (lower[2] === 'providers' && lower.length > 3) return providerRoute(core, request);
  }
  if (lower[0] === 'tenants' && lower.length === 1) return listTenants(core, request);
  throw notImplemented(`${request.method} ${request.path}`);
}

function listSubscriptions(core: Core, request: Request): Route {
  checkCoreVersion(apiVersionOf(request.query));
  return {
    action: 'Microsoft.Resources/subscriptions/read',
    scope: '/subscriptions',
    isOperation: false,
    handle: () => ({ status: 200, body: { value: [presentSubscription(core)], nextLink: '' } }),
  };
}

function listTenants(core: Core, request: Request): Route {
  checkCoreVersion(apiVersionOf(request.query));
  const { tenantId } = core.context.settings;
  return {
    action: 'Microsoft.Resources/tenants/read',
    scope: '/tenants',
    isOperation: false,
    handle: () => ({ status: 200, body: { value: [{ id: `/tenants/${tenantId}`, tenantId }] } }),
  };
}

function groupResources(core: Core, request: Request): Route {
  checkCoreVersion(apiVersionOf(request.query));
  return {
    action: 'Microsoft.Resources/subscriptions/resourceGroups/resources/read',
    scope: request.path,
    isOperation: false,
    handle: () => listResources(core, request, request.segments[3] ?? ''),
  };
}

function isInOurSubscription(core: Core, request: Request): boolean {
  return request.segments[1]?.toLowerCase() === core.context.settings.subscriptionId.toLowerCase();
}

function checkSubscription(core: Core, id: string): void {
  if (id.toLowerCase() === core.context.settings.subscriptionId.toLowerCase()) return;
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) {
    throw new ArmError(
      400,
      'InvalidSubscriptionId',
      `The provided subscription identifier '${id}' is malformed or invalid.`,
    );
  }
  throw new ArmError(404, 'SubscriptionNotFound', `The subscription '${id}' could not be found.`);
}

function authenticate(core: Core, tokens: TokenIssuer, request: Request): Claims {
  const refuse = (code: string, message: string): ArmError =>
    new ArmError(401, code, message, undefined, [], {
      'www-authenticate':
        `Bearer authorization_uri="${core.baseUrl}/${core.context.settings.tenantId}", error="invalid_token", ` +
        `error_description="${message.replaceAll('"', "'")}"`,
    });
  const header = request.headers.authorization ?? '';
  if (header === '') {
    throw refuse('AuthenticationFailed', "Authentication failed. The 'Authorization' header is missing.");
  }
  const token = /^Bearer\s+(\S+)$/i.exec(header)?.[1];
  const check = token === undefined ? ({ kind: 'bad' } as const) : tokens.check(token);
  if (check.kind === 'bad') throw refuse('InvalidAuthenticationToken', 'The access token is invalid.');
  if (check.kind === 'foreign') {
    throw refuse(
      'InvalidAuthenticationTokenTenant',
      `The access token is from the wrong issuer '${check.claims.iss}'. It must match the tenant '${tokens.issuer}' ` +
        'associated with this subscription. Please use the authority (URL) of that tenant to get the token.',
    );
  }
  if (check.kind === 'expired') {
    const expiry = new Date(check.claims.exp * 1000).toUTCString();
    throw refuse(
      'ExpiredAuthenticationToken',
      `The access token expiry UTC time '${expiry}' is earlier than current UTC time.`,
    );
  }
  if (!isOurAudience(core, check.claims.aud)) {
    throw refuse(
      'InvalidAuthenticationTokenAudience',
      `The access token has been obtained for wrong audience or resource '${check.claims.aud}'. It should exactly match ` +
        "with one of the allowed audiences 'https://management.core.windows.net/','https://management.azure.com'.",
    );
  }
  return check.claims;
}

function isOurAudience(core: Core, audience: string): boolean {
  const plain = audience.replace(/\/+$/, '').toLowerCase();
  return [
    'https://management.azure.com',
    'https://management.core.windows.net',
    core.baseUrl.toLowerCase(),
  ].includes(plain);
}

/** Faults that spoil the answer. Bare error codes spoil the operation instead, where there is one. */
function faultFor(core: Core, route: Route, method: string): Response | undefined {
  const fault = core.faults.take(
    route.action,
    (each) =>
      each.error === 'drop' ||
      (!isWireFault(each) && (/^\d+$/.test(each.error) || each.status !== undefined || !route.isOperation)),
  );
  return fault === undefined ? undefined : answerOfFault(fault, method);
}

export function answerOfFault(fault: Fault, method: string): Response {
  if (fault.error === 'drop') return { status: 0, drop: true };
  const retry: Record<string, string> =
    fault.retryAfterSeconds === undefined ? {} : { 'retry-after': String(fault.retryAfterSeconds) };
  if (fault.error === '503') {
    const text =
      "<!DOCTYPE html><html><head><title>Service Unavailable</title></head><body><h2>Our services aren't available right now</h2></body></html>\n";
    return { status: 503, headers: retry, raw: { type: 'text/html', text } };
  }
  if (fault.error === '429') {
    const error = {
      code: 'TooManyRequests',
      message:
        fault.message ??
        `The request is throttled (${method === 'GET' ? 'reads' : 'writes'}). Please try again later.`,
    };
    return { status: 429, headers: { 'retry-after': '1', ...retry }, body: { error } };
  }
  if (/^\d+$/.test(fault.error)) {
    const status = Number(fault.error);
    const code = status === 500 ? 'InternalServerError' : `Status${status}`;
    return {
      status,
      headers: retry,
      body: { error: { code, message: fault.message ?? messageOfFault(code) } },
    };
  }
  const error = { code: fault.error, message: fault.message ?? messageOfFault(fault.error) };
  return { status: fault.status ?? 409, headers: retry, body: { error } };
}
