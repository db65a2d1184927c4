import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import {
  addAccount,
  listAccounts,
  removeAccount,
  renewSecret,
  verifyAccount,
} from '../../src/control/account.ts';
import type { AccountAnswers } from '../../src/control/account-questions.ts';
import { isStandbyError, type StandbyError, StandbyError as Wrong } from '../../src/errors.ts';
import type { CloudAccess } from '../../src/ports/cloud.ts';
import { makeContext, partOfCloud, type TestContext } from './make-context.ts';

const SECRET = 'q1W~very-secret-value.of_the_app';
const ANSWERS: AccountAnswers = {
  name: 'Ops@example.com',
  subscriptionId: '11111111-AAAA-4bbb-8ccc-000000000001',
  tenantId: '22222222-aaaa-4bbb-8ccc-000000000002',
  applicationId: '33333333-aaaa-4bbb-8ccc-000000000003',
  clientSecret: SECRET,
};

/** Azure as seen through its access calls; which secret is right may change, and each call is noted. */
class Azure {
  rightSecret = SECRET;
  readonly calls: string[] = [];
  fail: Partial<Record<keyof CloudAccess, StandbyError>> = {};
  actions = ['*'];
  registered = true;
  state = 'Enabled';

  access(clientSecret: string): CloudAccess {
    const answer = async <Out>(call: keyof CloudAccess, out: Out): Promise<Out> => {
      this.calls.push(call);
      const failure = this.fail[call];
      if (failure) throw failure;
      return out;
    };
    return {
      signIn: async () => {
        await answer('signIn', undefined);
        if (clientSecret !== this.rightSecret)
          throw new Wrong({ code: 'SECRET_WRONG', what: 'Signing in failed.' });
        return { expiresAtMs: 1 };
      },
      subscription: () => answer('subscription', { id: 'x', name: 'Production', state: this.state }),
      permissions: () => answer('permissions', { actions: this.actions, notActions: [] }),
      denials: () => answer('denials', []),
      locks: () => answer('locks', []),
      policies: () => answer('policies', []),
      providers: () => answer('providers', [{ namespace: 'Microsoft.Compute', registered: this.registered }]),
    };
  }
}

let azure: Azure;
let nowMs: number;
let context: TestContext;
beforeEach(async () => {
  azure = new Azure();
  nowMs = Date.parse('2027-03-01T12:00:00Z');
  context = await makeContext({
    cloudWith: async (_account, secret) => partOfCloud({ access: azure.access(secret) }),
    clock: { ...systemClock, now: () => nowMs },
  });
});
afterEach(() => context.close());

async function failureOf(work: Promise<unknown>): Promise<StandbyError> {
  try {
    await work;
  } catch (error) {
    if (isStandbyError(error)) return error;
    throw error;
  }
  throw new Error('It did not fail');
}

async function expectNothingSaved(): Promise<void> {
  expect(await listAccounts(context)).toEqual([]);
  expect(context.filesText()).not.toContain('account/');
}

describe('adding an account', () => {
  it('proves sign-in, subscription, permissions and providers in this order, then saves', async () => {
    const report = await addAccount(context, { ...ANSWERS, secretExpiresOn: '2027-12-31' });
    expect(azure.calls).toEqual(['signIn', 'subscription', 'permissions', 'providers']);
    expect(report.lines.map((line) => [line.title, line.status])).toEqual([
      ['Sign-in', 'ok'],
      ['Subscription', 'ok'],
      ['Permissions', 'ok'],
      ['Resource providers', 'ok'],
      ['Secret’s expiry', 'ok'],
    ]);
    expect(await listAccounts(context)).toEqual([report.account]);
    expect(await context.secrets.get(`account/${report.account.id}/client-secret`)).toBe(SECRET);
  });

  it('keeps the client secret out of database, log, events, lists and errors', async () => {
    await addAccount(context, ANSWERS);
    azure.rightSecret = 'changed in Azure';
    const report = await verifyAccount(context, ANSWERS.name);
    const error = await failureOf(addAccount(context, { ...ANSWERS, name: 'two@example.com' }));
    const everything = [
      context.filesText(),
      context.logged.join('\n'),
      JSON.stringify(context.told),
      JSON.stringify(await context.store.events.list()),
      JSON.stringify(await listAccounts(context)),
      JSON.stringify(report),
      JSON.stringify(error),
      String(error.stack),
    ];
    expect(context.filesText()).toContain('ops@example.com'.slice(1));
    for (const text of everything) {
      expect(text).not.toContain(SECRET);
      expect(text).not.toContain(Buffer.from(SECRET).toString('base64'));
    }
  });

  it.each([
    ['APPLICATION_UNKNOWN', /may be swapped/],
    ['TENANT_UNKNOWN', /may be swapped/],
    ['SECRET_WRONG', /Make a new secret/],
    ['SECRET_EXPIRED', /Make a new secret/],
  ])('after %s asks nothing else, saves nothing and hints', async (code, hint) => {
    azure.fail = {
      signIn: new Wrong({ code, what: 'Signing in to Azure failed.', why: `AADSTS for ${code}.` }),
    };
    const error = await failureOf(addAccount(context, ANSWERS));
    expect([error.code, error.why]).toEqual([code, `AADSTS for ${code}.`]);
    expect(error.next).toMatch(hint);
    expect(azure.calls).toEqual(['signIn']);
    await expectNothingSaved();
  });

  it.each([
    [
      'the subscription is not visible',
      () => (azure.fail = { subscription: new Wrong({ code: 'SUBSCRIPTION_NOT_VISIBLE', what: 'No.' }) }),
      'SUBSCRIPTION_NOT_VISIBLE',
    ],
    ['the subscription is disabled', () => (azure.state = 'Disabled'), 'SUBSCRIPTION_DISABLED'],
    [
      'the permissions cannot be listed',
      () => (azure.fail = { permissions: new Wrong({ code: 'AuthorizationFailed', what: 'No.' }) }),
      'AuthorizationFailed',
    ],
    ['a provider is not registered', () => (azure.registered = false), 'PROVIDER_NOT_REGISTERED'],
  ])('saves nothing when %s', async (_, arrange, code) => {
    arrange();
    expect((await failureOf(addAccount(context, ANSWERS))).code).toBe(code);
    await expectNothingSaved();
  });

  it('warns, but saves, when the role on the whole subscription is narrower than what is needed', async () => {
    azure.actions = ['*/read'];
    const report = await addAccount(context, ANSWERS);
    const line = report.lines.find((one) => one.title === 'Permissions');
    expect(line?.status).toBe('warning');
    expect(line?.found).toContain('Microsoft.Compute/disks/write');
    expect(line?.found).not.toContain('disks/read');
  });

  it('refuses wrong answers before it asks Azure anything', async () => {
    const wrong: Partial<AccountAnswers>[] = [
      { tenantId: 'x' },
      { applicationId: ANSWERS.tenantId },
      { clientSecret: ANSWERS.applicationId },
      { secretExpiresOn: '2027-02-01' },
      { environment: 'moon' },
      { environment: 'custom' },
    ];
    for (const change of wrong) {
      const error = await failureOf(addAccount(context, { ...ANSWERS, ...change }));
      expect([error.code, error.kind]).toEqual(['ANSWER_WRONG', 'input']);
      expect(JSON.stringify(error)).not.toContain(SECRET);
    }
    expect(azure.calls).toEqual([]);
    await expectNothingSaved();
  });

  it('refuses an e-mail that is registered, in whatever letters', async () => {
    await addAccount(context, ANSWERS);
    azure.calls.length = 0;
    const error = await failureOf(addAccount(context, { ...ANSWERS, name: 'OPS@EXAMPLE.COM' }));
    expect([error.code, azure.calls.length]).toEqual(['NAME_TAKEN', 0]);
    expect(await listAccounts(context)).toHaveLength(1);
  });
});

describe('verifying an account', () => {
  it('reports what went wrong since, and skips what that makes unknowable', async () => {
    await addAccount(context, ANSWERS);
    azure.rightSecret = 'changed in Azure';
    const { lines } = await verifyAccount(context, 'ops@example.com');
    expect(lines.map((line) => line.status)).toEqual(['error', 'skipped', 'skipped', 'skipped']);
    expect(lines[0]?.code).toBe('SECRET_WRONG');
  });

  it.each([
    ['2027-03-05T00:00:00Z', 'ok', /in 31 days/],
    ['2027-03-06T00:00:00Z', 'warning', /in 30 days/],
    ['2027-04-05T23:59:00Z', 'warning', /in 0 days/],
    ['2027-04-06T00:00:00Z', 'warning', /is over/],
  ])('on %s says %s about a secret that ends on 2027-04-05', async (now, status, found) => {
    await addAccount(context, { ...ANSWERS, secretExpiresOn: '2027-04-05' });
    nowMs = Date.parse(now);
    const line = (await verifyAccount(context, ANSWERS.name)).lines.at(-1);
    expect(line?.status).toBe(status);
    expect(line?.found).toMatch(found);
  });

  it('names the accounts there are when the name is not one of them', async () => {
    await addAccount(context, ANSWERS);
    const error = await failureOf(verifyAccount(context, 'nobody@example.com'));
    expect([error.code, error.kind]).toEqual(['ACCOUNT_UNKNOWN', 'input']);
    expect(error.next).toContain('Ops@example.com');
  });
});

describe('renewing the secret', () => {
  it('keeps the old one when the new one is wrong, and uses the new one when it is right', async () => {
    const { account } = await addAccount(context, { ...ANSWERS, secretExpiresOn: '2027-03-02' });
    const name = `account/${account.id}/client-secret`;
    const refused = await failureOf(renewSecret(context, { name: account.name, clientSecret: 'not right' }));
    expect([refused.code, await context.secrets.get(name)]).toEqual(['SECRET_WRONG', SECRET]);
    azure.rightSecret = 'the next one';
    const report = await renewSecret(context, { name: account.name, clientSecret: 'the next one' });
    expect(await context.secrets.get(name)).toBe('the next one');
    expect(report.account).toEqual((await listAccounts(context))[0]);
    // The old secret's date says nothing about the new one.
    expect(report.account.secretExpiresOn).toBeUndefined();
  });
});

describe('removing an account', () => {
  it('is refused while an appliance uses it, and names that', async () => {
    const { account } = await addAccount(context, ANSWERS);
    await context.store.appliances.insert({
      id: 'a1',
      name: 'gate',
      address: '203.0.113.9',
      port: 25000,
      azure: { accountId: account.id, vmId: '/x', resourceGroup: 'rg', region: 'westeurope' },
      enrolment: 'pending',
      createdAtMs: 0,
    });
    const error = await failureOf(removeAccount(context, account.name));
    expect([error.code, error.why]).toEqual(['ACCOUNT_IN_USE', 'It is used by appliance gate.']);
    expect(await listAccounts(context)).toHaveLength(1);
  });

  it('takes the secret with it', async () => {
    const { account } = await addAccount(context, ANSWERS);
    await removeAccount(context, account.name);
    expect(await listAccounts(context)).toEqual([]);
    expect(await context.secrets.get(`account/${account.id}/client-secret`)).toBeUndefined();
  });
});
