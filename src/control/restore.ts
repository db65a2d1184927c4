import { inputError } from '../errors.ts';
import type { Scenario } from '../model/scenario.ts';
import type { Context } from './context.ts';
import { type JoinOffer, offerMaster } from './master.ts';
import { scenarioNamed } from './scenario-named.ts';

/**
 * A one-time token for a machine that takes the place of a scenario's master: it comes in under that master's id, and so
 * may be restored from its replica, and protect the server from then on. Whoever holds the old certificate still may too.
 */
export async function offerRestore(
  context: Context,
  name: string,
): Promise<JoinOffer & { readonly scenario: Scenario }> {
  const scenario = await scenarioNamed(context, name);
  const appliance = await context.store.appliances.get(scenario.applianceId);
  if (!appliance) {
    throw inputError(
      'APPLIANCE_UNKNOWN',
      `The appliance of scenario ${scenario.name} is not known here any more.`,
      `Choose another one: standby scenario edit ${scenario.name}`,
    );
  }
  const offer = await offerMaster(context, { appliance: appliance.name, replaces: scenario.masterId });
  return { ...offer, scenario };
}
