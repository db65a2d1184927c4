import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { MasterInventory, MasterNic } from '../model/disk.ts';

export interface JoinOptions {
  readonly tokenText: string;
  readonly diskPaths: string[];
  readonly hostName?: string;
  readonly nics?: readonly MasterNic[];
  readonly stateFolder: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called once the appliance has the request and control has to grant it. */
  readonly onWaiting?: () => void;
}

export async function joinMaster(
  options: JoinOptions,
): Promise<{ masterId: string; inventory: MasterInventory }> {
  throw new StandbyError({
    code: 'NOT_BUILT',
    what: `Joining from ${options.stateFolder} is being built right now.`,
  });
}
