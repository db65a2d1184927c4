import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  assertCredentials,
  makeAuthority,
  makeKeyAndRequest,
  requestDer,
  roleOfCertificate,
  sha256OfCertificate,
  signRequest,
} from '../../src/wire/certificates.ts';

describe('certificates', () => {
  it('signs a request with the role, the addresses and both uses, under the own authority', async () => {
    const authority = await makeAuthority();
    const { keyPem, requestPem } = await makeKeyAndRequest();
    const uri = 'standby:appliance:app-1';
    const certificatePem = await signRequest({
      authority,
      requestPem,
      uri,
      addresses: ['127.0.0.9', 'a.example'],
      days: 30,
    });
    const certificate = new X509Certificate(certificatePem);
    expect(certificate.verify(new X509Certificate(authority.certificatePem).publicKey)).toBe(true);
    expect(certificate.subjectAltName).toContain('IP Address:127.0.0.9');
    expect(certificate.subjectAltName).toContain('DNS:a.example');
    expect(certificate.keyUsage).toEqual(expect.arrayContaining(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']));
    expect(certificate.ca).toBe(false);
    expect(roleOfCertificate(certificatePem)).toEqual({ role: 'appliance', id: 'app-1' });
    expect(sha256OfCertificate(authority.certificatePem)).toMatch(/^[0-9a-f]{64}$/);
    const credentials = { certificatePem, keyPem, caPem: authority.certificatePem };
    expect(() => assertCredentials(credentials, { role: 'appliance', id: 'app-1' })).not.toThrow();
    expect(() => assertCredentials(credentials, { role: 'appliance', id: 'app-2' })).toThrow(/does not name/);
    const other = await makeKeyAndRequest();
    expect(() =>
      assertCredentials({ ...credentials, keyPem: other.keyPem }, { role: 'appliance', id: 'app-1' }),
    ).toThrow(/another key/);
    const stranger = await makeAuthority();
    expect(() =>
      assertCredentials(
        { ...credentials, caPem: stranger.certificatePem },
        { role: 'appliance', id: 'app-1' },
      ),
    ).toThrow(/not signed/);
  });

  it('refuses a request whose sender does not hold the key, and a role that is none', async () => {
    const authority = await makeAuthority();
    const { requestPem } = await makeKeyAndRequest();
    const der = requestDer(requestPem);
    der[der.length - 5] = (der[der.length - 5] ?? 0) ^ 0xff;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    await expect(
      signRequest({ authority, requestPem: forged, uri: 'standby:master:m', days: 1 }),
    ).rejects.toThrow(/request/);
    for (const uri of [
      'standby:root:x',
      'standby:master:',
      'standby:master:a, URI:standby:control:b',
      'https://x',
    ]) {
      await expect(signRequest({ authority, requestPem, uri, days: 1 })).rejects.toMatchObject({
        code: 'ROLE_INVALID',
      });
    }
  });
});
