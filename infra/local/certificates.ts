import { createPublicKey, webcrypto } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writeDurably } from './files.ts';

/**
 * Local Azure's own certificate authority and the certificate of its listener (127.0.0.1 and localhost).
 * The authority is made once and kept, so that clients which trust it go on after a restart; the listener's
 * certificate is made anew when it is missing or near its end. Killed at any line, files are whole or absent:
 * a key is written before its certificate, and a pair counts only when both are there.
 */
export interface ServerCertificate {
  readonly caFile: string;
  readonly caPem: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

const DAY_MS = 86_400_000;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export async function ensureCertificates(folder: string, nowMs: number): Promise<ServerCertificate> {
  const files = {
    caFile: path.join(folder, 'ca.crt'),
    caKeyFile: path.join(folder, 'ca.key'),
    certificateFile: path.join(folder, 'server.crt'),
    keyFile: path.join(folder, 'server.key'),
  };
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  if (!(existsSync(files.caFile) && existsSync(files.caKeyFile))) {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: newSerial(),
      name: 'CN=Local Azure test authority, O=Standby',
      notBefore: new Date(nowMs - DAY_MS),
      notAfter: new Date(nowMs + 3650 * DAY_MS),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    writeDurably(files.caKeyFile, await privatePem(keys.privateKey), 0o600);
    writeDurably(files.caFile, certificate.toString('pem'), 0o644);
  }
  const authority = new x509.X509Certificate(readFileSync(files.caFile, 'utf8'));
  if (!isCurrent(files, nowMs, (pem) => new x509.X509Certificate(pem))) {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: 'CN=localhost, O=Standby',
      issuer: authority.subject,
      notBefore: new Date(nowMs - DAY_MS),
      notAfter: new Date(nowMs + 365 * DAY_MS),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey: await importKey(readFileSync(files.caKeyFile, 'utf8')),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([
          { type: 'ip', value: '127.0.0.1' },
          { type: 'dns', value: 'localhost' },
        ]),
        await x509.AuthorityKeyIdentifierExtension.create(authority),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    writeDurably(files.keyFile, await privatePem(keys.privateKey), 0o600);
    writeDurably(files.certificateFile, certificate.toString('pem'), 0o644);
  }
  return {
    caFile: files.caFile,
    caPem: readFileSync(files.caFile, 'utf8'),
    certificateFile: files.certificateFile,
    keyFile: files.keyFile,
    certificatePem: readFileSync(files.certificateFile, 'utf8'),
    keyPem: readFileSync(files.keyFile, 'utf8'),
  };
}

interface LeafFacts {
  readonly notAfter: Date;
  readonly publicKey: { readonly rawData: ArrayBuffer };
}

/** Both files are there, belong together (a kill between the two writes leaves a new key with an old certificate), and last. */
function isCurrent(
  files: { readonly certificateFile: string; readonly keyFile: string },
  nowMs: number,
  parse: (pem: string) => LeafFacts,
): boolean {
  if (!(existsSync(files.certificateFile) && existsSync(files.keyFile))) return false;
  const leaf = parse(readFileSync(files.certificateFile, 'utf8'));
  if (leaf.notAfter.getTime() < nowMs + 30 * DAY_MS) return false;
  const derived = createPublicKey(readFileSync(files.keyFile, 'utf8')).export({
    type: 'spki',
    format: 'der',
  });
  return Buffer.from(leaf.publicKey.rawData).equals(derived);
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, [
    'sign',
    'verify',
  ]) as Promise<webcrypto.CryptoKeyPair>;
}

function newSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return Buffer.from(bytes).toString('hex');
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}
