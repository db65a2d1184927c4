import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Authority, Credentials } from '../wire/certificates.ts';
import type { Secrets } from './context.ts';

/**
 * Control's own certificate authority and control's own certificate, both among the encrypted secrets.
 *
 * Promise: the authority is made once for a store, whoever comes first (getOrMake), and never again: every
 * appliance and master trusts it alone. Control's own certificate is short-lived and renewed when less than a
 * third of its life is left. A process that dies here leaves either the old certificate or the new one, both valid.
 */
export interface ControlIdentity {
  readonly authority: Authority;
  /** What control dials with. */
  readonly credentials: Credentials;
  /** Hex SHA-256 of the authority's certificate: what an appliance gets before it knows anything else. */
  readonly caSha256: string;
}

const AUTHORITY = 'authority';
const OWN = 'authority/control';
const OWN_DAYS = 90;
const DAY_MS = 86_400_000;

interface OwnCertificate {
  readonly controlId: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly endsAtMs: number;
}

export async function openAuthority(parts: { secrets: Secrets; clock: Clock }): Promise<ControlIdentity> {
  const { secrets, clock } = parts;
  const { makeAuthority, sha256OfCertificate } = await import('../wire/certificates.ts');
  const authority = JSON.parse(
    await secrets.getOrMake(AUTHORITY, async () => JSON.stringify(await makeAuthority(clock.now()))),
  ) as Authority;
  let own = JSON.parse(
    await secrets.getOrMake(OWN, async () => JSON.stringify(await makeOwn(authority, randomUUID(), clock))),
  ) as OwnCertificate;
  if (own.endsAtMs - clock.now() < (OWN_DAYS * DAY_MS) / 3) {
    own = await makeOwn(authority, own.controlId, clock);
    await secrets.set(OWN, JSON.stringify(own));
  }
  return {
    authority,
    credentials: {
      certificatePem: own.certificatePem,
      keyPem: own.keyPem,
      caPem: authority.certificatePem,
    },
    caSha256: sha256OfCertificate(authority.certificatePem),
  };
}

async function makeOwn(authority: Authority, controlId: string, clock: Clock): Promise<OwnCertificate> {
  const { makeKeyAndRequest, signRequest } = await import('../wire/certificates.ts');
  const { keyPem, requestPem } = await makeKeyAndRequest();
  const uri = `standby:control:${controlId}`;
  const nowMs = clock.now();
  const certificatePem = await signRequest({ authority, requestPem, uri, days: OWN_DAYS, nowMs });
  return { controlId, certificatePem, keyPem, endsAtMs: nowMs + OWN_DAYS * DAY_MS };
}
