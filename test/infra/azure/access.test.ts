import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeAzureCloud } from '../../../infra/azure/cloud.ts';
import { systemClock } from '../../../src/clock.ts';
import { silentLog } from '../../../src/log.ts';
import { makeTlsFiles } from '../templates/tls-files.ts';
import { failureOf, type LocalAccount, startLocalAccount } from './local-account.ts';

let local: LocalAccount;
beforeAll(async () => {
  local = await startLocalAccount();
});
afterAll(() => local.stop());
afterEach(() => {
  local.azure.faults.clear();
  local.azure.settings.change({ permissions: { actions: ['*'], notActions: [] } });
});

const OTHER_GUID = '0a1b2c3d-1111-4222-8333-944455556666';

describe('signing in', () => {
  it('gets a token and sees subscription, permissions and providers', async () => {
    const { access } = await local.cloud();
    const token = await access.signIn();
    expect(token.expiresAtMs).toBeGreaterThan(systemClock.now() + 60_000);
    expect(await access.subscription()).toEqual({
      id: local.account.subscriptionId,
      name: 'Local Azure',
      state: 'Enabled',
    });
    local.azure.settings.change({
      permissions: { actions: ['*/read', 'A/b/write'], notActions: ['A/c/read'] },
    });
    expect(await access.permissions()).toEqual({
      actions: ['*/read', 'A/b/write'],
      notActions: ['A/c/read'],
      roles: [{ actions: ['*/read', 'A/b/write'], notActions: ['A/c/read'] }],
    });
    expect((await access.providers()).map(({ namespace }) => namespace)).toEqual([
      'Microsoft.Compute',
      'Microsoft.Network',
      'Microsoft.Storage',
    ]);
  });

  it('names a wrong secret, and tells the secret’s ID from its value', async () => {
    const wrong = await local.cloud({ clientSecret: 'wrong-secret-value' });
    const plain = await failureOf(wrong.access.signIn());
    expect(plain.code).toBe('SECRET_WRONG');
    expect(plain.next).toContain('Value, not its Secret ID');
    expect(JSON.stringify(plain)).not.toContain('wrong-secret-value');
    const guid = await local.cloud({ clientSecret: OTHER_GUID });
    const asId = await failureOf(guid.access.signIn());
    expect(asId.why).toContain('looks like the secret’s ID');
    expect(JSON.stringify(asId)).not.toContain(OTHER_GUID);
  });

  it('names an expired secret', async () => {
    const expired = local.azure.directory.applications[0]?.secrets[1]?.value ?? '';
    expect(expired).not.toBe('');
    const cloud = await local.cloud({ clientSecret: expired });
    expect((await failureOf(cloud.access.signIn())).code).toBe('SECRET_EXPIRED');
  });

  it('names an unknown application and an unknown tenant, and thinks of a swap', async () => {
    const application = await local.cloud({ account: { applicationId: OTHER_GUID } });
    const unknown = await failureOf(application.access.signIn());
    expect(unknown.code).toBe('APPLICATION_UNKNOWN');
    expect(unknown.next).toContain('swapped');
    const tenant = await local.cloud({ account: { tenantId: OTHER_GUID } });
    expect((await failureOf(tenant.access.signIn())).code).toBe('TENANT_UNKNOWN');
    const { tenantId, applicationId } = local.account;
    const swapped = await local.cloud({ account: { tenantId: applicationId, applicationId: tenantId } });
    const both = await failureOf(swapped.access.signIn());
    expect(both.code).toBe('TENANT_UNKNOWN');
    expect(both.next).toContain('swapped');
  });

  it('tells an untrusted certificate from a network without an answer', async () => {
    const { caPem } = await makeTlsFiles();
    const untrusted = await local.cloud({ custom: { caPem } });
    expect((await failureOf(untrusted.access.signIn())).code).toBe('CA_UNTRUSTED');
    const nobody = createServer();
    await new Promise<void>((resolve) => nobody.listen(0, '127.0.0.1', resolve));
    const { port } = nobody.address() as AddressInfo;
    await new Promise((resolve) => nobody.close(resolve));
    const silent = await local.cloud({ custom: { authorityUrl: `https://127.0.0.1:${port}` } });
    expect(await failureOf(silent.access.signIn())).toMatchObject({
      code: 'CLOUD_UNREACHABLE',
      retry: 'later',
    });
  });

  it('names a clock that is more than five minutes off', async () => {
    const slow = { ...systemClock, now: () => systemClock.now() - 10 * 60_000 };
    const failure = await failureOf((await local.cloud({ clock: slow })).access.signIn());
    expect(failure.code).toBe('CLOCK_SKEW');
    expect(failure.why).toBe('It is 10 minutes behind Azure’s.');
  });

  it('refuses an address that is not https before anything is sent', async () => {
    const custom = { resourceManagerUrl: 'http://127.0.0.1:1', authorityUrl: 'https://127.0.0.1:1' };
    const made = makeAzureCloud({
      account: { ...local.account, custom },
      clientSecret: 'secret',
      clock: systemClock,
      log: silentLog,
    });
    expect((await failureOf(made)).code).toBe('URL_NOT_HTTPS');
  });

  it('tries again when Entra is busy', async () => {
    local.azure.faults.add({ on: 'Entra/token', error: '503', times: 1 });
    const { access } = await local.cloud();
    expect((await access.signIn()).expiresAtMs).toBeGreaterThan(0);
    expect(local.azure.faults.list()).toEqual([]);
  });
});

describe('what the application may see', () => {
  it('says when the subscription is not visible', async () => {
    const cloud = await local.cloud({ account: { subscriptionId: OTHER_GUID } });
    const failure = await failureOf(cloud.access.subscription());
    expect(failure.code).toBe('SUBSCRIPTION_NOT_VISIBLE');
    expect(failure.next).toContain('role on that subscription');
  });

  it('names the action that is missing', async () => {
    local.azure.settings.change({
      permissions: { actions: ['*/read'], notActions: [] },
    });
    const cloud = await local.cloud();
    const failure = await failureOf(cloud.groups.ensure('new-group', 'japaneast'));
    expect(failure.code).toBe('AuthorizationFailed');
    expect(String(failure.next).toLowerCase()).toContain(
      'microsoft.resources/subscriptions/resourcegroups/write',
    );
  });
});
