import type { WizardStart } from '../src/cli/shell.ts';
import { checkAppliance } from '../src/control/appliance/check.ts';
import {
  type OpenPortReport,
  openPort,
  proposeOpenPort,
  sourcePrefixQuestion,
} from '../src/control/appliance/open-port.ts';
import { listAppliances } from '../src/control/appliance/records.ts';
import type { Context } from '../src/control/context.ts';
import { type Screen, textOf } from '../src/control/screen.ts';
import { verdictNotices } from '../src/control/verdict-table.ts';
import { confirmScreen, gatherConfirmed } from './wizard.ts';

/** Opens port 25000 of an appliance for one source prefix, after showing which rule will decide. */
export async function openPortWizard(context: Context, start: WizardStart): Promise<OpenPortReport> {
  const { host } = context;
  const screens: readonly Screen[] = [
    applianceScreen(context),
    {
      name: 'sourcePrefix',
      needs: ['name'],
      question: async (answers) => {
        const { sourcePrefix } = await proposeOpenPort(context, { name: textOf(answers.name) });
        return sourcePrefixQuestion(sourcePrefix);
      },
    },
    confirmScreen({
      message: 'Add this?',
      needs: ['name', 'sourcePrefix'],
      summary: (answers) => summaryOf(context, textOf(answers.name), textOf(answers.sourcePrefix)),
    }),
  ];
  const answers = await gatherConfirmed(host, screens, start);
  const name = textOf(answers.name);
  const report = await openPort(context, { name, sourcePrefix: textOf(answers.sourcePrefix) });
  const added = report.added.map((one) => `rule ${one.ruleName} (${one.priority}) in ${one.groupName}`);
  host.tell({
    kind: 'text',
    level: 'success',
    text: added.length > 0 ? `Added ${added.join(', ')}.` : 'The port was open already; nothing was changed.',
  });
  if (host.interactive) await prove(context, name);
  else host.tell({ kind: 'text', level: 'info', text: `Prove it: standby appliance check ${name}` });
  return report;
}

/** A person wants to know at once whether it is open now; it also enrols an appliance that has waited for this. */
async function prove(context: Context, name: string): Promise<void> {
  context.host.tell({ kind: 'text', level: 'info', text: 'Checking ...' });
  const verdicts = await checkAppliance(context, name);
  for (const notice of verdictNotices(`Appliance ${name}`, verdicts)) context.host.tell(notice);
}

/** The appliance to work on, by its name. */
export function applianceScreen(context: Context): Screen {
  return {
    name: 'name',
    async question() {
      const appliances = await listAppliances(context);
      return {
        name: 'name',
        kind: 'select',
        message: 'Appliance',
        choices: appliances.map((one) => ({ value: one.name, label: `${one.name} (${one.address})` })),
        ...(appliances.length === 0 ? { before: 'No appliance is known yet: standby appliance deploy' } : {}),
        ...(appliances.length === 1 && appliances[0] ? { default: appliances[0].name } : {}),
      };
    },
  };
}

async function summaryOf(context: Context, name: string, sourcePrefix: string): Promise<string> {
  const { groups, warning } = await proposeOpenPort(context, { name, sourcePrefix });
  const lines = groups.flatMap(({ groupName, place, rule, overtakes }) => {
    if (!rule) return [`${groupName} (${place}): lets it through already`];
    const before = overtakes.map((one) => `    before ${one.name} (${one.priority}), which denies it today`);
    return [
      `${groupName} (${place}): allow TCP 25000 from ${rule.sourcePrefixes.join(', ')}, priority ${rule.priority}`,
      ...before,
    ];
  });
  return [...lines, ...(warning ? [`Warning: ${warning}`] : [])].join('\n');
}
