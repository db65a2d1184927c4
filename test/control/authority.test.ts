import { X509Certificate } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openAuthority } from '../../src/control/authority.ts';
import { assertCredentials, roleOfCertificate } from '../../src/wire/certificates.ts';
import { makeContext, type TestContext } from './make-context.ts';

const open: TestContext[] = [];
afterEach(async () => {
  for (const context of open.splice(0).reverse()) await context.close();
});

async function context(parts: Parameters<typeof makeContext>[0] = {}): Promise<TestContext> {
  const made = await makeContext(parts);
  open.push(made);
  return made;
}

it('is made once, even when two come first at the same time', async () => {
  const one = await context();
  const other = await context({ folder: one.folder });
  const [a, b] = await Promise.all([openAuthority(one), openAuthority(other)]);
  expect(a).toEqual(b);
  expect(await openAuthority(other)).toEqual(a);
});

it('signs a certificate with which control can dial', async () => {
  const { authority, credentials, caSha256 } = await openAuthority(await context());
  const identity = roleOfCertificate(credentials.certificatePem);
  expect(identity?.role).toBe('control');
  assertCredentials(credentials, { role: 'control', id: identity?.id ?? '' });
  const digest = new X509Certificate(authority.certificatePem).fingerprint256
    .replaceAll(':', '')
    .toLowerCase();
  expect(caSha256).toBe(digest);
});

it('leaves no private key readable in the home folder', async () => {
  const home = await context();
  const { authority, credentials } = await openAuthority(home);
  for (const pem of [authority.keyPem, credentials.keyPem]) {
    const line = pem.split('\n')[1] ?? '';
    expect(line.length).toBeGreaterThan(40);
    expect(home.filesText()).not.toContain(line);
  }
  expect(home.filesText()).not.toContain('PRIVATE KEY');
});

it('renews control’s certificate before it ends, for the same control and under the same authority', async () => {
  let nowMs = systemClock.now();
  const home = await context({ clock: { ...systemClock, now: () => nowMs } });
  const first = await openAuthority(home);
  nowMs += 59 * 86_400_000;
  expect(await openAuthority(home)).toEqual(first);
  nowMs += 2 * 86_400_000;
  const renewed = await openAuthority(home);
  expect(renewed.authority).toEqual(first.authority);
  expect(renewed.credentials.certificatePem).not.toBe(first.credentials.certificatePem);
  expect(roleOfCertificate(renewed.credentials.certificatePem)).toEqual(
    roleOfCertificate(first.credentials.certificatePem),
  );
  const { validTo } = new X509Certificate(renewed.credentials.certificatePem);
  expect(Date.parse(validTo)).toBeGreaterThan(nowMs + 89 * 86_400_000);
});
