import { isStandbyError } from '../errors.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import { FENCE_MASTER } from '../switchover/steps/fence-master.ts';
import { withAppliance } from './bookmarks.ts';
import type { Context } from './context.ts';

/** Of the master of a standby that serves: whether its engine is heard, and if so, whether the switchover told it to keep the master off the network. */
export type MasterBeside = 'away' | 'heard' | 'told' | 'unknown';

/**
 * Two heads never: asks the appliance. Undefined while that is no question: no standby serves, or the master is copied at
 * rest, where an engine that is heard says nothing about the server.
 */
export async function masterBeside(
  context: Context,
  scenario: Scenario,
  { state, switchedOverRunId }: ScenarioStatus,
): Promise<MasterBeside | undefined> {
  if (state !== 'switched-over' || !isLiveCapture(scenario.capture)) return undefined;
  try {
    const masters = await withAppliance(context, scenario, (session) => session.masters());
    const isHeard = masters.some((one) => one.masterId === scenario.masterId && one.connected);
    if (!isHeard) return 'away';
  } catch (error) {
    if (!isStandbyError(error) || error.kind === 'cancelled') throw error;
    return 'unknown';
  }
  const run = switchedOverRunId === undefined ? undefined : await context.store.runs.get(switchedOverRunId);
  return run?.steps.some((step) => step.stepId === FENCE_MASTER && step.status === 'done') ? 'told' : 'heard';
}
