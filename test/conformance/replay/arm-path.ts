import { behaviours, providerRoutes } from '../../../infra/local/behaviours/index.ts';

/** What a recorded request is about, told from its URL. */
export interface Target {
  /** For the table: `PUT Microsoft.Compute/disks`, `POST .../disks/beginGetAccess`, `poll Microsoft.Compute/DiskOperations`. */
  readonly operation: string;
  /** Whether Local Azure has the type; undefined: not a request to Azure Resource Manager. */
  readonly isSupported: boolean | undefined;
  /** Lower-case id of the resource, without the subscription: `resourcegroups/g/providers/...`. */
  readonly resourceKey?: string;
  readonly type?: string;
  readonly resourceGroup?: string;
  /** What must be there for it besides the resource itself: the network of a subnet, the holder of tags. */
  readonly parentKey?: string;
  /** POST verb or GET view below a resource. */
  readonly verb?: string;
  readonly isCollection: boolean;
  /** Id of the operation that is polled, and whether by its Location. */
  readonly pollId?: string;
}

const TYPES = new Map(behaviours.map((behaviour) => [behaviour.type.toLowerCase(), behaviour.type]));
const POLL_WORDS = [
  'operations',
  'diskoperations',
  'asyncoperations',
  'operationresults',
  'operationstatuses',
];

/** As it is when it cannot be read. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

export function typeOf(lowerCaseType: string): string | undefined {
  return TYPES.get(lowerCaseType.toLowerCase());
}

export function targetOf(method: string, url: URL): Target {
  const raw = decoded(url.pathname)
    .split('/')
    .filter((part) => part !== '');
  const lower = raw.map((part) => part.toLowerCase());
  const other = (operation: string, isSupported: boolean | undefined): Target => ({
    operation: `${method} ${operation}`,
    isSupported,
    isCollection: false,
  });
  const isSubscription = lower[0] === 'subscriptions';
  const isArm = isSubscription || lower[0] === 'tenants' || lower[0] === 'providers';
  if (!isArm || !/management\.|^localhost$/.test(url.hostname)) return other(url.hostname, undefined);
  const poll = pollOf(raw, lower);
  if (poll !== undefined) return poll;
  if (!isSubscription) return other(`/${lower.join('/')}`, lower[0] === 'tenants');
  const rest = lower.slice(2);
  if (rest.slice(-4).join('/') === 'providers/microsoft.resources/tags/default')
    return tagsOf(method, rest.slice(0, -4));
  const providers = rest.lastIndexOf('providers');
  if (rest[0] === 'resourcegroups' && rest.length === 2) {
    return { ...other('resourceGroups', true), resourceGroup: rest[1] ?? '', resourceKey: rest.join('/') };
  }
  if (providers < 0)
    return other(
      `/${rest[0] ?? ''}`,
      ['', 'locations', 'resources', 'resourcegroups', 'providers'].includes(rest.at(-1) ?? '') ||
        rest[2] === 'resources',
    );
  if (rest[0] === 'providers') return belowSubscription(method, raw.slice(3), other);
  return ofResource(method, rest, providers, raw.slice(2));
}

function tagsOf(method: string, scope: readonly string[]): Target {
  return {
    operation: `${method} Microsoft.Resources/tags`,
    isSupported: scope.length <= 2 || typeOf(typeIn(scope)) !== undefined,
    isCollection: false,
    ...(scope[0] === 'resourcegroups' ? { resourceGroup: scope[1] ?? '' } : {}),
    ...(scope.length > 2 ? { parentKey: scope.join('/') } : {}),
  };
}

/** `resourcegroups/g/providers/microsoft.network/virtualnetworks/v/...` */
function typeIn(path: readonly string[]): string {
  return [path[3], ...path.slice(4).filter((_, index) => index % 2 === 0)].join('/');
}

function pollOf(raw: readonly string[], lower: readonly string[]): Target | undefined {
  const word = lower.at(-2) ?? '';
  const isPlace = lower.includes('locations') || word === 'operationresults' || word === 'operationstatuses';
  if (!POLL_WORDS.includes(word) || !isPlace) return undefined;
  const namespace = raw[lower.lastIndexOf('providers') + 1] ?? '';
  const isDeployment = word === 'operationstatuses' || namespace.toLowerCase() === 'microsoft.resources';
  const name = lower.includes('providers') ? `${namespace}/${raw.at(-2)}` : (raw.at(-2) ?? '');
  return {
    operation: `poll ${name}`,
    isSupported: !isDeployment,
    isCollection: false,
    pollId: lower.at(-1) ?? '',
  };
}

/** `Microsoft.Compute`, `Microsoft.Compute/locations/{l}/usages`, `Microsoft.Compute/disks` over all groups. */
function belowSubscription(
  method: string,
  parts: readonly string[],
  other: (operation: string, isSupported: boolean) => Target,
): Target {
  const path = parts.join('/').toLowerCase();
  const namespace = (parts[0] ?? '').toLowerCase();
  const isKnown = [...TYPES.keys()].some((type) => type.startsWith(`${namespace}/`));
  const isProvider = parts.length === 1 || /^[^/]+\/(un)?register$/.test(path);
  if (isProvider) return other(parts.join('/'), isKnown);
  const route = providerRoutes.find((each) => {
    const pattern = each.path.toLowerCase().replace(/\{[^}]+\}/g, '[^/]+');
    return each.method === method && new RegExp(`^${pattern}$`).test(path);
  });
  if (route !== undefined) return other(route.path, true);
  const type = typeOf(path);
  if (type !== undefined) return { ...other(`${type} (all groups)`, true), type, isCollection: true };
  return other(path.replace(/locations\/[^/]+/, 'locations/*'), false);
}

function ofResource(
  method: string,
  rest: readonly string[],
  providers: number,
  raw: readonly string[],
): Target {
  const [namespace = '', ...path] = rest.slice(providers + 1);
  const types = path.filter((_, index) => index % 2 === 0);
  const isWhole = path.length % 2 === 0;
  const full = [namespace, ...types].join('/');
  const resourceGroup = rest[0] === 'resourcegroups' ? (rest[1] ?? '') : '';
  const shared = { resourceGroup, isCollection: false };
  if (isWhole || typeOf(full) !== undefined) {
    const type = typeOf(full) ?? full;
    return {
      ...shared,
      operation: `${method} ${type}${isWhole ? '' : ' (list)'}`,
      isSupported: typeOf(full) !== undefined && resourceGroup !== '',
      type,
      isCollection: !isWhole,
      ...(isWhole ? { resourceKey: rest.join('/') } : {}),
      // .../{type}/{name}/{type below}[/{name}]
      ...(path.length > 2 ? { parentKey: rest.slice(0, providers + 4).join('/') } : {}),
    };
  }
  const ofType = [namespace, ...types.slice(0, -1)].join('/');
  const type = typeOf(ofType) ?? ofType;
  const verb = raw.at(-1) ?? '';
  const isTypeBelow = method !== 'POST' && path.length > 1 && typeOf(ofType) !== undefined;
  return {
    ...shared,
    operation: `${method} ${type}/${verb}`,
    // A GET of a nested type that is not there (extensions) is not a view of the resource.
    isSupported: typeOf(ofType) !== undefined && (!isTypeBelow || isViewOf(ofType, verb)),
    type,
    verb,
    resourceKey: rest.slice(0, -1).join('/'),
  };
}

function isViewOf(type: string, word: string): boolean {
  const reads = behaviours.find((each) => each.type.toLowerCase() === type.toLowerCase())?.reads ?? {};
  return Object.keys(reads).some((name) => name.toLowerCase() === word.toLowerCase());
}
