import path from 'node:path';
import { SPECS_FOLDER } from '../shared-data.ts';
import type { Exchange } from './traffic.ts';

/**
 * Microsoft's own live validator over Microsoft's own specs: URL, method, parameters, status, headers and bodies.
 * The specs are older than the SDKs: api-versions are rewritten to theirs, which is why bodies are judged once more
 * against the newest types (bicep-judge.ts).
 */
export interface Finding {
  readonly side: 'request' | 'response';
  readonly code: string;
  readonly text: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
}

export interface OavJudge {
  judge(exchange: Exchange): Promise<Finding[]>;
}

const FILES: readonly string[] = [
  ...['virtualMachine', 'computeRPCommon'].map(
    (name) => `compute/resource-manager/Microsoft.Compute/ComputeRP/stable/2024-07-01/${name}.json`,
  ),
  ...['disk', 'snapshot'].map(
    (name) => `compute/resource-manager/Microsoft.Compute/DiskRP/stable/2024-03-02/${name}.json`,
  ),
  'compute/resource-manager/Microsoft.Compute/Skus/stable/2021-07-01/skus.json',
  ...[
    'virtualNetwork',
    'networkInterface',
    'networkSecurityGroup',
    'publicIpAddress',
    'routeTable',
    'usage',
    'checkDnsAvailability',
  ].map((name) => `network/resource-manager/Microsoft.Network/stable/2024-03-01/${name}.json`),
  'storage/resource-manager/Microsoft.Storage/stable/2023-05-01/storage.json',
  'resources/resource-manager/Microsoft.Resources/stable/2024-07-01/resources.json',
  'resources/resource-manager/Microsoft.Resources/stable/2022-12-01/subscriptions.json',
];

/** The api-version of the specs for what a path is about; the first that fits. */
const VERSIONS: readonly (readonly [RegExp, string])[] = [
  [/\/providers\/microsoft\.resources\/tags\//i, '2024-07-01'],
  [/\/providers\/microsoft\.compute\/skus$/i, '2021-07-01'],
  [/\/providers\/microsoft\.compute\/(disks|snapshots)(\/|$)/i, '2024-03-02'],
  [/\/providers\/microsoft\.compute\//i, '2024-07-01'],
  [/\/providers\/microsoft\.network\//i, '2024-03-01'],
  [/\/providers\/microsoft\.storage\//i, '2023-05-01'],
  [/^\/subscriptions(\/[^/]+(\/locations)?)?$/i, '2022-12-01'],
  [/^\//, '2024-07-01'],
];

interface Outcome {
  readonly isSuccessful?: boolean;
  readonly errors: readonly {
    readonly code: string;
    readonly message: string;
    readonly pathsInPayload?: readonly string[];
  }[];
  readonly runtimeException?: { readonly code: string; readonly message: string };
}

/** Azure does not mind doubled slashes and the case of words; the validator does. */
function plainUrl(text: string): URL {
  const [path = '', query = ''] = text.replace(/^https:\/\/[^/]+/, '').split(/\?(.*)/s);
  const words = path
    .replace(/\/{2,}/g, '/')
    .replace(/\/(subscriptions|resourceGroups|providers)(?=\/|$)/gi, (word) =>
      word.toLowerCase() === '/resourcegroups' ? '/resourceGroups' : word.toLowerCase(),
    );
  const url = new URL(words, 'https://management.azure.com');
  url.search = query.replace(/(^|&)api-version=/i, '$1api-version=');
  return url;
}

export async function makeOavJudge(): Promise<OavJudge> {
  const { LiveValidator } = await import('oav/dist/lib/liveValidation/liveValidator.js');
  const validator = new LiveValidator(
    {
      directory: path.dirname(SPECS_FOLDER),
      git: { shouldClone: false },
      // It empties the list that it is given.
      swaggerPaths: FILES.map((file) => path.join(SPECS_FOLDER, file)),
      swaggerPathsPattern: [],
      isArmCall: true,
      loadValidatorInInitialize: false,
      loadValidatorInBackground: false,
    },
    () => undefined,
  );
  await validator.initialize();
  return {
    async judge(exchange) {
      const url = plainUrl(exchange.url);
      const version = VERSIONS.find(([pattern]) => pattern.test(decodeURIComponent(url.pathname)))?.[1] ?? '';
      url.searchParams.set('api-version', version);
      const json = { 'content-type': 'application/json' };
      const result = await validator.validateLiveRequestResponse({
        liveRequest: {
          url: url.toString(),
          method: exchange.method.toLowerCase(),
          headers: json,
          ...(exchange.requestBody === undefined
            ? {}
            : { body: exchange.requestBody as Record<string, unknown> }),
        },
        liveResponse: {
          statusCode: String(exchange.status),
          headers: { ...exchange.headers, ...json },
          ...(exchange.body === undefined ? {} : { body: exchange.body as Record<string, unknown> }),
        },
      });
      const findings = (side: Finding['side'], outcome: Outcome | undefined): Finding[] => {
        const base = { side, method: exchange.method, path: url.pathname, status: exchange.status };
        const broken = outcome?.runtimeException;
        if (broken !== undefined) return [{ ...base, code: broken.code, text: broken.message }];
        // Without errors and without success it has judged nothing.
        if (outcome?.isSuccessful !== true && (outcome?.errors ?? []).length === 0) {
          return [{ ...base, code: 'NOT_JUDGED', text: 'the validator gave no verdict' }];
        }
        return (outcome?.errors ?? []).map((error) => ({
          ...base,
          code: error.code,
          text: `${error.message} ${(error.pathsInPayload ?? []).join(' ')}`.trim(),
        }));
      };
      // A request that was refused need not be right: many tests send wrong ones on purpose.
      const isRefused = exchange.status >= 400;
      return [
        ...(isRefused ? [] : findings('request', result.requestValidationResult as unknown as Outcome)),
        ...findings('response', result.responseValidationResult as unknown as Outcome),
      ];
    },
  };
}
