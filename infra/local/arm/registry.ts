import { ArmError, notImplemented } from './arm-error.ts';
import type { Behaviour, ProviderRoute } from './behaviour.ts';

/** Which types, provider routes and api-versions exist; answers Azure's errors for those that do not. */
export interface Registry {
  readonly behaviours: readonly Behaviour[];
  readonly routes: readonly ProviderRoute[];
  readonly namespaces: readonly string[];
  find(type: string): Behaviour | undefined;
  /** Throws InvalidResourceNamespace or InvalidResourceType. */
  require(type: string, apiVersion: string): Behaviour;
  /** `resourceTypes` of a provider, for GET /providers. */
  typesOf(
    namespace: string,
  ): readonly { readonly resourceType: string; readonly apiVersions: readonly string[] }[];
}

export function makeRegistry(behaviours: readonly Behaviour[], routes: readonly ProviderRoute[]): Registry {
  const byType = new Map(behaviours.map((behaviour) => [behaviour.type.toLowerCase(), behaviour]));
  const namespaceOf = (path: string) => path.split('/')[0] ?? '';
  const namespaces = [
    ...new Set([...behaviours.map((b) => namespaceOf(b.type)), ...routes.map((r) => namespaceOf(r.path))]),
  ];
  const canonical = (namespace: string) =>
    namespaces.find((known) => known.toLowerCase() === namespace.toLowerCase());
  return {
    behaviours,
    routes,
    namespaces,
    find: (type) => byType.get(type.toLowerCase()),
    require(type, apiVersion) {
      const behaviour = byType.get(type.toLowerCase());
      if (behaviour !== undefined) return behaviour;
      const namespace = namespaceOf(type);
      // Azure has many more namespaces of its own than this; what is nobody's is refused as there.
      if (canonical(namespace) === undefined && /^microsoft\.[a-z.]+$/i.test(namespace)) {
        throw notImplemented(`the resource type '${type}' (api-version ${apiVersion})`);
      }
      if (canonical(namespace) === undefined) {
        throw new ArmError(
          404,
          'InvalidResourceNamespace',
          `The resource namespace '${namespace}' is invalid.`,
        );
      }
      throw notImplemented(`the resource type '${type}' (api-version ${apiVersion})`);
    },
    typesOf(namespace) {
      const mine = (path: string) => namespaceOf(path).toLowerCase() === namespace.toLowerCase();
      return [
        ...behaviours.filter((b) => mine(b.type)).map((b) => ({ path: b.type, apiVersions: b.apiVersions })),
        ...routes
          .filter((r) => mine(r.path))
          .map((r) => ({ path: r.path.replace(/\/\{[^}]+\}/g, ''), apiVersions: r.apiVersions })),
      ].map((entry) => ({
        resourceType: entry.path.slice(namespace.length + 1),
        apiVersions: entry.apiVersions,
      }));
    },
  };
}

/** Every request needs `?api-version=`. */
export function apiVersionOf(query: URLSearchParams): string {
  const apiVersion = query.get('api-version') ?? '';
  if (apiVersion === '') {
    throw new ArmError(
      400,
      'MissingApiVersionParameter',
      'The api-version query parameter (?api-version=) is required for all requests.',
    );
  }
  return apiVersion;
}

/** Azure Resource Manager's own resources: any dated version it could have. */
export function checkCoreVersion(apiVersion: string): void {
  if (/^20(1[4-9]|2\d)-(0[1-9]|1[0-2])-([0-2]\d|3[01])(-preview)?$/.test(apiVersion)) return;
  throw new ArmError(
    400,
    'InvalidApiVersionParameter',
    `The api-version '${apiVersion}' is invalid. The supported versions are dates such as '2025-04-01' and '2022-12-01'.`,
  );
}

export function checkTypeVersion(
  type: string,
  supported: readonly string[],
  apiVersion: string,
  location: string,
  locations: readonly string[],
): void {
  if (supported.some((version) => version.toLowerCase() === apiVersion.toLowerCase())) return;
  const [namespace = '', ...rest] = type.split('/');
  throw new ArmError(
    400,
    'NoRegisteredProviderFound',
    `No registered resource provider found for location '${location}' and API version '${apiVersion}' for type ` +
      `'${rest.join('/')}' in the namespace '${namespace}'. The supported api-versions are '${supported.join(', ')}'. ` +
      `The supported locations are '${locations.join(', ')}'.`,
  );
}
