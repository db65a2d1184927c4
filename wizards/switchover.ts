import type { WizardStart } from '../src/cli/shell.ts';
import { timeText } from '../src/clock.ts';
import type { Context } from '../src/control/context.ts';
import { type Screen, textOf } from '../src/control/screen.ts';
import {
  fencingOf,
  offeredPoints,
  type PointRequest,
  proposeSwitchover,
  reportNotices,
  type SwitchoverOutcome,
  type SwitchoverProposal,
  type SwitchoverRequest,
  switchOver,
} from '../src/control/switchover.ts';
import { confirmationText } from '../src/switchover/words.ts';
import { chooseScenario } from './scenario.ts';
import { gather } from './wizard.ts';

/** Shows what a switchover will make and what it will lose, asks to type the scenario's name, runs it, reports. */
export async function switchoverWizard(context: Context, start: WizardStart): Promise<SwitchoverOutcome> {
  const { host } = context;
  const name = String(start.preset.scenario ?? '') || (await chooseScenario(context));
  const { preset } = start;
  const request = {
    acceptUnprovenBoot: preset.acceptUnprovenBoot === true,
    acceptUnprotected: preset.acceptUnprotected === true,
    leaveOutRedirect: preset.leaveOutRedirect === true,
    leaveOutScripts: preset.leaveOutScripts === true,
    leaveOutPatch: preset.leaveOutPatch === true,
    masterIsDown: preset.masterIsDown === true,
    ...(preset.planned === true ? { planned: true } : {}),
    ...(typeof preset.bootWaitMs === 'number' ? { bootWaitMs: preset.bootWaitMs } : {}),
    ...(await choosePointOf(context, name, start)),
  };
  const proposal = await withFence(context, name, request, await proposeSwitchover(context, name, request));
  tellPlan(context, proposal);
  const confirm = typedNameScreen(proposal);
  await gather(host, [confirm], start.yes ? { confirm: proposal.scenario.name } : {});
  const outcome = await switchOver(context, proposal);
  for (const notice of reportNotices(outcome.report)) host.tell(notice);
  return outcome;
}

/** Flags say it, and `--yes` alone is the default; a person at a terminal chooses from the bookmarks, and says whether to wait (G-75). */
async function choosePointOf(
  context: Context,
  name: string,
  { preset, yes }: WizardStart,
): Promise<PointRequest> {
  const given = preset.point as PointRequest['point'];
  const wait = preset.waitForJournals === false ? { waitForJournals: false } : {};
  if (given !== undefined || preset.planned === true || yes || !context.host.interactive)
    return { ...(given ? { point: given } : {}), ...wait };
  const offered = await offeredPoints(context, name);
  if (!offered || preset.waitForJournals === false) return wait;
  const answers = await gather(context.host, pointScreens(offered), {});
  const to = textOf(answers.to);
  if (to !== LATEST) return { point: { bookmark: to } };
  return answers.waitForJournals === false ? { waitForJournals: false } : {};
}

/** Two heads never: whoever goes on without a fence types the name of the master that is off. */
async function withFence(
  context: Context,
  name: string,
  request: SwitchoverRequest,
  proposal: SwitchoverProposal,
): Promise<SwitchoverProposal> {
  const fencing = await fencingOf(context, proposal);
  if (!fencing) return proposal;
  if (fencing.isHere || request.masterIsDown) return proposeSwitchover(context, name, request);
  const { hostName } = fencing;
  context.host.tell({
    kind: 'text',
    level: 'warning',
    text: `The master ${hostName} is not reached, so its engine cannot take it off the network. If it still works for its clients, two servers do under one name, and what is written there is lost.`,
  });
  const screen: Screen = {
    name: 'masterIsDown',
    question: () => ({
      name: 'masterIsDown',
      kind: 'text',
      message: `Type the master's name (${hostName}) when you know that it is off`,
      noFlag: { from: '--master-is-down' },
      validate: (value) =>
        textOf(value) === hostName
          ? undefined
          : `That is not ${hostName}. Ctrl-C leaves; nothing is changed.`,
    }),
  };
  await gather(context.host, [screen], {});
  return proposeSwitchover(context, name, { ...request, masterIsDown: true });
}

const LATEST = 'latest';

function pointScreens(
  bookmarks: readonly { readonly name: string; readonly timeMs: number }[],
): readonly Screen[] {
  return [
    {
      name: 'to',
      question: () => ({
        name: 'to',
        kind: 'select',
        message: 'Which state of the master',
        hint: 'any time of the rewind window: leave with Ctrl-C and use --to-time',
        default: LATEST,
        choices: [
          { value: LATEST, label: 'latest: everything received' },
          ...bookmarks.map((one) => ({ value: one.name, label: `${one.name} (${timeText(one.timeMs)})` })),
        ],
      }),
    },
    {
      name: 'waitForJournals',
      when: (answers) => answers.to === LATEST,
      question: () => ({
        name: 'waitForJournals',
        kind: 'confirm',
        message: 'Wait until everything received is applied?',
        hint: 'no: it begins at once, and what is in the journal only is lost',
        default: true,
      }),
    },
  ];
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
  host.tell({ kind: 'text', level: 'warning', text: loss.text });
  host.tell({ kind: 'text', level: 'warning', text: confirmationText(scenario, proposal.input.inventory) });
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
