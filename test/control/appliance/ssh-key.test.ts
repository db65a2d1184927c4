import { createPublicKey } from 'node:crypto';
import { expect, it } from 'vitest';
import { makeUnusableSshKey, sshKeyProblem } from '../../../src/control/appliance/ssh-key.ts';

it('makes a well-formed ed25519 public key, another one each time', () => {
  const [type, body = ''] = makeUnusableSshKey().split(' ');
  const blob = Buffer.from(body, 'base64');
  expect(type).toBe('ssh-ed25519');
  expect(blob.subarray(0, 15)).toEqual(Buffer.from('\0\0\0\x0bssh-ed25519', 'latin1'));
  expect(blob.readUInt32BE(15)).toBe(32);
  expect(blob).toHaveLength(51);
  // The 32 bytes are a point that a key library takes.
  const key = { kty: 'OKP', crv: 'Ed25519', x: blob.subarray(19).toString('base64url') };
  expect(createPublicKey({ key, format: 'jwk' }).asymmetricKeyType).toBe('ed25519');
  expect(makeUnusableSshKey()).not.toBe(makeUnusableSshKey());
});

it('tells a public key from a private one and from anything else', () => {
  expect(sshKeyProblem(makeUnusableSshKey())).toBeUndefined();
  expect(sshKeyProblem('-----BEGIN OPENSSH PRIVATE KEY-----\nabc')).toMatch(/private key/);
  expect(sshKeyProblem('ecdsa-sha2-nistp256 AAAA')).toMatch(/not an OpenSSH public key/);
  expect(sshKeyProblem(`${makeUnusableSshKey()}\nsecond line`)).toMatch(/not an OpenSSH/);
});
