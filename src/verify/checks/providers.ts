import { type Check, error, type Finding, ok, wrong } from '../check.ts';

/** The subscription is registered for what we make: Azure refuses resources of other providers. */
export const providers: Check = {
  id: 'providers',
  title: 'Resource providers',
  group: 'Identity',
  uses: ['access.providers'],
  codes: {
    PROVIDER_NOT_REGISTERED: error(
      'The subscription is not registered for a resource provider that is needed.',
      '`az provider register --namespace ...`, or the portal: Subscriptions, Resource providers.',
    ),
  },
  async run({ cloud }): Promise<readonly Finding[]> {
    const found = await cloud.access.providers();
    const missing = found.filter((provider) => !provider.registered).map((provider) => provider.namespace);
    if (missing.length === 0) {
      return [ok('PROVIDERS_REGISTERED', found.map((provider) => provider.namespace).join(', '))];
    }
    return missing.map((namespace) =>
      wrong(
        'PROVIDER_NOT_REGISTERED',
        `The subscription is not registered for ${namespace}.`,
        'registered',
        `az provider register --namespace ${namespace}`,
      ),
    );
  },
};
