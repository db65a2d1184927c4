import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import type { Authority } from './certificates.ts';

export interface EnrolOptions {
  readonly address: string;
  readonly port: number;
  readonly applianceId: string;
  /** The one-time token of the appliance's first boot. */
  readonly token: string;
  readonly authority: Authority;
  /** Under which the appliance is dialled; they go into its certificate. */
  readonly addresses: string[];
  readonly clock: Clock;
  readonly timeoutMs?: number;
}

/** Codes: APPLIANCE_UNREACHABLE (retry later), ALREADY_ENROLLED (try connectControl), ENROLMENT_REFUSED. */
export async function enrolAppliance(options: EnrolOptions): Promise<{ certificatePem: string }> {
  throw new StandbyError({
    code: 'NOT_BUILT',
    what: `Enrolling ${options.applianceId} is being built right now.`,
  });
}
