import type { WizardStart } from '../src/cli/shell.ts';
import { type DeployReport, deployAppliance, proposeDeploy } from '../src/control/appliance/deploy.ts';
import type { DeployAnswers } from '../src/control/appliance/deploy-input.ts';
import { deployScreens } from '../src/control/appliance/screens.ts';
import type { Context } from '../src/control/context.ts';
import type { Answers } from '../src/ports/host.ts';
import { confirmScreen, gatherConfirmed } from './wizard.ts';

/** Deploys an appliance VM: asks, shows what will be made, makes it as a run that can be resumed. */
export async function applianceWizard(context: Context, start: WizardStart): Promise<DeployReport> {
  const { host } = context;
  const asked = deployScreens(context);
  const screens = [
    ...asked,
    confirmScreen({
      message: 'Make this appliance?',
      needs: asked.map((screen) => screen.name),
      summary: (answers) => summaryOf(context, answers),
    }),
  ];
  const answers = await gatherConfirmed(host, screens, start);
  const report = await deployAppliance(context, answers as unknown as DeployAnswers);
  const text = report.already
    ? `The appliance ${report.appliance.name} is there already; nothing was changed.`
    : `The appliance ${report.appliance.name} is deployed at ${report.appliance.address}.`;
  host.tell({ kind: 'text', level: 'success', text });
  for (const note of report.notes) host.tell({ kind: 'text', level: 'info', text: note });
  return report;
}

async function summaryOf(context: Context, answers: Answers): Promise<string> {
  const { plan, unfinished, existing } = await proposeDeploy(context, answers as unknown as DeployAnswers);
  if (existing) return `The appliance ${existing.name} is there already; nothing will be made.`;
  const makes = plan.stages.flat().flatMap((step) => step.makes ?? []);
  return [
    unfinished
      ? `An unfinished deployment (${unfinished.id}) is gone on with.`
      : 'This will be made in Azure, unless it is there already:',
    ...makes.map(({ type, name }) => `  ${type}  ${name}`),
  ].join('\n');
}
