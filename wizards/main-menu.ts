import { statusNotices } from '../src/cli/status-notices.ts';
import { listAccounts, verifyAccount } from '../src/control/account.ts';
import { checkAppliance } from '../src/control/appliance/check.ts';
import { listAppliances } from '../src/control/appliance/records.ts';
import type { Context } from '../src/control/context.ts';
import { listScenarios } from '../src/control/scenario.ts';
import { scenarioStatus } from '../src/control/status.ts';
import { verdictNotices } from '../src/control/verdict-table.ts';
import { isStandbyError } from '../src/errors.ts';
import type { Choice } from '../src/model/question.ts';
import { accountWizard } from './account.ts';
import { applianceWizard } from './appliance.ts';
import { masterWizard } from './master.ts';
import { applianceScreen, openPortWizard } from './open-port.ts';
import { runWizard } from './run.ts';
import { chooseScenario, scenarioEditWizard, scenarioWizard } from './scenario.ts';
import { switchoverWizard } from './switchover.ts';
import { gather, tellError } from './wizard.ts';

const NOTHING_KNOWN = { preset: {}, yes: false } as const;

interface Entry {
  readonly label: string;
  run(context: Context): Promise<unknown>;
}

/** What a person can do, in the order in which it is done the first time. */
const ENTRIES: Readonly<Record<string, Entry>> = {
  account: { label: 'Register an Azure account', run: (context) => accountWizard(context, NOTHING_KNOWN) },
  accounts: { label: 'Check the accounts', run: checkAccounts },
  appliance: { label: 'Deploy an appliance', run: (context) => applianceWizard(context, NOTHING_KNOWN) },
  openPort: {
    label: 'Open port 25000 of an appliance',
    run: (context) => openPortWizard(context, NOTHING_KNOWN),
  },
  check: { label: 'Check an appliance', run: checkOne },
  master: { label: 'Let a master join', run: (context) => masterWizard(context, NOTHING_KNOWN) },
  scenario: { label: 'Create a scenario', run: (context) => scenarioWizard(context, NOTHING_KNOWN) },
  scenarioEdit: { label: 'Change a scenario', run: (context) => scenarioEditWizard(context, NOTHING_KNOWN) },
  run: { label: 'Run a scenario: copy its master', run: (context) => runWizard(context, NOTHING_KNOWN) },
  status: { label: 'Status of a scenario', run: showStatus },
  switchover: { label: 'Switch over', run: (context) => switchoverWizard(context, NOTHING_KNOWN) },
};

/** `standby` without a command: shows where things stand and proposes what comes next. Leaves on the choice or Ctrl-C. */
export async function mainMenu(context: Context): Promise<void> {
  const { host } = context;
  for (;;) {
    const choices: Choice[] = Object.entries(ENTRIES).map(([value, { label }]) => ({ value, label }));
    const answer = await host.ask(
      {
        name: 'menu',
        kind: 'select',
        message: 'What would you like to do?',
        before: await whereThingsStand(context),
        default: await nextStep(context),
        choices,
        first: true,
      },
      {},
    );
    const entry = answer.kind === 'value' ? ENTRIES[String(answer.value)] : undefined;
    if (!entry) return;
    await perform(context, entry);
  }
}

/** A wizard that was left or that failed leads back to the menu; only the process being asked to stop leaves it. */
async function perform(context: Context, entry: Entry): Promise<void> {
  try {
    await entry.run(context);
  } catch (error) {
    if (!isStandbyError(error) || context.host.signal.aborted) throw error;
    if (error.kind === 'cancelled') context.host.tell({ kind: 'text', level: 'info', text: error.what });
    else tellError(context.host, error);
  }
}

async function whereThingsStand(context: Context): Promise<string> {
  const { store } = context;
  const [accounts, appliances, masters, scenarios] = await Promise.all([
    store.accounts.list(),
    store.appliances.list(),
    store.masters.list(),
    listScenarios(context),
  ]);
  const states = scenarios.map(({ scenario, status }) => `  ${scenario.name}: ${status.state}`);
  return [
    `Accounts ${accounts.length}, appliances ${appliances.length}, masters ${masters.length}, scenarios ${scenarios.length}`,
    ...states,
  ].join('\n');
}

async function nextStep(context: Context): Promise<string> {
  const { store } = context;
  if ((await store.accounts.list()).length === 0) return 'account';
  const appliances = await store.appliances.list();
  if (appliances.length === 0) return 'appliance';
  if (appliances.every((one) => one.enrolment === 'pending')) return 'openPort';
  if ((await store.masters.list()).length === 0) return 'master';
  const scenarios = await listScenarios(context);
  if (scenarios.length === 0) return 'scenario';
  return scenarios.some(({ status }) => status.synchronisedAtMs === undefined) ? 'run' : 'status';
}

async function checkAccounts(context: Context): Promise<void> {
  for (const { name } of await listAccounts(context)) {
    const { lines } = await verifyAccount(context, name);
    for (const notice of verdictNotices(`Account ${name}`, lines)) context.host.tell(notice);
  }
}

async function checkOne(context: Context): Promise<void> {
  if ((await listAppliances(context)).length === 0) {
    return context.host.tell({ kind: 'text', level: 'info', text: 'No appliance is known yet.' });
  }
  const { name } = await gather(context.host, [applianceScreen(context)], {});
  const verdicts = await checkAppliance(context, String(name));
  for (const notice of verdictNotices(`Appliance ${String(name)}`, verdicts)) context.host.tell(notice);
}

async function showStatus(context: Context): Promise<void> {
  const view = await scenarioStatus(context, await chooseScenario(context));
  for (const notice of statusNotices(view)) context.host.tell(notice);
}
