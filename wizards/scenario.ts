import type { WizardStart } from '../src/cli/shell.ts';
import { ChecksFailed, codesOf } from '../src/control/checks-failed.ts';
import type { Context } from '../src/control/context.ts';
import { type Joining, joiningOf, joinLastWave } from '../src/control/group/joining.ts';
import { keyFromAnswers, type RedirectKey } from '../src/control/redirect-key.ts';
import { createScenario, editable, editScenario, type ScenarioReport } from '../src/control/scenario.ts';
import { isNobody } from '../src/control/scenario-drill-questions.ts';
import {
  answersFromFile,
  fileFromAnswers,
  nicIdsOf,
  type ScenarioFile,
} from '../src/control/scenario-file.ts';
import { ScenarioLookups } from '../src/control/scenario-lookups.ts';
import { scenarioNamed } from '../src/control/scenario-named.ts';
import { JOIN_A_MASTER, scenarioScreens } from '../src/control/scenario-questions.ts';
import { fileFromScenario } from '../src/control/scenario-resolve.ts';
import type { Screen } from '../src/control/screen.ts';
import { isAliveText } from '../src/control/status-words.ts';
import { verdictNotices } from '../src/control/verdict-table.ts';
import type { StandbyError } from '../src/errors.ts';
import type { CaptureName } from '../src/model/capture.ts';
import type { HealthCheck, Scenario } from '../src/model/scenario.ts';
import type { Answers } from '../src/ports/host.ts';
import { masterWizard } from './master.ts';
import { confirmScreen, gather, gatherAndAct, leftTheWizard, type Remedy } from './wizard.ts';

/** Creates a scenario in the order of the guide. Nothing is saved before the checks have passed. */
export async function scenarioWizard(context: Context, start: WizardStart): Promise<ScenarioReport> {
  const taken = (await context.store.scenarios.list()).map((one) => one.name);
  const accept = [...(start.accept ?? [])];
  const look = new ScenarioLookups(context);
  const { group: groupName, ...given } = start.preset;
  const joining = groupName === undefined ? undefined : await joiningOf(context, String(groupName));
  const screens = screensWithSummary(context, look, taken, 'Check and save this scenario?');
  const report = await gatherAndAct(
    context.host,
    context.host.interactive ? proposing(screens, joining?.shared ?? {}) : screens,
    {
      ...start,
      preset: context.host.interactive ? given : await fitting(screens, joining?.shared ?? {}, given),
    },
    async (answers) => {
      context.host.tell({ kind: 'text', level: 'info', text: 'Checking ...' });
      const redirectKey = await keyFromAnswers(answers);
      return createScenario(context, await fileOf(look, answers, redirectKey), {
        accept,
        command: 'standby scenario create',
        redirectKey,
      });
    },
    (error) => remedyFor(context, error, accept),
  );
  tellSaved(context, report);
  if (joining) await join(context, joining, report.scenario);
  return report;
}

async function join(context: Context, { group }: Joining, scenario: Scenario): Promise<void> {
  const { waves } = await joinLastWave(context, group, scenario);
  const text = `It is in wave ${waves.length} of group ${group.name}. Another wave: standby group edit ${group.name}`;
  context.host.tell({ kind: 'text', level: 'info', text });
}

/** Asks everything again with the current values; only what a scenario at rest may change. */
export async function scenarioEditWizard(context: Context, start: WizardStart): Promise<ScenarioReport> {
  const name = String(start.preset.scenario ?? '') || (await chooseScenario(context));
  const saved = await scenarioNamed(context, name);
  await editable(context, saved);
  const current = answersFromFile(await fileFromScenario(context, saved));
  const { scenario: _which, ...changes } = start.preset;
  const taken = (await context.store.scenarios.list())
    .map((one) => one.name)
    .filter((one) => one !== saved.name);
  const accept = [...(start.accept ?? [])];
  const look = new ScenarioLookups(context);
  const screens = screensWithSummary(context, look, taken, 'Check and save these changes?');
  const { host } = context;
  const act = async (answers: Answers): Promise<ScenarioReport> => {
    const redirectKey = await keyFromAnswers(answers);
    const file = await fileOf(look, answers, redirectKey ?? keyOf(saved));
    const command = `standby scenario edit ${saved.name}`;
    return editScenario(context, saved.name, file, { accept, command, redirectKey });
  };
  const report = host.interactive
    ? await gatherAndAct(host, proposing(screens, current), { ...start, preset: changes }, act, (error) =>
        remedyFor(context, error, accept),
      )
    : await gatherAndAct(host, screens, { ...start, preset: await fitting(screens, current, changes) }, act);
  tellSaved(context, report);
  return report;
}

function keyOf({ redirect }: Scenario): Pick<RedirectKey, 'name' | 'algorithm'> | undefined {
  if (redirect?.kind !== 'dns-update') return undefined;
  return { name: redirect.keyName, algorithm: redirect.keyAlgorithm };
}

/** Flags change what they name; current answers that no longer fit beside them are left out. */
async function fitting(screens: readonly Screen[], current: Answers, changes: Answers): Promise<Answers> {
  const merged: Record<string, unknown> = { ...current, ...changes };
  for (const screen of screens) {
    if (screen.name in changes || !(screen.name in merged) || !screen.when) continue;
    if (!(await screen.when(merged))) delete merged[screen.name];
  }
  return merged;
}

/** The current value stands in the prompt of every screen. */
function proposing(screens: readonly Screen[], current: Answers): readonly Screen[] {
  return screens.map((screen) => ({
    ...screen,
    async question(answers) {
      const question = await screen.question(answers);
      return current[screen.name] === undefined ? question : { ...question, default: current[screen.name] };
    },
  }));
}

function screensWithSummary(
  context: Context,
  look: ScenarioLookups,
  takenNames: readonly string[],
  message: string,
): readonly Screen[] {
  const asked = scenarioScreens(look, { offerJoin: context.host.interactive === true, takenNames });
  const screens = asked.map((screen) => (screen.name === 'master' ? joiningScreen(context, screen) : screen));
  return [
    ...screens,
    confirmScreen({
      message,
      needs: asked.map((screen) => screen.name),
      summary: (answers) => summaryOf(look, answers),
    }),
  ];
}

/** Choosing "has not joined yet" makes a token, waits, and asks again. */
function joiningScreen(context: Context, screen: Screen): Screen {
  return {
    ...screen,
    async check(value) {
      if (value !== JOIN_A_MASTER) return undefined;
      await masterWizard(context, { preset: {}, yes: false });
      return '';
    },
  };
}

/** `key`: of a file that was given now, or what the scenario that is edited says of its own. */
async function fileOf(
  look: ScenarioLookups,
  answers: Answers,
  key?: Pick<RedirectKey, 'name' | 'algorithm'>,
) {
  const [account, master] = await Promise.all([look.account(answers), look.master(answers)]);
  return fileFromAnswers(answers, {
    account: account.name,
    nicIds: nicIdsOf(master.inventory),
    redirectKey: key,
  });
}

async function summaryOf(look: ScenarioLookups, answers: Answers): Promise<string> {
  const file = await fileOf(look, answers);
  const nics = file.nics.map(
    (nic) =>
      `${nic.master}: ${nic.virtualNetwork}, subnet ${nic.subnet}, ${nic.address}${nic.dnsServers ? `, DNS ${nic.dnsServers.join(', ')}` : ''}${nic.securityGroup ? `, ${nic.securityGroup}` : ''}${nic.publicIp ? ', public IP' : ', no public IP'}`,
  );
  const [health] = file.healthChecks;
  const rows: readonly (readonly [string, string])[] = [
    ['Scenario', `${file.name} (${file.purpose}; full system, HA, replica in Azure, switchover by hand)`],
    ['Master', `${file.master}, ${CAPTURED[file.capture]}`],
    ['Left out', file.excludedVolumes.join(', ') || 'no volume'],
    ['Appliance', `${file.appliance} in ${file.region}`],
    ['Standby VM', `${file.vm.name}, ${file.vm.size}, ${file.vm.diskType}, in ${file.vm.resourceGroup}`],
    ['If no room', ladderText(file.vm)],
    ...nics.map((nic) => ['Network', nic] as const),
    ['Health check', health ? `${healthText(health)}${drillText(file)}` : 'none'],
    ['Clients', redirectText(file)],
    ['Is-alive', isAliveText(file)],
    ['Backup', backupText(file)],
  ];
  return rows.map(([name, value]) => `${name.padEnd(14)}${value}`).join('\n');
}

function drillText({ drill }: ScenarioFile): string {
  if (!drill || !('askFrom' in drill) || isNobody(drill.askFrom)) return '';
  return `, in drills from ${drill.askFrom}`;
}

function ladderText({ fallbackSizes = [], fallbackZones = [] }: ScenarioFile['vm']): string {
  const zones = fallbackZones.length > 0 ? `, then zone ${fallbackZones.join(', ')}` : '';
  return `${fallbackSizes.join(', ') || 'no other size'}${zones}`;
}

function redirectText({ redirect, scripts = [] }: ScenarioFile): string {
  const by = redirect ? `${redirect.name} (${redirect.kind})` : 'are told the new address';
  return [by, ...scripts.map((one) => `${one.at}: ${one.command[0]}`)].join('; ');
}

function backupText({ backup }: ScenarioFile): string {
  if (!backup) return 'none of the standby';
  const { at, window, keep } = backup;
  const beside = window === undefined ? '' : `, never during ${window}`;
  return `of the standby ${at === undefined ? 'at once' : `from ${at} on`}${beside}, the newest ${keep} are kept`;
}

const CAPTURED: Readonly<Record<CaptureName, string>> = {
  'at-rest': 'copied at rest',
  nbd: 'followed live, write by write (nbd)',
  compare: 'followed live by comparing (compare)',
  tracked: 'followed live by what was written (tracked)',
};

function healthText(check: HealthCheck): string {
  return check.kind === 'tcp'
    ? `tcp on port ${check.port}`
    : `http on port ${check.port}, ${check.path} answers ${check.expectStatus}`;
}

function remedyFor(context: Context, error: StandbyError, accept: string[]): Remedy | undefined {
  if (!(error instanceof ChecksFailed)) return undefined;
  for (const notice of verdictNotices('Checks', error.verdicts)) context.host.tell(notice);
  if (error.code !== 'CHECKS_FOUND_WARNINGS') return undefined;
  const codes = codesOf(error.verdicts.filter((one) => one.status === 'warning'));
  return {
    label: `accept: ${codes.join(', ')} (kept with your name and the time)`,
    take: () => void accept.push(...codes.filter((code) => !accept.includes(code))),
  };
}

function tellSaved(context: Context, report: ScenarioReport): void {
  const { host } = context;
  for (const notice of verdictNotices('Checks', report.verdicts)) host.tell(notice);
  const { name } = report.scenario;
  host.tell({
    kind: 'text',
    level: 'success',
    text: `Scenario ${name} is saved; it is ${report.status.state}. Nothing is copied yet. Next: standby run ${name}`,
  });
}

/** For the main menu: which scenario. */
export async function chooseScenario(context: Context): Promise<string> {
  const scenarios = await context.store.scenarios.list();
  const answers = await gather(
    context.host,
    [
      {
        name: 'scenario',
        question: () => ({
          name: 'scenario',
          kind: 'select',
          message: 'Scenario',
          choices: scenarios.map((one) => ({ value: one.name, label: one.name })),
          ...(scenarios.length === 0 ? { before: 'There is no scenario yet.' } : {}),
        }),
      },
    ],
    {},
  );
  if (typeof answers.scenario !== 'string') throw leftTheWizard();
  return answers.scenario;
}
