import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { accountQuestions } from '../../src/control/account-questions.ts';
import { makeAuthority } from '../../src/wire/certificates.ts';

const TENANT = '6f9d1c2e-1111-4222-8333-444455556666';
const APPLICATION = '0a1b2c3d-1111-4222-8333-444455556666';
const clock = { ...systemClock, now: () => Date.parse('2027-03-01T23:00:00Z') };
const folder = mkdtempSync(join(tmpdir(), 'standby-questions-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function problem(name: string, value: unknown, answers: Record<string, unknown> = {}): string | undefined {
  const question = accountQuestions(answers, clock).find((one) => one.name === name);
  if (!question) throw new Error(`No question ${name}`);
  return question.validate?.(value);
}

describe('account questions', () => {
  it('ask the five fields, the cloud and the date, and show first what to have ready', () => {
    const questions = accountQuestions({}, clock);
    expect(questions.map((one) => one.name)).toEqual([
      'name',
      'environment',
      'subscriptionId',
      'tenantId',
      'applicationId',
      'clientSecret',
      'secretExpiresOn',
    ]);
    expect(questions[0]?.before).toMatch(/app registration must exist first/);
  });

  it('warn before the secret is asked, mask it, and never take it from a flag', () => {
    const secret = accountQuestions({}, clock).find((one) => one.name === 'clientSecret');
    expect(secret?.before).toMatch(/only right after it was made.*Value column/);
    expect([secret?.kind, secret?.noFlag?.from]).toEqual([
      'secret',
      '--client-secret-stdin or STANDBY_CLIENT_SECRET',
    ]);
  });

  it('ask for URLs and a CA file for a custom cloud only', () => {
    const names = accountQuestions({ environment: 'custom' }, clock).map((one) => one.name);
    expect(names.slice(2, 5)).toEqual(['resourceManagerUrl', 'authorityUrl', 'caFile']);
    expect(accountQuestions({ environment: 'china' }, clock)).toHaveLength(7);
  });

  it.each([
    ['name', 'ops', {}, /not an e-mail/],
    ['subscriptionId', 'my subscription', {}, /not a subscription ID.*GUID/],
    ['tenantId', `${TENANT}0`, {}, /not a tenant ID/],
    ['applicationId', TENANT, { tenantId: TENANT.toUpperCase() }, /same as the tenant ID/],
    ['tenantId', TENANT, { subscriptionId: TENANT }, /same as the subscription ID/],
    ['clientSecret', APPLICATION, {}, /looks like the secret’s ID; copy the Value column/],
    ['clientSecret', '  ', {}, /empty/],
    ['secretExpiresOn', '24.6.2027', {}, /not a date.*YYYY-MM-DD/],
    ['secretExpiresOn', '2027-02-30', {}, /not a date/],
    ['secretExpiresOn', '2027-02-28', {}, /ended on 2027-02-28/],
    ['resourceManagerUrl', 'http://127.0.0.1:1', { environment: 'custom' }, /not an https/],
    ['caFile', '/does/not/exist.pem', { environment: 'custom' }, /cannot be used as a CA certificate/],
  ])('refuse %s = %j', (name, value, answers, expected) => {
    expect(problem(name, value, answers)).toMatch(expected);
  });

  it('accept right answers, the last day of a secret, and no date at all', () => {
    expect(problem('name', 'ops@example.com')).toBeUndefined();
    expect(problem('applicationId', ` ${APPLICATION} `, { tenantId: TENANT })).toBeUndefined();
    expect(problem('clientSecret', 'abc8Q~secret-value')).toBeUndefined();
    expect(problem('secretExpiresOn', '2027-03-01')).toBeUndefined();
    expect(problem('secretExpiresOn', undefined)).toBeUndefined();
  });

  it('accept a CA certificate and refuse another PEM file', async () => {
    const ca = join(folder, 'ca.pem');
    writeFileSync(ca, (await makeAuthority()).certificatePem);
    const key = join(folder, 'key.pem');
    const { privateKey } = generateKeyPairSync('ed25519');
    writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    expect(problem('caFile', ca, { environment: 'custom' })).toBeUndefined();
    expect(problem('caFile', key, { environment: 'custom' })).toMatch(/cannot be used/);
  });
});
