import { createSign, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SubscriptionClient } from '@azure/arm-resources-subscriptions';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  clientsOf,
  credentialOf,
  openSubscription,
  refusal,
  type Subscription,
  signInFailure,
} from './local-subscription.ts';

let subscription: Subscription;
beforeAll(async () => {
  subscription = await openSubscription();
});
afterAll(() => subscription.remove());

describe('signing in to Local Azure', () => {
  it('gives a token that Azure Resource Manager takes', async () => {
    const { subscriptionId, tenantId } = subscription.endpoint;
    const seen = await subscription.subscriptions.subscriptions.get(subscriptionId);
    expect(seen).toMatchObject({ subscriptionId, tenantId, state: 'Enabled' });
  });
  it('refuses a wrong secret with AADSTS7000215', async () => {
    const failure = await signInFailure(
      credentialOf(subscription.endpoint, { clientSecret: 'not-the-secret' }),
    );
    expect(failure).toContain('AuthenticationRequiredError');
    expect(failure).toContain('invalid_client');
    expect(failure).toContain('AADSTS7000215');
  });
  it('refuses an expired secret with AADSTS7000222', async () => {
    const expired = subscription.azure.directory.applications[0]?.secrets[1]?.value ?? '';
    expect(await signInFailure(credentialOf(subscription.endpoint, { clientSecret: expired }))).toContain(
      'AADSTS7000222',
    );
  });
  it('does not know a foreign application: AADSTS700016', async () => {
    const applicationId = '11111111-2222-3333-4444-555555555555';
    const failure = await signInFailure(credentialOf(subscription.endpoint, { applicationId }));
    expect(failure).toContain('unauthorized_client');
    expect(failure).toContain('AADSTS700016');
  });
  it('does not know a foreign tenant', async () => {
    const tenantId = '11111111-2222-3333-4444-555555555555';
    const failure = await signInFailure(credentialOf(subscription.endpoint, { tenantId }));
    expect(failure).toMatch(/endpoints_resolution_error|90002/);
  });
  it('spoils a sign-in on order', async () => {
    subscription.azure.faults.add({ on: 'Entra/token', error: 'invalid_request', status: 400 });
    const first = await signInFailure(credentialOf(subscription.endpoint));
    expect(first).not.toBe('');
    await credentialOf(subscription.endpoint).getToken('https://management.azure.com/.default');
  });
});

describe('tokens at Azure Resource Manager', () => {
  const withToken = (token: string) =>
    new SubscriptionClient(
      { getToken: async () => ({ token, expiresOnTimestamp: 4_102_444_800_000 }) },
      {
        endpoint: subscription.endpoint.url,
        tlsOptions: { ca: readFileSync(subscription.endpoint.caFile, 'utf8') },
      },
    );
  const refusedWith = (token: string) =>
    refusal(withToken(token).subscriptions.get(subscription.endpoint.subscriptionId));

  it('refuses garbage', async () => {
    expect(await refusedWith('garbage')).toMatchObject({
      statusCode: 401,
      code: 'InvalidAuthenticationToken',
    });
  });
  it('refuses a token whose signature is not ours', async () => {
    const good = await subscription.credential.getToken('https://management.azure.com/.default');
    const [header, payload] = good.token.split('.');
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const forged = createSign('RSA-SHA256').update(`${header}.${payload}`).sign(privateKey, 'base64url');
    const answer = await refusedWith(`${header}.${payload}.${forged}`);
    expect(answer).toMatchObject({ statusCode: 401, code: 'InvalidAuthenticationToken' });
  });
  it('refuses a token of another tenant', async () => {
    const other = await openSubscription();
    try {
      const foreign = await other.credential.getToken('https://management.azure.com/.default');
      expect(await refusedWith(foreign.token)).toMatchObject({
        statusCode: 401,
        code: 'InvalidAuthenticationTokenTenant',
      });
    } finally {
      await other.remove();
    }
  });
  it('refuses a token for another audience', async () => {
    const token = await subscription.credential.getToken('https://storage.azure.com/.default');
    expect(await refusedWith(token.token)).toMatchObject({
      statusCode: 401,
      code: 'InvalidAuthenticationTokenAudience',
    });
  });
  it('refuses a token whose time is over, and says where to get one', async () => {
    subscription.azure.settings.change({ tokenLifetimeSeconds: 0 });
    try {
      const short = await credentialOf(subscription.endpoint).getToken(
        'https://management.azure.com/.default',
      );
      const answer = (await refusedWith(short.token)) as {
        statusCode?: number;
        code?: string;
        response?: { headers: { get(name: string): string | undefined } };
      };
      expect(answer).toMatchObject({ statusCode: 401, code: 'ExpiredAuthenticationToken' });
      expect(answer.response?.headers.get('www-authenticate')).toContain(subscription.endpoint.tenantId);
    } finally {
      subscription.azure.settings.change({ tokenLifetimeSeconds: 3599 });
    }
  });
  it('refuses actions that the principal may not do', async () => {
    subscription.azure.settings.change({ permissions: { actions: ['*/read'], notActions: [] } });
    try {
      const clients = clientsOf(subscription.endpoint);
      const shown = await clients.authorization.permissions.listForResourceGroup('standby-rg').next();
      expect(shown.value).toMatchObject({ actions: ['*/read'] });
      const answer = await refusal(
        clients.resources.resourceGroups.createOrUpdate('x', { location: 'japaneast' }),
      );
      expect(answer).toMatchObject({ statusCode: 403, code: 'AuthorizationFailed' });
      expect(answer.message).toContain('Microsoft.Resources/subscriptions/resourceGroups/write');
    } finally {
      subscription.azure.settings.change({ permissions: { actions: ['*'], notActions: [] } });
    }
  });
});
