import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';

export interface MasterEngineOptions {
  readonly stateFolder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Runs until the signal is aborted. */
export async function runMasterEngine(options: MasterEngineOptions): Promise<void> {
  throw new StandbyError({
    code: 'NOT_BUILT',
    what: `The engine of ${options.stateFolder} is being built right now.`,
  });
}
