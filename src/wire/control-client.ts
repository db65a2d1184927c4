import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import type { Credentials } from './certificates.ts';
import type { ControlSession } from './control-session.ts';

export interface ConnectOptions {
  readonly address: string;
  readonly port: number;
  readonly credentials: Credentials;
  /** When given, only this appliance is accepted. */
  readonly applianceId?: string;
  readonly clock: Clock;
  readonly timeoutMs?: number;
}

/** Dials an enrolled appliance. Codes: APPLIANCE_UNREACHABLE (retry later), APPLIANCE_NOT_ENROLLED, APPLIANCE_WRONG, CONTROL_REFUSED. */
export async function connectControl(options: ConnectOptions): Promise<ControlSession> {
  throw new StandbyError({
    code: 'NOT_BUILT',
    what: `Dialling ${options.address} is being built right now.`,
  });
}
