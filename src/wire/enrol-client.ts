import type { Clock } from '../clock.ts';
import { isStandbyError, StandbyError } from '../errors.ts';
import { silentLog } from '../log.ts';
import { type Authority, signRequest } from './certificates.ts';
import { Connection } from './connection.ts';
import { dialUnproven } from './dial.ts';
import { enrolmentProof, sameProof } from './enrolment.ts';
import { ALPN, TIMINGS } from './limits.ts';

/**
 * Control's side of an appliance's enrolment. Dies anywhere before the appliance stored its certificate: the token
 * still works and the same call does it again. Dies after: the call says ALREADY_ENROLLED and connectControl works.
 */
export interface EnrolOptions {
  readonly address: string;
  readonly port: number;
  readonly applianceId: string;
  /** The one-time token of the appliance's first boot. */
  readonly token: string;
  readonly authority: Authority;
  /** Under which the appliance is dialled; they go into its certificate. */
  readonly addresses: readonly string[];
  readonly clock: Clock;
  readonly timeoutMs?: number;
}

/** Appliances are replaced, not kept for ever; there is no renewal yet. */
const CERTIFICATE_DAYS = 1825;

/** Codes: APPLIANCE_UNREACHABLE (retry later), ALREADY_ENROLLED (try connectControl), ENROLMENT_REFUSED. */
export async function enrolAppliance(options: EnrolOptions): Promise<{ certificatePem: string }> {
  const { applianceId, token, authority, clock, timeoutMs } = options;
  // rejectUnauthorized is false here and must be: the appliance has no certificate that anybody signed. Who it is
  // shows its proof, which holds for this TLS session only, before we believe or send anything else.
  const socket = await dialUnproven(options, ALPN.enrol).catch((error: unknown) => {
    throw isStandbyError(error) && error.code === 'PROTOCOL_REFUSED'
      ? alreadyEnrolled(options, error)
      : error;
  });
  const name = `the appliance at ${options.address}:${options.port}`;
  const connection = new Connection(socket, {
    name,
    clock,
    log: silentLog,
    timings: TIMINGS,
    proven: true,
    handlers: {},
  });
  try {
    const proof = enrolmentProof(socket, 'control', applianceId, token);
    const answer = await connection.request('enrolProve', { applianceId, proof }, timeoutMs);
    if (!sameProof(enrolmentProof(socket, 'appliance', applianceId, token), answer.proof)) {
      throw refused(
        options,
        'It does not know the token: it is another machine, or somebody stands in between.',
      );
    }
    const uri = `standby:appliance:${applianceId}`;
    const { requestPem } = answer;
    const { addresses } = options;
    const certificatePem = await signRequest({
      authority,
      requestPem,
      uri,
      addresses,
      days: CERTIFICATE_DAYS,
    });
    await connection.request('enrolStore', { certificatePem, caPem: authority.certificatePem }, timeoutMs);
    return { certificatePem };
  } catch (error) {
    if (isStandbyError(error) && error.code === 'CONNECTION_LOST') {
      throw refused(
        options,
        'It closed the connection: the token is not the one it was given, or it stopped.',
        error,
      );
    }
    throw error;
  } finally {
    connection.close('enrolment is over');
  }
}

function refused(options: EnrolOptions, why: string, cause?: unknown): StandbyError {
  return new StandbyError({
    code: 'ENROLMENT_REFUSED',
    what: `The appliance at ${options.address}:${options.port} could not be enrolled.`,
    why,
    next: 'Check the address. If the appliance was made by another control, deploy a new one.',
    retry: 'later',
    cause,
  });
}

function alreadyEnrolled(options: EnrolOptions, cause: unknown): StandbyError {
  return new StandbyError({
    code: 'ALREADY_ENROLLED',
    what: `The appliance at ${options.address}:${options.port} does not take enrolments any more.`,
    why: 'Its one-time token was used.',
    cause,
  });
}
