import type { AuthorizationManagementClient } from '@azure/arm-authorization';
import type { ComputeManagementClient } from '@azure/arm-compute';
import type { NetworkManagementClient } from '@azure/arm-network';
import type { ResourceManagementClient } from '@azure/arm-resources';
import type { SubscriptionClient } from '@azure/arm-resources-subscriptions';
import type { StorageManagementClient } from '@azure/arm-storage';
import type { ClientSecretCredential } from '@azure/identity';
import type { Account } from '../../src/model/account.ts';
import type { AnswerPolicy } from './answers.ts';
import type { CloudEndpoints } from './environments.ts';

/** The SDK's clients, each loaded when it is first asked for: together they cost half a second. */
export interface Clients {
  credential(): Promise<ClientSecretCredential>;
  authorization(): Promise<AuthorizationManagementClient>;
  compute(): Promise<ComputeManagementClient>;
  network(): Promise<NetworkManagementClient>;
  resources(): Promise<ResourceManagementClient>;
  storage(): Promise<StorageManagementClient>;
  subscriptions(): Promise<SubscriptionClient>;
}

export function makeClients(
  account: Account,
  clientSecret: string,
  endpoints: CloudEndpoints,
  policy: AnswerPolicy,
): Clients {
  const tls = endpoints.caPem === undefined ? {} : { tlsOptions: { ca: endpoints.caPem } };
  // Four tries within some four seconds; a longer outage is for calls.ts and the plan runner to wait for.
  const retryOptions = { maxRetries: 3, retryDelayInMs: 500, maxRetryDelayInMs: 30_000 };
  const listened = { additionalPolicies: [{ policy, position: 'perCall' as const }] };
  const credential = once(async () => {
    const { ClientSecretCredential } = await import('@azure/identity');
    return new ClientSecretCredential(account.tenantId, account.applicationId, clientSecret, {
      authorityHost: endpoints.authorityUrl,
      disableInstanceDiscovery: !endpoints.listedByMicrosoft,
      retryOptions: { maxRetries: 2, retryDelayInMs: 300, maxRetryDelayInMs: 3_000 },
      ...tls,
      ...listened,
    });
  });
  const options = {
    endpoint: endpoints.resourceManagerUrl,
    credentials: { scopes: [endpoints.scope] },
    retryOptions,
    ...tls,
    ...listened,
  };
  return {
    credential,
    authorization: once(async () => {
      const { AuthorizationManagementClient } = await import('@azure/arm-authorization');
      return new AuthorizationManagementClient(await credential(), account.subscriptionId, {
        endpoint: endpoints.resourceManagerUrl,
        $host: endpoints.resourceManagerUrl,
        credentialScopes: [endpoints.scope],
        retryOptions,
        ...tls,
        ...listened,
      });
    }),
    compute: once(async () => {
      const { ComputeManagementClient } = await import('@azure/arm-compute');
      return new ComputeManagementClient(await credential(), account.subscriptionId, options);
    }),
    network: once(async () => {
      const { NetworkManagementClient } = await import('@azure/arm-network');
      return new NetworkManagementClient(await credential(), account.subscriptionId, options);
    }),
    resources: once(async () => {
      const { ResourceManagementClient } = await import('@azure/arm-resources');
      return new ResourceManagementClient(await credential(), account.subscriptionId, options);
    }),
    storage: once(async () => {
      const { StorageManagementClient } = await import('@azure/arm-storage');
      return new StorageManagementClient(await credential(), account.subscriptionId, options);
    }),
    subscriptions: once(async () => {
      const { SubscriptionClient } = await import('@azure/arm-resources-subscriptions');
      return new SubscriptionClient(await credential(), options);
    }),
  };
}

function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
