import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';

export interface ApplianceEngineOptions {
  readonly stateFolder: string;
  /** First boot's `{"applianceId","token","caSha256"}`; not read again once enrolled. */
  readonly enrolFile?: string;
  /** Where the data disks appear as `lun<N>`. */
  readonly lunsFolder: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly onListening?: (address: { readonly host: string; readonly port: number }) => void;
}

/** Runs until the signal is aborted. */
export async function runApplianceEngine(options: ApplianceEngineOptions): Promise<void> {
  throw new StandbyError({
    code: 'NOT_BUILT',
    what: `The engine of ${options.stateFolder} is being built right now.`,
  });
}
