import type { ApplianceSabotage } from './appliance.ts';
import type { MasterSabotage } from './master.ts';

/** What a story of the whole path may be told with. */
export interface PathOptions {
  readonly steps: number;
  readonly appliance?: ApplianceSabotage;
  readonly master?: MasterSabotage;
  /** Checksums of the wire are not looked at. */
  readonly trustsWire?: boolean;
}
