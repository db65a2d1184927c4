import { generateKeyPairSync } from 'node:crypto';

/**
 * Azure wants an SSH key for a Linux VM. Nobody logs in to an appliance in daily life, so when no key is given, a pair
 * is made whose private half never leaves this function: the VM then has a key that nobody owns.
 */
export function makeUnusableSshKey(): string {
  const { publicKey } = generateKeyPairSync('ed25519');
  const x = publicKey.export({ format: 'jwk' }).x ?? '';
  const blob = Buffer.concat([
    lengthPrefixed(Buffer.from('ssh-ed25519')),
    lengthPrefixed(Buffer.from(x, 'base64url')),
  ]);
  return `ssh-ed25519 ${blob.toString('base64')} standby-nobody`;
}

function lengthPrefixed(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** One line of an OpenSSH public key, of a type that Azure takes; a sentence when it is not. */
export function sshKeyProblem(text: string): string | undefined {
  if (/PRIVATE KEY/.test(text))
    return 'This is a private key. Give the public one (the file that ends in .pub).';
  if (/^(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/]+={0,2}( [^\n]*)?$/.test(text.trim())) return undefined;
  return 'This is not an OpenSSH public key (ssh-ed25519 AAAA... or ssh-rsa AAAA...).';
}
