import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AuthorizationManagementClient } from '@azure/arm-authorization';
import { ComputeManagementClient } from '@azure/arm-compute';
import { NetworkManagementClient } from '@azure/arm-network';
import { ResourceManagementClient } from '@azure/arm-resources';
import { SubscriptionClient } from '@azure/arm-resources-subscriptions';
import { StorageManagementClient } from '@azure/arm-storage';
import { ClientSecretCredential } from '@azure/identity';
import type { LatencyName } from '../../../infra/local/latency.ts';
import { type LocalAzure, type LocalEndpoint, startLocalAzure } from '../../../infra/local/local-azure.ts';
import { systemClock } from '../../../src/clock.ts';
import { silentLog } from '../../../src/log.ts';
import { gatheringTraffic } from '../../fixtures/traffic.ts';

/** One exchange as the SDK saw it on the wire. */
export interface Exchange {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Clients {
  readonly credential: ClientSecretCredential;
  readonly resources: ResourceManagementClient;
  readonly subscriptions: SubscriptionClient;
  readonly authorization: AuthorizationManagementClient;
  readonly compute: ComputeManagementClient;
  readonly network: NetworkManagementClient;
  readonly storage: StorageManagementClient;
  readonly exchanges: Exchange[];
}

export interface Subscription extends Clients {
  readonly folder: string;
  readonly azure: LocalAzure;
  readonly endpoint: LocalEndpoint;
  /** Ends Local Azure and starts it anew on the same folder. */
  restart(): Promise<LocalAzure>;
  remove(): Promise<void>;
}

/** A Local Azure in this process with the official SDKs pointed at it. */
export async function openSubscription(latency: LatencyName = 'none'): Promise<Subscription> {
  const folder = mkdtempSync(path.join(tmpdir(), 'standby-local-azure-'));
  const start = () =>
    startLocalAzure({
      folder,
      guests: 'none',
      latency,
      ...gatheringTraffic(),
      log: silentLog,
      clock: systemClock,
    });
  let azure = await start();
  return {
    ...clientsOf(azure.endpoint),
    folder,
    get azure() {
      return azure;
    },
    get endpoint() {
      return azure.endpoint;
    },
    async restart() {
      await azure.stop();
      azure = await start();
      return azure;
    },
    async remove() {
      await azure.stop();
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

export function credentialOf(
  endpoint: LocalEndpoint,
  change: Partial<LocalEndpoint> = {},
): ClientSecretCredential {
  const facts = { ...endpoint, ...change };
  return new ClientSecretCredential(facts.tenantId, facts.applicationId, facts.clientSecret, {
    authorityHost: facts.authorityUrl,
    disableInstanceDiscovery: true,
    ...trust(endpoint),
  });
}

function trust(endpoint: LocalEndpoint) {
  return { tlsOptions: { ca: readFileSync(endpoint.caFile, 'utf8') } };
}

export function clientsOf(endpoint: LocalEndpoint, maxRetries?: number): Clients {
  const exchanges: Exchange[] = [];
  const credential = credentialOf(endpoint);
  const options = {
    endpoint: endpoint.url,
    ...trust(endpoint),
    ...(maxRetries === undefined ? {} : { retryOptions: { maxRetries } }),
    additionalPolicies: [
      {
        position: 'perRetry' as const,
        policy: {
          name: 'record',
          async sendRequest(
            request: PipelineRequest,
            next: (request: PipelineRequest) => Promise<PipelineResponse>,
          ) {
            const response = await next(request);
            exchanges.push({
              method: request.method,
              url: request.url,
              status: response.status,
              headers: response.headers.toJSON(),
              body: response.bodyAsText ?? '',
            });
            return response;
          },
        },
      },
    ],
  };
  const { subscriptionId } = endpoint;
  return {
    credential,
    exchanges,
    resources: new ResourceManagementClient(credential, subscriptionId, options),
    subscriptions: new SubscriptionClient(credential, options),
    authorization: new AuthorizationManagementClient(credential, subscriptionId, {
      ...options,
      $host: endpoint.url,
    }),
    compute: new ComputeManagementClient(credential, subscriptionId, options),
    network: new NetworkManagementClient(credential, subscriptionId, options),
    storage: new StorageManagementClient(credential, subscriptionId, options),
  };
}

type Policy = NonNullable<
  NonNullable<ConstructorParameters<typeof ResourceManagementClient>[2]>['additionalPolicies']
>[number]['policy'];
type PipelineRequest = Parameters<Policy['sendRequest']>[0];
type PipelineResponse = Awaited<ReturnType<Policy['sendRequest']>>;

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** What the call was refused with; fails when it was not. */
export async function refusal(
  work: Promise<unknown>,
): Promise<{ statusCode?: number; code?: string; message: string }> {
  try {
    await work;
  } catch (error) {
    return error as { statusCode?: number; code?: string; message: string };
  }
  throw new Error('The call was expected to be refused, and was not.');
}

/** The codes behind a failed sign-in, as MSAL hands them on. */
export async function signInFailure(credential: ClientSecretCredential): Promise<string> {
  try {
    await credential.getToken('https://management.azure.com/.default');
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  throw new Error('The sign-in was expected to fail, and did not.');
}
