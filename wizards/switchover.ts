import type { WizardStart } from '../src/cli/shell.ts';
import type { Context } from '../src/control/context.ts';
import { type Screen, textOf } from '../src/control/screen.ts';
import {
  proposeSwitchover,
  reportNotices,
  type SwitchoverOutcome,
  type SwitchoverProposal,
  switchOver,
} from '../src/control/switchover.ts';
import { confirmationText } from '../src/switchover/words.ts';
import { chooseScenario } from './scenario.ts';
import { gather } from './wizard.ts';

/** Shows what a switchover will make and what it will lose, asks to type the scenario's name, runs it, reports. */
export async function switchoverWizard(context: Context, start: WizardStart): Promise<SwitchoverOutcome> {
  const { host } = context;
  const name = String(start.preset.scenario ?? '') || (await chooseScenario(context));
  const proposal = await proposeSwitchover(context, name, {
    acceptUnprovenBoot: start.preset.acceptUnprovenBoot === true,
  });
  tellPlan(context, proposal);
  const confirm = typedNameScreen(proposal);
  await gather(host, [confirm], start.yes ? { confirm: proposal.scenario.name } : {});
  const outcome = await switchOver(context, proposal);
  for (const notice of reportNotices(outcome.report)) host.tell(notice);
  return outcome;
}

function tellPlan({ host }: Context, proposal: SwitchoverProposal): void {
  const { scenario, makes, loss, unfinished, plan } = proposal;
  if (unfinished) {
    host.tell({
      kind: 'text',
      level: 'info',
      text: `The unfinished switchover ${unfinished.id} is gone on with.`,
    });
  }
  host.tell({
    kind: 'table',
    title: `Switching ${scenario.name} over makes this in ${scenario.vm.resourceGroup} (${scenario.region}):`,
    columns: ['type', 'name'],
    rows: makes.map(({ type, name }) => [type, name]),
  });
  const steps = plan.stages.flat().map((step, index) => `  ${index + 1}. ${step.title}`);
  host.tell({ kind: 'text', level: 'info', text: `Steps:\n${steps.join('\n')}` });
  host.tell({ kind: 'text', level: 'warning', text: loss });
  host.tell({ kind: 'text', level: 'warning', text: confirmationText(scenario) });
}

function typedNameScreen({ scenario }: SwitchoverProposal): Screen {
  return {
    name: 'confirm',
    question: () => ({
      name: 'confirm',
      kind: 'text',
      message: `Type the scenario's name (${scenario.name}) to switch over`,
      noFlag: { from: '--yes' },
      validate: (value) =>
        textOf(value) === scenario.name
          ? undefined
          : `That is not ${scenario.name}. Ctrl-C leaves; nothing is changed.`,
    }),
  };
}
