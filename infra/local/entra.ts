import { randomUUID, timingSafeEqual } from 'node:crypto';
import { isoTime } from '../../src/clock.ts';
import type { Directory } from './directory.ts';
import type { Request, Response } from './exchange.ts';
import type { TokenIssuer } from './tokens.ts';

/**
 * The sign-in side: OpenID configuration and the token endpoint for client credentials, under `/{tenant}/...` as
 * Entra has it and under `/adfs/...` as az CLI asks for it when the cloud is a registered one.
 */
export interface Entra {
  /** Undefined: not a request for us. */
  answer(request: Request): Response | undefined;
}

export function makeEntra(options: {
  readonly baseUrl: string;
  readonly directory: Directory;
  readonly tokens: TokenIssuer;
  readonly nowMs: () => number;
  readonly lifetimeSeconds: () => number;
}): Entra {
  const { baseUrl, directory, tokens, nowMs } = options;
  const failure = (status: number, error: string, code: number, text: string): Response => {
    const traceId = randomUUID();
    const timestamp = isoTime(nowMs())
      .replace('T', ' ')
      .replace(/\.\d+Z$/, 'Z');
    return {
      status,
      headers: { 'cache-control': 'no-store, no-cache', 'x-ms-request-id': traceId },
      body: {
        error,
        error_description: `AADSTS${code}: ${text} Trace ID: ${traceId} Correlation ID: ${randomUUID()} Timestamp: ${timestamp}`,
        error_codes: [code],
        timestamp,
        trace_id: traceId,
        correlation_id: randomUUID(),
        error_uri: `${baseUrl}/error?code=${code}`,
      },
    };
  };
  const unknownTenant = (tenant: string) =>
    failure(
      400,
      'invalid_tenant',
      90002,
      `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.`,
    );
  const isOurs = (tenant: string) =>
    ['adfs', 'common', 'organizations'].includes(tenant) || tenant === directory.tenantId.toLowerCase();

  const token = (request: Request): Response => {
    const form = new URLSearchParams(request.bodyText);
    if (form.get('grant_type') !== 'client_credentials') {
      return failure(
        400,
        'unsupported_grant_type',
        70003,
        `The app requested an unsupported grant type '${form.get('grant_type') ?? ''}'.`,
      );
    }
    const applicationId = form.get('client_id') ?? '';
    const application = directory.applications.find(
      (known) => known.applicationId.toLowerCase() === applicationId.toLowerCase(),
    );
    if (application === undefined) {
      return failure(
        400,
        'unauthorized_client',
        700016,
        `Application with identifier '${applicationId}' was not found in the directory '${directory.tenantId}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.`,
      );
    }
    const given = form.get('client_secret') ?? '';
    if (given === '') {
      return failure(
        401,
        'invalid_client',
        7000216,
        "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
      );
    }
    const secret = application.secrets.find((known) => sameSecret(known.value, given));
    if (secret === undefined) {
      return failure(
        401,
        'invalid_client',
        7000215,
        `Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '${application.applicationId}'.`,
      );
    }
    if (secret.expiresAtMs <= nowMs()) {
      return failure(
        401,
        'invalid_client',
        7000222,
        `The provided client secret keys for app '${application.applicationId}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security.`,
      );
    }
    const audience =
      (form.get('scope') ?? form.get('resource') ?? '').split(' ')[0]?.replace(/\/\.default$/, '') ?? '';
    const lifetimeSeconds = options.lifetimeSeconds();
    return {
      status: 200,
      headers: { 'cache-control': 'no-store, no-cache' },
      body: {
        token_type: 'Bearer',
        expires_in: lifetimeSeconds,
        ext_expires_in: lifetimeSeconds,
        access_token: tokens.issue({
          audience,
          applicationId: application.applicationId,
          objectId: application.objectId,
          lifetimeSeconds,
        }),
      },
    };
  };

  return {
    answer(request) {
      const [first = '', ...rest] = request.segments;
      const tenant = first.toLowerCase();
      const path = rest.join('/').toLowerCase();
      if (path === 'discovery/instance' || request.path.toLowerCase() === '/common/discovery/instance') {
        return { status: 200, body: instanceMetadata(baseUrl, directory.tenantId) };
      }
      if (request.path.toLowerCase() === '/metadata/endpoints')
        return { status: 200, body: cloudEndpoints(baseUrl) };
      if (/^(v2\.0\/)?\.well-known\/openid-configuration$/.test(path)) {
        if (!isOurs(tenant)) return unknownTenant(first);
        return { status: 200, body: openIdConfiguration(baseUrl, tenant, tokens.issuer) };
      }
      if (/^oauth2(\/v2\.0)?\/token$/.test(path) && request.method === 'POST') {
        return isOurs(tenant) ? token(request) : unknownTenant(first);
      }
      if (/^discovery(\/v2\.0)?\/keys$/.test(path)) return { status: 200, body: tokens.keys };
      return undefined;
    },
  };
}

function sameSecret(left: string, right: string): boolean {
  const a = Buffer.from(left);
  const b = Buffer.from(right);
  return a.length === b.length && timingSafeEqual(a, b);
}

function openIdConfiguration(baseUrl: string, tenant: string, issuer: string) {
  const adfs = tenant === 'adfs';
  const at = `${baseUrl}/${tenant}`;
  return {
    issuer,
    authorization_endpoint: adfs ? `${at}/oauth2/authorize` : `${at}/oauth2/v2.0/authorize`,
    token_endpoint: adfs ? `${at}/oauth2/token` : `${at}/oauth2/v2.0/token`,
    jwks_uri: `${at}/discovery/v2.0/keys`,
    token_endpoint_auth_methods_supported: ['client_secret_post'],
    response_types_supported: ['code', 'id_token', 'token'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    tenant_region_scope: null,
    cloud_instance_name: new URL(baseUrl).host,
  };
}

function instanceMetadata(baseUrl: string, tenantId: string) {
  const host = new URL(baseUrl).host;
  return {
    tenant_discovery_endpoint: `${baseUrl}/${tenantId}/v2.0/.well-known/openid-configuration`,
    'api-version': '1.1',
    metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
  };
}

/** What `az cloud register --endpoint-resource-manager` reads. */
function cloudEndpoints(baseUrl: string) {
  return {
    galleryEndpoint: `${baseUrl}/gallery/`,
    graphEndpoint: `${baseUrl}/graph/`,
    portalEndpoint: `${baseUrl}/portal/`,
    authentication: { loginEndpoint: `${baseUrl}/adfs`, audiences: [`${baseUrl}/`] },
  };
}
