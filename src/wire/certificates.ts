import { createHash, createPublicKey, type webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { systemClock } from '../clock.ts';
import { inputError, messageOf, StandbyError } from '../errors.ts';

/**
 * Certificates of port 25000: one authority (control's own), leaves that carry exactly one URI which says who the
 * bearer is. Keys are EC P-256. The X.509 library is loaded on first use: most commands never need it.
 */
export interface Authority {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** What one side presents, and the authority whose signature it trusts. */
export interface Credentials {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly caPem: string;
}

export type Role = 'control' | 'appliance' | 'master';

export interface Identity {
  readonly role: Role;
  readonly id: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 24 * 3600 * 1000;
/** Clocks of servers differ; a certificate is valid from a day before it was made. */
const CLOCK_SLACK_MS = DAY_MS;
const AUTHORITY_DAYS = 3650;
const ROLE_URI = /^standby:(control|appliance|master):([A-Za-z0-9][A-Za-z0-9._-]{0,63})$/;

async function loadX509() {
  await import('reflect-metadata');
  return await import('@peculiar/x509');
}

function pem(label: string, der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

function derOf(label: string, text: string): Buffer<ArrayBuffer> {
  const match = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`).exec(text);
  if (!match?.[1]) throw inputError('PEM_INVALID', `This is not a ${label.toLowerCase()} in PEM form.`);
  const bytes = Buffer.from(match[1], 'base64');
  const der = Buffer.alloc(bytes.length);
  bytes.copy(der);
  return der;
}

async function makeKeys(): Promise<{ keys: webcrypto.CryptoKeyPair; keyPem: string }> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  return { keys, keyPem: pem('PRIVATE KEY', await crypto.subtle.exportKey('pkcs8', keys.privateKey)) };
}

export async function makeAuthority(nowMs = systemClock.now()): Promise<Authority> {
  const x509 = await loadX509();
  const { keys, keyPem } = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Standby authority',
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(nowMs - CLOCK_SLACK_MS),
    notAfter: new Date(nowMs + AUTHORITY_DAYS * DAY_MS),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificatePem: `${certificate.toString('pem')}\n`, keyPem };
}

/** A key that never leaves its owner, and a request for a certificate of it. */
export async function makeKeyAndRequest(): Promise<{ keyPem: string; requestPem: string }> {
  const x509 = await loadX509();
  const { keys, keyPem } = await makeKeys();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=Standby engine',
    keys,
    signingAlgorithm: ALGORITHM,
  });
  return { keyPem, requestPem: `${request.toString('pem')}\n` };
}

/**
 * Signs a request after checking that its sender holds the key. What the request asks for is ignored: the name,
 * the role and the addresses are what the caller says.
 */
export async function signRequest(options: {
  readonly authority: Authority;
  readonly requestPem: string;
  /** `standby:<role>:<id>`. */
  readonly uri: string;
  /** IP addresses or host names under which it is dialled. */
  readonly addresses?: readonly string[];
  readonly days: number;
  readonly nowMs?: number;
}): Promise<string> {
  if (!ROLE_URI.test(options.uri))
    throw inputError('ROLE_INVALID', `${options.uri} does not name a role and an id.`);
  const x509 = await loadX509();
  const request = await readRequest(options.requestPem);
  const nowMs = options.nowMs ?? systemClock.now();
  const issuer = new x509.X509Certificate(options.authority.certificatePem);
  const signingKey = await crypto.subtle.importKey(
    'pkcs8',
    derOf('PRIVATE KEY', options.authority.keyPem),
    ALGORITHM,
    false,
    ['sign'],
  );
  const certificate = await x509.X509CertificateGenerator.create({
    subject: 'CN=Standby engine',
    issuer: issuer.subject,
    publicKey: request.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(nowMs - CLOCK_SLACK_MS),
    notAfter: new Date(Math.min(nowMs + options.days * DAY_MS, issuer.notAfter.getTime())),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: options.uri },
        ...(options.addresses ?? []).map((value) => ({
          type: isIP(value) ? ('ip' as const) : ('dns' as const),
          value,
        })),
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

async function readRequest(requestPem: string) {
  const x509 = await loadX509();
  try {
    const request = new x509.Pkcs10CertificateRequest(derOf('CERTIFICATE REQUEST', requestPem));
    if (await request.verify()) return request;
  } catch (error) {
    throw new StandbyError({
      code: 'REQUEST_INVALID',
      what: 'The certificate request cannot be read.',
      why: messageOf(error),
    });
  }
  throw new StandbyError({
    code: 'REQUEST_INVALID',
    what: 'The certificate request is refused.',
    why: 'Its sender does not hold the key it names.',
  });
}

/** The bytes of a request: what a join's proof is computed over. */
export function requestDer(requestPem: string): Buffer {
  return derOf('CERTIFICATE REQUEST', requestPem);
}

/** Hex SHA-256 of the certificate's DER: how an authority is named before its certificate is at hand. */
export function sha256OfCertificate(certificatePem: string): string {
  return createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('hex');
}

/** Who the bearer is; undefined when the certificate names nobody, or more than one. */
export function roleOfCertificate(certificate: string | X509Certificate): Identity | undefined {
  const parsed = typeof certificate === 'string' ? new X509Certificate(certificate) : certificate;
  const uris = (parsed.subjectAltName ?? '').split(', ').filter((name) => name.startsWith('URI:'));
  const match = uris.length === 1 ? ROLE_URI.exec((uris[0] ?? '').slice('URI:'.length)) : null;
  if (!match?.[1] || !match[2]) return undefined;
  return { role: match[1] as Role, id: match[2] };
}

/** Throws unless `credentials` is a certificate of its own authority, for its own key, naming `expected`. */
export function assertCredentials(credentials: Credentials, expected: Identity): void {
  const certificate = new X509Certificate(credentials.certificatePem);
  const authority = new X509Certificate(credentials.caPem);
  const named = roleOfCertificate(certificate);
  const wrong = !certificate.verify(authority.publicKey)
    ? 'It is not signed by the authority that came with it.'
    : !createPublicKey(credentials.keyPem).equals(certificate.publicKey)
      ? 'It is for another key.'
      : named?.role !== expected.role || named.id !== expected.id
        ? `It does not name ${expected.role} ${expected.id}.`
        : undefined;
  if (wrong)
    throw new StandbyError({ code: 'CERTIFICATE_WRONG', what: 'The certificate is refused.', why: wrong });
}

/** A certificate nobody signed: the appliance shows it until it is enrolled. Trust comes from the token's proof. */
export async function makeSelfSigned(
  nowMs = systemClock.now(),
): Promise<{ certificatePem: string; keyPem: string }> {
  const x509 = await loadX509();
  const { keys, keyPem } = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Standby appliance not enrolled',
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(nowMs - CLOCK_SLACK_MS),
    notAfter: new Date(nowMs + AUTHORITY_DAYS * DAY_MS),
  });
  return { certificatePem: `${certificate.toString('pem')}\n`, keyPem };
}
