import { runbook } from '../switchover/runbook.ts';
import type { Context } from './context.ts';
import { scenarioNamed } from './scenario-named.ts';

/** The scenario's page for an outage, as Markdown. Reads the store only: it is made when nothing else answers, too. */
export async function runbookOf(
  context: Context,
  name: string,
): Promise<{ readonly scenario: string; readonly markdown: string }> {
  const scenario = await scenarioNamed(context, name);
  const { accounts, appliances, masters } = context.store;
  const [master, appliance, account] = await Promise.all([
    masters.get(scenario.masterId),
    appliances.get(scenario.applianceId),
    accounts.get(scenario.accountId),
  ]);
  if (!master) throw new Error(`the master of ${scenario.name} is not in the store`);
  const markdown = runbook({
    scenario,
    inventory: master.inventory,
    applianceName: appliance?.name ?? scenario.applianceId,
    accountName: account?.name ?? scenario.accountId,
    homeFolder: context.homeFolder,
  });
  return { scenario: scenario.name, markdown };
}
