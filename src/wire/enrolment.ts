import { createHmac, timingSafeEqual } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/**
 * Both ends prove that they know the one-time token, each with an HMAC over keying material that only this TLS session
 * has. Somebody in the middle has two sessions with two different materials, so no proof of one fits the other.
 */
const EXPORTER_LABEL = 'EXPERIMENTAL-standby-enrol';
const MATERIAL_BYTES = 32;

export function enrolmentProof(
  socket: TLSSocket,
  side: 'control' | 'appliance',
  applianceId: string,
  token: string,
): string {
  const material = socket.exportKeyingMaterial(MATERIAL_BYTES, EXPORTER_LABEL, Buffer.from(applianceId));
  return createHmac('sha256', token).update(`${side}\n`).update(material).digest('hex');
}

export function sameProof(expected: string, given: string): boolean {
  const a = Buffer.from(expected, 'hex');
  const b = Buffer.from(given, 'hex');
  return a.length === b.length && timingSafeEqual(a, b);
}
