import { X509Certificate } from 'node:crypto';
import { connect, type TLSSocket, type ConnectionOptions as TlsOptions } from 'node:tls';
import type { Clock } from '../clock.ts';
import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import { type Credentials, roleOfCertificate } from './certificates.ts';
import { withDeadline } from './deadline.ts';
import { ALPN, type Alpn, TIMINGS } from './limits.ts';

/** AES-128-GCM first: the fastest on every server with AES instructions; all three are strong. */
export const CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly clock: Clock;
  readonly timeoutMs?: number;
}

/** To an enrolled appliance, as control or master. Its certificate decides who it is, not its address. */
export function dialAppliance(
  endpoint: Endpoint,
  credentials: Credentials,
  applianceId: string | undefined,
): Promise<TLSSocket> {
  return dialTls(endpoint, ALPN.engines, {
    ca: credentials.caPem,
    cert: credentials.certificatePem,
    key: credentials.keyPem,
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => wrongAppliance(certificate.raw, applianceId),
  });
}

/** To an enrolled appliance, by a master that has no certificate yet. */
export function dialToJoin(endpoint: Endpoint, caPem: string): Promise<TLSSocket> {
  return dialTls(endpoint, ALPN.join, {
    ca: caPem,
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => wrongAppliance(certificate.raw, undefined),
  });
}

/**
 * To whoever answers, whose certificate proves nothing. Two callers may use it, each with its own proof:
 * enrolment (an HMAC over this very TLS session binds both ends before anything else is said) and reading the
 * authority's certificate before a join (it is compared with the token's SHA-256, and nothing is sent).
 */
export function dialUnproven(endpoint: Endpoint, alpn: Alpn): Promise<TLSSocket> {
  return dialTls(endpoint, alpn, { rejectUnauthorized: false });
}

async function dialTls(endpoint: Endpoint, alpn: Alpn, options: TlsOptions): Promise<TLSSocket> {
  const { address, port, clock } = endpoint;
  const timeoutMs = endpoint.timeoutMs ?? TIMINGS.handshakeMs;
  const socket = connect({
    host: address,
    port,
    minVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    ALPNProtocols: [alpn],
    ...options,
  });
  socket.setNoDelay(true);
  const shaken = new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the connection was closed during the handshake')));
  });
  const late = () => unreachable(endpoint, `No answer came within ${timeoutMs} ms.`);
  try {
    await withDeadline(clock, timeoutMs, shaken, late);
    if (socket.alpnProtocol !== alpn) throw notStandby(endpoint);
    return socket;
  } catch (error) {
    // The handshake's promise may still reject when the socket is destroyed below; its error is already this one.
    shaken.catch(() => undefined);
    socket.on('error', () => undefined);
    socket.destroy();
    throw dialError(endpoint, error);
  }
}

function wrongAppliance(raw: Buffer, applianceId: string | undefined): Error | undefined {
  const identity = roleOfCertificate(new X509Certificate(raw));
  if (identity?.role === 'appliance' && (applianceId === undefined || identity.id === applianceId))
    return undefined;
  return new StandbyError({
    code: 'APPLIANCE_WRONG',
    what: `What answered is not appliance ${applianceId ?? 'of this control'}.`,
    why: identity ? `It is ${identity.role} ${identity.id}.` : 'Its certificate names nobody.',
    next: 'Check the address; another appliance may have taken it.',
  });
}

function dialError(endpoint: Endpoint, error: unknown): StandbyError {
  if (isStandbyError(error)) return error;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code.includes('NO_APPLICATION_PROTOCOL')) return notStandby(endpoint, error);
  if (/CERT|SIGNATURE|SELF_SIGNED|ISSUER/.test(code) && !code.startsWith('ERR_SSL')) {
    return new StandbyError({
      code: 'APPLIANCE_WRONG',
      what: `What answers at ${endpoint.address}:${endpoint.port} is not an appliance of this control.`,
      why: `Its certificate is refused: ${messageOf(error)}.`,
      next: 'Check the address, and that no firewall or proxy opens TLS on the way.',
      cause: error,
    });
  }
  return unreachable(endpoint, `${messageOf(error)}.`, error);
}

/** Codes tell the callers apart what this means: not enrolled yet, or already enrolled. */
function notStandby(endpoint: Endpoint, cause?: unknown): StandbyError {
  return new StandbyError({
    code: 'PROTOCOL_REFUSED',
    what: `${endpoint.address}:${endpoint.port} does not speak this protocol.`,
    cause,
  });
}

export function unreachable(endpoint: Endpoint, why: string, cause?: unknown): StandbyError {
  return new StandbyError({
    code: 'APPLIANCE_UNREACHABLE',
    what: `The appliance at ${endpoint.address}:${endpoint.port} cannot be reached.`,
    why,
    next: 'Run `standby appliance check`: it says whether the VM, a security rule or the network is in the way.',
    retry: 'later',
    cause,
  });
}
