import type { WizardStart } from '../src/cli/shell.ts';
import { type AccountReport, addAccount } from '../src/control/account.ts';
import { type AccountAnswers, accountQuestions } from '../src/control/account-questions.ts';
import type { Context } from '../src/control/context.ts';
import { screensOf } from '../src/control/screen.ts';
import { verdictNotices } from '../src/control/verdict-table.ts';
import { confirmScreen, gatherAndAct } from './wizard.ts';

export const ACCOUNT_ANSWERS = [
  'name',
  'environment',
  'resourceManagerUrl',
  'authorityUrl',
  'caFile',
  'subscriptionId',
  'tenantId',
  'applicationId',
  'clientSecret',
  'secretExpiresOn',
] as const;

/** Registers an Azure account: asks, proves the answers against Azure, saves. */
export async function accountWizard(context: Context, start: WizardStart): Promise<AccountReport> {
  const { host } = context;
  const screens = [
    ...screensOf(ACCOUNT_ANSWERS, (answers) => accountQuestions(answers, context.clock)),
    confirmScreen({
      message: 'Prove this account against Azure and save it?',
      needs: ACCOUNT_ANSWERS,
      summary: (answers) =>
        [
          `Account         ${String(answers.name)}`,
          `Subscription    ${String(answers.subscriptionId)}`,
          `Tenant          ${String(answers.tenantId)}`,
          `Application     ${String(answers.applicationId)}`,
          'Client secret   (encrypted before it is stored, never shown)',
        ].join('\n'),
    }),
  ];
  const report = await gatherAndAct(host, screens, start, (answers) => {
    host.tell({ kind: 'text', level: 'info', text: 'Asking Azure ...' });
    return addAccount(context, answers as unknown as AccountAnswers);
  });
  for (const notice of verdictNotices(`Account ${report.account.name}`, report.lines)) host.tell(notice);
  host.tell({
    kind: 'text',
    level: 'success',
    text: `Account ${report.account.name} is saved. Next: standby appliance deploy`,
  });
  return report;
}
